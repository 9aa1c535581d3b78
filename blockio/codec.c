/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "codec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <lz4.h>

enum codec codec_encode(enum codec want, const void *plain, size_t len, void *out, size_t room,
			size_t *ret_len)
{
	/* The room given to lz4 is the rule itself: it gives up as soon as it cannot be kept. */
	size_t most = len - len / 16;

	*ret_len = len;
	if (want != CODEC_LZ4 || len < 16 || len > LZ4_MAX_INPUT_SIZE)
		return CODEC_RAW;
	if (most > room)
		most = room;
	int n = LZ4_compress_default(plain, out, (int)len, (int)most);
	if (n <= 0)
		return CODEC_RAW;
	*ret_len = (size_t)n;
	return CODEC_LZ4;
}

static int decode_lz4(const void *in, size_t in_len, void *plain, size_t plain_len, struct err *e)
{
	if (!in_len || in_len > INT_MAX || plain_len > LZ4_MAX_INPUT_SIZE)
		return err_set(e, ERR_PEER, EPROTO, "lz4 block of %zu bytes for %zu plain ones",
			       in_len, plain_len);
	int n = LZ4_decompress_safe(in, plain, (int)in_len, (int)plain_len);
	if (n < 0)
		return err_set(e, ERR_PEER, EPROTO,
			       "lz4 block of %zu bytes does not expand to %zu bytes", in_len,
			       plain_len);
	if ((size_t)n != plain_len)
		return err_set(e, ERR_PEER, EPROTO,
			       "lz4 block of %zu bytes expands to %d bytes instead of %zu", in_len,
			       n, plain_len);
	return 0;
}

int codec_decode(enum codec codec, const void *in, size_t in_len, void *plain, size_t plain_len,
		 struct err *e)
{
	switch (codec) {
	case CODEC_RAW:
		if (in_len != plain_len)
			return err_set(e, ERR_PEER, EPROTO, "raw block of %zu bytes instead of %zu",
				       in_len, plain_len);
		memcpy(plain, in, plain_len);
		return 0;
	case CODEC_LZ4:
		return decode_lz4(in, in_len, plain, plain_len, e);
	}
	return err_set(e, ERR_PEER, EPROTO, "unknown codec %d", (int)codec);
}

const char *codec_word(enum codec codec)
{
	switch (codec) {
	case CODEC_RAW:
		return "raw";
	case CODEC_LZ4:
		return "lz4";
	}
	return "unknown";
}
