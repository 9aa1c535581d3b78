/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser of trace records, on records made by hand; and what each failure means. */
#include "test.h"

#include <errno.h>
#include <linux/blktrace_api.h>
#include <stdlib.h>
#include <string.h>

#include "trace_record.h"

#define G DIRTY_GRANULE
#define SIZE (100 * G)
#define DEVICE (8u << 20 | 16u)
#define SECTORS(bytes) ((bytes) / 512)

struct fixture {
	struct dirty *dirty;
	_Atomic unsigned starts;
	struct trace_parser p;
	uint32_t sequence;
	uint8_t stream[8192];
	size_t len;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(dirty_new(SIZE, &f->dirty, NULL), 0);
	dirty_turn(f->dirty);
	dirty_settled(f->dirty);
	trace_parser_init(&f->p, DEVICE, f->dirty, &f->starts);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	dirty_free(f->dirty);
	free(f);
	return 0;
}

static void put(struct fixture *f, const struct blk_io_trace *t)
{
	assert_true(f->len + sizeof *t + t->pdu_len <= sizeof f->stream);
	memcpy(f->stream + f->len, t, sizeof *t);
	memset(f->stream + f->len + sizeof *t, 0x65, t->pdu_len);
	f->len += sizeof *t + t->pdu_len;
}

static struct blk_io_trace record(struct fixture *f, uint32_t action, uint64_t off, uint32_t bytes)
{
	return (struct blk_io_trace){ .magic = BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION,
				      .sequence = ++f->sequence,
				      .sector = SECTORS(off),
				      .bytes = bytes,
				      .action = action,
				      .device = DEVICE };
}

static void put_event(struct fixture *f, uint32_t act, uint32_t category, uint64_t off,
		      uint32_t bytes)
{
	struct blk_io_trace t = record(f, act | BLK_TC_ACT(category), off, bytes);

	put(f, &t);
}

static void put_write(struct fixture *f, uint64_t off, uint32_t bytes)
{
	put_event(f, __BLK_TA_QUEUE, BLK_TC_QUEUE | BLK_TC_WRITE, off, bytes);
}

static enum trace_why feed(struct fixture *f)
{
	enum trace_why why = trace_parse(&f->p, f->stream, f->len);

	f->len = 0;
	return why;
}

static uint64_t dirty_now(struct fixture *f)
{
	dirty_turn(f->dirty);
	uint64_t bytes = dirty_bytes(f->dirty);
	dirty_settled(f->dirty);
	return bytes;
}

static void a_write_counts_when_it_is_queued_issued_and_done(void **state)
{
	static const uint32_t acts[] = { __BLK_TA_QUEUE, __BLK_TA_ISSUE, __BLK_TA_COMPLETE };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		put_event(f, acts[i], BLK_TC_WRITE, 7 * G, 4096);
		assert_int_equal(feed(f), TRACE_FINE);
		assert_true(dirty_now(f) == G);
	}
}

static void a_write_marks_all_that_it_touches_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct extent_set same = { 0 };

	put_write(f, 10 * G - 512, (uint32_t)G + 1024);
	assert_int_equal(feed(f), TRACE_FINE);
	dirty_turn(f->dirty);
	assert_int_equal(dirty_same(f->dirty, &same, NULL), 0);
	assert_int_equal(same.n, 2);
	assert_true(same.v[0].len == 9 * G && same.v[1].off == 12 * G);
	extent_set_free(&same);
}

static void discards_and_zeroes_are_writes(void **state)
{
	struct fixture *f = *state;

	put_event(f, __BLK_TA_QUEUE, BLK_TC_WRITE | BLK_TC_DISCARD, 0, (uint32_t)G);
	put_event(f, __BLK_TA_COMPLETE | __BLK_TA_CGROUP, BLK_TC_WRITE | BLK_TC_SYNC, 2 * G, 512);
	assert_int_equal(feed(f), TRACE_FINE);
	assert_true(dirty_now(f) == 2 * G);
}

static void what_writes_nothing_marks_nothing(void **state)
{
	struct fixture *f = *state;

	put_event(f, __BLK_TA_QUEUE, BLK_TC_READ, 0, 4096);
	put_event(f, __BLK_TA_COMPLETE, BLK_TC_WRITE | BLK_TC_FLUSH, UINT64_C(1) << 50, 0);
	/* The sector of a remap may count from a partition's start. */
	put_event(f, __BLK_TA_REMAP, BLK_TC_WRITE, 4 * G, 4096);
	put_event(f, __BLK_TA_BACKMERGE, BLK_TC_WRITE, 5 * G, 4096);
	assert_int_equal(feed(f), TRACE_FINE);
	assert_true(dirty_now(f) == 0);
}

static void pieces_of_any_size_are_the_same_stream(void **state)
{
	struct fixture *f = *state;

	for (size_t step = 1; step < 130; step++) {
		struct blk_io_trace t =
		    record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), G, 4096);

		t.pdu_len = 77;
		put(f, &t);
		put_write(f, 3 * G, 4096);
		for (size_t at = 0; at < f->len; at += step) {
			size_t n = f->len - at < step ? f->len - at : step;

			assert_int_equal(trace_parse(&f->p, f->stream + at, n), TRACE_FINE);
		}
		f->len = 0;
		assert_true(dirty_now(f) == 2 * G);
	}
}

static void notes_are_skipped_whatever_they_say(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = { .magic = BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION,
				  .action = __BLK_TN_PROCESS | BLK_TC_ACT(BLK_TC_NOTIFY),
				  .sequence = 4711,
				  .pdu_len = 16 };

	put(f, &t);
	put_write(f, 0, 512);
	put(f, &t);
	put_write(f, G, 512);
	assert_int_equal(feed(f), TRACE_FINE);
	assert_true(dirty_now(f) == 2 * G);
}

static void a_second_start_is_somebody_elses(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = { .magic = BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION,
				  .action = __BLK_TN_TIMESTAMP | BLK_TC_ACT(BLK_TC_NOTIFY),
				  .pdu_len = 8 };
	struct trace_parser other;

	trace_parser_init(&other, DEVICE, f->dirty, &f->starts);
	put(f, &t);
	assert_int_equal(feed(f), TRACE_FINE);
	/* On another CPU, of the same trace. */
	put(f, &t);
	assert_int_equal(trace_parse(&other, f->stream, f->len), TRACE_RESTARTED);
}

static void a_missing_number_is_a_gap_and_the_stream_goes_on(void **state)
{
	struct fixture *f = *state;

	put_write(f, 0, 512);
	f->sequence++;
	put_write(f, G, 512);
	put_write(f, 2 * G, 512);
	assert_int_equal(feed(f), TRACE_GAP);
	assert_true(dirty_now(f) == 3 * G);
	put_write(f, 0, 512);
	assert_int_equal(feed(f), TRACE_FINE);
}

static void the_first_number_is_one(void **state)
{
	struct fixture *f = *state;

	f->sequence = 1;
	put_write(f, 0, 512);
	assert_int_equal(feed(f), TRACE_GAP);
}

static void a_write_outside_the_disk_loses_the_round_only(void **state)
{
	struct fixture *f = *state;

	put_write(f, SIZE - 512, 1024);
	put_write(f, G, 512);
	assert_int_equal(feed(f), TRACE_PAST_END);
	assert_true(dirty_now(f) == G);
	/* A sector whose byte does not fit in 64 bits. */
	struct blk_io_trace t = record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), 0, 512);
	t.sector = UINT64_C(1) << 55;
	put(f, &t);
	assert_int_equal(feed(f), TRACE_PAST_END);
}

static void a_command_past_the_block_layer_loses_the_round(void **state)
{
	struct fixture *f = *state;

	put_event(f, __BLK_TA_ISSUE, BLK_TC_WRITE | BLK_TC_PC, 0, 512);
	assert_int_equal(feed(f), TRACE_PASSTHROUGH);
	assert_true(dirty_now(f) == 0);
	put_event(f, __BLK_TA_ISSUE, BLK_TC_READ | BLK_TC_PC, 0, 512);
	assert_int_equal(feed(f), TRACE_FINE);
}

static void refuse(struct fixture *f, struct blk_io_trace t, enum trace_why why)
{
	put(f, &t);
	put_write(f, G, 512);
	assert_int_equal(feed(f), why);
	assert_true(dirty_now(f) == 0);
	/* It stays so. */
	put_write(f, G, 512);
	assert_int_equal(feed(f), why);
	assert_true(dirty_now(f) == 0);
}

static void no_magic_ends_it(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), 0, 512);

	t.magic = 0;
	refuse(f, t, TRACE_MAGIC);
}

static void another_version_ends_it(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), 0, 512);

	t.magic++;
	refuse(f, t, TRACE_VERSION);
}

static void the_other_byte_order_ends_it(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), 0, 512);

	t.magic = __builtin_bswap32(t.magic);
	refuse(f, t, TRACE_BYTE_ORDER);
}

static void another_disk_ends_it(void **state)
{
	struct fixture *f = *state;
	struct blk_io_trace t = record(f, __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_WRITE), 0, 512);

	t.device++;
	refuse(f, t, TRACE_DEVICE);
}

static void each_answer_of_the_kernel_has_its_meaning(void **state)
{
	static const struct {
		int sys;
		enum trace_why why;
		const char *word;
	} rows[] = {
		{ 0, TRACE_FINE, "fine" },
		{ EBUSY, TRACE_IN_USE, "in-use" },
		{ EPERM, TRACE_DENIED, "not-permitted" },
		{ EACCES, TRACE_DENIED, "not-permitted" },
		{ ENOTTY, TRACE_NO_KERNEL, "no-blktrace" },
		{ ENOSYS, TRACE_NO_KERNEL, "no-blktrace" },
		{ EINVAL, TRACE_NO_KERNEL, "no-blktrace" },
		{ ENOMEM, TRACE_SETUP, "setup-failed" },
		{ EIO, TRACE_SETUP, "setup-failed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(trace_why_of_setup(rows[i].sys), rows[i].why);
		assert_string_equal(trace_why_word(rows[i].why), rows[i].word);
	}
}

/* What happens once may not happen again in the next round; what ends the trace, ends it. */
static void only_a_loss_of_one_round_lets_the_next_be_traced(void **state)
{
	static const enum trace_why passing[] = { TRACE_FINE,     TRACE_DROPPED,     TRACE_GAP,
						  TRACE_PAST_END, TRACE_PASSTHROUGH, TRACE_LATE,
						  TRACE_CPU,      TRACE_READ };

	(void)state;
	for (unsigned why = 0; why < TRACE_WHYS; why++) {
		bool passes = false;

		for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
			passes |= passing[i] == (enum trace_why)why;
		assert_int_equal(trace_why_is_final((enum trace_why)why), !passes);
		assert_true(*trace_why_word((enum trace_why)why) &&
			    *trace_why_text((enum trace_why)why));
		for (unsigned other = 0; other < why; other++)
			assert_string_not_equal(trace_why_word((enum trace_why)why),
						trace_why_word((enum trace_why)other));
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_write_counts_when_it_is_queued_issued_and_done),
		TEST(a_write_marks_all_that_it_touches_and_nothing_else),
		TEST(discards_and_zeroes_are_writes),
		TEST(what_writes_nothing_marks_nothing),
		TEST(pieces_of_any_size_are_the_same_stream),
		TEST(notes_are_skipped_whatever_they_say),
		TEST(a_second_start_is_somebody_elses),
		TEST(a_missing_number_is_a_gap_and_the_stream_goes_on),
		TEST(the_first_number_is_one),
		TEST(a_write_outside_the_disk_loses_the_round_only),
		TEST(a_command_past_the_block_layer_loses_the_round),
		TEST(no_magic_ends_it),
		TEST(another_version_ends_it),
		TEST(the_other_byte_order_ends_it),
		TEST(another_disk_ends_it),
		cmocka_unit_test(each_answer_of_the_kernel_has_its_meaning),
		cmocka_unit_test(only_a_loss_of_one_round_lets_the_next_be_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
