/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * limit.h - a token bucket over the bytes of the wire, shared by all connections
 *
 * Shape   the bucket holds at most a quarter of a second, so that the line is kept full and a
 *         burst after a pause stays small.
 * Units   bytes, milliseconds of a monotonic clock.
 * Threads any; it has its own lock. Time is an argument, so that tests need no clock.
 */
#ifndef SENDER_LIMIT_H
#define SENDER_LIMIT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct limit {
	pthread_mutex_t lock;
	uint64_t rate;  /* bytes a second; UINT64_MAX: no limit */
	double tokens;  /* may be below zero: what was taken in advance */
	uint64_t at_ms; /* when tokens was right */
};

void limit_init(struct limit *l, uint64_t rate, uint64_t now_ms);
/* Takes ${len} bytes and says how many milliseconds to wait before sending them. */
uint64_t limit_take(struct limit *l, size_t len, uint64_t now_ms);

#endif
