/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "codec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <zstd.h>

struct codec_ctx {
	void *lz4; /* state of the compressor */
	ZSTD_CCtx *pack;
	ZSTD_DCtx *expand;
};

struct codec_ctx *codec_new(void)
{
	struct codec_ctx *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->lz4 = malloc((size_t)LZ4_sizeofState());
	if (c->lz4)
		return c;
	codec_free(c);
	return NULL;
}

void codec_free(struct codec_ctx *c)
{
	if (!c)
		return;
	free(c->lz4);
	(void)ZSTD_freeCCtx(c->pack);
	(void)ZSTD_freeDCtx(c->expand);
	free(c);
}

static size_t pack_lz4(struct codec_ctx *c, const void *plain, size_t len, void *out, size_t most)
{
	int n = LZ4_compress_fast_extState(c->lz4, plain, out, (int)len, (int)most, 1);

	return n > 0 ? (size_t)n : 0;
}

static size_t pack_zstd(struct codec_ctx *c, int level, const void *plain, size_t len, void *out,
			size_t most)
{
	size_t n;

	if (!c->pack)
		c->pack = ZSTD_createCCtx();
	if (!c->pack)
		return 0;
	n = ZSTD_compressCCtx(c->pack, out, most, plain, len, level);
	return ZSTD_isError(n) ? 0 : n;
}

enum codec codec_encode(struct codec_ctx *c, enum codec want, int level, const void *plain,
			size_t len, void *out, size_t room, size_t *ret_len)
{
	/* The room given to the compressor is the rule itself: it gives up as soon as it cannot be
	 * kept. */
	size_t most = len - len / 16, n = 0;

	*ret_len = len;
	if (want == CODEC_RAW || len < 16 || len > LZ4_MAX_INPUT_SIZE)
		return CODEC_RAW;
	if (most > room)
		most = room;
	if (want == CODEC_LZ4)
		n = pack_lz4(c, plain, len, out, most);
	else if (want == CODEC_ZSTD)
		n = pack_zstd(c, level, plain, len, out, most);
	if (!n)
		return CODEC_RAW;
	*ret_len = n;
	return want;
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

/* One frame that says its content's size and is nothing but itself: what follows it, or hides in a
 * skippable frame before it, would never be looked at. */
static int decode_zstd(struct codec_ctx *c, const void *in, size_t in_len, void *plain,
		       size_t plain_len, struct err *e)
{
	size_t n;

	if (ZSTD_getFrameContentSize(in, in_len) != plain_len ||
	    ZSTD_findFrameCompressedSize(in, in_len) != in_len)
		return err_set(e, ERR_PEER, EPROTO,
			       "zstd block of %zu bytes is not one frame of %zu plain ones", in_len,
			       plain_len);
	if (!c->expand)
		c->expand = ZSTD_createDCtx();
	if (!c->expand)
		return err_set(e, ERR_SYS, ENOMEM, "zstd");
	n = ZSTD_decompressDCtx(c->expand, plain, plain_len, in, in_len);
	if (ZSTD_isError(n) || n != plain_len)
		return err_set(e, ERR_PEER, EPROTO,
			       "zstd block of %zu bytes does not expand to %zu bytes", in_len,
			       plain_len);
	return 0;
}

int codec_decode(struct codec_ctx *c, enum codec codec, const void *in, size_t in_len, void *plain,
		 size_t plain_len, struct err *e)
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
	case CODEC_ZSTD:
		return decode_zstd(c, in, in_len, plain, plain_len, e);
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
	case CODEC_ZSTD:
		return "zstd";
	}
	return "unknown";
}
