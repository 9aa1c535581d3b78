/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "extent.h"

#define X(o, l) ((struct extent){ .off = (o), .len = (l) })

static void neighbours_that_touch_become_one(void **state)
{
	struct extent_set s = { 0 };

	(void)state;
	assert_int_equal(extent_set_add(&s, X(0, 10)), 0);
	assert_int_equal(extent_set_add(&s, X(20, 10)), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(extent_set_add(&s, X(10, 10)), 0);
	assert_int_equal(s.n, 1);
	assert_true(s.v[0].off == 0 && s.v[0].len == 30);
	extent_set_free(&s);
	extent_set_free(NULL);
}

static void taking_the_middle_leaves_two_pieces(void **state)
{
	struct extent_set s = { 0 };

	(void)state;
	assert_int_equal(extent_set_add(&s, X(100, 100)), 0);
	assert_int_equal(extent_set_subtract(&s, X(120, 10)), 0);
	assert_int_equal(s.n, 2);
	assert_true(extent_set_total(&s) == 90);
	assert_false(extent_set_overlaps(&s, X(120, 10)));
	assert_true(extent_set_overlaps(&s, X(119, 2)));
	assert_true(extent_set_contains(&s, X(130, 70)));
	assert_false(extent_set_contains(&s, X(119, 2)));
	extent_set_free(&s);
}

static void the_end_of_the_number_range_is_a_place_like_any_other(void **state)
{
	struct extent_set s = { 0 };

	(void)state;
	assert_false(extent_within(X(UINT64_MAX, 1), UINT64_MAX));
	assert_true(extent_within(X(UINT64_MAX, 0), UINT64_MAX));
	assert_true(extent_within(X(5, 5), 10));
	assert_false(extent_within(X(5, 6), 10));
	assert_false(extent_within(X(11, 0), 10));
	assert_int_equal(extent_set_add(&s, X(UINT64_MAX - 1, 2)), -ERANGE);
	assert_int_equal(extent_set_subtract(&s, X(2, UINT64_MAX)), -ERANGE);
	assert_int_equal(extent_set_add(&s, X(UINT64_MAX - 2, 2)), 0);
	assert_true(extent_set_contains(&s, X(UINT64_MAX - 1, 1)));
	extent_set_free(&s);
}

static void gaps_are_found_in_order_and_cut_at_the_limit(void **state)
{
	struct extent_set s = { 0 };
	struct extent g;

	(void)state;
	assert_true(extent_set_next_gap(&s, 0, 5, &g));
	assert_true(g.off == 0 && g.len == 5);
	assert_int_equal(extent_set_add(&s, X(10, 10)), 0);
	assert_int_equal(extent_set_add(&s, X(30, 10)), 0);
	assert_true(extent_set_next_gap(&s, 0, 100, &g));
	assert_true(g.off == 0 && g.len == 10);
	assert_true(extent_set_next_gap(&s, 10, 100, &g));
	assert_true(g.off == 20 && g.len == 10);
	assert_true(extent_set_next_gap(&s, 35, 50, &g));
	assert_true(g.off == 40 && g.len == 10);
	assert_false(extent_set_next_gap(&s, 30, 40, &g));
	extent_set_free(&s);
}

#define UNIVERSE 200

static void check_against(const struct extent_set *s, const uint8_t *map)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->v[i].len > 0);
		if (i)
			assert_true(s->v[i - 1].off + s->v[i - 1].len < s->v[i].off);
	}
	for (uint64_t i = 0; i < UNIVERSE; i++) {
		assert_int_equal(extent_set_contains(s, X(i, 1)), map[i]);
		assert_int_equal(extent_set_overlaps(s, X(i, 1)), map[i]);
		total += map[i];
	}
	assert_true(extent_set_total(s) == total);
}

static void a_set_equals_a_plain_map_after_any_history(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct extent_set s = { 0 };
		uint8_t map[UNIVERSE] = { 0 };
		unsigned random = seed;

		for (int step = 0; step < 60; step++) {
			uint64_t off = (uint64_t)rand_r(&random) % UNIVERSE;
			uint64_t len = (uint64_t)rand_r(&random) % 40;
			int on = rand_r(&random) % 3 != 0;

			if (len > UNIVERSE - off)
				len = UNIVERSE - off;
			assert_int_equal(on ? extent_set_add(&s, X(off, len))
					    : extent_set_subtract(&s, X(off, len)),
					 0);
			memset(map + off, on, len);
			check_against(&s, map);
		}
		extent_set_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_that_touch_become_one),
		cmocka_unit_test(taking_the_middle_leaves_two_pieces),
		cmocka_unit_test(the_end_of_the_number_range_is_a_place_like_any_other),
		cmocka_unit_test(gaps_are_found_in_order_and_cut_at_the_limit),
		cmocka_unit_test(a_set_equals_a_plain_map_after_any_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
