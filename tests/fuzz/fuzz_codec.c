/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two bytes of length, then a block as it came over the wire; and the same bytes as plain text,
 * there and back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(struct codec_ctx *c, enum codec codec, const uint8_t *p, size_t n)
{
	uint8_t *coded = malloc(n + 1), *plain = malloc(n + 1);
	size_t len = 0;

	if (coded && plain && codec_encode(c, codec, 1, p, n, coded, n, &len) == codec &&
	    (len > n - n / 16 || codec_decode(c, codec, coded, len, plain, n, NULL) < 0 ||
	     memcmp(plain, p, n) != 0))
		abort();
	free(coded);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec_ctx *c;

	if (!c)
		c = codec_new();
	if (size < 2 || !c)
		return 0;
	size_t want = (size_t)data[0] << 8 | data[1];
	uint8_t *plain = malloc(want + (want == 0));

	if (plain) {
		for (int k = CODEC_RAW; k <= CODEC_LAST; k++)
			(void)codec_decode(c, (enum codec)k, data + 2, size - 2, plain, want, NULL);
	}
	free(plain);
	there_and_back(c, CODEC_LZ4, data + 2, size - 2);
	there_and_back(c, CODEC_ZSTD, data + 2, size - 2);
	return 0;
}
