/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sample.h - a few pieces of the source, to say what the rest is like
 *
 * Shape   pieces of up to 1 MiB, spread evenly over what is used of all disks, each at a random
 * place of its share; looked at in an order that is spread too, so that one that ends early for
 *         want of time is a sample of everything still. One seed gives one choice.
 * Rule    bounded in pieces and in time; reads only, and nothing that a round counts.
 * Units   bytes, bytes a second. Rates of the processor are those of one core.
 * Threads the main one, while no round runs.
 */
#ifndef SENDER_SAMPLE_H
#define SENDER_SAMPLE_H

#include "codec.h"
#include "extent.h"
#include "move.h"
#include "pace.h"

#define SAMPLE_PIECES_MAX 256

struct sample_options {
	uint32_t block_size;
	unsigned pieces; /* at most SAMPLE_PIECES_MAX */
	unsigned time_ms;
	uint64_t seed;
	bool pack; /* digest and compress, too */
};

struct sample {
	uint64_t used[DISKS_MAX]; /* by index of move.disks: what a round would read */
	uint64_t used_all;
	unsigned blocks, zero; /* looked at; of these zero */
	double read_rate;
	double compare_rate; /* zero test and fast digest */
	struct {
		double share; /* bytes on the wire for each used byte, zero blocks included */
		double error; /* of that, the standard error */
		double rate;  /* used bytes a second through compare, SHA-256 and this codec */
	} codec[PACE_STEPS];
	struct pace_step steps[PACE_STEPS]; /* those that --codec allows */
	unsigned n_steps;
};

/* What of a disk is neither a hole nor in its free_map, at most SAMPLE_RANGES_MAX ranges: what lies
 * after the last counts as used. Free with extent_set_free(). */
#define SAMPLE_RANGES_MAX 65536
int sample_used(const struct move_disk *d, struct extent_set *ret, struct err *e);

int sample_source(struct move *m, const struct sample_options *o, struct sample *ret,
		  struct err *e);

/* How fast a round that sends nothing goes by one thread; 0: it could not be found out. */
double sample_read_rate(struct move *m);
/* Threads of ${connections} that can work at once: no more than there are processors. */
unsigned sample_threads(unsigned connections);
/* SHA-256 by ${threads} at once; 0 as above. */
double sample_hash_rate(unsigned threads);

#endif
