/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * outlook.h - how long the rounds of a move will take, from a measured line and a sampled source
 *
 * Shape   each figure is a range: low where everything turns out well and overlaps, high where it
 *         does not, and what is expected in between. Beside it what bounds it.
 * Units   bytes, seconds, bytes a second; a range of rates has the slowest in low.
 * Threads pure functions.
 */
#ifndef SENDER_OUTLOOK_H
#define SENDER_OUTLOOK_H

#include "pace.h"
#include "predict.h"

struct range {
	double low, expected, high;
};

enum bound { BOUND_LINE, BOUND_DISK, BOUND_CPU };
/* "the line", "the source disk", "the processor": for people. */
const char *bound_word(enum bound b);

struct outlook_codec {
	struct range share; /* bytes on the wire for each used byte, zero blocks included */
	double rate;        /* used bytes a second through one core, digests included */
};

struct outlook_in {
	double used;         /* bytes that a round reads */
	double data;         /* the part of them that is in blocks that are not zero */
	struct range line;   /* rates */
	double read_rate;    /* by one thread */
	double compare_rate; /* zero test and fast digest, one core */
	unsigned threads;    /* that work at once: connections, if there are cores for them */
	struct outlook_codec codec[PACE_STEPS];
	unsigned n_codecs;
	struct range change; /* bytes of blocks that change, a second */
	double blocks;       /* of all disks: the seal's list */
	double freeze_s;
};

struct outlook_round {
	struct range seconds;
	enum bound bound;
	double wire; /* bytes, expected */
};

struct outlook {
	unsigned codec; /* the one that is expected to be used: index of in.codec */
	struct outlook_round first, second;
	struct range downtime; /* of a final round right after the second */
	enum bound downtime_bound;
};

void outlook_make(const struct outlook_in *in, struct outlook *ret);

#endif
