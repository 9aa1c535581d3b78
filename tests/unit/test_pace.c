/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "pace.h"

#define LEN ((size_t)(256 * KIB))

/* What a core of 2026 does with half-packable data: ns of CPU for a plain byte. */
static const struct pace_figures measured = {
	.other = 0.7,
	.share = 1,
	.cost = { 0, 0.7, 1.2, 2.0, 12.0 },
	.ratio = { 1, 0.70, 0.62, 0.60, 0.57 },
};

static unsigned chosen(double line, double share, unsigned now)
{
	struct pace_figures f = measured;

	f.line = line;
	f.share = share;
	return pace_choose(&f, now);
}

static void a_line_that_never_waits_gets_plain_bytes(void **state)
{
	(void)state;
	assert_int_equal(chosen(0, 1, 1), 0);
	assert_int_equal(chosen(0, 4, 4), 0);
	assert_int_equal(chosen(2.0, 1, 3), 0);
}

static void the_slower_the_line_the_harder_it_is_packed(void **state)
{
	/* bytes a ns: 8 Gbit, 4 Gbit, 2 Gbit, 100 Mbit, 12 Mbit */
	static const struct {
		double line;
		unsigned step;
	} rows[] = { { 1.0, 0 }, { 0.45, 1 }, { 0.25, 2 }, { 0.0125, 4 }, { 0.0015, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(chosen(rows[i].line, 1, 0), rows[i].step);
}

/* Eight connections on two cores have a quarter of a core each. */
static void shared_cores_make_packing_dearer(void **state)
{
	(void)state;
	assert_int_equal(chosen(0.25, 1, 0), 2);
	assert_int_equal(chosen(0.25, 4, 0), 0);
}

static void a_little_better_is_not_enough(void **state)
{
	struct pace_figures f = measured;

	(void)state;
	f.line = 0.01;
	f.ratio[4] = f.ratio[3] * 0.985;
	assert_int_equal(pace_choose(&f, 3), 3);
	f.ratio[4] = f.ratio[3] * 0.97;
	assert_int_equal(pace_choose(&f, 3), 4);
}

static void what_was_never_tried_is_not_chosen(void **state)
{
	struct pace_figures f = measured;

	(void)state;
	f.line = 0.0015;
	f.ratio[4] = 0;
	assert_int_equal(pace_choose(&f, 0), 2 + (measured.ratio[3] * 1.0 < measured.ratio[2]));
}

static void noise(uint8_t *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(rand_r(&seed) >> 8);
}

static void text(uint8_t *p, size_t len)
{
	static const char words[] = "the quick brown fox jumps over 1234567890 lazy dogs; ";

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)words[(i * 7 + i / 97) % (sizeof words - 1)];
}

static void random_bytes_are_known_by_sight(void **state)
{
	scoped(freep) uint8_t *p = malloc(LEN);

	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		noise(p, LEN, seed);
		assert_true(pace_looks_random(p, LEN));
	}
	text(p, LEN);
	assert_false(pace_looks_random(p, LEN));
	/* base64 of noise packs by a quarter: 64 values only */
	noise(p, LEN, 1);
	for (size_t i = 0; i < LEN; i++)
		p[i] &= 63;
	assert_false(pace_looks_random(p, LEN));
	/* too short to tell */
	assert_false(pace_looks_random(p, 1000));
}

struct fixture {
	struct codec_ctx *c;
	uint8_t plain[LEN], out[LEN];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	*state = f;
	if (f)
		f->c = codec_new();
	return f && f->c ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	codec_free(f->c);
	free(f);
	return 0;
}

static void noise_goes_raw_but_for_one_in_sixteen_tries(void **state)
{
	struct fixture *f = *state;
	struct pace p;
	size_t n;

	pace_init(&p, CODEC_CHOICE_ZSTD, 1, 2);
	pace_restart(&p, 0, 0, 0);
	noise(f->plain, LEN, 3);
	for (int i = 0; i < 15; i++) {
		memset(f->out, 0, 16);
		assert_int_equal(pace_encode(&p, f->c, f->plain, LEN, f->out, LEN, &n), CODEC_RAW);
		assert_int_equal(n, LEN);
		assert_true(all_zero(f->out, 16));
	}
	(void)pace_encode(&p, f->c, f->plain, LEN, f->out, LEN, &n);
	assert_false(all_zero(f->out, 16)); /* this one was tried */
	text(f->plain, LEN);
	assert_int_equal(pace_encode(&p, f->c, f->plain, LEN, f->out, LEN, &n), CODEC_ZSTD);
	assert_true(n < LEN / 2);
}

/* One interval: ${blocks} go out in ${ns}, of which ${wait} were spent waiting for the line. */
static void interval(struct fixture *f, struct pace *p, unsigned blocks, uint64_t *now, uint64_t ns,
		     uint64_t *waited, uint64_t wait, uint64_t *wire, double ratio)
{
	size_t n;

	*waited += wait;
	for (unsigned i = 0; i < blocks; i++) {
		*now += ns / blocks;
		*wire += (uint64_t)((double)LEN * ratio);
		(void)pace_encode(p, f->c, f->plain, LEN, f->out, LEN, &n);
		pace_tick(p, LEN, *wire, *waited, *now);
	}
}

static void a_connection_follows_its_line(void **state)
{
	struct fixture *f = *state;
	uint64_t now = 0, waited = 0, wire = 0;
	struct pace p;

	text(f->plain, LEN);
	pace_init(&p, CODEC_CHOICE_AUTO, 1, 2);
	pace_restart(&p, 0, 0, 0);
	assert_string_equal(pace_word(&p), "lz4");
	/* Fast, and nobody waits: there is nothing to win. */
	interval(f, &p, 8, &now, 210000000, &waited, 0, &wire, 0.5);
	assert_string_equal(pace_word(&p), "raw");
	/* 10 MB/s, all the time spent waiting. */
	interval(f, &p, 8, &now, 210000000, &waited, 200000000, &wire, 1);
	assert_int_not_equal(p.step, 0);
	/* The line is fast again: what is believed of it grows until packing no longer pays. */
	for (int i = 0; i < 60 && p.step; i++)
		interval(f, &p, 8, &now, 210000000, &waited, 0, &wire, 0.5);
	assert_string_equal(pace_word(&p), "raw");
}

/* Noise weighs for every step alike: what it hides is still compared. */
static void noise_makes_a_difference_smaller_not_another(void **state)
{
	struct pace_figures f = measured;

	(void)state;
	f.line = 0.0125;
	f.random = 0.5;
	assert_int_equal(pace_choose(&f, 1), 4);
	f.random = 0.97; /* less than 2 % of the bytes are at stake */
	assert_int_equal(pace_choose(&f, 1), 1);
	/* and takes no time to pack */
	f = measured;
	f.line = 0.12;
	assert_int_equal(pace_choose(&f, 0), 3);
	f.random = 0.6;
	assert_int_equal(pace_choose(&f, 0), 4);
}

/* ${raw} and ${lz4}: blocks that get through in a turn of a contest. */
static void a_contest(struct fixture *f, struct pace *p, unsigned raw, unsigned lz4)
{
	uint64_t now = 0, waited = 0, wire = 0;

	text(f->plain, LEN);
	pace_init(p, CODEC_CHOICE_AUTO, 1, 2);
	pace_restart(p, 0, 0, 0);
	interval(f, p, 160, &now, 60000000, &waited, 50000000, &wire, 0.5);
	for (unsigned i = 0; i < 4; i++) {
		bool is_raw = p->step == 0;

		assert_string_equal(pace_word(p), i % 2 ? "lz4" : "raw");
		interval(f, p, is_raw ? raw : lz4, &now, 60000000, &waited, 50000000, &wire,
			 is_raw ? 1 : 0.5);
	}
	/* What was proved holds for some intervals, whatever the model says. */
	const char *word = pace_word(p);
	for (unsigned i = 0; i < 8; i++) {
		interval(f, p, 500, &now, 210000000, &waited, 200000000, &wire, 0.5);
		assert_string_equal(pace_word(p), word);
	}
}

static void on_a_fast_line_packing_proves_itself(void **state)
{
	struct fixture *f = *state;
	uint64_t now = 5000000000, waited = 5000000000, wire = UINT64_C(1) << 33;
	struct pace p;

	a_contest(f, &p, 240, 248); /* the receiver is what is narrow: the same either way */
	assert_string_equal(pace_word(&p), "raw");
	a_contest(f, &p, 120, 240);
	assert_string_equal(pace_word(&p), "lz4");
	/* It has become slow: the model is asked again. */
	a_contest(f, &p, 240, 248);
	pace_restart(&p, wire, waited, now);
	interval(f, &p, 8, &now, 210000000, &waited, 200000000, &wire, 1);
	assert_int_not_equal(p.step, 0);
	assert_true(pace_plain_rate(&p) > 9e6 && pace_plain_rate(&p) < 11e6);
}

static void what_the_user_fixed_stays(void **state)
{
	struct fixture *f = *state;
	uint64_t now = 0, waited = 0, wire = 0;
	struct pace p;
	size_t n;

	text(f->plain, LEN);
	pace_init(&p, CODEC_CHOICE_RAW, 1, 2);
	pace_restart(&p, 0, 0, 0);
	interval(f, &p, 8, &now, 210000000, &waited, 200000000, &wire, 1);
	assert_int_equal(pace_encode(&p, f->c, f->plain, LEN, f->out, LEN, &n), CODEC_RAW);
	assert_string_equal(pace_word(&p), "raw");
	pace_init(&p, CODEC_CHOICE_ZSTD, 7, 2);
	assert_int_equal(pace_encode(&p, f->c, f->plain, LEN, f->out, LEN, &n), CODEC_ZSTD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_never_waits_gets_plain_bytes),
		cmocka_unit_test(the_slower_the_line_the_harder_it_is_packed),
		cmocka_unit_test(shared_cores_make_packing_dearer),
		cmocka_unit_test(a_little_better_is_not_enough),
		cmocka_unit_test(what_was_never_tried_is_not_chosen),
		cmocka_unit_test(noise_makes_a_difference_smaller_not_another),
		cmocka_unit_test(random_bytes_are_known_by_sight),
		cmocka_unit_test_setup_teardown(noise_goes_raw_but_for_one_in_sixteen_tries, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_connection_follows_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(on_a_fast_line_packing_proves_itself, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_user_fixed_stays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
