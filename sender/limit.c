/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limit.h"

#define SECOND_NS UINT64_C(1000000000)
#define SEGMENT 1448 /* less than a packet saves nobody anything */

void limit_init(struct limit *l, uint64_t rate, uint64_t now_ns)
{
	*l = (struct limit){ .rate = rate, .paid_ns = now_ns };
	(void)pthread_mutex_init(&l->lock, NULL);
}

void limit_set(struct limit *l, uint64_t rate)
{
	atomic_store(&l->rate, rate);
}

uint64_t limit_rate(const struct limit *l)
{
	return atomic_load(&l->rate);
}

/* How long ${units} take; whole seconds apart, so that nothing overflows. */
static uint64_t time_of(uint64_t units, uint64_t rate)
{
	return units / rate * SECOND_NS +
	       (uint64_t)((double)(units % rate) * (double)SECOND_NS / (double)rate);
}

uint64_t limit_take(struct limit *l, uint64_t units, uint64_t now_ns)
{
	uint64_t wait = 0, rate = atomic_load(&l->rate);

	(void)pthread_mutex_lock(&l->lock);
	if (l->paid_ns + LIMIT_BURST_NS < now_ns)
		l->paid_ns = now_ns - LIMIT_BURST_NS;
	/* Taken at once: the next caller waits behind this one. */
	if (rate != LIMIT_NONE)
		l->paid_ns += time_of(units, rate);
	if (rate != LIMIT_NONE && l->paid_ns > now_ns)
		wait = l->paid_ns - now_ns;
	(void)pthread_mutex_unlock(&l->lock);
	return wait;
}

size_t limit_piece(const struct limit *l, size_t len)
{
	uint64_t most = limit_rate(l) / 100;

	if (most < SEGMENT)
		most = SEGMENT;
	return len < most ? len : (size_t)most;
}
