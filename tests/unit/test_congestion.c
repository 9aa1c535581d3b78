/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "congestion.h"

#define LOOK_MS 200
#define MBIT UINT64_C(125000)

/* A path as the looks see it; rates in bytes a second, ${loss} in packets of a million. */
struct path {
	uint64_t rate;
	uint32_t loss, rtt_us, min_rtt_us;
};

struct run {
	struct congestion c;
	struct tcp_path seen;
	uint64_t now_ms;
	unsigned to_cubic, to_bbr;
};

static void start(struct run *r)
{
	*r = (struct run){ .now_ms = 1000 };
	congestion_init(&r->c, true);
}

/* Lost packets are counted over the looks, so that rare ones come too. */
static void go(struct run *r, const struct path *p, unsigned seconds)
{
	double lost = 0;

	for (unsigned i = 0; i < seconds * 1000 / LOOK_MS; i++) {
		uint64_t bytes = p->rate * LOOK_MS / 1000;
		uint32_t segments = (uint32_t)(bytes / 1448);

		r->now_ms += LOOK_MS;
		r->seen.acked += bytes;
		r->seen.segments += segments;
		lost += (double)segments * p->loss / 1e6;
		r->seen.resent += (uint32_t)lost;
		lost -= (uint32_t)lost;
		r->seen.rtt_us = p->rtt_us;
		r->seen.min_rtt_us = p->min_rtt_us;
		enum congestion_wish w = congestion_look(&r->c, &r->seen, r->now_ms);
		r->to_cubic += w == CONGESTION_CUBIC;
		r->to_bbr += w == CONGESTION_BBR;
	}
}

static void a_long_clean_path_gets_cubic(void **state)
{
	const struct path clean = { 100 * MBIT, 0, 140000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &clean, 2);
	assert_int_equal(r.to_cubic, 0); /* too early to say */
	go(&r, &clean, 1);
	assert_int_equal(r.to_cubic, 1);
	go(&r, &clean, 600);
	assert_int_equal(r.to_cubic, 1);
	assert_int_equal(r.to_bbr, 0);
}

static void a_short_path_stays(void **state)
{
	const struct path lan = { 1000 * MBIT, 0, 400, 200 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &lan, 600);
	assert_int_equal(r.to_cubic, 0);
}

static void what_a_full_queue_drops_is_no_sign(void **state)
{
	const struct path burst = { 100 * MBIT, 150000, 190000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &burst, 3);
	assert_int_equal(r.to_cubic, 1);
	go(&r, &burst, 60);
	assert_int_equal(r.to_bbr, 0);
}

static void losses_by_chance_keep_bbr(void **state)
{
	const struct path lossy = { 100 * MBIT, 5000, 105000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &lossy, 600);
	assert_int_equal(r.to_cubic, 0);
}

static void cubic_that_collapses_is_taken_back_and_tried_again_later(void **state)
{
	/* BBR hid the losses behind the queue that it made itself */
	const struct path hidden = { 100 * MBIT, 1000, 180000, 100000 };
	const struct path collapsed = { 20 * MBIT, 1000, 101000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &hidden, 3);
	assert_int_equal(r.to_cubic, 1);
	go(&r, &collapsed, 4);
	assert_int_equal(r.to_bbr, 1);
	go(&r, &hidden, 26);
	assert_int_equal(r.to_cubic, 1);
	go(&r, &hidden, 6);
	assert_int_equal(r.to_cubic, 2);
	go(&r, &collapsed, 4);
	assert_int_equal(r.to_bbr, 2);
	go(&r, &hidden, 55); /* twice as long */
	assert_int_equal(r.to_cubic, 2);
	go(&r, &hidden, 6);
	assert_int_equal(r.to_cubic, 3);
}

static void slow_without_losses_is_not_the_path(void **state)
{
	const struct path full = { 100 * MBIT, 0, 180000, 100000 };
	const struct path disk = { 5 * MBIT, 0, 100500, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &full, 4);
	go(&r, &disk, 60);
	assert_int_equal(r.to_cubic, 1);
	assert_int_equal(r.to_bbr, 0);
}

static void losses_that_cost_no_speed_are_no_reason(void **state)
{
	const struct path full = { 100 * MBIT, 0, 180000, 100000 };
	const struct path few = { 95 * MBIT, 300, 110000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	go(&r, &full, 4);
	go(&r, &few, 60);
	assert_int_equal(r.to_bbr, 0);
}

static void what_was_not_bbr_or_is_refused_stays(void **state)
{
	const struct path clean = { 100 * MBIT, 0, 140000, 100000 };
	struct run r;

	(void)state;
	start(&r);
	congestion_init(&r.c, false);
	go(&r, &clean, 60);
	assert_int_equal(r.to_cubic, 0);
	start(&r);
	go(&r, &clean, 3);
	congestion_refused(&r.c);
	go(&r, &clean, 600);
	assert_int_equal(r.to_cubic, 1);
	assert_false(r.c.cubic);
	assert_false(r.c.fixed); /* it is BBR as before, which keeps a line full by itself */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_clean_path_gets_cubic),
		cmocka_unit_test(a_short_path_stays),
		cmocka_unit_test(what_a_full_queue_drops_is_no_sign),
		cmocka_unit_test(losses_by_chance_keep_bbr),
		cmocka_unit_test(cubic_that_collapses_is_taken_back_and_tried_again_later),
		cmocka_unit_test(slow_without_losses_is_not_the_path),
		cmocka_unit_test(losses_that_cost_no_speed_are_no_reason),
		cmocka_unit_test(what_was_not_bbr_or_is_refused_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
