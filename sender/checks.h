/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * checks.h - transit-send check: what stands in the way of a move, each with a fix
 *
 * Shape   a table of checks in checks.c; each has an id that never changes, a level and words.
 *         Ids and meanings are in transit-send(1).
 * Exit    0 when nothing is critical, 4 otherwise.
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

int checks_run(const struct sender_options *o);

#endif
