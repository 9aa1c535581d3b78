/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report.h - how a run ended, for people and as JSON with stable keys (transit-send(1))
 */
#ifndef SENDER_REPORT_H
#define SENDER_REPORT_H

#include <jansson.h>

#include "freeze.h"
#include "move.h"
#include "usage.h"

struct report {
	const struct move *m;
	const struct freeze_report *freeze; /* NULL: nothing was to be frozen */
	double seconds;
	bool final;
};

/* "result" and, when it is not done, "error". */
void report_put_result(json_t *o, const struct err *e);
/* To standard output. ${e} with kind ERR_NONE: done. */
void report_print(const struct report *r, const struct err *e);
/* A list with name, type, offset, size, free, map, why of each part; empty for NULL. */
json_t *report_parts(const struct usage *u);
/* One line for a person: "transit-send: refused (too-small): ...". Standard error. */
void report_error(const struct err *e);

#endif
