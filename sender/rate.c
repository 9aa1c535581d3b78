/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * 60) /* minutes */

int rate_parse(const char *what, const char *text, uint64_t *ret, struct err *e)
{
	/* A rate is num * mul / div bytes a second. */
	static const struct {
		const char *suffix;
		uint64_t mul, div;
	} units[] = {
		{ "", 1, 1 },
		{ "K", KIB, 1 },
		{ "M", MIB, 1 },
		{ "G", GIB, 1 },
		{ "Kbit", 1000, 8 },
		{ "Mbit", 1000000, 8 },
		{ "Gbit", 1000000000, 8 },
	};
	char *end = NULL;
	uint64_t v;

	if (!strcmp(text, "none")) {
		*ret = LIMIT_NONE;
		return 0;
	}
	errno = 0;
	unsigned long long n = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
	for (size_t i = 0; end && !errno && i < sizeof units / sizeof *units; i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (!checked_mul(n, units[i].mul, &v))
			break;
		v /= units[i].div;
		if (v < RATE_MIN)
			return err_set(e, ERR_USAGE, EINVAL,
				       "%s '%.60s': the least is 16K bytes a second", what, text);
		*ret = v;
		return 0;
	}
	return err_set(e, ERR_USAGE, EINVAL, "%s '%.60s': write 12Mbit, 10M, 500K or none", what,
		       text);
}

/* "06:30" at ${*text}, which moves behind it. */
static bool take_time(const char **text, unsigned *ret)
{
	const char *p = *text;
	unsigned hour, minute;

	for (int i = 0; i < 5; i++) {
		if (i == 2 ? p[i] != ':' : !isdigit((unsigned char)p[i]))
			return false;
	}
	hour = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	minute = (unsigned)(p[3] - '0') * 10 + (unsigned)(p[4] - '0');
	if (minute > 59 || hour * 60 + minute > DAY)
		return false;
	*ret = hour * 60 + minute;
	*text = p + 5;
	return true;
}

/* Over midnight when it ends before it begins. */
static bool within(const struct rate_range *r, unsigned minute)
{
	if (r->from < r->to)
		return minute >= r->from && minute < r->to;
	return minute >= r->from || minute < r->to;
}

/* Two ranges that meet: one holds the beginning of the other. */
static bool meet(const struct rate_range *a, const struct rate_range *b)
{
	return within(a, b->from) || within(b, a->from);
}

/* "22:00-06:00=200M" */
static int take_range(const char *what, const char *text, struct rate_plan *p, struct err *e)
{
	struct rate_range r = { 0 };
	const char *at = text;
	int failed;

	if (!take_time(&at, &r.from) || *at++ != '-' || !take_time(&at, &r.to) || *at++ != '=' ||
	    r.from == DAY)
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s '%.60s': a range is HH:MM-HH:MM=RATE, from 00:00 to 24:00", what,
			       text);
	r.to %= DAY;
	if (r.from == r.to)
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s '%.60s': begins where it ends; for the whole day write the rate "
			       "alone",
			       what, text);
	failed = rate_parse(what, at, &r.rate, e);
	if (failed)
		return failed;
	for (unsigned i = 0; i < p->n; i++) {
		if (meet(&p->ranges[i], &r))
			return err_set(e, ERR_USAGE, EINVAL,
				       "%s '%.60s': meets the range from %02u:%02u to %02u:%02u",
				       what, text, p->ranges[i].from / 60, p->ranges[i].from % 60,
				       p->ranges[i].to / 60, p->ranges[i].to % 60);
	}
	if (p->n == RATE_RANGES_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "%s: more than %d ranges", what,
			       RATE_RANGES_MAX);
	p->ranges[p->n++] = r;
	return 0;
}

int rate_plan_parse(const char *what, const char *text, struct rate_plan *ret, struct err *e)
{
	struct rate_plan p = RATE_PLAN_NONE;
	bool first = true;
	int r = 0;

	for (const char *at = text; !r && at; first = false) {
		const char *comma = strchr(at, ',');
		size_t len = comma ? (size_t)(comma - at) : strlen(at);
		char part[64];

		if (len >= sizeof part)
			return err_set(e, ERR_USAGE, EINVAL, "%s '%.60s...': too long", what, at);
		memcpy(part, at, len);
		part[len] = 0;
		if (!first)
			r = take_range(what, part, &p, e);
		else if (strchr(part, '='))
			r = err_set(e, ERR_USAGE, EINVAL,
				    "%s '%.60s': the rate for the rest of the day stands first "
				    "(none: no limit)",
				    what, text);
		else
			r = rate_parse(what, part, &p.base, e);
		at = comma ? comma + 1 : NULL;
	}
	if (!r)
		*ret = p;
	return r;
}

uint64_t rate_plan_at(const struct rate_plan *p, unsigned minute)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (within(&p->ranges[i], minute))
			return p->ranges[i].rate;
	}
	return p->base;
}

uint64_t rate_plan_now(const struct rate_plan *p, time_t now)
{
	struct tm tm;

	if (!p->n || !localtime_r(&now, &tm))
		return p->base;
	return rate_plan_at(p, (unsigned)(tm.tm_hour * 60 + tm.tm_min));
}

const char *rate_text(uint64_t rate, char buf[static RATE_TEXT_MAX])
{
	if (rate == LIMIT_NONE)
		(void)snprintf(buf, RATE_TEXT_MAX, "none");
	else
		(void)snprintf(buf, RATE_TEXT_MAX, "%llu bytes/s", (unsigned long long)rate);
	return buf;
}
