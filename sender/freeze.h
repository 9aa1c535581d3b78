/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * freeze.h - the file systems of the source disks stand still while the last round reads
 *
 * Care    a child process thaws everything when we die, when we say so, and when the time limit is
 *         over; it is started before the first freeze. While anything is frozen we write to no
 *         file: the digest tables are detached, and a log in a file is not written.
 * Order   later mounts first, so that a file system inside another one's file freezes before it.
 */
#ifndef SENDER_FREEZE_H
#define SENDER_FREEZE_H

#include "move.h"

#define FREEZE_MAX 64

struct freeze_point {
	char point[256], type[32];
	bool frozen;
	char why[96]; /* why not, when it is not */
};

/* Plain copy for the report. */
struct freeze_report {
	struct freeze_point points[FREEZE_MAX];
	unsigned n;
	uint64_t began_ms; /* clock_ms() when the first was frozen */
};

struct freeze;

/* Freezes what can be frozen; what cannot is in the report, and was synced. */
int freeze_begin(struct move *m, struct freeze **ret, struct freeze_report *report, struct err *e);
/* True while the file system on this device is frozen by us. */
bool freeze_holds(const struct freeze *f, dev_t dev);
/* True once the time limit has thawed: what is read from then on is of no use. */
bool freeze_is_over(struct freeze *f);
/* Thaws. Fails (ERR_SYS) when the time limit thawed before: what was read since may
 * not be of one moment. NULL does nothing. */
int freeze_end(struct freeze *f, struct err *e);

#endif
