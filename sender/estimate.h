/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * estimate.h - transit-send estimate: measures line and source, says how long the move will take
 *
 * Rule    writes nothing on the target but, when that was not done, the pairing; reads pieces of
 * the source. Every figure has its assumption beside it. Threads the main one.
 */
#ifndef SENDER_ESTIMATE_H
#define SENDER_ESTIMATE_H

#include "move.h"
#include "outlook.h"
#include "probe.h"
#include "sample.h"

struct estimate {
	unsigned connections; /* as many as a push begins with */
	struct probe_result line;
	struct sample sample;
	struct range change;   /* bytes of blocks a second */
	const char *change_by; /* where it is from: words */
	struct outlook outlook;
};

/* ${m} is prepared as for a push. */
int estimate_make(struct move *m, struct estimate *ret, struct err *e);
/* To standard output; ${e} not ERR_NONE: only that, in JSON. */
void estimate_print(const struct move *m, const struct estimate *x, const struct err *e);

#endif
