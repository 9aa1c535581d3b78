/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cursor.h"

#define BLOCK 65536u

static const uint8_t task[TASK_ID_LEN] = { 1 };

struct fixture {
	char dir[64];
	int dirfd;
	struct move
	    m; /* disk 0: 6 MiB and 100 bytes, data at both ends; disk 1: one block of data */
	struct cursor c;
};

static void make_disk(struct fixture *f, unsigned i, uint64_t size, const uint64_t *data, size_t n)
{
	char path[96], name[16];
	int fd;

	(void)snprintf(path, sizeof path, "%s/disk%u", f->dir, i);
	(void)snprintf(name, sizeof name, "table%u", i);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (size_t k = 0; k < n; k++)
		assert_int_equal(pwrite(fd, "x", 1, (off_t)data[k]), 1);
	(void)close(fd);
	f->m.disks[i].n = i;
	assert_int_equal(source_open(path, &f->m.disks[i].source, NULL), 0);
	assert_int_equal(table_open(f->dirfd, name, task, size, BLOCK, &f->m.disks[i].table, NULL),
			 0);
	f->m.n_disks = i + 1;
}

static int set_up(void **state)
{
	static const uint64_t ends[] = { 0, 6 * MIB + 99 }, first[] = { 0 };
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/transit-cursor.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
	make_disk(f, 0, 6 * MIB + 100, ends, 2);
	make_disk(f, 1, BLOCK, first, 1);
	cursor_init(&f->c, &f->m, BLOCK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "disk0", "disk1", "table0", "table1" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		source_close(f->m.disks[i].source);
		table_close(f->m.disks[i].table);
	}
	for (unsigned i = 0; i < 4; i++)
		(void)unlinkat(f->dirfd, names[i], 0);
	(void)close(f->dirfd);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void every_block_comes_once_and_in_order(void **state)
{
	struct fixture *f = *state;
	uint64_t next[2] = { 0, 0 };
	struct piece p;

	while (cursor_next(&f->c, &p, NULL) == 1) {
		assert_true(p.count > 0 && p.block == next[p.d]);
		assert_true(p.hole || p.count * BLOCK <= 4 * MIB);
		next[p.d] += p.count;
	}
	assert_true(next[0] == table_blocks(f->m.disks[0].table));
	assert_true(next[1] == 1);
	assert_false(cursor_has_more(&f->c));
}

static void blocks_with_data_are_never_in_a_hole(void **state)
{
	struct fixture *f = *state;
	struct piece p;

	while (cursor_next(&f->c, &p, NULL) == 1) {
		uint64_t last = table_blocks(f->m.disks[p.d].table) - 1;

		if (p.hole)
			assert_true(p.block > 0 && p.block + p.count <= last);
	}
}

static void what_is_given_back_comes_again_first(void **state)
{
	struct fixture *f = *state;
	struct piece p, again = { .d = 1, .block = 0, .count = 1 };

	assert_int_equal(cursor_next(&f->c, &p, NULL), 1);
	assert_true(cursor_give_back(&f->c, &again));
	assert_int_equal(cursor_next(&f->c, &p, NULL), 1);
	assert_true(p.d == 1 && p.block == 0 && p.count == 1);
	while (cursor_next(&f->c, &p, NULL) == 1)
		;
	assert_true(cursor_give_back(&f->c, &again));
	assert_true(cursor_has_more(&f->c));
	assert_int_equal(cursor_next(&f->c, &p, NULL), 1);
	assert_int_equal(cursor_next(&f->c, &p, NULL), 0);
}

static void there_is_an_end_to_what_can_be_given_back(void **state)
{
	struct fixture *f = *state;
	struct piece one = { .d = 0, .block = 0, .count = 1 }, none = { .d = 0 };

	for (size_t i = 0; i < GIVEN_BACK_MAX; i++)
		assert_true(cursor_give_back(&f->c, &one));
	assert_false(cursor_give_back(&f->c, &one));
	assert_true(cursor_give_back(&f->c, &none));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_block_comes_once_and_in_order),
		TEST(blocks_with_data_are_never_in_a_hole),
		TEST(what_is_given_back_comes_again_first),
		TEST(there_is_an_end_to_what_can_be_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
