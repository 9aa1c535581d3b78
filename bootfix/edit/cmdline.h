/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cmdline.h - a kernel command line inside a larger text, changed token by token
 *
 * Shape   tokens separated by blanks; quotes of either kind and a backslash keep blanks together,
 *         as both the kernel and the loaders' own languages do. key=value, or key alone.
 * Rule    a token that is not named by an edit stays byte for byte, order and blanks included.
 */
#ifndef EDIT_CMDLINE_H
#define EDIT_CMDLINE_H

#include "edit/edits.h"
#include "edit/lines.h"

struct cmdline_token {
	struct span all;
	struct span key;
	struct span value; /* without quotes around it; length 0 at the end of key when bare */
	bool has_value;
	size_t gap; /* blanks in front of it that are separators: an escaped one is not */
};

/* Takes the next token off ${rest}. */
bool cmdline_next(const char *text, struct span *rest, struct cmdline_token *ret);

/* The last token with that key: the kernel lets the last root= win. */
bool cmdline_find(const char *text, struct span line, const char *key, struct cmdline_token *ret);

/* Removes the token and the blanks in front of it. */
int cmdline_drop(struct edits *ed, const struct cmdline_token *t, struct err *e)
    __attribute__((warn_unused_result));

#endif
