/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * choose.h - which sources are which disks of the task
 *
 * Rule    named by --disk: SRC=N as said, SRC alone the lowest number that is free. Not named: all
 *         disks of this machine in kernel order, the root disk as 0, the others from 1 on.
 */
#ifndef SENDER_CHOOSE_H
#define SENDER_CHOOSE_H

#include "move.h"

/* Opens the sources into m->disks, by rising number. Refusals: those of source_open(), and
 * "no-disks". ERR_USAGE when two --disk end up with one number. */
int choose_disks(struct move *m, struct err *e);
/* Against the invite: "no-ticket" for a number it does not have, "too-small" for a target smaller
 * than its source. */
int choose_check(const struct move *m, struct err *e);

#endif
