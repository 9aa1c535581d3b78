/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "ceiling.h"

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)

/* Threads that pay before each block, on ${cores} processors; what they use is their own clock. */
struct world {
	struct ceiling c;
	unsigned n, cores;
	uint64_t block_ns; /* CPU time of a block */
	uint64_t now, cpu;
	uint64_t asleep_till[8];
	uint64_t left[8]; /* of the block at hand */
};

/* One millisecond: each thread that is awake gets its share of the processors. */
static void tick(struct world *w)
{
	unsigned awake = 0;

	for (unsigned i = 0; i < w->n; i++) {
		if (w->asleep_till[i] > w->now)
			continue;
		if (!w->left[i]) {
			uint64_t wait = ceiling_wait(&w->c, w->cpu, w->now);

			if (wait) {
				w->asleep_till[i] = w->now + wait;
				continue;
			}
			w->left[i] = w->block_ns;
		}
		awake++;
	}
	for (unsigned i = 0; awake && i < w->n; i++) {
		uint64_t share = awake > w->cores ? MS * w->cores / awake : MS;

		if (w->asleep_till[i] > w->now || !w->left[i])
			continue;
		if (share > w->left[i])
			share = w->left[i];
		w->left[i] -= share;
		w->cpu += share;
	}
	w->now += MS;
}

static void run(struct world *w, uint64_t ns)
{
	for (uint64_t end = w->now + ns; w->now < end;)
		tick(w);
}

static void ten_seconds_stay_within_a_tenth_of_the_ceiling(void **state)
{
	static const struct {
		unsigned percent, threads, cores;
		uint64_t block_ms;
		unsigned expected; /* percent; below the ceiling where the work has no more */
	} cases[] = {
		{ 5, 1, 2, 1, 5 },     { 5, 8, 2, 2, 5 },     { 20, 2, 2, 3, 20 },
		{ 50, 1, 1, 1, 50 },   { 50, 8, 8, 5, 50 },   { 100, 4, 4, 1, 100 },
		{ 150, 2, 2, 1, 150 }, { 150, 1, 2, 1, 100 }, { 800, 8, 8, 1, 800 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world w = { .n = cases[i].threads,
				   .cores = cases[i].cores,
				   .block_ns = cases[i].block_ms * MS,
				   .now = SECOND };

		ceiling_init(&w.c, cases[i].percent, 0, w.now);
		for (int k = 0; k < 3; k++) {
			uint64_t before = w.cpu;

			run(&w, 10 * SECOND);
			uint64_t percent_x10 = (w.cpu - before) * 1000 / (10 * SECOND);
			if (percent_x10 > cases[i].expected * UINT64_C(11) ||
			    percent_x10 < cases[i].expected * UINT64_C(9))
				fail_msg("case %zu: %u.%u %% of %u %%", i,
					 (unsigned)percent_x10 / 10, (unsigned)percent_x10 % 10,
					 cases[i].percent);
		}
	}
}

static void without_a_ceiling_nobody_sleeps(void **state)
{
	struct ceiling c;

	(void)state;
	ceiling_init(&c, 0, 0, 0);
	assert_true(ceiling_wait(&c, 3600 * SECOND, 1) == 0);
}

static void what_was_used_before_the_ceiling_came_is_not_charged(void **state)
{
	struct ceiling c;

	(void)state;
	ceiling_init(&c, 0, 0, 0);
	ceiling_set(&c, 10, 500 * SECOND);
	assert_true(ceiling_wait(&c, 500 * SECOND, 1000 * SECOND) == 0);
	/* a second of CPU time is ten seconds of a tenth, but for what a pause saves up */
	assert_true(ceiling_wait(&c, 501 * SECOND, 1000 * SECOND) == 10 * SECOND - LIMIT_BURST_NS);
}

static void a_ceiling_may_be_raised_lowered_and_taken_away(void **state)
{
	struct world w = { .n = 4, .cores = 2, .block_ns = MS, .now = SECOND };
	static const unsigned percent[] = { 20, 80, 10, 0 };

	(void)state;
	ceiling_init(&w.c, 150, 0, w.now);
	run(&w, SECOND);
	for (size_t i = 0; i < sizeof percent / sizeof *percent; i++) {
		unsigned expected = percent[i] ? percent[i] : 200;
		uint64_t before;

		ceiling_set(&w.c, percent[i], w.cpu);
		run(&w, SECOND);
		before = w.cpu;
		run(&w, 10 * SECOND);
		assert_in_range((w.cpu - before) / (SECOND / 100), expected * 9,
				expected * UINT64_C(11));
	}
}

static void the_clock_of_the_process_moves_when_it_works(void **state)
{
	uint64_t began = ceiling_cpu_ns();

	(void)state;
	for (volatile unsigned i = 0; i < 50000000 && ceiling_cpu_ns() == began; i++)
		;
	assert_true(ceiling_cpu_ns() > began);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_seconds_stay_within_a_tenth_of_the_ceiling),
		cmocka_unit_test(without_a_ceiling_nobody_sleeps),
		cmocka_unit_test(what_was_used_before_the_ceiling_came_is_not_charged),
		cmocka_unit_test(a_ceiling_may_be_raised_lowered_and_taken_away),
		cmocka_unit_test(the_clock_of_the_process_moves_when_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
