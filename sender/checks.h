/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * checks.h - transit-send check: what stands in the way of a move, each with a fix
 *
 * Shape   a table of checks, in checks.c those of the run and of the way to the receiver, in
 *         checks_host.c those of this machine. Each has an id that never changes; ids and
 *         meanings are in transit-send(1).
 * Exit    0 when nothing is critical, 4 otherwise, 2 when the invite is no invite.
 */
#ifndef SENDER_CHECKS_H
#define SENDER_CHECKS_H

#include "move.h"

enum check_level { CHECK_OK, CHECK_WARNING, CHECK_CRITICAL };

#define FINDING_TEXT 400

struct finding {
	enum check_level level;
	char text[FINDING_TEXT]; /* what was found */
	char fix[FINDING_TEXT];  /* what to do; empty when ok */
};

struct check {
	const char *id;
	void (*look)(struct move *m, struct finding *f);
};

/* Ends with an empty row. */
extern const struct check host_checks[];

int checks_run(const struct sender_options *o);

void finding_ok(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ${fix} is said as it is. */
void finding_bad(struct finding *f, enum check_level level, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
