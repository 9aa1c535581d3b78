/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cpio.h - what is inside an initramfs image
 *
 * Source   the kernel's Documentation/driver-api/early-userspace/buffer-format.rst: any number of
 *          segments, each a newc archive as it is or compressed as a whole, NULs between them. An
 *          uncompressed archive begins at a file offset that is a multiple of 4.
 * Packing  as it is, gzip, xz, lzma, zstd, lz4 (the legacy frame, the only one the kernel reads).
 * Limits   CPIO_*_MAX below: the image comes from a guest and may be made to explode.
 * Errors   0 or a negative errno with *e filled: -EBADMSG for a broken image, -ENOTSUP for a
 *          packing that is not known, -E2BIG past a limit, or what a callback returned.
 * Owner    the image is the caller's memory; nothing is kept.
 */
#ifndef EDIT_CPIO_H
#define EDIT_CPIO_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CPIO_UNPACKED_MAX (UINT64_C(1) << 30)
#define CPIO_MEMBERS_MAX 200000U
#define CPIO_NAME_MAX 4096U /* with its NUL */
#define CPIO_SEGMENTS_MAX 64U

enum cpio_packing {
	CPIO_UNKNOWN,
	CPIO_PLAIN,
	CPIO_GZIP,
	CPIO_XZ,
	CPIO_LZMA,
	CPIO_ZSTD,
	CPIO_LZ4,
};

struct cpio_member {
	const char *name; /* without leading "./" and "/"; any bytes but NUL; until the call ends */
	uint32_t mode;    /* as in st_mode */
	uint32_t size;    /* bytes of content; for a symbolic link its target */
};

struct cpio_ops {
	/* Return 1 to be given the content, 0 to pass over it, a negative errno to stop. */
	int (*on_member)(void *ctx, const struct cpio_member *m, struct err *e);
	/* May be NULL. Pieces of the content in order; 0 or a negative errno. */
	int (*on_data)(void *ctx, const uint8_t *data, size_t len, struct err *e);
};

struct cpio_image {
	unsigned n_segments;
	unsigned n_members;
	uint64_t unpacked;      /* bytes of all archives, headers included */
	enum cpio_packing last; /* how the last segment is packed */
	size_t end; /* file offset just past the last segment; NULs follow, or nothing */
};

/* Reads the whole image. ${ret} is filled on success only. */
int cpio_walk(const uint8_t *img, size_t len, const struct cpio_ops *ops, void *ctx,
	      struct cpio_image *ret, struct err *e);

/* "gzip", "as it is", ... */
const char *cpio_packing_word(enum cpio_packing p);

#endif
