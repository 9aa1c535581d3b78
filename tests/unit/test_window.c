/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>

#include "window.h"

#define BLOCK (256 * KIB)
#define NOBODY CONNECTIONS_MAX

static int set_up(void **state)
{
	struct window *w = malloc(sizeof *w);

	window_init(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* Takes what there is for disk ${d}; in bytes. */
static uint64_t take_all(struct window *w, unsigned d)
{
	uint64_t sum = 0;

	while (window_take(w, d, BLOCK))
		sum += BLOCK;
	return sum;
}

static void one_disk_alone_has_the_whole_window(void **state)
{
	struct window *w = *state;

	assert_int_equal(take_all(w, 3), 64 * MIB);
	assert_false(window_take(w, 4, BLOCK));
	window_give(w, 3, BLOCK, NOBODY);
	assert_true(window_take(w, 4, BLOCK));
	assert_false(window_wants_flush(w, 3)); /* the receiver's own batch is small enough */
}

static void no_disk_of_several_holds_more_than_its_share(void **state)
{
	struct window *w = *state;

	window_share(w, 2);
	assert_int_equal(take_all(w, 0), 32 * MIB);
	assert_int_equal(take_all(w, 1), 32 * MIB);
	/* a third comes: who holds more than a share gets nothing until it has less */
	window_share(w, 3);
	window_give(w, 1, 12 * MIB, NOBODY);
	assert_false(window_take(w, 1, 2 * MIB));
	assert_int_equal(take_all(w, 2), 12 * MIB);
}

static void all_together_never_hold_more_than_the_window(void **state)
{
	struct window *w = *state;
	uint64_t held = 0;

	for (unsigned d = 0; d < DISKS_MAX; d++) {
		window_share(w, d + 1);
		held += take_all(w, d);
	}
	assert_int_equal(held, 64 * MIB);
}

static void twenty_disks_have_room_for_a_block_each(void **state)
{
	struct window *w = *state;

	window_share(w, CONNECTIONS_MAX + 1);
	for (unsigned d = 0; d < CONNECTIONS_MAX; d++)
		assert_true(window_take(w, d, BLOCK_SIZE_MAX));
}

static void a_flush_is_asked_for_at_each_half_share(void **state)
{
	struct window *w = *state;
	unsigned asked = 0;

	window_share(w, 4); /* 16 MiB each */
	for (unsigned i = 0; i < 64 * 4; i++) {
		assert_true(window_take(w, 0, BLOCK));
		window_give(w, 0, BLOCK, NOBODY);
		asked += window_wants_flush(w, 0);
	}
	assert_int_equal(asked, 8);
	assert_false(window_wants_flush(w, 1));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_disk_alone_has_the_whole_window),
		TEST(no_disk_of_several_holds_more_than_its_share),
		TEST(all_together_never_hold_more_than_the_window),
		TEST(twenty_disks_have_room_for_a_block_each),
		TEST(a_flush_is_asked_for_at_each_half_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
