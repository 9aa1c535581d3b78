/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crypttab.h - /etc/crypttab, changed word by word
 *
 * Source  crypttab(5): name, device, key file, options; the last two may be missing.
 * Danger  a line with swap or tmp and a random key formats its device at every boot: when the
 *         name of that device moves, another disk's content is gone.
 */
#ifndef EDIT_CRYPTTAB_H
#define EDIT_CRYPTTAB_H

#include "edit/columns.h"

enum { CRYPTTAB_NAME, CRYPTTAB_DEVICE, CRYPTTAB_KEY, CRYPTTAB_OPTIONS };

bool crypttab_next(struct lines *l, struct columns *ret);

/* The line formats its device at boot. */
bool crypttab_formats(const char *text, const struct columns *c);

int crypttab_set_device(struct edits *ed, const struct columns *c, const char *device,
			struct err *e) __attribute__((warn_unused_result));
int crypttab_let_fail(struct edits *ed, const char *text, const struct columns *c, struct err *e)
    __attribute__((warn_unused_result));
/* Takes the options that begin with ${prefix} out of the list; an empty list becomes "luks".
 * ${ret_n} says how many they were. */
int crypttab_drop_options(struct edits *ed, const char *text, const struct columns *c,
			  const char *prefix, unsigned *ret_n, struct err *e)
    __attribute__((warn_unused_result));
/* Puts "# " in front of the line. */
int crypttab_comment_out(struct edits *ed, const struct columns *c, struct err *e)
    __attribute__((warn_unused_result));

#endif
