/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring.h"

static void a_ring_is_four_mebibytes_for_every_block_size(void **state)
{
	static const uint32_t sizes[] = { BLOCK_SIZE_MIN, BLOCK_SIZE_DEFAULT, BLOCK_SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ring r;

		assert_int_equal(ring_make(sizes[i], &r, NULL), 0);
		assert_int_equal(r.len, RING_BYTES);
		assert_int_equal(r.slots, RING_BYTES / sizes[i]);
		assert_true(r.slots >= 2 && r.slots <= 64);
		ring_close(&r);
		assert_null(r.base);
	}
}

static void what_one_side_writes_the_other_reads(void **state)
{
	struct ring a, b;

	(void)state;
	assert_int_equal(ring_make(BLOCK_SIZE_MIN, &a, NULL), 0);
	assert_int_equal(ring_map(dup(a.fd), BLOCK_SIZE_MIN, false, &b, NULL), 0);
	memset(ring_slot(&a, 63), 0x42, BLOCK_SIZE_MIN);
	assert_int_equal(ring_slot(&b, 63)[BLOCK_SIZE_MIN - 1], 0x42);
	assert_int_equal(ring_slot(&b, 62)[BLOCK_SIZE_MIN - 1], 0);
	ring_close(&b);
	ring_close(&a);
}

static void a_slot_that_is_not_there_has_no_address(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_make(BLOCK_SIZE_MAX, &r, NULL), 0);
	assert_non_null(ring_slot(&r, r.slots - 1));
	assert_null(ring_slot(&r, r.slots));
	assert_null(ring_slot(&r, UINT32_MAX));
	ring_close(&r);
	assert_null(ring_slot(&r, 0));
}

static void the_size_can_never_change(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_make(BLOCK_SIZE_MIN, &r, NULL), 0);
	assert_int_equal(ftruncate(r.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(r.fd, (off_t)(2 * RING_BYTES)), -1);
	ring_close(&r);
}

static void a_file_that_could_shrink_under_us_is_refused(void **state)
{
	struct err e = { 0 };
	struct ring r;
	int fd = memfd_create("not-sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)RING_BYTES), 0);
	assert_int_equal(ring_map(fd, BLOCK_SIZE_MIN, true, &r, &e), -EPROTO);
	assert_int_equal(e.kind, ERR_PEER);
	(void)close(fd);
}

static void a_sealed_file_of_another_size_is_refused(void **state)
{
	struct err e = { 0 };
	struct ring r;
	int fd = memfd_create("too-small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(RING_BYTES / 2)), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(ring_map(fd, BLOCK_SIZE_MIN, true, &r, &e), -EPROTO);
	(void)close(fd);
}

static void a_block_size_out_of_range_makes_no_ring(void **state)
{
	static const uint32_t sizes[] = { 0,         1,
					  4096,      BLOCK_SIZE_MIN + 1,
					  3 * 65536, 2 * BLOCK_SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct ring r;

		assert_true(ring_make(sizes[i], &r, NULL) < 0);
		assert_true(ring_map(0, sizes[i], true, &r, NULL) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_is_four_mebibytes_for_every_block_size),
		cmocka_unit_test(what_one_side_writes_the_other_reads),
		cmocka_unit_test(a_slot_that_is_not_there_has_no_address),
		cmocka_unit_test(the_size_can_never_change),
		cmocka_unit_test(a_file_that_could_shrink_under_us_is_refused),
		cmocka_unit_test(a_sealed_file_of_another_size_is_refused),
		cmocka_unit_test(a_block_size_out_of_range_makes_no_ring),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
