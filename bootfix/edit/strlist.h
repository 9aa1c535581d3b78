/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * strlist.h - a short list of strings, in the order they came
 *
 * Owner   the list copies what it is given; strlist_free() releases all and leaves it empty.
 * Errors  0, or with *e filled -ENOMEM or -E2BIG past STRLIST_MAX; the list is then unchanged.
 */
#ifndef EDIT_STRLIST_H
#define EDIT_STRLIST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define STRLIST_MAX 100000U

struct strlist {
	char **v;
	size_t n;
};

int strlist_add(struct strlist *l, const char *s, struct err *e)
    __attribute__((warn_unused_result));
int strlist_add_len(struct strlist *l, const char *s, size_t len, struct err *e)
    __attribute__((warn_unused_result));

/* Adds only what is not there yet. */
int strlist_add_once(struct strlist *l, const char *s, struct err *e)
    __attribute__((warn_unused_result));
bool strlist_has(const struct strlist *l, const char *s);
void strlist_free(struct strlist *l);

#endif
