/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * converge.h - rounds one after another until a further one would not help
 *
 * Threads the main one.
 */
#ifndef SENDER_CONVERGE_H
#define SENDER_CONVERGE_H

#include "transfer.h"

enum converge_end {
	CONVERGE_MORE,     /* another round */
	CONVERGE_DOWNTIME, /* a final round would be short enough */
	CONVERGE_SMALL,    /* hardly anything changed */
	CONVERGE_STEADY,   /* what changes in a round does not shrink any more */
	CONVERGE_ROUNDS,   /* as many as were allowed */
};

struct converge_in {
	unsigned done, max_rounds;
	bool change_known;     /* the last round sent changes, not everything */
	uint64_t changed;      /* bytes, in the last round */
	uint64_t before;       /* and in the one before; any when ${done} is 1 */
	uint64_t small;        /* up to this is hardly anything */
	double downtime_s;     /* predicted; negative: not known */
	double max_downtime_s; /* 0: any */
	bool only_downtime;    /* a final round follows, and only if it is short enough */
};

enum converge_end converge_decide(const struct converge_in *in);
/* "downtime", "small", "steady", "max-rounds": in JSON. NULL for CONVERGE_MORE. */
const char *converge_word(enum converge_end end);

/* Runs the rounds. Ctrl-C: ERR_NET, as in the middle of one. */
int converge_run(struct transfer *t, struct err *e);

#endif
