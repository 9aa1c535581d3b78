/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bad-input table of the frame header: for each kind and each field a value below, at and
 * above its limits. What a kind may hold is written down here a second time, on purpose: a rule
 * that changes by accident in frame.c is then seen.
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "frame.h"

struct rule {
	enum frame_kind kind;
	const char *word;
	uint32_t min, max, unit;
	int disk; /* 1 needed, 0 none, 2 either */
	int block, gen, seq, last, lz4;
};

/* clang-format off */
static const struct rule rules[] = {
	/* kind            word         min  max      unit disk block gen seq last lz4 */
	{ FRAME_HELLO,     "hello",     64,  64,      1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_PAIR,      "pair",      128, 128,     1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_LOGIN,     "login",     256, 256,     1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_WELCOME,   "welcome",   128, 128,     1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_FACTS,     "facts",     2,   65536,   1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_OPEN,      "open",      128, 128,     1,   1,   0,    0,  0,  0,   0 },
	{ FRAME_OPENED,    "opened",    64,  64,      1,   1,   0,    0,  0,  0,   0 },
	{ FRAME_HAVE_ASK,  "have-ask",  16,  16,      1,   1,   0,    0,  0,  0,   0 },
	{ FRAME_HAVE,      "have",      56,  229376,  56,  1,   0,    0,  0,  1,   0 },
	{ FRAME_DATA,      "data",      33,  1048608, 1,   1,   1,    1,  1,  0,   1 },
	{ FRAME_ZERO,      "zero",      8,   8,       1,   1,   1,    1,  1,  0,   0 },
	{ FRAME_UNCHANGED, "unchanged", 8,   8,       1,   1,   1,    1,  1,  0,   0 },
	{ FRAME_FLUSH,     "flush",     0,   0,       1,   1,   0,    0,  1,  0,   0 },
	{ FRAME_DURABLE,   "durable",   16,  16,      1,   1,   0,    0,  1,  0,   0 },
	{ FRAME_MANIFEST,  "manifest",  32,  524288,  32,  1,   1,    0,  0,  0,   0 },
	{ FRAME_SEAL,      "seal",      160, 1224,    1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_STATE,     "state",     32,  544,     1,   2,   0,    0,  0,  0,   0 },
	{ FRAME_PING,      "ping",      8,   8,       1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_PONG,      "pong",      8,   8,       1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_ERROR,     "error",     4,   516,     1,   2,   0,    0,  0,  0,   0 },
	{ FRAME_BYE,       "bye",       0,   0,       1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_PROBE,     "probe",     0,   1048576, 1,   0,   0,    0,  0,  0,   0 },
	{ FRAME_PROBED,    "probed",    16,  16,      1,   0,   0,    0,  0,  0,   0 },
};
/* clang-format on */

#define BLOCK_LAST ((UINT64_C(1) << 38) - 1)

static struct frame good(const struct rule *r)
{
	struct frame f = { .kind = r->kind, .length = r->min };

	f.disk = r->disk == 1 ? 3 : FRAME_NO_DISK;
	f.seq = r->seq ? 1 : 0;
	return f;
}

/* What the codec below would send is decoded, and both answers must be the same. */
static int decode(const struct frame *f, struct err *e)
{
	uint8_t raw[FRAME_HEADER_LEN];
	struct frame back;

	frame_encode(f, raw);
	int r = frame_decode(raw, &back, e);
	if (!r) {
		assert_int_equal(back.kind, f->kind);
		assert_int_equal(back.disk, f->disk);
		assert_int_equal(back.codec, f->codec);
		assert_int_equal(back.flags, f->flags);
		assert_int_equal(back.length, f->length);
		assert_int_equal(back.gen, f->gen);
		assert_true(back.block == f->block && back.seq == f->seq);
	}
	return r;
}

static void accepted(const struct frame *f)
{
	struct err e = { 0 };

	if (decode(f, &e))
		fail_msg("%s refused: %s", frame_kind_word(f->kind), e.text);
}

static void refused(const struct frame *f, const char *field)
{
	struct err e = { 0 };

	if (decode(f, &e) != -EPROTO || e.kind != ERR_PEER || !strstr(e.text, field))
		fail_msg("%s with a wrong %s: '%s'", frame_kind_word(f->kind), field, e.text);
}

static const struct rule *const rules_end = rules + sizeof rules / sizeof *rules;

static void every_kind_is_in_the_table(void **state)
{
	(void)state;
	assert_int_equal(sizeof rules / sizeof *rules, FRAME_PROBED);
	for (const struct rule *r = rules; r < rules_end; r++) {
		uint32_t min, max;

		assert_string_equal(frame_kind_word(r->kind), r->word);
		frame_payload_bounds(r->kind, &min, &max);
		assert_int_equal(max, r->max);
		assert_int_equal(min, r->kind == FRAME_HAVE ? 0 : r->min);
	}
	assert_string_equal(frame_kind_word((enum frame_kind)0), "unknown");
	assert_string_equal(frame_kind_word((enum frame_kind)24), "unknown");
}

static void lengths_outside_the_bounds_of_the_kind_are_refused(void **state)
{
	(void)state;
	for (const struct rule *r = rules; r < rules_end; r++) {
		struct frame f = good(r);

		accepted(&f);
		f.length = r->max;
		accepted(&f);
		f.length = r->max + r->unit;
		refused(&f, "length");
		f.length = UINT32_MAX;
		refused(&f, "length");
		f.length = r->min - 1; /* of 0: the largest number there is */
		refused(&f, "length");
		if (r->unit > 1) {
			f.length = r->min + 1;
			refused(&f, "length");
		}
	}
}

static void only_the_last_have_may_be_empty(void **state)
{
	struct frame f = { .kind = FRAME_HAVE, .disk = 0, .flags = FRAME_FLAG_LAST };

	(void)state;
	accepted(&f);
	f.flags = 0;
	refused(&f, "length");
}

static void disks_are_named_where_there_is_one_and_only_there(void **state)
{
	(void)state;
	for (const struct rule *r = rules; r < rules_end; r++) {
		struct frame f = good(r);
		static const uint8_t v[] = { 0, DISKS_MAX - 1, DISKS_MAX, 0xfe, FRAME_NO_DISK };

		for (size_t i = 0; i < sizeof v; i++) {
			bool named = v[i] < DISKS_MAX, none = v[i] == FRAME_NO_DISK;

			f.disk = v[i];
			if ((named && r->disk) || (none && r->disk != 1))
				accepted(&f);
			else
				refused(&f, "disk");
		}
	}
}

static void fields_without_a_use_must_be_zero(void **state)
{
	(void)state;
	for (const struct rule *r = rules; r < rules_end; r++) {
		struct frame f = good(r);

		f.codec = 1;
		if (r->lz4)
			accepted(&f);
		else
			refused(&f, "codec");
		f.codec = 3;
		refused(&f, "codec");

		f = good(r);
		f.flags = FRAME_FLAG_LAST;
		if (r->last)
			accepted(&f);
		else
			refused(&f, "flags");
		for (unsigned b = 1; b < 8; b++) {
			f.flags = (uint8_t)(1u << b);
			refused(&f, "flags");
		}

		f = good(r);
		f.gen = UINT32_MAX;
		if (r->gen)
			accepted(&f);
		else
			refused(&f, "generation");
	}
}

static void block_numbers_end_where_the_largest_disk_ends(void **state)
{
	(void)state;
	for (const struct rule *r = rules; r < rules_end; r++) {
		struct frame f = good(r);

		f.block = 1;
		if (r->block)
			accepted(&f);
		else
			refused(&f, "block");
		f.block = BLOCK_LAST;
		if (r->block)
			accepted(&f);
		f.block = BLOCK_LAST + 1;
		refused(&f, "block");
		f.block = UINT64_MAX;
		refused(&f, "block");
	}
}

static void numbered_frames_begin_at_one(void **state)
{
	(void)state;
	for (const struct rule *r = rules; r < rules_end; r++) {
		struct frame f = good(r);

		f.seq = UINT64_MAX;
		if (r->seq)
			accepted(&f);
		else
			refused(&f, "sequence");
		f.seq = 0;
		if (r->seq && r->kind != FRAME_DURABLE)
			refused(&f, "sequence");
		else
			accepted(&f);
	}
}

static void foreign_bytes_are_refused(void **state)
{
	struct frame f = good(rules), back = { .length = 77 };
	uint8_t raw[FRAME_HEADER_LEN];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		frame_encode(&f, raw);
		raw[i] ^= 1;
		err_clear(&e);
		assert_int_equal(frame_decode(raw, &back, &e), -EPROTO);
		assert_non_null(strstr(e.text, "magic"));
	}
	frame_encode(&f, raw);
	for (unsigned kind = 0; kind < 256; kind++) {
		raw[4] = (uint8_t)kind;
		if (kind >= 1 && kind <= FRAME_PROBED)
			continue;
		err_clear(&e);
		assert_int_equal(frame_decode(raw, &back, &e), -EPROTO);
		assert_non_null(strstr(e.text, "kind"));
	}
	assert_int_equal(back.length, 77); /* ret_ arguments change only on success */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_in_the_table),
		cmocka_unit_test(lengths_outside_the_bounds_of_the_kind_are_refused),
		cmocka_unit_test(only_the_last_have_may_be_empty),
		cmocka_unit_test(disks_are_named_where_there_is_one_and_only_there),
		cmocka_unit_test(fields_without_a_use_must_be_zero),
		cmocka_unit_test(block_numbers_end_where_the_largest_disk_ends),
		cmocka_unit_test(numbered_frames_begin_at_one),
		cmocka_unit_test(foreign_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
