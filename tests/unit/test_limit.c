/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "limit.h"

static void without_a_limit_nobody_waits(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, UINT64_MAX, 0);
	assert_int_equal(limit_take(&l, (size_t)1 << 40, 0), 0);
}

/* As a sender that waits as it is told: what it sent in ten seconds. */
static void the_rate_is_held_and_used(void **state)
{
	const uint64_t rate = 1500000;
	uint64_t now = 1000, sent = 0;
	struct limit l;

	(void)state;
	limit_init(&l, rate, now);
	while (now < 11000) {
		now += limit_take(&l, 64000, now) + 1;
		sent += 64000;
	}
	assert_true(sent <= 10 * rate + rate / 4 + 64000);
	assert_true(sent >= 10 * rate * 97 / 100);
}

static void a_pause_does_not_save_up_more_than_a_quarter_second(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, 1000000, 0);
	assert_int_equal(limit_take(&l, 250000, 3600000), 0);
	assert_in_range(limit_take(&l, 100000, 3600000), 99, 101);
}

static void two_senders_share_one_rate(void **state)
{
	struct limit l;
	uint64_t a, b;

	(void)state;
	limit_init(&l, 1000000, 0);
	a = limit_take(&l, 100000, 0);
	b = limit_take(&l, 100000, 0);
	assert_in_range(a, 99, 101);
	assert_in_range(b, 199, 201);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_limit_nobody_waits),
		cmocka_unit_test(the_rate_is_held_and_used),
		cmocka_unit_test(a_pause_does_not_save_up_more_than_a_quarter_second),
		cmocka_unit_test(two_senders_share_one_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
