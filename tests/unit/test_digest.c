/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "digest.h"
#include "digest_wide.h"

static void assert_digest(const uint8_t *digest, const char *hex)
{
	char text[2 * DIGEST_LEN + 1];

	digest_hex(digest, DIGEST_LEN, text);
	assert_string_equal(text, hex);
}

static void sha256_is_the_standard_one(void **state)
{
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	uint8_t out[DIGEST_LEN];

	(void)state;
	assert_non_null(d);
	/* FIPS 180-2, appendix B.1, and the empty text */
	assert_int_equal(digest_of(d, "abc", 3, out), 0);
	assert_digest(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(digest_of(d, "", 0, out), 0);
	assert_digest(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_stream_in_pieces_has_the_digest_of_the_whole(void **state)
{
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	uint8_t data[1000], whole[DIGEST_LEN], pieces[DIGEST_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	assert_int_equal(digest_of(d, data, sizeof data, whole), 0);
	assert_int_equal(digest_start(d), 0);
	for (size_t at = 0, n = 1; at < sizeof data; at += n, n = n * 2) {
		if (n > sizeof data - at)
			n = sizeof data - at;
		assert_int_equal(digest_add(d, data + at, n), 0);
	}
	assert_int_equal(digest_end(d, pieces), 0);
	assert_memory_equal(whole, pieces, DIGEST_LEN);
}

static void a_fast_digest_says_that_it_is_one(void **state)
{
	static const uint8_t task[16] = { 1, 2, 3, 4, 5, 6, 7, 8 }, other[16] = { 1 };
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	uint8_t out[DIGEST_LEN], again[DIGEST_LEN];

	(void)state;
	/* XXH3-128 of "abc", seed 0, canonical, from another implementation of it */
	assert_int_equal(digest_block(d, DIGEST_FAST, "abc", 3, out), 0);
	assert_digest(out, "06b05ab6733a618578af5f94892f395000000000000000000000000000000000");
	assert_int_equal(digest_kind_of(out), DIGEST_FAST);
	digest_seed(d, task);
	assert_int_equal(digest_block(d, DIGEST_FAST, "abc", 3, again), 0);
	assert_true(memcmp(out, again, DIGEST_LEN) != 0);
	digest_seed(d, other);
	assert_int_equal(digest_block(d, DIGEST_FAST, "abc", 3, out), 0);
	assert_true(memcmp(out, again, DIGEST_LEN) != 0);
	assert_int_equal(digest_block(d, DIGEST_STRONG, "abc", 3, out), 0);
	assert_int_equal(digest_kind_of(out), DIGEST_STRONG);
}

static void wide_registers_give_the_librarys_digest(void **state)
{
	static uint8_t data[70000];
	static const size_t lens[] = {
		0, 1, 3, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 4096, 70000
	};

	(void)state;
	if (!digest_wide_here())
		skip();
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * i >> 3);
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		for (uint64_t seed = 0; seed < 3; seed++) {
			XXH128_hash_t want = XXH3_128bits_withSeed(data, lens[i], seed << 40);
			uint64_t is[2];

			digest_wide(data, lens[i], seed << 40, is);
			assert_true(is[0] == want.high64 && is[1] == want.low64);
		}
	}
}

static void zeros_are_remembered_for_one_seed(void **state)
{
	static const uint8_t task[16] = { 9 };
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	uint8_t zeros[100] = { 0 }, is[DIGEST_LEN], want[DIGEST_LEN];

	(void)state;
	assert_int_equal(digest_zero_block(d, DIGEST_FAST, sizeof zeros, is), 0);
	digest_seed(d, task);
	assert_int_equal(digest_zero_block(d, DIGEST_FAST, sizeof zeros, is), 0);
	assert_int_equal(digest_block(d, DIGEST_FAST, zeros, sizeof zeros, want), 0);
	assert_memory_equal(is, want, DIGEST_LEN);
	assert_int_equal(digest_zero_block(d, DIGEST_STRONG, sizeof zeros, is), 0);
	assert_int_equal(digest_of(d, zeros, sizeof zeros, want), 0);
	assert_memory_equal(is, want, DIGEST_LEN);
}

static void zeros_have_the_same_digest_remembered_or_not(void **state)
{
	static const size_t lens[] = { 65536, 4097, 65536, 0, 1, 4097, 262144, 65536 };
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	scoped(freep) uint8_t *zeros = calloc(1, 262144);
	uint8_t is[DIGEST_LEN], want[DIGEST_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		assert_int_equal(digest_zero_block(d, DIGEST_STRONG, lens[i], is), 0);
		assert_int_equal(digest_of(d, zeros, lens[i], want), 0);
		assert_memory_equal(is, want, DIGEST_LEN);
	}
}

static void one_bit_changes_a_record_checksum(void **state)
{
	uint8_t p[4096] = { 0 };
	uint64_t was = digest_record(p, sizeof p);

	(void)state;
	for (size_t i = 0; i < sizeof p; i += 17) {
		p[i] ^= 0x10;
		assert_true(digest_record(p, sizeof p) != was);
		p[i] ^= 0x10;
	}
	assert_true(digest_record(p, sizeof p) == was);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_is_the_standard_one),
		cmocka_unit_test(a_stream_in_pieces_has_the_digest_of_the_whole),
		cmocka_unit_test(a_fast_digest_says_that_it_is_one),
		cmocka_unit_test(wide_registers_give_the_librarys_digest),
		cmocka_unit_test(zeros_are_remembered_for_one_seed),
		cmocka_unit_test(zeros_have_the_same_digest_remembered_or_not),
		cmocka_unit_test(one_bit_changes_a_record_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
