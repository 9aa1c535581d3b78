/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/unpack.h"

#include "base/cleanup.h"

#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE ((size_t)64 << 10)
#define LZ4_BLOCK ((size_t)8 << 20) /* fixed by the legacy frame */
#define LZ4_MAGIC 0x184c2102U
#define DECODER_MEMORY ((uint64_t)256 << 20)

struct job {
	const uint8_t *in;
	size_t len, used;
	unpack_on_data *on_data;
	void *ctx;
	struct err *e;
};

static int broken(struct job *j)
{
	return err_set(j->e, ERR_GUEST, EBADMSG, "compressed data is broken or cut at byte %zu",
		       j->used);
}

static int no_memory(struct job *j)
{
	return err_set(j->e, ERR_SYS, ENOMEM, "decoder");
}

static int inflate_all(struct job *j, z_stream *z, uint8_t *out)
{
	int z_r = Z_OK;

	while (z_r != Z_STREAM_END) {
		size_t left = j->len - j->used;
		uInt give = left > PIECE ? (uInt)PIECE : (uInt)left;
		int r;

		/* zlib's input pointer is not const, but it only reads. */
		z->next_in = (z_const Bytef *)(uintptr_t)(j->in + j->used);
		z->avail_in = give;
		z->next_out = out;
		z->avail_out = (uInt)PIECE;
		z_r = inflate(z, Z_NO_FLUSH);
		j->used += give - z->avail_in;
		if (z_r != Z_OK && z_r != Z_STREAM_END)
			return broken(j);
		r = j->on_data(j->ctx, out, PIECE - z->avail_out, j->e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int unpack_gzip(struct job *j, uint8_t *out)
{
	z_stream z = { 0 };
	int r;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return no_memory(j);
	r = inflate_all(j, &z, out);
	(void)inflateEnd(&z);
	return r;
}

static int lzma_all(struct job *j, lzma_stream *s, uint8_t *out)
{
	lzma_ret l = LZMA_OK;

	s->next_in = j->in;
	s->avail_in = j->len;
	while (l != LZMA_STREAM_END) {
		int r;

		s->next_out = out;
		s->avail_out = PIECE;
		l = lzma_code(s, LZMA_RUN);
		j->used = j->len - s->avail_in;
		if (l != LZMA_OK && l != LZMA_STREAM_END)
			return broken(j);
		r = j->on_data(j->ctx, out, PIECE - s->avail_out, j->e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int unpack_lzma(struct job *j, bool xz, uint8_t *out)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret l = xz ? lzma_stream_decoder(&s, DECODER_MEMORY, 0)
			: lzma_alone_decoder(&s, DECODER_MEMORY);
	int r;

	if (l != LZMA_OK)
		return no_memory(j);
	r = lzma_all(j, &s, out);
	lzma_end(&s);
	return r;
}

static int zstd_all(struct job *j, ZSTD_DCtx *d, uint8_t *out)
{
	ZSTD_inBuffer in = { .src = j->in, .size = j->len };
	size_t z = 1;

	while (z) {
		ZSTD_outBuffer o = { .dst = out, .size = PIECE };
		size_t before = in.pos;
		int r;

		z = ZSTD_decompressStream(d, &o, &in);
		j->used = in.pos;
		if (ZSTD_isError(z) || (!o.pos && in.pos == before))
			return broken(j);
		r = j->on_data(j->ctx, out, o.pos, j->e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int unpack_zstd(struct job *j, uint8_t *out)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	int r;

	if (!d)
		return no_memory(j);
	(void)ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 27);
	r = zstd_all(j, d, out);
	(void)ZSTD_freeDCtx(d);
	return r;
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* Frames may follow each other without a gap: the kernel reads them as one stream, and so do we.
 * A block length of 0 is padding behind the stream. */
static int unpack_lz4(struct job *j, uint8_t *unused)
{
	scoped(freep) char *out = malloc(LZ4_BLOCK);

	(void)unused;
	if (!out)
		return no_memory(j);
	while (j->len - j->used >= 4) {
		uint32_t n = get_le32(j->in + j->used);
		int got, r;

		if (n == LZ4_MAGIC) {
			j->used += 4;
			continue;
		}
		if (!n)
			return 0;
		if (n > (uint32_t)LZ4_compressBound((int)LZ4_BLOCK) || n > j->len - j->used - 4)
			return broken(j);
		got = LZ4_decompress_safe((const char *)j->in + j->used + 4, out, (int)n,
					  (int)LZ4_BLOCK);
		if (got < 0)
			return broken(j);
		r = j->on_data(j->ctx, (const uint8_t *)out, (size_t)got, j->e);
		if (r < 0)
			return r;
		j->used += 4 + (size_t)n;
	}
	return 0;
}

int unpack(enum cpio_packing packing, const uint8_t *in, size_t len, unpack_on_data *on_data,
	   void *ctx, size_t *ret_used, struct err *e)
{
	struct job j = { .in = in, .len = len, .on_data = on_data, .ctx = ctx, .e = e };
	scoped(freep) uint8_t *out = malloc(PIECE);
	int r;

	if (!out)
		return no_memory(&j);
	switch (packing) {
	case CPIO_GZIP:
		r = unpack_gzip(&j, out);
		break;
	case CPIO_XZ:
	case CPIO_LZMA:
		r = unpack_lzma(&j, packing == CPIO_XZ, out);
		break;
	case CPIO_ZSTD:
		r = unpack_zstd(&j, out);
		break;
	case CPIO_LZ4:
		r = unpack_lz4(&j, out);
		break;
	case CPIO_PLAIN:
	case CPIO_UNKNOWN:
	default:
		return err_set(e, ERR_GUEST, ENOTSUP, "packing %d", (int)packing);
	}
	if (!r)
		*ret_used = j.used;
	return r;
}

int pack_lz4(const uint8_t *in, size_t len, struct buf *out, struct err *e)
{
	scoped(freep) char *block = malloc((size_t)LZ4_compressBound((int)LZ4_BLOCK));
	uint8_t le[4];
	int r;

	if (!block)
		return err_set(e, ERR_SYS, ENOMEM, "lz4");
	put_le32(le, LZ4_MAGIC);
	r = buf_add(out, le, sizeof le, e);
	for (size_t off = 0; r == 0 && off < len; off += LZ4_BLOCK) {
		size_t n = len - off < LZ4_BLOCK ? len - off : LZ4_BLOCK;
		int got = LZ4_compress_default((const char *)in + off, block, (int)n,
					       LZ4_compressBound((int)LZ4_BLOCK));

		if (got <= 0)
			return err_set(e, ERR_SYS, EIO, "lz4");
		put_le32(le, (uint32_t)got);
		r = buf_add(out, le, sizeof le, e);
		if (!r)
			r = buf_add(out, block, (size_t)got, e);
	}
	return r;
}
