/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pace.h - which codec pays on one connection, measured and judged again as things change
 *
 * Idea    a connection is as fast as the slower of two: the line, which takes so many packed bytes
 *         a second, and the processor, which reads, digests and packs so many plain ones. Packing
 *         harder moves work from the first to the second; the best choice is where the slower one
 *         is fastest (pace_choose).
 * Measure the line: bytes out over an interval in which we often waited for it. When we did not
 *         wait, it may be faster than we know: the figure grows until it is reached again. The
 *         codecs: now and then one block goes through all of them, at most a fiftieth of the time.
 *         What a block costs is CPU time, times the connections that share a core, or what others
 *         leave of it: the time that is neither waiting nor CPU time tells.
 * Proof   the model takes the receiver for a part of the line, which is wrong where its processor
 *         is what is narrow: that one has work for each plain byte, however it was packed. So where
 *         much goes through, packing must prove itself: it and what is cheaper take turns for a
 *         fifth of a second, and the cheaper one stays unless the other moved 5 % more. Not on
 *         slow lines, where what fits into a send buffer would decide such a turn.
 * Noise   what looks random (a block that is packed or encrypted already) goes raw without being
 *         tried, but for one in 16. The codecs are compared over the rest, and the share of noise
 *         is counted apart: a few blocks tried would tell it badly.
 * Threads one.
 */
#ifndef SENDER_PACE_H
#define SENDER_PACE_H

#include <stdbool.h>

#include "codec.h"
#include "options.h"

struct pace_step {
	enum codec codec;
	int level;
};

/* From the cheapest to the smallest. */
#define PACE_STEPS 5
extern const struct pace_step pace_steps[PACE_STEPS];

struct pace_figures {
	double other; /* ns of CPU for a plain byte, packing apart */
	double share; /* time for each CPU time: of connections for each core, at least 1 */
	double line;  /* wire bytes a ns; 0: not known, it never made us wait */
	double cost[PACE_STEPS];  /* ns of CPU for a plain byte */
	double ratio[PACE_STEPS]; /* wire bytes for a plain one; 0: not tried yet */
	double random;            /* share of the blocks that goes raw at every step */
};

/* The step with the most plain bytes a second. ${now} stays unless another is 2 % better. */
unsigned pace_choose(const struct pace_figures *f, unsigned now);

struct pace {
	bool automatic;
	struct pace_step fixed;
	unsigned step; /* index into pace_steps, when automatic */
	struct pace_figures f;
	unsigned random_blocks, looked, trials;
	uint64_t trial_after_ns; /* no block goes through all codecs before */
	bool line_waits;         /* in the last interval */
	unsigned cores, connections;
	double squeezed;              /* time for each CPU time as it was seen; 0: not yet */
	double plain_rate, wire_rate; /* bytes a second, in the last interval; 0: there was none */
	struct pace_contest {
		unsigned slots; /* that are still to come; 0: there is none */
		unsigned now, rival;
		double bytes[2], ns[2]; /* of the one and the other */
	} contest;
	/* What was proved holds for some intervals, longer each time it is proved again. */
	unsigned calm, hold, slow;
	double proved_rate;
	/* The interval at hand. */
	uint64_t began_ns, cpu_ns, packing_ns, plain, wire, wait_ns;
};

void pace_init(struct pace *p, enum codec_choice want, int level, unsigned cores);
/* So many ${connections} share the cores now. 1 at first. */
void pace_share(struct pace *p, unsigned connections);
/* A new connection: its counters begin anew, what is known of the codecs stays. */
void pace_restart(struct pace *p, uint64_t wire, uint64_t wait_ns, uint64_t now_ns);
/* One block, as codec_encode(). */
enum codec pace_encode(struct pace *p, struct codec_ctx *c, const void *plain, size_t len,
		       void *out, size_t room, size_t *ret_len);
/* After a block has been put: ${wire} and ${wait_ns} as link_load() says. May change the step. */
void pace_tick(struct pace *p, size_t plain, uint64_t wire, uint64_t wait_ns, uint64_t now_ns);
/* Bytes a second of blocks that were sent, in the last interval; 0 before the first has ended. */
double pace_plain_rate(const struct pace *p);
/* "zstd:3": for the log. */
const char *pace_word(const struct pace *p);

/* True when the bytes are spread as evenly as packed or encrypted data is. Looks at 4 KiB. */
bool pace_looks_random(const uint8_t *p, size_t len);

#endif
