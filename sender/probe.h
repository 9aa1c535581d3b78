/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * probe.h - how fast the line to the receiver is, measured with bytes that it throws away
 *
 * Rule    as many connections as a round begins with, under the same limit; the bytes cannot be
 *         compressed. What counts is what the receiver says has come, not what the kernel took.
 *         The first fifth of the time is for the connections to gather speed.
 * Threads one for each connection while it runs; the caller waits.
 */
#ifndef SENDER_PROBE_H
#define SENDER_PROBE_H

#include "move.h"

struct probe_result {
	double rate;      /* payload bytes a second, all connections together */
	double low, high; /* of the slowest and the fastest fifth of the time */
	double rtt_s;     /* the shortest of a few questions on an idle connection */
	double seconds;
	uint64_t bytes;
};

/* Refusal "busy": a transfer is running. */
int probe_line(struct move *m, unsigned connections, unsigned seconds, struct probe_result *ret,
	       struct err *e);

/* From what had come at which time: ${n} samples, rising, the first at 0. */
struct probe_sample {
	uint64_t ms, bytes;
};
void probe_judge(const struct probe_sample *v, size_t n, struct probe_result *ret);

#endif
