/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edits.h - a list of small replacements in a text, made all at once
 *
 * Shape   each edit replaces text[at.off, at.off + at.len) by its own words; a length of 0 inserts.
 *         All offsets are of the text before any edit, ascending, and do not overlap.
 * Why     every byte that is not inside an edit comes out as it went in, by construction: the
 *         line editors only ever say which token becomes what.
 * Errors  0, or with *e filled -ENOMEM, or -EINVAL for an edit out of order or past the end.
 * Owner   the words are copied; edits_free() releases them.
 */
#ifndef EDIT_EDITS_H
#define EDIT_EDITS_H

#include "types.h"

/* A half-open range of a text: [off, off + len). */
struct span {
	size_t off;
	size_t len;
};

struct edit {
	struct span at;
	char *text;
	size_t text_len;
};

struct edits {
	struct edit *v;
	size_t n;
};

int edits_add(struct edits *ed, struct span at, const char *text, struct err *e)
    __attribute__((warn_unused_result));

/* Writes the edited text behind what ${out} holds. */
int edits_apply(const struct edits *ed, const char *text, size_t len, struct buf *out,
		struct err *e) __attribute__((warn_unused_result));

void edits_free(struct edits *ed);

#endif
