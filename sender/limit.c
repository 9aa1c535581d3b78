/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limit.h"

#define BUCKET_MS 250.0

void limit_init(struct limit *l, uint64_t rate, uint64_t now_ms)
{
	*l = (struct limit){ .rate = rate, .at_ms = now_ms };
	(void)pthread_mutex_init(&l->lock, NULL);
}

uint64_t limit_take(struct limit *l, size_t len, uint64_t now_ms)
{
	double per_ms = (double)l->rate / 1000.0, wait = 0;

	if (l->rate == UINT64_MAX)
		return 0;
	(void)pthread_mutex_lock(&l->lock);
	if (now_ms > l->at_ms) {
		l->tokens += (double)(now_ms - l->at_ms) * per_ms;
		l->at_ms = now_ms;
	}
	if (l->tokens > BUCKET_MS * per_ms)
		l->tokens = BUCKET_MS * per_ms;
	/* The bytes are taken at once: the next caller then waits behind this one. */
	l->tokens -= (double)len;
	if (l->tokens < 0)
		wait = -l->tokens / per_ms;
	(void)pthread_mutex_unlock(&l->lock);
	return (uint64_t)wait;
}
