/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an estimate is made of: the judged line, the sampled source, the outlook. */
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outlook.h"
#include "probe.h"
#include "sample.h"

#define MB 1e6

static void within(double is, double low, double high)
{
	if (!(is >= low && is <= high))
		fail_msg("%g is not from %g to %g", is, low, high);
}

/* ---- the line ---- */

static void the_line_is_judged_without_its_beginning(void **state)
{
	struct probe_sample v[51];
	struct probe_result r = { 0 };

	(void)state;
	/* a second of 1 MB/s, then four of 10 MB/s with one slow stretch */
	for (int i = 0; i <= 50; i++) {
		double s = i / 10.0, bytes = s < 1 ? s * MB : MB + (s - 1) * 10 * MB;

		if (s > 3)
			bytes -= (s < 3.8 ? s - 3 : 0.8) * 5 * MB;
		v[i] = (struct probe_sample){ .ms = (uint64_t)i * 100, .bytes = (uint64_t)bytes };
	}
	probe_judge(v, 51, &r);
	within(r.rate, 8.99 * MB, 9.01 * MB);
	within(r.low, 5 * MB, 8 * MB);
	within(r.high, 9.9 * MB, 10.1 * MB);
	within(r.seconds, 4.99, 5.01);
}

static void a_line_that_says_nothing_has_no_rate(void **state)
{
	struct probe_sample v[] = { { 0, 0 }, { 100, 0 }, { 200, 0 } };
	struct probe_result r = { 0 };

	(void)state;
	probe_judge(v, 3, &r);
	within(r.rate, 0, 0);
	probe_judge(v, 1, &r);
	within(r.rate, 0, 0);
}

/* ---- the source ---- */

#define DISK (8 * MIB)

struct fixture {
	struct sender_options o;
	struct move m;
	char path[64];
};

static void fill(int fd, uint64_t off, uint64_t len, int kind)
{
	static uint8_t block[64 * KIB];
	uint32_t x = 12345;

	for (uint64_t at = 0; at < len; at += sizeof block) {
		for (size_t i = 0; i < sizeof block; i++) {
			x = x * 1664525 + 1013904223;
			block[i] = kind == 'r' ? (uint8_t)(x >> 24) : kind == 't' ? (i / 8) & 7 : 0;
		}
		assert_int_equal(pwrite(fd, block, sizeof block, (off_t)(off + at)), sizeof block);
	}
}

/* a quarter random, a quarter text, a quarter written zeros, a quarter hole */
static int set_up(void **state)
{
	static struct fixture f;
	int fd;

	f = (struct fixture){ .path = "/tmp/transit-sample.XXXXXX" };
	fd = mkstemp(f.path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK), 0);
	fill(fd, 0, DISK / 4, 'r');
	fill(fd, DISK / 4, DISK / 4, 't');
	fill(fd, DISK / 2, DISK / 4, 0);
	(void)close(fd);
	f.o.codec_level = 1;
	f.m.o = &f.o;
	f.m.n_disks = 1;
	assert_int_equal(source_open(f.path, &f.m.disks[0].source, NULL), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	source_close(f->m.disks[0].source);
	return unlink(f->path);
}

static const struct sample_options all_of_it = { .block_size = 64 * KIB,
						 .pieces = SAMPLE_PIECES_MAX,
						 .time_ms = 20000,
						 .seed = 3,
						 .pack = true };

static void what_is_used_is_what_would_be_read(void **state)
{
	struct fixture *f = *state;
	struct extent_set used = { 0 }, free_map = { 0 };

	assert_int_equal(sample_used(&f->m.disks[0], &used, NULL), 0);
	if (extent_set_total(&used) == DISK) {
		extent_set_free(&used);
		skip(); /* this file system keeps no holes */
	}
	assert_int_equal(extent_set_total(&used), DISK / 4 * 3);
	extent_set_free(&used);
	/* free space counts as a hole does, also where it lies in one */
	assert_int_equal(extent_set_add(&free_map, (struct extent){ .off = MIB, .len = MIB }), 0);
	assert_int_equal(extent_set_add(&free_map, (struct extent){ .off = 7 * MIB, .len = MIB }),
			 0);
	f->m.disks[0].free_map = &free_map;
	assert_int_equal(sample_used(&f->m.disks[0], &used, NULL), 0);
	assert_int_equal(extent_set_total(&used), DISK / 4 * 3 - MIB);
	extent_set_free(&used);
	extent_set_free(&free_map);
	f->m.disks[0].free_map = NULL;
}

static void a_sample_says_what_the_source_is_like(void **state)
{
	struct fixture *f = *state;
	struct sample s;

	assert_int_equal(sample_source(&f->m, &all_of_it, &s, NULL), 0);
	assert_int_equal(s.n_steps, PACE_STEPS);
	assert_true(s.blocks >= 256);
	/* of the used part a third is zero; what is random stays, what is text goes */
	if (s.used_all < DISK) {
		within((double)s.zero / s.blocks, 0.25, 0.42);
		within(s.codec[0].share, 0.58, 0.75);
		within(s.codec[1].share, 0.26, 0.42);
	}
	assert_true(s.codec[0].error > 0 && s.codec[0].error < 0.1);
	assert_true(s.read_rate > 0 && s.compare_rate > 0);
	assert_true(s.codec[0].rate > s.codec[PACE_STEPS - 1].rate);
}

static void one_seed_is_one_sample(void **state)
{
	struct fixture *f = *state;
	struct sample_options o = all_of_it;
	struct sample a, b;

	o.pieces = 5;
	assert_int_equal(sample_source(&f->m, &o, &a, NULL), 0);
	assert_int_equal(sample_source(&f->m, &o, &b, NULL), 0);
	assert_int_equal(a.blocks, b.blocks);
	assert_int_equal(a.zero, b.zero);
	assert_true(a.codec[1].share == b.codec[1].share);
}

static void a_codec_that_was_asked_for_is_the_only_one_looked_at(void **state)
{
	struct fixture *f = *state;
	struct sample s;

	f->o.codec = CODEC_CHOICE_RAW;
	assert_int_equal(sample_source(&f->m, &all_of_it, &s, NULL), 0);
	assert_int_equal(s.n_steps, 1);
	assert_int_equal(s.steps[0].codec, CODEC_RAW);
	f->o.codec = CODEC_CHOICE_AUTO;
}

/* ---- the outlook ---- */

/* 100 GB used, half of it zero; a line of 10 MB/s; raw or packed to a half at 100 MB/s. */
static const struct outlook_in usual = {
	.used = 100000 * MB,
	.data = 0.5,
	.line = { 9 * MB, 10 * MB, 11 * MB },
	.read_rate = 500 * MB,
	.compare_rate = 5000 * MB,
	.threads = 2,
	.codec = { { .share = { 0.49, 0.5, 0.51 }, .rate = 2000 * MB },
		   { .share = { 0.24, 0.25, 0.26 }, .rate = 200 * MB } },
	.n_codecs = 2,
	.change = { 0.5 * MB, 1 * MB, 2 * MB },
	.blocks = 400000,
	.freeze_s = 0.5,
};

static void a_slow_line_packs_and_bounds_the_first_round(void **state)
{
	struct outlook k;

	(void)state;
	outlook_make(&usual, &k);
	assert_int_equal(k.codec, 1);
	assert_int_equal(k.first.bound, BOUND_LINE);
	within(k.first.seconds.expected, 2500, 2501);
	within(k.first.seconds.low, 24000 / 11.0 - 1, 24000 / 11.0 + 1);
	within(k.first.seconds.high, 26000 / 9.0 + 200, 26000 / 9.0 + 500);
	within(k.first.wire, 24999 * MB, 25001 * MB);
}

static void a_second_round_reads_all_and_sends_what_changed(void **state)
{
	struct outlook k;

	(void)state;
	outlook_make(&usual, &k);
	/* 2500 s of 1 MB/s, none of it zero: half of that on a line of 10 MB/s, while 100 GB are
	 * read at 500 MB/s */
	within(k.second.seconds.expected, 199, 203);
	assert_int_equal(k.second.bound, BOUND_DISK);
	within(k.second.wire, 1249 * MB, 1252 * MB);
	/* and the downtime: half of that time's changes, and reading by both threads */
	within(k.downtime.expected, 115, 122);
	assert_int_equal(k.downtime_bound, BOUND_DISK);
	assert_true(k.downtime.low < k.downtime.expected && k.downtime.expected < k.downtime.high);
}

static void a_fast_line_is_not_packed_for(void **state)
{
	struct outlook_in in = usual;
	struct outlook k;

	(void)state;
	in.line = (struct range){ 5000 * MB, 5000 * MB, 5000 * MB };
	outlook_make(&in, &k);
	assert_int_equal(k.codec, 0);
	assert_int_equal(k.first.bound, BOUND_DISK);
	in.read_rate = 50000 * MB;
	in.n_codecs = 1;
	in.codec[0].rate = 100 * MB;
	outlook_make(&in, &k);
	assert_int_equal(k.first.bound, BOUND_CPU);
	within(k.first.seconds.expected, 500, 502);
}

static void more_than_all_cannot_change(void **state)
{
	struct outlook_in in = usual;
	struct outlook k;

	(void)state;
	in.change = (struct range){ 1e12, 1e12, 1e12 };
	outlook_make(&in, &k);
	within(k.second.wire, 49999 * MB, 50001 * MB);
}

int main(void)
{
#define SAMPLE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_is_judged_without_its_beginning),
		cmocka_unit_test(a_line_that_says_nothing_has_no_rate),
		SAMPLE(what_is_used_is_what_would_be_read),
		SAMPLE(a_sample_says_what_the_source_is_like),
		SAMPLE(one_seed_is_one_sample),
		SAMPLE(a_codec_that_was_asked_for_is_the_only_one_looked_at),
		cmocka_unit_test(a_slow_line_packs_and_bounds_the_first_round),
		cmocka_unit_test(a_second_round_reads_all_and_sends_what_changed),
		cmocka_unit_test(a_fast_line_is_not_packed_for),
		cmocka_unit_test(more_than_all_cannot_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
