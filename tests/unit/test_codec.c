/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "codec.h"

#define LEN (256 * KIB)

struct fixture {
	struct codec_ctx *c;
	uint8_t plain[LEN], coded[LEN + 64], back[LEN + 64];
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

static void fill(struct fixture *f, size_t noise)
{
	unsigned v = 1;

	for (size_t i = 0; i < LEN; i++) {
		v = v * 1103515245 + 12345;
		f->plain[i] = i % 16 < noise ? (uint8_t)(v >> 16) : 'x';
	}
}

static void there_and_back(struct fixture *f, enum codec codec, int level)
{
	size_t n;

	fill(f, 4);
	assert_int_equal(codec_encode(f->c, codec, level, f->plain, LEN, f->coded, LEN, &n), codec);
	assert_true(n <= LEN - LEN / 16);
	memset(f->back, 0xee, sizeof f->back);
	assert_int_equal(codec_decode(f->c, codec, f->coded, n, f->back, LEN, NULL), 0);
	assert_memory_equal(f->back, f->plain, LEN);
	assert_int_equal(f->back[LEN], 0xee);
}

static void text_shrinks_and_comes_back(void **state)
{
	there_and_back(*state, CODEC_LZ4, 1);
	there_and_back(*state, CODEC_ZSTD, 1);
	there_and_back(*state, CODEC_ZSTD, 9);
}

static void a_higher_level_packs_more(void **state)
{
	struct fixture *f = *state;
	size_t fast, slow, at = 0;

	for (unsigned i = 0; at < LEN - 64; i++)
		at +=
		    (size_t)snprintf((char *)f->plain + at, 64, "line %u of %u\n", i * 7919, i / 3);
	(void)codec_encode(f->c, CODEC_ZSTD, 1, f->plain, LEN, f->coded, LEN, &fast);
	(void)codec_encode(f->c, CODEC_ZSTD, 15, f->plain, LEN, f->coded, LEN, &slow);
	assert_true(slow < fast);
}

/* One frame that says its size, or it is not ours: all that is hidden before or behind it, or a
 * frame of unknown size, is refused before anything is expanded. */
static void zstd_is_one_frame_of_the_plain_length(void **state)
{
	static const uint8_t skippable[12] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
	struct fixture *f = *state;
	size_t n;

	fill(f, 4);
	(void)codec_encode(f->c, CODEC_ZSTD, 1, f->plain, LEN, f->coded, LEN, &n);
	assert_int_equal(codec_decode(f->c, CODEC_ZSTD, f->coded, n, f->back, LEN - 1, NULL),
			 -EPROTO);
	assert_int_equal(codec_decode(f->c, CODEC_ZSTD, f->coded, n, f->back, LEN + 1, NULL),
			 -EPROTO);
	assert_int_equal(codec_decode(f->c, CODEC_ZSTD, f->coded, n - 1, f->back, LEN, NULL),
			 -EPROTO);
	memcpy(f->coded + n, skippable, sizeof skippable);
	assert_int_equal(
	    codec_decode(f->c, CODEC_ZSTD, f->coded, n + sizeof skippable, f->back, LEN, NULL),
	    -EPROTO);
	memmove(f->coded + sizeof skippable, f->coded, n);
	memcpy(f->coded, skippable, sizeof skippable);
	assert_int_equal(
	    codec_decode(f->c, CODEC_ZSTD, f->coded, n + sizeof skippable, f->back, LEN, NULL),
	    -EPROTO);
	f->coded[sizeof skippable + 40] ^= 0xff;
	(void)codec_decode(f->c, CODEC_ZSTD, f->coded + sizeof skippable, n, f->back, LEN, NULL);
}

static void noise_goes_raw(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	fill(f, 16);
	assert_int_equal(codec_encode(f->c, CODEC_LZ4, 1, f->plain, LEN, f->coded, LEN, &n),
			 CODEC_RAW);
	assert_int_equal(n, LEN);
	assert_int_equal(codec_encode(f->c, CODEC_RAW, 1, f->plain, LEN, f->coded, LEN, &n),
			 CODEC_RAW);
	assert_int_equal(codec_decode(f->c, CODEC_RAW, f->plain, LEN, f->back, LEN, NULL), 0);
	assert_memory_equal(f->back, f->plain, LEN);
}

static void a_length_that_is_not_the_plain_one_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	size_t n;

	fill(f, 4);
	assert_int_equal(codec_encode(f->c, CODEC_LZ4, 1, f->plain, LEN, f->coded, LEN, &n),
			 CODEC_LZ4);
	/* one byte more to expand to: a bomb in small */
	assert_int_equal(codec_decode(f->c, CODEC_LZ4, f->coded, n, f->back, LEN - 1, &e), -EPROTO);
	assert_int_equal(e.kind, ERR_PEER);
	assert_int_equal(codec_decode(f->c, CODEC_LZ4, f->coded, n, f->back, LEN + 1, NULL),
			 -EPROTO);
	assert_int_equal(codec_decode(f->c, CODEC_LZ4, f->coded, n - 1, f->back, LEN, NULL),
			 -EPROTO);
	assert_int_equal(codec_decode(f->c, CODEC_LZ4, f->coded, 0, f->back, LEN, NULL), -EPROTO);
	assert_int_equal(codec_decode(f->c, CODEC_RAW, f->plain, LEN - 1, f->back, LEN, NULL),
			 -EPROTO);
	assert_int_equal(codec_decode(f->c, (enum codec)7, f->plain, LEN, f->back, LEN, NULL),
			 -EPROTO);
}

static void nothing_is_written_past_the_plain_length(void **state)
{
	struct fixture *f = *state;

	for (unsigned seed = 1; seed < 2000; seed++) {
		unsigned random = seed;

		for (size_t i = 0; i < 64; i++)
			f->coded[i] = (uint8_t)rand_r(&random);
		if (seed % 2 == 0) { /* as far as the content: a frame of 100 bytes */
			static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 100 };

			memcpy(f->coded, head, sizeof head);
		}
		memset(f->back, 0xee, 128);
		(void)codec_decode(f->c, seed % 2 ? CODEC_LZ4 : CODEC_ZSTD, f->coded, 64, f->back,
				   100, NULL);
		for (size_t i = 100; i < 128; i++)
			assert_int_equal(f->back[i], 0xee);
	}
}

static void codecs_have_words(void **state)
{
	(void)state;
	assert_string_equal(codec_word(CODEC_RAW), "raw");
	assert_string_equal(codec_word(CODEC_LZ4), "lz4");
	assert_string_equal(codec_word(CODEC_ZSTD), "zstd");
	assert_string_equal(codec_word((enum codec)9), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_shrinks_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_higher_level_packs_more, setup, teardown),
		cmocka_unit_test_setup_teardown(zstd_is_one_frame_of_the_plain_length, setup,
						teardown),
		cmocka_unit_test_setup_teardown(noise_goes_raw, setup, teardown),
		cmocka_unit_test_setup_teardown(a_length_that_is_not_the_plain_one_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_written_past_the_plain_length, setup,
						teardown),
		cmocka_unit_test(codecs_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
