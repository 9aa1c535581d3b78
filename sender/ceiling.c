/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ceiling.h"

#include "clock.h"

#define PERCENT_NS UINT64_C(10000000) /* of CPU time a second */
#define TICK_NS UINT64_C(200000000)

static uint64_t rate_of(unsigned percent)
{
	return percent ? percent * PERCENT_NS : LIMIT_NONE;
}

void ceiling_init(struct ceiling *c, unsigned percent, uint64_t cpu_ns, uint64_t now_ns)
{
	limit_init(&c->limit, rate_of(percent), now_ns);
	(void)pthread_mutex_init(&c->lock, NULL);
	c->seen_ns = cpu_ns;
	atomic_init(&c->percent, percent);
}

void ceiling_set(struct ceiling *c, unsigned percent, uint64_t cpu_ns)
{
	(void)pthread_mutex_lock(&c->lock);
	if (!atomic_load(&c->percent))
		c->seen_ns = cpu_ns;
	(void)pthread_mutex_unlock(&c->lock);
	limit_set(&c->limit, rate_of(percent));
	atomic_store(&c->percent, percent);
}

uint64_t ceiling_wait(struct ceiling *c, uint64_t cpu_ns, uint64_t now_ns)
{
	uint64_t used = 0;

	(void)pthread_mutex_lock(&c->lock);
	if (cpu_ns > c->seen_ns) {
		used = cpu_ns - c->seen_ns;
		c->seen_ns = cpu_ns;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return limit_take(&c->limit, used, now_ns);
}

uint64_t ceiling_cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void ceiling_pay(struct ceiling *c, const atomic_bool *stop)
{
	while (atomic_load(&c->percent) && !(stop && atomic_load(stop))) {
		uint64_t ns = ceiling_wait(c, ceiling_cpu_ns(), clock_ns());

		if (!ns)
			return;
		clock_sleep_ns(ns < TICK_NS ? ns : TICK_NS);
	}
}
