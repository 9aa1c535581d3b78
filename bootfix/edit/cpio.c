/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/cpio.h"
#include "edit/cpio_parse.h"
#include "edit/unpack.h"

#include <errno.h>
#include <string.h>

static enum cpio_packing packing_of(const uint8_t *p, size_t len)
{
	/* clang-format off */
	static const struct {
		enum cpio_packing packing;
		uint8_t len, magic[6];
	} magics[] = {
		{ CPIO_GZIP, 2, { 0x1f, 0x8b } },
		{ CPIO_XZ,   6, { 0xfd, '7', 'z', 'X', 'Z', 0 } },
		{ CPIO_ZSTD, 4, { 0x28, 0xb5, 0x2f, 0xfd } },
		{ CPIO_LZ4,  4, { 0x02, 0x21, 0x4c, 0x18 } },
		{ CPIO_LZMA, 3, { 0x5d, 0, 0 } },
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
		if (len >= magics[i].len && !memcmp(p, magics[i].magic, magics[i].len))
			return magics[i].packing;
	return CPIO_UNKNOWN;
}

struct sink {
	struct cpio_parser *p;
};

static int on_unpacked(void *ctx, const uint8_t *data, size_t len, struct err *e)
{
	struct sink *s = ctx;
	size_t used;
	int r = cpio_feed(s->p, data, len, &used, e);

	if (r < 0)
		return r;
	if (used < len)
		return err_set(e, ERR_GUEST, EBADMSG, "junk inside a compressed archive");
	return 0;
}

static int walk_packed(struct cpio_parser *p, enum cpio_packing packing, const uint8_t *data,
		       size_t len, size_t *used, struct err *e)
{
	struct sink s = { .p = p };
	int r = unpack(packing, data, len, on_unpacked, &s, used, e);

	if (r < 0)
		return err_under(e, r, "%s", cpio_packing_word(packing));
	if (p->state != CPIO_BETWEEN)
		return err_set(e, ERR_GUEST, EBADMSG, "a compressed archive ends too early");
	return 0;
}

/* One segment that begins at img[pos]; moves ${pos} behind it. */
static int walk_segment(struct cpio_parser *p, const uint8_t *img, size_t len, size_t *pos,
			struct cpio_image *im, struct err *e)
{
	size_t used = 0;
	int r;

	if (++im->n_segments > CPIO_SEGMENTS_MAX)
		return err_set(e, ERR_GUEST, E2BIG, "more than %u segments", CPIO_SEGMENTS_MAX);
	if (img[*pos] == '0') {
		if (*pos & 3)
			return err_set(e, ERR_GUEST, EBADMSG,
				       "archive at offset %zu, not at a "
				       "multiple of 4",
				       *pos);
		im->last = CPIO_PLAIN;
		r = cpio_feed(p, img + *pos, len - *pos, &used, e);
		if (!r && p->state != CPIO_BETWEEN)
			return err_set(e, ERR_GUEST, EBADMSG, "the last archive ends too early");
	} else {
		im->last = packing_of(img + *pos, len - *pos);
		if (im->last == CPIO_UNKNOWN)
			return err_set(e, ERR_GUEST, ENOTSUP, "unknown content at offset %zu",
				       *pos);
		r = walk_packed(p, im->last, img + *pos, len - *pos, &used, e);
	}
	*pos += used;
	return r;
}

int cpio_walk(const uint8_t *img, size_t len, const struct cpio_ops *ops, void *ctx,
	      struct cpio_image *ret, struct err *e)
{
	struct cpio_parser p = { .ops = ops, .ctx = ctx };
	struct cpio_image im = { 0 };
	size_t pos = 0;

	while (pos < len) {
		if (!img[pos]) {
			pos++;
			continue;
		}
		int r = walk_segment(&p, img, len, &pos, &im, e);
		if (r < 0)
			return r;
		im.end = pos;
	}
	/* The plain parser also eats the NULs behind its archive: they are not part of it. */
	while (im.end && im.last == CPIO_PLAIN && !img[im.end - 1])
		im.end--;
	if (!im.n_segments)
		return err_set(e, ERR_GUEST, EBADMSG, "no archive in the image");
	im.n_members = p.n_members;
	im.unpacked = p.eaten;
	*ret = im;
	return 0;
}

const char *cpio_packing_word(enum cpio_packing p)
{
	switch (p) {
	case CPIO_PLAIN:
		return "as it is";
	case CPIO_GZIP:
		return "gzip";
	case CPIO_XZ:
		return "xz";
	case CPIO_LZMA:
		return "lzma";
	case CPIO_ZSTD:
		return "zstd";
	case CPIO_LZ4:
		return "lz4";
	case CPIO_UNKNOWN:
		break;
	}
	return "unknown";
}
