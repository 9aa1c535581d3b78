/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <string.h>

#include "limit.h"

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define SENDERS_MAX 8
#define SENDS_MAX 200000

static void without_a_limit_nobody_waits(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, LIMIT_NONE, 0);
	assert_true(limit_take(&l, (uint64_t)1 << 40, 0) == 0);
	assert_true(limit_piece(&l, 1000000) == 1000000);
}

/* Senders that wait as they are told, and then some: when the kernel lets them run again. */
struct world {
	struct limit l;
	unsigned n;
	uint64_t ready[SENDERS_MAX]; /* when each may use what it took; then it takes again */
	size_t took[SENDERS_MAX];
	uint64_t late_ns;              /* the largest delay of a wake-up */
	uint64_t hold_from, hold_till; /* nobody runs */
	uint32_t seed;
	size_t n_sends;
	struct {
		uint64_t at;
		size_t bytes;
	} sends[SENDS_MAX];
};

static uint64_t wake(struct world *w, uint64_t now, uint64_t wait)
{
	uint64_t at = now + wait;

	w->seed = w->seed * 1664525 + 1013904223;
	at += wait && w->late_ns ? w->seed % w->late_ns : 0;
	return at >= w->hold_from && at < w->hold_till ? w->hold_till : at;
}

static void begin(struct world *w, unsigned n, uint64_t rate, uint64_t late_ns)
{
	memset(w, 0, sizeof *w);
	w->n = n;
	w->late_ns = late_ns;
	w->seed = 7;
	limit_init(&w->l, rate, 0);
	for (unsigned i = 0; i < n; i++) {
		w->took[i] = limit_piece(&w->l, 262144);
		w->ready[i] = wake(w, 0, limit_take(&w->l, w->took[i], 0));
	}
}

static void run(struct world *w, uint64_t until)
{
	for (;;) {
		unsigned k = 0;

		for (unsigned i = 1; i < w->n; i++)
			if (w->ready[i] < w->ready[k])
				k = i;
		uint64_t now = w->ready[k];
		if (now >= until)
			return;
		assert_true(w->n_sends < SENDS_MAX);
		w->sends[w->n_sends].at = now;
		w->sends[w->n_sends++].bytes = w->took[k];
		w->took[k] = limit_piece(&w->l, 262144);
		w->ready[k] = wake(w, now, limit_take(&w->l, w->took[k], now));
	}
}

/* The least and the most bytes of any window of ten seconds from ${from} on. */
static void windows(const struct world *w, uint64_t from, uint64_t *ret_least, uint64_t *ret_most)
{
	uint64_t sum = 0;
	size_t tail = 0;

	*ret_least = UINT64_MAX;
	*ret_most = 0;
	while (tail < w->n_sends && w->sends[tail].at < from)
		tail++;
	for (size_t head = tail; head < w->n_sends; head++) {
		sum += w->sends[head].bytes;
		while (w->sends[head].at - w->sends[tail].at > 10 * SECOND) {
			sum -= w->sends[tail++].bytes;
			if (sum < *ret_least)
				*ret_least = sum;
		}
		if (sum > *ret_most)
			*ret_most = sum;
	}
}

static struct world world;

static void any_ten_seconds_hold_the_rate_within_three_percent(void **state)
{
	static const uint64_t rates[] = { 64000, 1500000, UINT64_C(20) * 1048576, 125000000,
					  1000000000 };

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		for (unsigned n = 1; n <= SENDERS_MAX; n += 7) {
			uint64_t least, most;

			begin(&world, n, rates[i], 3 * MS);
			run(&world, 22 * SECOND);
			windows(&world, SECOND, &least, &most);
			assert_true(most * 100 <= 10 * rates[i] * 103);
			assert_true(least * 100 >= 10 * rates[i] * 97);
		}
	}
}

/* What was missed is not caught up with, beyond what three per cent allow. */
static void a_pause_saves_up_next_to_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= SENDERS_MAX; n += 7) {
		uint64_t least, most;

		begin(&world, n, 64000, 3 * MS);
		world.hold_from = 5 * SECOND;
		world.hold_till = 12 * SECOND;
		run(&world, 30 * SECOND);
		windows(&world, 12 * SECOND, &least, &most);
		assert_true(most * 100 <= UINT64_C(10) * 64000 * 103);
		assert_true(least * 100 >= UINT64_C(10) * 64000 * 97);
	}
}

static uint64_t bytes_between(const struct world *w, uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n_sends; i++)
		if (w->sends[i].at >= from && w->sends[i].at < to)
			sum += w->sends[i].bytes;
	return sum;
}

static void a_new_rate_holds_at_once_in_both_directions(void **state)
{
	static const uint64_t rates[] = { 20000000, 100000, 5000000, 1000000 };
	uint64_t at = 0;

	(void)state;
	begin(&world, SENDERS_MAX, rates[0], 0);
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++, at += 10 * SECOND) {
		/* each may still have one piece under way, of the rate before */
		uint64_t under_way = i ? SENDERS_MAX * rates[i - 1] / 100 : 0, sent;

		limit_set(&world.l, rates[i]);
		assert_true(limit_rate(&world.l) == rates[i]);
		run(&world, at + 10 * SECOND);
		sent = bytes_between(&world, at, at + 10 * SECOND);
		assert_true(sent * 100 <= 10 * rates[i] * 103 + under_way * 100);
		assert_true(sent * 100 >= 10 * rates[i] * 97);
	}
}

static void a_debt_from_before_is_a_time_not_bytes(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, 100000000, 0);
	assert_true(limit_take(&l, 10000000, 0) == 100 * MS);
	limit_set(&l, 1000);
	/* a tenth of a second of the old rate, and one of the new: not ten thousand seconds */
	assert_true(limit_take(&l, 100, 0) == 200 * MS);
}

static void two_senders_share_one_rate(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, 1000000, 0);
	assert_true(limit_take(&l, 100000, 0) == 100 * MS);
	assert_true(limit_take(&l, 100000, 0) == 200 * MS);
}

static void huge_and_tiny_amounts_do_not_overflow(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, 16384, 0);
	assert_true(limit_take(&l, UINT64_C(16384) * 1000000, 0) == 1000000 * SECOND);
	limit_init(&l, UINT64_C(1) << 40, 0);
	assert_true(limit_take(&l, 1, 0) == 0);
	assert_true(limit_take(&l, UINT64_C(1) << 40, 0) == SECOND);
}

static void pieces_are_a_hundredth_of_a_second(void **state)
{
	struct limit l;

	(void)state;
	limit_init(&l, 64000, 0);
	assert_int_equal(limit_piece(&l, 262144), 1448);
	limit_set(&l, 20000000);
	assert_int_equal(limit_piece(&l, 262144), 200000);
	assert_int_equal(limit_piece(&l, 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_limit_nobody_waits),
		cmocka_unit_test(any_ten_seconds_hold_the_rate_within_three_percent),
		cmocka_unit_test(a_pause_saves_up_next_to_nothing),
		cmocka_unit_test(a_new_rate_holds_at_once_in_both_directions),
		cmocka_unit_test(a_debt_from_before_is_a_time_not_bytes),
		cmocka_unit_test(two_senders_share_one_rate),
		cmocka_unit_test(huge_and_tiny_amounts_do_not_overflow),
		cmocka_unit_test(pieces_are_a_hundredth_of_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
