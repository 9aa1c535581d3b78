/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rate.h"

#define HOURS(n) ((time_t)(n)*3600)

static void rates_are_bits_or_binary_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t rate;
	} good[] = {
		{ "12Mbit", 1500000 }, { "10M", 10 * MIB },    { "500K", 500 * KIB },
		{ "1G", GIB },         { "1500000", 1500000 }, { "1Gbit", 125000000 },
		{ "16K", 16 * KIB },   { "1000Kbit", 125000 }, { "none", LIMIT_NONE },
	};
	static const char *const bad[] = { "0",   "",     "M",    "-1",           "15K",
					   "10X", "1.5M", "10MB", "99999999999G", "None" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(rate_parse("--limit", good[i].text, &v, NULL), 0);
		assert_true(v == good[i].rate);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_true(rate_parse("--limit", bad[i], &v, NULL) < 0);
}

static void each_minute_has_its_rate(void **state)
{
	static const struct {
		unsigned hour, minute;
		uint64_t rate;
	} times[] = {
		{ 0, 0, 200 * MIB },   { 5, 59, 200 * MIB },  { 6, 0, 20 * MIB },
		{ 11, 59, 20 * MIB },  { 12, 0, LIMIT_NONE }, { 12, 59, LIMIT_NONE },
		{ 13, 0, 20 * MIB },   { 21, 59, 20 * MIB },  { 22, 0, 200 * MIB },
		{ 23, 59, 200 * MIB },
	};
	struct rate_plan p;

	(void)state;
	assert_int_equal(
	    rate_plan_parse("--limit", "20M,22:00-06:00=200M,12:00-13:00=none", &p, NULL), 0);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		assert_true(rate_plan_at(&p, times[i].hour * 60 + times[i].minute) ==
			    times[i].rate);
}

static void midnight_may_be_written_either_way(void **state)
{
	struct rate_plan p;

	(void)state;
	assert_int_equal(rate_plan_parse("x", "none,00:00-06:00=1M,20:00-24:00=2M", &p, NULL), 0);
	assert_true(rate_plan_at(&p, 0) == MIB);
	assert_true(rate_plan_at(&p, 359) == MIB);
	assert_true(rate_plan_at(&p, 360) == LIMIT_NONE);
	assert_true(rate_plan_at(&p, 1199) == LIMIT_NONE);
	assert_true(rate_plan_at(&p, 1200) == 2 * MIB);
	assert_true(rate_plan_at(&p, 1439) == 2 * MIB);
}

static void wrong_plans_say_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "", "12Mbit" },
		{ "1M,", "HH:MM" },
		{ ",1M", "12Mbit" },
		{ "12:00-13:00=1M", "stands first" },
		{ "1M,2M", "HH:MM" },
		{ "1M,1:00-02:00=1M", "HH:MM" },
		{ "1M,01:00-02:60=1M", "HH:MM" },
		{ "1M,01:00-24:01=1M", "HH:MM" },
		{ "1M,24:00-01:00=1M", "HH:MM" },
		{ "1M,01:00-02:00", "HH:MM" },
		{ "1M,01:00 -02:00=1M", "HH:MM" },
		{ "1M,01:00-02:00=", "12Mbit" },
		{ "1M,01:00-02:00=1K", "16K" },
		{ "1M,01:00-01:00=1M", "whole day" },
		{ "1M,00:00-24:00=1M", "whole day" },
		{ "1M,01:00-03:00=1M,02:00-04:00=1M", "meets the range from 01:00 to 03:00" },
		{ "1M,02:00-04:00=1M,01:00-03:00=1M", "meets" },
		{ "1M,01:00-04:00=1M,02:00-03:00=1M", "meets" },
		{ "1M,22:00-06:00=1M,05:59-07:00=1M", "meets" },
		{ "1M,22:00-06:00=1M,23:00-23:30=1M", "meets" },
		{ "1M,23:00-23:30=1M,22:00-06:00=1M", "meets" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct rate_plan p = { .base = 7 };
		struct err e = { 0 };

		assert_true(rate_plan_parse("--limit", wrong[i].text, &p, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		if (!strstr(e.text, wrong[i].why))
			fail_msg("'%s': %s", wrong[i].text, e.text);
		assert_true(p.base == 7);
	}
}

static void ranges_that_touch_are_two(void **state)
{
	struct rate_plan p;

	(void)state;
	assert_int_equal(
	    rate_plan_parse("x", "1M,01:00-02:00=2M,02:00-03:00=3M,22:00-01:00=4M", &p, NULL), 0);
	assert_true(rate_plan_at(&p, 119) == 2 * MIB);
	assert_true(rate_plan_at(&p, 120) == 3 * MIB);
	assert_true(rate_plan_at(&p, 59) == 4 * MIB);
	assert_true(rate_plan_at(&p, 60) == 2 * MIB);
}

static void there_are_twelve_ranges_at_most(void **state)
{
	char text[512] = "1M";
	struct err e = { 0 };
	struct rate_plan p;

	(void)state;
	for (int i = 0; i < RATE_RANGES_MAX; i++)
		(void)sprintf(text + strlen(text), ",%02d:00-%02d:30=2M", i, i);
	assert_int_equal(rate_plan_parse("x", text, &p, NULL), 0);
	(void)sprintf(text + strlen(text), ",20:00-21:00=2M");
	assert_true(rate_plan_parse("x", text, &p, &e) < 0);
	assert_non_null(strstr(e.text, "more than 12"));
}

/* Central European time by rule, so that no zone file is needed. */
static void set_zone(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void the_clock_on_the_wall_decides_also_when_it_jumps(void **state)
{
	/* 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC; 2026-10-25: 03:00 becomes 02:00 */
	static const struct {
		time_t at;
		uint64_t rate;
	} times[] = {
		{ 1774745999, MIB },     /* 01:59:59 */
		{ 1774746000, 3 * MIB }, /* 03:00:00, a second later: 02:xx does not exist */
		{ 1792886399, MIB },     /* 01:59:59 summer time */
		{ 1792886400, 2 * MIB }, /* 02:00:00 summer time */
		{ 1792889999, 2 * MIB }, /* 02:59:59 */
		{ 1792890000, 2 * MIB }, /* 02:00:00 again */
		{ 1792893599, 2 * MIB }, /* 02:59:59 */
		{ 1792893600, 3 * MIB }, /* 03:00:00 */
	};
	struct rate_plan p;

	(void)state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(rate_plan_parse("x", "1M,02:00-03:00=2M,03:00-04:00=3M", &p, NULL), 0);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		assert_true(rate_plan_now(&p, times[i].at) == times[i].rate);
}

static void the_zone_is_that_of_the_machine(void **state)
{
	struct rate_plan p;

	(void)state;
	assert_int_equal(rate_plan_parse("x", "1M,12:00-13:00=2M", &p, NULL), 0);
	set_zone("UTC0");
	assert_true(rate_plan_now(&p, HOURS(12)) == 2 * MIB);
	set_zone("XXX-5");
	assert_true(rate_plan_now(&p, HOURS(12)) == MIB);
	assert_true(rate_plan_now(&p, HOURS(7)) == 2 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_bits_or_binary_bytes),
		cmocka_unit_test(each_minute_has_its_rate),
		cmocka_unit_test(midnight_may_be_written_either_way),
		cmocka_unit_test(wrong_plans_say_what_is_wrong),
		cmocka_unit_test(ranges_that_touch_are_two),
		cmocka_unit_test(there_are_twelve_ranges_at_most),
		cmocka_unit_test(the_clock_on_the_wall_decides_also_when_it_jumps),
		cmocka_unit_test(the_zone_is_that_of_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
