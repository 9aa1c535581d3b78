/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rounds.h - what each round of this run was, measured while it ran, and what that predicts
 *
 * Order   rounds_begin(), rounds_tick() a few times a second, rounds_end() when it is complete and
 *         nothing is frozen: it writes the figures into the state folder.
 * Output  one line a round: standard output, or the log where that belongs to JSON.
 * Threads the main one.
 */
#ifndef SENDER_ROUNDS_H
#define SENDER_ROUNDS_H

#include <stdbool.h>

#include "base/err.h"
#include "meter.h"
#include "predict.h"

struct move;

struct round_record {
	unsigned n;
	bool final;
	uint64_t
	    changed; /* bytes of the blocks that were sent; in a task's first round all of them */
	uint64_t read, wire;
	double seconds;
	double wire_rate;          /* 0: too little was sent */
	struct measured measured;  /* all that was known after it */
	struct prediction at_once; /* of a final round that would have begun then */
};

#define ROUNDS_KEPT 1024 /* --max-rounds, and those that a mismatch adds */

struct rounds {
	struct round_record *list; /* at most ROUNDS_KEPT */
	unsigned n;
	/* of the round at hand */
	struct meter meter;
	uint64_t began_wall_ms, read, plain, wire; /* the gauges when it began */
	/* How the final round went; negative: it did not. */
	double downtime_s, frozen_s, verify_s;
	double predicted_s;  /* before it was begun; negative: nothing was predicted */
	const char *stopped; /* why no further round was run before it: a word; NULL: not asked */
};

void rounds_init(struct rounds *r);
void rounds_free(struct rounds *r);

void rounds_begin(struct move *m);
void rounds_tick(struct move *m);
/* ${freeze_ms}: how long it took until everything stood still; 0: nothing did. */
int rounds_end(struct move *m, bool final, uint64_t freeze_ms, struct err *e);
/* A final round that begins now. */
void rounds_predict(const struct move *m, struct prediction *ret);
/* The last round's line, for a person. */
void rounds_say(const struct move *m);

#endif
