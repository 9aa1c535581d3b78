/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cpio_parse.h - newc archives from bytes in any pieces
 *
 * Shape   feed bytes; members come out through the callbacks of cpio.h. Between two archives it
 *         skips NULs and stops at the first byte that begins neither NULs nor a header: the walker
 *         then looks for a packing there.
 * Owner   plain struct on the stack of the walker; nothing to free.
 */
#ifndef EDIT_CPIO_PARSE_H
#define EDIT_CPIO_PARSE_H

#include "edit/cpio.h"

enum cpio_state {
	CPIO_BETWEEN, /* no archive is open */
	CPIO_HEAD,
	CPIO_NAME,
	CPIO_BODY,
	CPIO_PAD, /* NULs up to the next multiple of 4 */
};

#define CPIO_HEAD_LEN 110U

struct cpio_parser {
	const struct cpio_ops *ops;
	void *ctx;
	enum cpio_state state, after_pad;
	uint8_t head[CPIO_HEAD_LEN];
	char name[CPIO_NAME_MAX];
	size_t have; /* bytes of head or name so far */
	uint32_t name_len, mode, size;
	uint32_t left; /* bytes of body, or of padding */
	bool wanted;
	unsigned n_members;
	uint64_t eaten; /* all bytes, against CPIO_UNPACKED_MAX */
};

/* Takes bytes; ${used} < ${len} only when a foreign byte stands between two archives. */
int cpio_feed(struct cpio_parser *p, const uint8_t *data, size_t len, size_t *used, struct err *e);

#endif
