/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "crew.h"
#include "frame.h"

/* A line on which each connection reaches ${each}, all together at most ${all}. */
static uint64_t line(unsigned n, uint64_t each, uint64_t all)
{
	return n * each < all ? n * each : all;
}

static unsigned run_intervals(struct crew *c, unsigned n, uint64_t each, uint64_t all)
{
	for (unsigned i = 0; i < n; i++)
		(void)crew_judge(c, line(c->now, each, all));
	return c->now;
}

static void it_begins_with_one_or_with_two_for_several_disks(void **state)
{
	struct crew c;

	(void)state;
	crew_init(&c, 0, 0, 2, 1);
	assert_int_equal(c.now, 1);
	crew_init(&c, 0, 0, 1, 3); /* one slow disk must not hold the others */
	assert_int_equal(c.now, 2);
	crew_init(&c, 0, 5, 16, 1); /* a further round goes on with what was found */
	assert_int_equal(c.now, 5);
	crew_init(&c, 0, 8, 1, 1);
	assert_int_equal(c.now, 2);
}

static void a_fast_line_gets_the_second_at_once(void **state)
{
	struct crew c;

	(void)state;
	crew_init(&c, 0, 0, 2, 1);
	assert_int_equal(crew_hurry(&c, 1000000, 0), 1);
	assert_int_equal(crew_hurry(&c, 12500000, 1000), 1); /* 100 Mbit/s */
	assert_int_equal(crew_hurry(&c, 1600000, 50), 2);
	assert_int_equal(crew_hurry(&c, 160000000, 50), 2);
	/* One core has nothing to give to a second one; nor has a number that was given. */
	crew_init(&c, 0, 0, 1, 1);
	assert_int_equal(crew_hurry(&c, 160000000, 50), 1);
	crew_init(&c, 1, 0, 16, 1);
	assert_int_equal(crew_hurry(&c, 160000000, 50), 1);
}

static void windows_that_hold_a_long_path_get_four_times_as_many(void **state)
{
	const struct crew_signs held = {
		.rate = 30000000, .waits = 0.9, .windows = 0.6, .long_path = true, .sole = true
	};
	struct crew_signs other = held;
	struct crew c;

	(void)state;
	crew_init(&c, 0, 0, 4, 1);
	assert_int_equal(crew_look(&c, &held), 4);
	assert_int_equal(crew_look(&c, &held), 8);
	assert_int_equal(crew_look(&c, &held), 8);
	crew_init(&c, 0, 0, 2, 1); /* two for each core, not more */
	assert_int_equal(crew_look(&c, &held), 4);
	assert_int_equal(crew_look(&c, &held), 4);
	crew_init(&c, 2, 0, 4, 1);
	assert_int_equal(crew_look(&c, &held), 2);
	/* A window that is shut because the receiver is busy is no reason, nor one that is open. */
	crew_init(&c, 0, 0, 4, 1);
	other.long_path = false;
	other.rate = 500000000;
	assert_int_equal(crew_look(&c, &other), 1);
	other = held;
	other.windows = 0.2;
	assert_int_equal(crew_look(&c, &other), 1);
}

static void a_slow_line_that_is_full_is_not_shared(void **state)
{
	const struct crew_signs full = {
		.rate = 1500000, .waits = 0.9, .long_path = true, .sole = true
	};
	struct crew_signs other = full;
	struct crew c;

	(void)state;
	crew_init(&c, 0, 2, 2, 1);
	assert_int_equal(crew_look(&c, &full), 2); /* a moment is no sign */
	assert_int_equal(crew_look(&c, &full), 1);
	/* A trial comes all the same, a minute later. */
	for (unsigned i = 0; i < 31; i++)
		assert_int_equal(crew_judge(&c, 1500000), 1);
	assert_int_equal(crew_judge(&c, 1500000), 2);
	crew_init(&c, 0, 2, 2, 3); /* several disks: two stay */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(crew_look(&c, &full), 2);
	/* Losses slow others than BBR down; who hardly waits, or sends much, is not held by the
	 * line. */
	crew_init(&c, 0, 2, 2, 1);
	other.sole = false;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(crew_look(&c, &other), 2);
	other = full;
	other.waits = 0.3;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(crew_look(&c, &other), 2);
	other = full;
	other.rate = 60000000;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(crew_look(&c, &other), 2);
}

static void a_number_that_was_given_stays(void **state)
{
	struct crew c;

	(void)state;
	crew_init(&c, 1, 0, 16, 5);
	assert_int_equal(c.now, 1);
	assert_int_equal(run_intervals(&c, 40, 100, 100000), 1);
	crew_init(&c, 8, 2, 1, 1);
	assert_int_equal(c.now, 8);
}

static void a_long_path_gets_as_many_as_it_needs(void **state)
{
	struct crew c;

	(void)state;
	crew_init(&c, 0, 2, 4, 1);
	assert_int_equal(run_intervals(&c, 20, 10000000, 55000000), 6);
	/* all eight, where the line could take more */
	crew_init(&c, 0, 2, 4, 1);
	assert_int_equal(run_intervals(&c, 20, 10000000, 1000000000), CONNECTIONS_MAX);
	/* two for each core, not more */
	crew_init(&c, 0, 2, 2, 1);
	assert_int_equal(run_intervals(&c, 20, 10000000, 1000000000), 4);
}

static void a_gain_of_five_percent_is_none(void **state)
{
	struct crew c;

	(void)state;
	for (unsigned gain = 0; gain <= 10; gain++) {
		crew_init(&c, 0, 2, 4, 1);
		(void)crew_judge(&c, 1000000); /* settling */
		assert_int_equal(crew_judge(&c, 1000000), 3);
		(void)crew_judge(&c, 500); /* settling: tells nothing */
		assert_int_equal(crew_judge(&c, 1000000 + gain * 10000), gain > 5 ? 4 : 2);
	}
}

static void a_fast_line_is_left_in_peace(void **state)
{
	struct crew c;
	unsigned changes = 0, before;

	(void)state;
	crew_init(&c, 0, 2, 2, 1);
	for (unsigned i = 0; i < 1800; i++) {   /* an hour */
		uint64_t noise = i * 7919 % 31; /* up to 3 % */

		before = c.now;
		(void)crew_judge(&c, 1000000 + noise * 1000);
		changes += c.now != before;
		assert_in_range(c.now, 2, 3);
	}
	assert_true(changes >= 4 && changes <= 30);
}

static void the_next_try_waits_twice_as_long(void **state)
{
	struct crew c;
	unsigned last = 0, gap = 0, tries = 0;

	(void)state;
	crew_init(&c, 0, 2, 2, 1);
	for (unsigned i = 0; tries < 4; i++) {
		unsigned before = c.now;

		(void)crew_judge(&c, 1000000);
		if (c.now <= before)
			continue;
		if (tries++ > 1)
			assert_true(i - last > gap);
		gap = i - last;
		last = i;
	}
}

static void an_interval_without_bytes_tells_nothing(void **state)
{
	struct crew c;

	(void)state;
	crew_init(&c, 0, 2, 2, 1);
	(void)crew_judge(&c, 1000);
	assert_int_equal(crew_judge(&c, 1000), 3);
	(void)crew_judge(&c, 1000);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(crew_judge(&c, 0), 3);
	assert_int_equal(crew_judge(&c, 2000), 4); /* it was worth it, and the next is tried */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_with_one_or_with_two_for_several_disks),
		cmocka_unit_test(a_fast_line_gets_the_second_at_once),
		cmocka_unit_test(windows_that_hold_a_long_path_get_four_times_as_many),
		cmocka_unit_test(a_slow_line_that_is_full_is_not_shared),
		cmocka_unit_test(a_number_that_was_given_stays),
		cmocka_unit_test(a_long_path_gets_as_many_as_it_needs),
		cmocka_unit_test(a_gain_of_five_percent_is_none),
		cmocka_unit_test(a_fast_line_is_left_in_peace),
		cmocka_unit_test(the_next_try_waits_twice_as_long),
		cmocka_unit_test(an_interval_without_bytes_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
