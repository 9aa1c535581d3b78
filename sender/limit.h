/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * limit.h - so many units a second, shared by all who use them: bytes of the wire, CPU time
 *
 * Shape   a token bucket kept as a time: the moment at which everything taken is paid for. It lies
 *         at most LIMIT_BURST in the past, so that a pause saves up no more than that.
 * Why     a rate may change at any moment: what was taken before stays paid in time, not in bytes,
 *         and neither a gift nor a debt comes of the change.
 * Promise over any window of 10 s the units are within 3 % of the rate: a hundredth of a second's
 *         worth in one piece (limit_piece), and a tenth of a second after a pause.
 * Units   nanoseconds of a monotonic clock; time is an argument, so that tests need no clock.
 * Threads any; it has its own lock.
 */
#ifndef SENDER_LIMIT_H
#define SENDER_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_NONE UINT64_MAX
#define LIMIT_BURST_NS UINT64_C(100000000)

struct limit {
	pthread_mutex_t lock;
	_Atomic uint64_t rate; /* units a second, at least 1; LIMIT_NONE */
	uint64_t paid_ns;      /* everything taken is paid for at this moment */
};

void limit_init(struct limit *l, uint64_t rate, uint64_t now_ns);
/* For all that is taken from now on. */
void limit_set(struct limit *l, uint64_t rate);
uint64_t limit_rate(const struct limit *l);
/* Takes ${units} and says how many nanoseconds to wait before they may be used. */
uint64_t limit_take(struct limit *l, uint64_t units, uint64_t now_ns);
/* How many bytes of ${len} to take at once, so that the line is used evenly. */
size_t limit_piece(const struct limit *l, size_t len);

#endif
