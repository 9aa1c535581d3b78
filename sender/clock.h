/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock.h - milliseconds of a clock that nobody sets */
#ifndef SENDER_CLOCK_H
#define SENDER_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

#endif
