/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

static const uint8_t task[TASK_ID_LEN] = { 1, 2, 3 };

struct fixture {
	char dir[64];
	int dirfd;
	struct table *t; /* 10 blocks of 64 KiB, the last one short */
};

#define SIZE (9 * 65536 + 512)

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/transit-table.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(table_open(f->dirfd, "t", task, SIZE, 65536, &f->t, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	table_close(f->t);
	(void)unlinkat(f->dirfd, "t", 0);
	(void)close(f->dirfd);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static struct table_entry get(struct fixture *f, uint64_t block)
{
	struct table_entry e;

	table_get(f->t, block, &e);
	return e;
}

static void reopen(struct fixture *f, const uint8_t id[static TASK_ID_LEN], uint64_t size)
{
	table_close(f->t);
	assert_int_equal(table_open(f->dirfd, "t", id, size, 65536, &f->t, NULL), 0);
}

static void a_fresh_table_claims_nothing(void **state)
{
	struct fixture *f = *state;

	assert_true(table_blocks(f->t) == 10);
	for (uint64_t b = 0; b < 10; b++)
		assert_true(get(f, b).kind == ENTRY_NONE && get(f, b).gen == 0);
}

static void claims_come_and_generations_never_fall(void **state)
{
	struct fixture *f = *state;
	struct have_entry have = { .block = 2, .count = 3, .gen = 7, .kind = HAVE_ZERO };

	table_set(f->t, 3, &(struct table_entry){ .kind = ENTRY_DATA, .gen = 9 });
	table_forget_claims(f->t);
	assert_int_equal(table_claim(f->t, &have, NULL), 0);
	assert_int_equal(get(f, 1).kind, ENTRY_NONE);
	assert_int_equal(get(f, 2).gen, 7);
	assert_int_equal(get(f, 3).gen, 9);
	assert_int_equal(get(f, 3).kind, ENTRY_ZERO);
	assert_int_equal(get(f, 4).kind, ENTRY_ZERO);
}

static void claims_past_the_disk_are_refused(void **state)
{
	struct fixture *f = *state;
	struct have_entry have = { .block = 9, .count = 2, .gen = 1, .kind = HAVE_ZERO };
	struct err e = { 0 };

	assert_true(table_claim(f->t, &have, &e) < 0);
	assert_int_equal(e.kind, ERR_PEER);
	have.block = 10;
	have.count = 1;
	assert_true(table_claim(f->t, &have, NULL) < 0);
	have.block = UINT64_MAX;
	assert_true(table_claim(f->t, &have, NULL) < 0);
	assert_int_equal(get(f, 9).kind, ENTRY_NONE);
}

static void generations_outlive_the_process(void **state)
{
	struct fixture *f = *state;

	table_set(f->t, 5, &(struct table_entry){ .kind = ENTRY_DATA, .gen = 4, .digest = { 42 } });
	reopen(f, task, SIZE);
	assert_int_equal(get(f, 5).gen, 4);
	assert_int_equal(get(f, 5).digest[0], 42);
}

static void a_table_of_another_task_or_size_begins_anew(void **state)
{
	struct fixture *f = *state;
	static const uint8_t other[TASK_ID_LEN] = { 9 };

	table_set(f->t, 5, &(struct table_entry){ .kind = ENTRY_DATA, .gen = 4 });
	reopen(f, other, SIZE);
	assert_int_equal(get(f, 5).gen, 0);
	table_set(f->t, 5, &(struct table_entry){ .kind = ENTRY_DATA, .gen = 4 });
	reopen(f, other, SIZE + 65536);
	assert_int_equal(get(f, 5).gen, 0);
	assert_true(table_blocks(f->t) == 11);
}

/* A fast digest: the second half is zero. */
static struct have_entry claimed(uint64_t block, uint8_t first)
{
	return (struct have_entry){
		.block = block, .count = 1, .gen = 5, .kind = HAVE_DATA, .digest = { first }
	};
}

static void the_strong_digest_goes_with_the_content_it_is_of(void **state)
{
	struct fixture *f = *state;
	struct have_entry same = claimed(4, 42), other = claimed(4, 43);

	table_set(f->t, 4,
		  &(struct table_entry){ .kind = ENTRY_DATA,
					 .gen = 5,
					 .digest = { 42 },
					 .strong_known = true,
					 .strong = { [31] = 7 } });
	table_forget_claims(f->t);
	reopen(f, task, SIZE);
	assert_int_equal(table_claim(f->t, &same, NULL), 0);
	assert_true(get(f, 4).strong_known && get(f, 4).strong[31] == 7);
	assert_int_equal(table_claim(f->t, &other, NULL), 0);
	assert_false(get(f, 4).strong_known);
	/* Not even when the first content is claimed again: the table no longer has its digest. */
	assert_int_equal(table_claim(f->t, &same, NULL), 0);
	assert_false(get(f, 4).strong_known);
}

static void a_strong_claim_is_the_manifests_digest(void **state)
{
	struct fixture *f = *state;
	struct have_entry have = claimed(4, 42);

	have.digest[31] = 9;
	assert_int_equal(table_claim(f->t, &have, NULL), 0);
	assert_true(get(f, 4).strong_known);
	assert_memory_equal(get(f, 4).strong, have.digest, DIGEST_LEN);
	assert_memory_equal(get(f, 4).digest, have.digest, DIGEST_LEN);
	reopen(f, task, SIZE);
	assert_memory_equal(get(f, 4).digest, have.digest, DIGEST_LEN);
}

static void a_damaged_kind_is_no_claim(void **state)
{
	struct fixture *f = *state;
	uint8_t bad = 77;
	int fd = openat(f->dirfd, "t", O_WRONLY);

	assert_int_equal(pwrite(fd, &bad, 1, 64 + 3 * TABLE_ENTRY_LEN), 1);
	(void)close(fd);
	reopen(f, task, SIZE);
	assert_int_equal(get(f, 3).kind, ENTRY_NONE);
}

static void a_detached_table_touches_its_file_only_when_attached(void **state)
{
	struct fixture *f = *state;
	uint8_t kind = 0;
	int fd = openat(f->dirfd, "t", O_RDONLY);

	assert_int_equal(table_detach(f->t, NULL), 0);
	table_set(f->t, 6, &(struct table_entry){ .kind = ENTRY_ZERO, .gen = 2 });
	assert_int_equal(pread(fd, &kind, 1, 64 + 6 * TABLE_ENTRY_LEN), 1);
	assert_int_equal(kind, 0);
	assert_int_equal(table_attach(f->t, NULL), 0);
	assert_int_equal(pread(fd, &kind, 1, 64 + 6 * TABLE_ENTRY_LEN), 1);
	assert_int_equal(kind, ENTRY_ZERO);
	assert_int_equal(get(f, 6).gen, 2);
	(void)close(fd);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_table_claims_nothing),
		TEST(claims_come_and_generations_never_fall),
		TEST(claims_past_the_disk_are_refused),
		TEST(generations_outlive_the_process),
		TEST(a_table_of_another_task_or_size_begins_anew),
		TEST(a_damaged_kind_is_no_claim),
		TEST(the_strong_digest_goes_with_the_content_it_is_of),
		TEST(a_strong_claim_is_the_manifests_digest),
		TEST(a_detached_table_touches_its_file_only_when_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
