/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * shellvar.h - KEY="value" files: /etc/default/grub, /etc/selinux/config, sysconfig
 *
 * Shape   one assignment a line, optionally behind "export". The value is what stands between the
 *         quotes. Anything a shell would put together from parts (a"b"c, a quote that ends on
 *         another line, command output) has no value here: plain is false, and it is left alone.
 * Rule    the last assignment wins, as in a shell. Comments and order stay.
 * Errors  0 or a negative errno with *e filled.
 */
#ifndef EDIT_SHELLVAR_H
#define EDIT_SHELLVAR_H

#include "edit/edits.h"
#include "edit/lines.h"

struct shellvar {
	struct span key;
	struct span value; /* without its quotes */
	char quote;        /* '"', '\'' or 0 */
	bool plain;        /* value is all of it; it may still hold "$VAR" when quoted by '"' */
	unsigned number;   /* of the line */
};

bool shellvar_next(struct lines *l, struct shellvar *ret);

/* The last assignment of ${key}; false when there is none. */
bool shellvar_find(const char *text, size_t len, const char *key, struct shellvar *ret);

/* Its value, copied; false when absent, not plain or too long. */
bool shellvar_get(const char *text, size_t len, const char *key, char *ret, size_t size);

/* Writes the text with ${key} set into ${out}: the last assignment changed in place, or a line
 * behind the end. ${value} holds neither quotes, '$', '`', '\\' nor control characters (-EINVAL).
 * An assignment that is not plain is not touched: -ENOTSUP. */
int shellvar_set(const char *text, size_t len, const char *key, const char *value, struct buf *out,
		 struct err *e) __attribute__((warn_unused_result));

#endif
