/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * buf.h - bytes that grow, up to a limit that the owner sets
 *
 * Shape   data[0..len), always followed by one NUL that is not counted, once anything was added.
 * Limit   cap bytes; 0 means BUF_CAP. Guest content decides how much is added, never how much
 *         may be.
 * Errors  0, -ENOMEM, or -EFBIG past the limit; the buffer is then unchanged.
 * Owner   the struct belongs to whoever declared it: struct buf b = { 0 }; buf_free(&b).
 */
#ifndef EDIT_BUF_H
#define EDIT_BUF_H

#include <stddef.h>
#include <stdint.h>

#define BUF_CAP ((size_t)256 << 20)

struct buf {
	uint8_t *data;
	size_t len;
	size_t room; /* allocated, at least len + 1 */
	size_t cap;
};

/* A half-open range of a text: [off, off + len). */
struct span {
	size_t off;
	size_t len;
};

int buf_add(struct buf *b, const void *data, size_t len) __attribute__((warn_unused_result));
int buf_add_str(struct buf *b, const char *s) __attribute__((warn_unused_result));
int buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));
int buf_add_zeros(struct buf *b, size_t len) __attribute__((warn_unused_result));

/* Frees the bytes and leaves an empty buffer with the same limit; NULL does nothing. */
void buf_free(struct buf *b);

/* The bytes as text: "" when empty. Borrowed until the next change. */
const char *buf_text(const struct buf *b);

#endif
