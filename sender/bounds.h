/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bounds.h - how much of line, processor and disk a run may take: from the command line, and from a
 *            file that may change while it runs
 *
 * Source  transit-send(1), --limits: an INI file without sections; the keys are those of the
 *         options: limit, nice, ionice, cpu. An unknown key, or one that is there twice, is refused
 *         by its line. What the file does not say is as the command line says.
 */
#ifndef SENDER_BOUNDS_H
#define SENDER_BOUNDS_H

#include "rate.h"

#define NICE_KEEP (-100) /* as the process was started */
#define IONICE_KEEP (-1)
#define CPU_MIN 5u
#define CPU_MAX 800u

struct bounds {
	struct rate_plan limit;
	int nice;     /* 0 to 19, or NICE_KEEP */
	int ionice;   /* as ioprio_set(2) takes it, or IONICE_KEEP */
	unsigned cpu; /* percent of one processor; 0: no ceiling */
};

#define BOUNDS_NONE                                                                                \
	((struct bounds){                                                                          \
	    .limit = { .base = LIMIT_NONE }, .nice = NICE_KEEP, .ionice = IONICE_KEEP })

/* One of the four, by name. ${what} is how the error calls it: "--nice", "nice". */
int bounds_set(struct bounds *b, const char *name, const char *what, const char *text,
	       struct err *e);
/* ${base} with what the file says over it. ERR_USAGE names file and line. */
int bounds_load(const char *path, const struct bounds *base, struct bounds *ret, struct err *e);
/* "idle", "best-effort:4", "as started"; returns ${buf}. */
const char *bounds_ionice_text(int ionice, char buf[static RATE_TEXT_MAX]);

#endif
