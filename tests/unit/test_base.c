/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

static void numbers_are_big_endian(void **state)
{
	uint8_t p[8];

	(void)state;
	put_be64(p, UINT64_C(0x0102030405060708));
	for (uint8_t i = 0; i < 8; i++)
		assert_int_equal(p[i], i + 1);
	assert_true(get_be64(p) == UINT64_C(0x0102030405060708));
	assert_int_equal(get_be32(p), 0x01020304);
	assert_int_equal(get_be16(p + 6), 0x0708);
	put_be64(p, UINT64_MAX - 1);
	assert_true(get_be64(p) == UINT64_MAX - 1);
}

static void sums_and_products_that_do_not_fit_leave_the_result_alone(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_false(checked_add(UINT64_MAX, 1, &v));
	assert_false(checked_mul(UINT64_C(1) << 33, UINT64_C(1) << 31, &v));
	assert_true(v == 7);
	assert_true(checked_add(UINT64_MAX - 1, 1, &v));
	assert_true(v == UINT64_MAX);
	assert_true(checked_mul(UINT64_C(1) << 32, UINT64_C(1) << 31, &v));
	assert_true(v == UINT64_C(1) << 63);
}

static void rounding_holds_at_the_edges(void **state)
{
	(void)state;
	assert_true(div_round_up(0, 4) == 0);
	assert_true(div_round_up(1, 4) == 1);
	assert_true(div_round_up(4, 4) == 1);
	assert_true(div_round_up(UINT64_MAX, 2) == UINT64_C(1) << 63);
	assert_true(round_down_to(8191, 4096) == 4096);
	assert_true(is_power_of_two(1));
	assert_true(is_power_of_two(UINT64_C(1) << 63));
	assert_false(is_power_of_two(0));
	assert_false(is_power_of_two(6));
}

static void one_byte_anywhere_is_not_all_zero(void **state)
{
	uint8_t p[100] = { 0 };

	(void)state;
	assert_true(all_zero(p, 0));
	assert_true(all_zero(p, sizeof p));
	for (size_t i = 0; i < sizeof p; i++) {
		p[i] = 1;
		assert_false(all_zero(p, sizeof p));
		assert_true(all_zero(p, i));
		p[i] = 0;
	}
}

static void the_first_error_stays_and_callers_say_what_they_did(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, ERR_DISK, ENOSPC, "write to '%s'", "vdb"), -ENOSPC);
	assert_string_equal(e.text, "write to 'vdb': No space left on device");
	assert_int_equal(err_set(&e, ERR_PEER, EPROTO, "later"), -EPROTO);
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(e.sys, ENOSPC);
	assert_int_equal(err_under(&e, -ENOSPC, "disk %d", 3), -ENOSPC);
	assert_string_equal(e.text, "disk 3: write to 'vdb': No space left on device");
	err_clear(&e);
	assert_int_equal(e.kind, ERR_NONE);
	assert_int_equal(err_set(NULL, ERR_SYS, EIO, "nobody listens"), -EIO);
}

static void a_refusal_has_a_name_and_its_own_exit_code(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_refuse(&e, "disk-mounted", EBUSY, "no"), -EBUSY);
	assert_string_equal(e.name, "disk-mounted");
	assert_int_equal(err_exit_code(&e), 4);
	e.kind = ERR_USAGE;
	assert_int_equal(err_exit_code(&e), 2);
	e.kind = ERR_NET;
	assert_int_equal(err_exit_code(&e), 3);
	e.kind = ERR_DISK;
	assert_int_equal(err_exit_code(&e), 1);
	e.kind = ERR_NONE;
	assert_int_equal(err_exit_code(&e), 0);
}

static void a_text_of_the_peer_cannot_write_into_the_log(void **state)
{
	char buf[32], small[6];

	(void)state;
	assert_string_equal(log_safe(buf, sizeof buf, "a\nb\x1b[2J", 7), "a\\x0ab\\x1b[2J");
	assert_string_equal(log_safe(small, sizeof small, "abcdefgh", 8), "ab");
	assert_string_equal(log_safe(buf, sizeof buf, "ab\0cd", 5), "ab");
}

static void what_is_taken_is_not_freed(void **state)
{
	void *kept;

	(void)state;
	{
		scoped(freep) void *p = malloc(1);
		kept = take_ptr(&p);
		assert_null(p);
	}
	assert_non_null(kept);
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_big_endian),
		cmocka_unit_test(sums_and_products_that_do_not_fit_leave_the_result_alone),
		cmocka_unit_test(rounding_holds_at_the_edges),
		cmocka_unit_test(one_byte_anywhere_is_not_all_zero),
		cmocka_unit_test(the_first_error_stays_and_callers_say_what_they_did),
		cmocka_unit_test(a_refusal_has_a_name_and_its_own_exit_code),
		cmocka_unit_test(a_text_of_the_peer_cannot_write_into_the_log),
		cmocka_unit_test(what_is_taken_is_not_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
