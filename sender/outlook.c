/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "outlook.h"

/* What the ends of a round take: connections, claims, the last flush. */
#define ENDS_S 0.3

const char *bound_word(enum bound b)
{
	switch (b) {
	case BOUND_LINE:
		return "the line";
	case BOUND_DISK:
		return "the source disk";
	case BOUND_CPU:
		return "the processor";
	}
	return "unknown";
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

static double over(double bytes, double rate)
{
	return rate > 0 ? bytes / rate : 0;
}

/* Seconds of each for ${read} bytes of which ${send} have to be packed and sent. */
struct work {
	double line, disk, cpu;
};

/* ${share}: the wire bytes of one that is sent. */
static struct work work_of(const struct outlook_in *in, const struct outlook_codec *c, double read,
			   double send, double share, double line)
{
	double compared = read > send ? read - send : 0;

	return (struct work){ .line = over(send * share, line),
			      .disk = over(read, in->read_rate),
			      .cpu = over(send, c->rate) + over(compared, in->compare_rate) };
}

/* Everything overlaps, and every thread reads as fast as one alone. */
static double at_best(const struct work *w, unsigned threads)
{
	return most(w->line, most(w->disk, w->cpu) / threads);
}

/* All of it overlaps but reading and packing in one thread. */
static double as_expected(const struct work *w, unsigned threads)
{
	return most(w->line, most(w->disk, (w->disk + w->cpu) / threads));
}

static double at_worst(const struct work *w, unsigned threads)
{
	return w->line + w->disk + w->cpu / threads;
}

static enum bound bound_of(const struct work *w, unsigned threads)
{
	if (w->line >= w->disk && w->line >= w->cpu / threads)
		return BOUND_LINE;
	return w->disk >= w->cpu / threads ? BOUND_DISK : BOUND_CPU;
}

/* That of the shortest first round, as a connection would find out while it sends. */
static unsigned best_codec(const struct outlook_in *in)
{
	unsigned best = 0;
	double best_s = 0;

	for (unsigned i = 0; i < in->n_codecs; i++) {
		const struct outlook_codec *c = &in->codec[i];
		struct work w =
		    work_of(in, c, in->used, in->used, c->share.expected, in->line.expected);
		double s = as_expected(&w, in->threads);

		if (!i || s < best_s) {
			best = i;
			best_s = s;
		}
	}
	return best;
}

/* ${changed}: what is sent of it; the slowest line has the longest time. */
static void round_of(const struct outlook_in *in, const struct outlook_codec *c,
		     struct range changed, struct outlook_round *ret)
{
	struct work low = work_of(in, c, in->used, changed.low, c->share.low, in->line.high);
	struct work mid =
	    work_of(in, c, in->used, changed.expected, c->share.expected, in->line.expected);
	struct work high = work_of(in, c, in->used, changed.high, c->share.high, in->line.low);

	ret->seconds = (struct range){ .low = at_best(&low, in->threads),
				       .expected = as_expected(&mid, in->threads) + ENDS_S,
				       .high = at_worst(&high, in->threads) + 2 * ENDS_S };
	ret->bound = bound_of(&mid, in->threads);
	ret->wire = changed.expected * c->share.expected;
}

static double gathered(const struct outlook_in *in, double rate, double seconds)
{
	return rate * seconds < in->used ? rate * seconds : in->used;
}

static double downtime_of(const struct outlook_in *in, double changed, double share, double line,
			  double read_s)
{
	return in->freeze_s + read_s + over(changed * share, line) + ENDS_S +
	       over(32 * in->blocks, line);
}

static void final_of(const struct outlook_in *in, const struct outlook_codec *c,
		     struct outlook *ret)
{
	const struct range *t = &ret->second.seconds;
	double read_s = over(in->used, in->read_rate) + over(in->used, in->compare_rate);
	/* From the middle of the round before; at worst all of it counts. */
	double mid = gathered(in, in->change.expected, t->expected / 2);

	ret->downtime = (struct range){
		.low = downtime_of(in, gathered(in, in->change.low, t->low / 2), c->share.low,
				   in->line.high, read_s / in->threads) -
		       ENDS_S,
		.expected = downtime_of(in, mid, c->share.expected, in->line.expected,
					read_s / in->threads),
		.high = downtime_of(in, gathered(in, in->change.high, t->high), c->share.high,
				    in->line.low, read_s),
	};
	ret->downtime_bound = over(mid * c->share.expected + 32 * in->blocks, in->line.expected) >
				      read_s / in->threads
				  ? BOUND_LINE
				  : BOUND_DISK;
}

/* What changes is written: none of it is zero. */
static void no_zeros(struct outlook_codec *c, double data)
{
	if (data <= 0)
		return;
	c->share.low /= data;
	c->share.expected /= data;
	c->share.high /= data;
	c->rate *= data;
}

void outlook_make(const struct outlook_in *in, struct outlook *ret)
{
	struct range all = { in->used, in->used, in->used }, changed;
	struct outlook_codec c;

	*ret = (struct outlook){ .codec = best_codec(in) };
	c = in->codec[ret->codec];
	round_of(in, &c, all, &ret->first);
	no_zeros(&c, in->data);
	changed = (struct range){
		.low = gathered(in, in->change.low, ret->first.seconds.low),
		.expected = gathered(in, in->change.expected, ret->first.seconds.expected),
		.high = gathered(in, in->change.high, ret->first.seconds.high),
	};
	round_of(in, &c, changed, &ret->second);
	final_of(in, &c, ret);
}
