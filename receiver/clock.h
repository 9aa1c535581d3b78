/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * clock.h - the only clock that limits are measured with
 *
 * Units   milliseconds of CLOCK_MONOTONIC: the same in every process of this machine, and not
 *         moved by who sets the wall clock.
 */
#ifndef RECEIVER_CLOCK_H
#define RECEIVER_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What is left until ${deadline_ms}, for poll(): 0 when it is past. */
static inline int clock_left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_ms();

	if (now >= deadline_ms)
		return 0;
	return deadline_ms - now > INT_MAX ? INT_MAX : (int)(deadline_ms - now);
}

#endif
