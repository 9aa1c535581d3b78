/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * columns.h - lines of words: what fstab and crypttab have in common
 *
 * Shape   words separated by blanks and tabs, '#' first makes a comment. Lines that are comments,
 *         empty, longer than COLUMNS_LINE_MAX, hold a NUL or have too few words are passed over,
 *         and so come out of an edit byte for byte.
 * Owner   spans are places in the caller's text.
 */
#ifndef EDIT_COLUMNS_H
#define EDIT_COLUMNS_H

#include "edit/edits.h"
#include "edit/lines.h"

#define COLUMNS_LINE_MAX 4096U
#define COLUMNS_MAX 8U

struct columns {
	struct span field[COLUMNS_MAX];
	size_t n;
	unsigned number; /* of the line, from 1 */
};

/* The next line with at least ${min} words; false at the end. */
bool columns_next(struct lines *l, size_t min, struct columns *ret);

/* ${option} ("nofail", or "x-systemd.device-timeout" whatever its value) is in the comma list. */
bool columns_has_option(const char *text, struct span list, const char *option);

/* Adds those of the comma list ${options} that are not there by name. Field ${at} is the list;
 * when the line is too short for it, it is made with ${first} in front, if not NULL. */
int columns_add_options(struct edits *ed, const char *text, const struct columns *c, size_t at,
			const char *first, const char *options, struct err *e)
    __attribute__((warn_unused_result));

#endif
