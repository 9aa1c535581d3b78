/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rate.h - a rate in words, and a rate for each time of the day
 *
 * Shape   "20M", or "20M,22:00-06:00=200M,12:00-13:00=none": the first is for the rest of the day.
 *         A range begins with its first minute and ends before its last one, may run over midnight,
 *         and meets no other range.
 * Time    of the source machine's clock on the wall. When summer time begins or ends, the rate is
 *         always that of the hour which the clock shows.
 */
#ifndef SENDER_RATE_H
#define SENDER_RATE_H

#include <time.h>

#include "base/bytes.h"
#include "base/err.h"
#include "limit.h"

#define RATE_MIN (16 * KIB) /* bytes a second: below this no block arrives in time */
#define RATE_RANGES_MAX 12
#define RATE_TEXT_MAX 32

struct rate_range {
	unsigned from, to; /* minutes of the day; to < from: over midnight */
	uint64_t rate;
};

struct rate_plan {
	uint64_t base; /* LIMIT_NONE: no limit */
	struct rate_range ranges[RATE_RANGES_MAX];
	unsigned n;
};

#define RATE_PLAN_NONE ((struct rate_plan){ .base = LIMIT_NONE })

/* "12Mbit" (decimal bits), "10M" (2^20 bytes), "500K", "1500000": bytes a second; "none". ${what}
 * names the option in the error. */
int rate_parse(const char *what, const char *text, uint64_t *ret, struct err *e);
int rate_plan_parse(const char *what, const char *text, struct rate_plan *ret, struct err *e);
/* At ${minute} of the day, 0 to 1439. */
uint64_t rate_plan_at(const struct rate_plan *p, unsigned minute);
/* At this moment, in the zone of the process. */
uint64_t rate_plan_now(const struct rate_plan *p, time_t now);
/* "20971520 bytes a second", "none"; returns ${buf}. */
const char *rate_text(uint64_t rate, char buf[static RATE_TEXT_MAX]);

#endif
