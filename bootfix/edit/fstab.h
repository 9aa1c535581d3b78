/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fstab.h - /etc/fstab, changed word by word
 *
 * Source  fstab(5): spec, folder, type, options, dump, pass; blanks in a word are octal (\040).
 * Rule    see columns.h: what is not named by an edit stays byte for byte.
 */
#ifndef EDIT_FSTAB_H
#define EDIT_FSTAB_H

#include "edit/columns.h"

enum { FSTAB_SPEC, FSTAB_DIR, FSTAB_TYPE, FSTAB_OPTIONS };

/* The next line that names something to mount. */
bool fstab_next(struct lines *l, struct columns *ret);

/* The word without octal escapes. False when it does not fit or holds a NUL. */
bool fstab_word(const char *text, struct span field, char *ret, size_t size);

/* Blanks, tabs and backslashes of ${spec} are written in octal. */
int fstab_set_spec(struct edits *ed, const struct columns *c, const char *spec, struct err *e)
    __attribute__((warn_unused_result));

/* A missing device no longer stops the boot: nofail, and with systemd ten seconds instead of ninety
 * (an old mount would hand the option to the kernel, which refuses it). */
int fstab_let_fail(struct edits *ed, const char *text, const struct columns *c, bool systemd,
		   struct err *e) __attribute__((warn_unused_result));

#endif
