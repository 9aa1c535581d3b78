/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two bytes of length, then a block as it came over the wire; and the same bytes as plain text,
 * there and back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const uint8_t *p, size_t n)
{
	uint8_t *coded = malloc(n + 1), *plain = malloc(n + 1);
	size_t len = 0;

	if (coded && plain && codec_encode(CODEC_LZ4, p, n, coded, n, &len) == CODEC_LZ4 &&
	    (len > n - n / 16 || codec_decode(CODEC_LZ4, coded, len, plain, n, NULL) < 0 ||
	     memcmp(plain, p, n) != 0))
		abort();
	free(coded);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t want = (size_t)data[0] << 8 | data[1];
	uint8_t *plain = malloc(want + (want == 0));

	if (plain) {
		(void)codec_decode(CODEC_LZ4, data + 2, size - 2, plain, want, NULL);
		(void)codec_decode(CODEC_RAW, data + 2, size - 2, plain, want, NULL);
	}
	free(plain);
	there_and_back(data + 2, size - 2);
	return 0;
}
