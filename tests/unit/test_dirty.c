/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "dirty.h"

#define G DIRTY_GRANULE
#define SIZE (200 * G + 100) /* four words of bits, a short granule at the end */

struct fixture {
	struct dirty *d;
	struct extent_set same;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(dirty_new(SIZE, &f->d, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	extent_set_free(&f->same);
	dirty_free(f->d);
	free(f);
	return 0;
}

static const struct extent_set *same(struct fixture *f)
{
	extent_set_free(&f->same);
	assert_int_equal(dirty_same(f->d, &f->same, NULL), 0);
	return &f->same;
}

static void one_round(struct fixture *f)
{
	dirty_turn(f->d);
	dirty_settled(f->d);
}

static void before_a_round_has_read_everything_nothing_is_the_same(void **state)
{
	struct fixture *f = *state;

	dirty_turn(f->d);
	assert_int_equal(same(f)->n, 0);
	assert_true(dirty_bytes(f->d) == SIZE);
	dirty_turn(f->d);
	assert_int_equal(same(f)->n, 0);
	dirty_settled(f->d);
	assert_int_equal(same(f)->n, 1);
	assert_true(f->same.v[0].off == 0 && f->same.v[0].len == SIZE);
	assert_true(dirty_bytes(f->d) == 0);
}

static void what_is_written_is_read_once_in_the_next_round(void **state)
{
	struct fixture *f = *state;

	one_round(f);
	assert_true(dirty_mark(f->d, 3 * G - 1, 2)); /* two granules */
	assert_true(dirty_mark(f->d, 63 * G, G));    /* the last bit of a word */
	assert_true(dirty_mark(f->d, 64 * G, 1));
	assert_true(dirty_mark(f->d, SIZE - 1, 1));
	/* Not of the round at hand. */
	assert_int_equal(same(f)->n, 1);
	dirty_turn(f->d);
	assert_int_equal(same(f)->n, 3);
	assert_true(f->same.v[0].off == 0 && f->same.v[0].len == 2 * G);
	assert_true(f->same.v[1].off == 4 * G && f->same.v[1].len == 59 * G);
	assert_true(f->same.v[2].off == 65 * G && f->same.v[2].len == 135 * G);
	assert_true(dirty_bytes(f->d) == 4 * G + 100);
	one_round(f);
	assert_int_equal(same(f)->n, 1);
}

static void a_write_while_a_round_reads_belongs_to_the_next(void **state)
{
	struct fixture *f = *state;

	dirty_turn(f->d);
	assert_true(dirty_mark(f->d, 5 * G, 1));
	dirty_settled(f->d);
	dirty_turn(f->d);
	assert_true(dirty_bytes(f->d) == G);
}

static void a_round_that_failed_leaves_what_it_had_to_read(void **state)
{
	struct fixture *f = *state;

	one_round(f);
	assert_true(dirty_mark(f->d, 5 * G, 1));
	dirty_turn(f->d);
	assert_true(dirty_mark(f->d, 7 * G, 1));
	dirty_turn(f->d);
	assert_true(dirty_bytes(f->d) == 2 * G);
}

static void a_loss_makes_the_next_round_read_everything_and_no_later_one(void **state)
{
	struct fixture *f = *state;

	one_round(f);
	dirty_lose(f->d);
	assert_true(dirty_bytes(f->d) == 0);
	dirty_turn(f->d);
	assert_true(dirty_bytes(f->d) == SIZE);
	assert_int_equal(same(f)->n, 0);
	dirty_settled(f->d);
	dirty_turn(f->d);
	assert_true(dirty_bytes(f->d) == 0);
}

static void what_does_not_lie_inside_the_disk_is_refused(void **state)
{
	struct fixture *f = *state;

	one_round(f);
	assert_false(dirty_mark(f->d, SIZE, 1));
	assert_false(dirty_mark(f->d, SIZE - 1, 2));
	assert_false(dirty_mark(f->d, UINT64_MAX, 2));
	assert_true(dirty_mark(f->d, SIZE, 0));
	dirty_turn(f->d);
	assert_true(dirty_bytes(f->d) == 0);
}

static void what_was_free_was_not_read(void **state)
{
	struct fixture *f = *state;

	one_round(f);
	dirty_unread(f->d, (struct extent){ .off = 10 * G + 1, .len = 3 * G });
	assert_true(dirty_bytes(f->d) == 2 * G);
	dirty_unread(f->d, (struct extent){ .off = 20 * G, .len = G - 1 });
	assert_true(dirty_bytes(f->d) == 2 * G);
	dirty_unread(f->d, (struct extent){ .off = 199 * G, .len = G + 100 });
	assert_true(dirty_bytes(f->d) == 3 * G + 100);
	dirty_unread(f->d, (struct extent){ .off = 0, .len = SIZE + 1 });
	assert_true(dirty_bytes(f->d) == 3 * G + 100);
}

static void a_map_of_crumbs_is_cut_to_its_bound(void **state)
{
	struct dirty *d = NULL;
	struct extent_set s = { 0 };
	uint64_t granules = UINT64_C(4) * DIRTY_EXTENTS_MAX;

	(void)state;
	assert_int_equal(dirty_new(granules * G, &d, NULL), 0);
	dirty_turn(d);
	dirty_settled(d);
	/* Clean ranges of one granule, and one of eight at the end. */
	for (uint64_t g = 0; g < granules - 8; g += 2)
		assert_true(dirty_mark(d, g * G, 1));
	dirty_turn(d);
	assert_int_equal(dirty_same(d, &s, NULL), 0);
	assert_int_equal(s.n, 1);
	assert_true(s.v[0].off == (granules - 9) * G && s.v[0].len == 9 * G);
	extent_set_free(&s);
	dirty_free(d);
}

#define MARKS UINT64_C(2000000)

struct marker {
	struct dirty *d;
	unsigned first;
	_Atomic unsigned *ended;
};

static void *mark_every_second(void *arg)
{
	struct marker *m = arg;

	for (uint64_t g = m->first; g < MARKS; g += 2)
		(void)dirty_mark(m->d, g * G, 1);
	atomic_fetch_add(m->ended, 1);
	return NULL;
}

static uint64_t turn_and_settle(struct dirty *d)
{
	dirty_turn(d);
	uint64_t bytes = dirty_bytes(d);
	dirty_settled(d);
	return bytes;
}

static void a_mark_is_in_exactly_one_round_however_the_turns_fall(void **state)
{
	_Atomic unsigned ended = 0;
	struct marker m[2] = { { .first = 0 }, { .first = 1 } };
	struct dirty *d = NULL;
	pthread_t t[2];
	uint64_t total = 0;

	(void)state;
	assert_int_equal(dirty_new(MARKS * G, &d, NULL), 0);
	(void)turn_and_settle(d);
	for (unsigned i = 0; i < 2; i++) {
		m[i].d = d;
		m[i].ended = &ended;
		assert_int_equal(pthread_create(&t[i], NULL, mark_every_second, &m[i]), 0);
	}
	while (atomic_load(&ended) < 2)
		total += turn_and_settle(d);
	for (unsigned i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	total += turn_and_settle(d);
	assert_true(total == MARKS * G);
	dirty_free(d);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(before_a_round_has_read_everything_nothing_is_the_same),
		TEST(what_is_written_is_read_once_in_the_next_round),
		TEST(a_write_while_a_round_reads_belongs_to_the_next),
		TEST(a_round_that_failed_leaves_what_it_had_to_read),
		TEST(a_loss_makes_the_next_round_read_everything_and_no_later_one),
		TEST(what_does_not_lie_inside_the_disk_is_refused),
		TEST(what_was_free_was_not_read),
		cmocka_unit_test(a_map_of_crumbs_is_cut_to_its_bound),
		cmocka_unit_test(a_mark_is_in_exactly_one_round_however_the_turns_fall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
