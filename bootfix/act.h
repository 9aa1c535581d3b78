/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * act.h - one action done, one entry undone; between exec.c, which keeps the journal, and the disks
 *
 * Errors   0, or a negative errno with *e filled.
 */
#ifndef BOOTFIX_ACT_H
#define BOOTFIX_ACT_H

#include "exec.h"

/* Mounts read-write (${files}) or unmounts, if it is not so already. */
int act_prepare(struct guest *g, enum act kind, struct err *e) __attribute__((warn_unused_result));

/* What ${path} is now. A folder or device is ERR_GUEST. */
int act_look(const struct guest *g, const char *path, struct look *ret, struct err *e)
    __attribute__((warn_unused_result));
/* What the entry's target is now: path, sectors, or the file system's size. */
int act_look_at(const struct guest *g, const struct entry *x, struct look *ret, struct err *e)
    __attribute__((warn_unused_result));
bool look_equal(const struct look *a, const struct look *b);

/* Fills ${x} (all but seq and state) from ${a} and the guest, and ${old} with the bytes to keep;
 * *ret_keep says whether there are any. */
int act_foresee(const struct guest *g, const struct action *a, struct entry *x, struct buf *old,
		bool *ret_keep, struct err *e) __attribute__((warn_unused_result));
int act_do(struct guest *g, const struct action *a, struct err *e)
    __attribute__((warn_unused_result));
/* May be run twice. ${j} has the kept bytes. */
int act_undo(struct guest *g, const struct journal *j, const struct entry *x, struct err *e)
    __attribute__((warn_unused_result));

/* A_TOOL, in tool.c. */
int tool_do(struct guest *g, enum tool tool, unsigned vol, struct err *e)
    __attribute__((warn_unused_result));
/* "not-undoable": asked before an undo is recorded. */
int tool_undoable(enum tool tool, struct err *e) __attribute__((warn_unused_result));
int tool_undo(struct guest *g, enum tool tool, unsigned vol, uint64_t size, struct err *e)
    __attribute__((warn_unused_result));

#endif
