/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <math.h>
#include <string.h>

#include "converge.h"
#include "meter.h"
#include "predict.h"

#define MB 1000000.0

static void near(double is, double want)
{
	if (fabs(is - want) > 1e-6 + fabs(want) * 1e-6)
		fail_msg("%g instead of %g", is, want);
}

/* ---- downtime ---- */

/* 10 GB read at 500 MB/s; 2 MB/s change over 50 s, half of it on the wire, at 10 MB/s. */
static const struct predict_in usual = { .since_s = 50,
					 .change_known = true,
					 .change_rate = 2 * MB,
					 .change_most = 10000 * MB,
					 .read_bytes = 10000 * MB,
					 .read_rate = 500 * MB,
					 .wire_rate = 10 * MB,
					 .wire_share = 0.5,
					 .seal_bytes = 32 * 40000,
					 .freeze_s = 0.5,
					 .settle_s = 0.25 };

static void the_parts_are_added(void **state)
{
	struct prediction p;

	(void)state;
	predict_downtime(&usual, &p);
	assert_null(p.missing);
	near(p.changed, 100 * MB);
	near(p.freeze_s, 0.5);
	near(p.read_s, 20);
	near(p.send_s, 5);
	near(p.settle_s, 0.25);
	near(p.seal_s, 0.128);
	near(p.total_s, 25.878);
}

struct row {
	const char *what;
	struct predict_in in;
	double total_s; /* negative: not known */
	const char *missing;
};

#define USUAL(...)                                                                                 \
	{                                                                                          \
		.since_s = 50, .change_known = true, .change_rate = 2 * MB,                        \
		.change_most = 10000 * MB, .read_bytes = 10000 * MB, .read_rate = 500 * MB,        \
		.wire_rate = 10 * MB, .wire_share = 0.5, __VA_ARGS__                               \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
static const struct row rows[] = {
	{ "as it is", USUAL(.freeze_s = 0), 25, NULL },
	{ "one round only", USUAL(.change_known = false), -1, "changes" },
	{ "reading never measured", USUAL(.read_rate = 0), -1, "reads" },
	{ "the line never measured", USUAL(.wire_rate = 0), -1, "line" },
	{ "nothing to read", USUAL(.read_bytes = 0, .read_rate = 0), 5, NULL },
	{ "nothing changes, and the line is not known", USUAL(.change_rate = 0, .wire_rate = 0), 20,
	  NULL },
	{ "a list for the seal needs the line",
	  USUAL(.change_rate = 0, .wire_rate = 0, .seal_bytes = 1), -1, "line" },
	{ "more than there is cannot change", USUAL(.since_s = 1e6), 20 + 500, NULL },
	{ "twice the time, twice the changes", USUAL(.since_s = 100), 30, NULL },
	{ "twice the line", USUAL(.wire_rate = 20 * MB), 22.5, NULL },
	{ "all on the wire", USUAL(.wire_share = 1), 30, NULL },
	{ "SHA-256 of it all is still to be taken",
	  USUAL(.hash_bytes = 10000 * MB, .hash_rate = 1000 * MB), 35, NULL },
};
#pragma GCC diagnostic pop

static void each_figure_moves_the_prediction_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct prediction p;
		char text[160];

		predict_downtime(&rows[i].in, &p);
		if (rows[i].missing) {
			if (!p.missing || !strstr(p.missing, rows[i].missing))
				fail_msg("%s: '%s'", rows[i].what, p.missing ? p.missing : "-");
			assert_non_null(strstr(predict_text(&p, text, sizeof text), "not known"));
		} else if (p.missing || fabs(p.total_s - rows[i].total_s) > 1e-6) {
			fail_msg("%s: %g instead of %g", rows[i].what, p.total_s, rows[i].total_s);
		}
	}
}

/* ---- what rounds teach ---- */

static struct round_figures round_of(uint64_t began_s, uint64_t ended_s, double read,
				     double changed, double wire)
{
	return (struct round_figures){ .began_ms = began_s * 1000,
				       .ended_ms = ended_s * 1000,
				       .read = (uint64_t)read,
				       .changed = (uint64_t)changed,
				       .wire = (uint64_t)wire };
}

static void a_first_round_does_not_say_how_fast_the_source_changes(void **state)
{
	struct measured m = { 0 };
	struct round_figures f = round_of(0, 100, 2000 * MB, 1000 * MB, 500 * MB);
	struct predict_in in;
	struct prediction p;

	(void)state;
	f.wire_rate = 5 * MB;
	measured_add(&m, &f);
	assert_int_equal(m.rounds, 1);
	assert_false(m.change_known);
	near(m.wire_rate, 5 * MB);
	near(m.wire_share, 0.5);
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 100000, .freezes = false, .blocks = 100, .limit = UINT64_MAX },
		       &in);
	predict_downtime(&in, &p);
	assert_non_null(p.missing);
}

static void changes_gather_from_the_middle_of_a_round_to_the_middle_of_the_next(void **state)
{
	struct measured m = { 0 };
	struct round_figures f = round_of(0, 100, 2000 * MB, 1000 * MB, 500 * MB);
	struct predict_in in;

	(void)state;
	f.wire_rate = 5 * MB;
	measured_add(&m, &f);
	f = round_of(140, 160, 2000 * MB, 50 * MB, 25 * MB);
	measured_add(&m, &f);
	assert_true(m.change_known);
	near(m.change_rate, 0.5 * MB); /* 50 MB from second 50 to second 150 */
	near(m.wire_rate, 5 * MB);     /* the earlier one: too little was sent */
	/* 25 MB at 5 MB/s are 5 of the 20 seconds: the rest was reading */
	near(m.read_rate, 2000 * MB / 15);
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 170000, .freezes = true, .blocks = 1000, .limit = UINT64_MAX },
		       &in);
	near(in.since_s, 20);
	near(in.seal_bytes, 32000);
	assert_true(in.freeze_s > 0);
	predict_inputs(
	    &m,
	    &(struct predict_final){
		.now_ms = 170000, .freezes = false, .blocks = 1000, .limit = UINT64_MAX },
	    &in);
	near(in.freeze_s, 0);
}

static void a_limit_is_the_line(void **state)
{
	struct measured m = { .change_known = true, .wire_rate = 50 * MB, .rounds = 2 };
	struct predict_in in;

	(void)state;
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 1000, .freezes = false, .blocks = 1, .limit = 7000000 },
		       &in);
	near(in.wire_rate, 7 * MB);
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 1000, .freezes = false, .blocks = 1, .limit = 700000000 },
		       &in);
	near(in.wire_rate, 50 * MB);
}

static void a_clock_that_was_set_back_makes_no_prediction(void **state)
{
	struct measured m = { .change_known = true, .wire_rate = 1, .rounds = 2, .mid_ms = 5000 };
	struct predict_in in;

	(void)state;
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 4000, .freezes = false, .blocks = 1, .limit = UINT64_MAX },
		       &in);
	assert_false(in.change_known);
	predict_inputs(&m,
		       &(struct predict_final){
			   .now_ms = 6000, .freezes = false, .blocks = 1, .limit = UINT64_MAX },
		       &in);
	assert_true(in.change_known);
}

static void a_round_that_sent_most_of_the_time_takes_the_samples_word_for_reading(void **state)
{
	struct measured m = { 0 };
	struct round_figures f = round_of(0, 100, 1000 * MB, 1000 * MB, 900 * MB);

	(void)state;
	f.wire_rate = 10 * MB;
	assert_true(figures_are_of_sending(&f, &m));
	f.sampled_read = 400 * MB;
	measured_add(&m, &f);
	near(m.read_rate, 400 * MB);
	/* without one, that of an earlier round */
	f.sampled_read = 0;
	measured_add(&m, &f);
	near(m.read_rate, 400 * MB);
	/* but it was at least as fast as the round */
	m = (struct measured){ 0 };
	measured_add(&m, &f);
	near(m.read_rate, 10 * MB);
	/* one that sent nothing speaks for itself */
	f = round_of(200, 202, 1000 * MB, 0, 1000);
	f.sampled_read = 1;
	assert_false(figures_are_of_sending(&f, &m));
	measured_add(&m, &f);
	assert_true(fabs(m.read_rate - 500 * MB) < MB);
}

static void a_traced_round_is_a_figure_for_traced_ones_only(void **state)
{
	struct measured m = { 0 };
	struct round_figures f = round_of(0, 10, 5000 * MB, 0, 0);
	struct predict_final final = { .now_ms = 30000, .limit = UINT64_MAX };
	struct predict_in in;

	(void)state;
	measured_add(&m, &f);
	near(m.read_rate, 500 * MB);
	f = round_of(20, 21, 10 * MB, 5 * MB, 5 * MB);
	f.traced = true;
	f.wire_rate = 50 * MB;
	measured_add(&m, &f);
	/* a second for 10 MB is not how fast the source reads */
	near(m.read_rate, 500 * MB);
	final.traced = true;
	predict_inputs(&m, &final, &in);
	near(in.read_bytes, 10 * MB);
	near(in.change_most, 5000 * MB);
	/* another run has no trace: it reads everything */
	final.traced = false;
	predict_inputs(&m, &final, &in);
	near(in.read_bytes, 5000 * MB);
}

/* ---- the rate of a line ---- */

static void the_rate_is_that_of_the_middle_byte(void **state)
{
	struct meter t;
	uint64_t ms = 0, bytes = 0;

	(void)state;
	meter_begin(&t, 1000, 77);
	/* a burst into the kernel's buffers, a minute of silence, then ten seconds at 2 MB/s */
	bytes += 6000000;
	meter_sample(&t, 1000 + (ms += 500), 77 + bytes);
	for (int i = 0; i < 600; i++)
		meter_sample(&t, 1000 + (ms += 100), 77 + (bytes += 10));
	for (int i = 0; i < 100; i++)
		meter_sample(&t, 1000 + (ms += 100), 77 + (bytes += 200000));
	double rate = meter_rate(&t, 1000 + ms, 77 + bytes);
	if (fabs(rate - 2 * MB) > 0.05 * MB)
		fail_msg("%g", rate);
}

static void a_rate_on_a_border_of_classes_is_one_rate(void **state)
{
	struct meter t;
	uint64_t ms = 0, bytes = 0;

	(void)state;
	meter_begin(&t, 0, 0);
	/* 2^21 bytes a second, a little above and a little below */
	for (int i = 0; i < 40; i++)
		meter_sample(&t, ms += 500, bytes += i % 2 ? 1050000 : 1047000);
	near(meter_rate(&t, ms, bytes), 1048500 * 2);
}

static void a_few_bytes_are_no_rate(void **state)
{
	struct meter t;

	(void)state;
	meter_begin(&t, 0, 0);
	meter_sample(&t, 600, 1000000);
	near(meter_rate(&t, 1200, 4000000), 0);
	meter_begin(&t, 0, 0);
	near(meter_rate(&t, 0, 0), 0);
	meter_begin(&t, 0, 0);
	assert_true(meter_rate(&t, 100, 10000000) > 90 * MB); /* a short round, but enough */
}

/* ---- when to stop ---- */

static void rounds_end_when_another_would_not_help(void **state)
{
	const struct converge_in usual_in = { .done = 3,
					      .max_rounds = 10,
					      .change_known = true,
					      .changed = 100000000,
					      .before = 200000000,
					      .small = 16000000,
					      .downtime_s = 40,
					      .max_downtime_s = 30 };
	struct converge_in in = usual_in;

	(void)state;
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in.downtime_s = 30;
	assert_int_equal(converge_decide(&in), CONVERGE_DOWNTIME);
	in.downtime_s = -1; /* not known is not short */
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in = usual_in;
	in.max_downtime_s = 0; /* none asked for */
	in.downtime_s = 0;
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in = usual_in;
	in.changed = 16000000;
	assert_int_equal(converge_decide(&in), CONVERGE_SMALL);
	in.change_known = false; /* a first round of few bytes says nothing */
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in = usual_in;
	in.changed = 160000000;
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in.changed = 160000001;
	assert_int_equal(converge_decide(&in), CONVERGE_STEADY);
	in.done = 1; /* nothing to compare with */
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in = usual_in;
	in.done = 10;
	assert_int_equal(converge_decide(&in), CONVERGE_ROUNDS);
}

static void before_a_final_round_only_its_downtime_counts(void **state)
{
	struct converge_in in = { .done = 3,
				  .max_rounds = 4,
				  .change_known = true,
				  .changed = 0,
				  .before = 0,
				  .downtime_s = 31,
				  .max_downtime_s = 30,
				  .only_downtime = true };

	(void)state;
	assert_int_equal(converge_decide(&in), CONVERGE_MORE);
	in.done = 4;
	assert_int_equal(converge_decide(&in), CONVERGE_ROUNDS);
	in.downtime_s = 29;
	assert_int_equal(converge_decide(&in), CONVERGE_DOWNTIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_are_added),
		cmocka_unit_test(each_figure_moves_the_prediction_as_it_should),
		cmocka_unit_test(a_first_round_does_not_say_how_fast_the_source_changes),
		cmocka_unit_test(
		    changes_gather_from_the_middle_of_a_round_to_the_middle_of_the_next),
		cmocka_unit_test(a_limit_is_the_line),
		cmocka_unit_test(a_clock_that_was_set_back_makes_no_prediction),
		cmocka_unit_test(
		    a_round_that_sent_most_of_the_time_takes_the_samples_word_for_reading),
		cmocka_unit_test(a_traced_round_is_a_figure_for_traced_ones_only),
		cmocka_unit_test(the_rate_is_that_of_the_middle_byte),
		cmocka_unit_test(a_rate_on_a_border_of_classes_is_one_rate),
		cmocka_unit_test(a_few_bytes_are_no_rate),
		cmocka_unit_test(rounds_end_when_another_would_not_help),
		cmocka_unit_test(before_a_final_round_only_its_downtime_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
