/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codec.h - one block in, one block out
 *
 * Rule    a block that does not shrink by at least 1/16 goes raw: it costs the expander nothing.
 * Bounds  the expander is told the exact plain length; anything else is an error (no bomb).
 */
#ifndef BLOCKIO_CODEC_H
#define BLOCKIO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum codec { CODEC_RAW = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2 };
#define CODEC_LAST CODEC_ZSTD
#define CODEC_LEVEL_MAX 19 /* of zstd */

/* The working memory of the compressors; NULL when there is none. Belongs to one thread. What lz4
 * needs is made at once, what zstd needs at its first block. */
struct codec_ctx;
struct codec_ctx *codec_new(void);
void codec_free(struct codec_ctx *c);
static inline void codec_freep(struct codec_ctx **c)
{
	codec_free(*c);
}

/* Compresses ${len} bytes into ${out} (room for ${room}); ${level}: of zstd, 1 to CODEC_LEVEL_MAX.
 * Returns the codec to name in the frame and *ret_len; CODEC_RAW means: send the plain block,
 * ${out} is not used. */
enum codec codec_encode(struct codec_ctx *c, enum codec want, int level, const void *plain,
			size_t len, void *out, size_t room, size_t *ret_len);

/* Expands exactly ${plain_len} bytes. -EPROTO with words when the input is not exactly that. */
int codec_decode(struct codec_ctx *c, enum codec codec, const void *in, size_t in_len, void *plain,
		 size_t plain_len, struct err *e);

const char *codec_word(enum codec codec);

#endif
