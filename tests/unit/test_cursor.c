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
	struct seat seat;
	struct extent_set free_map, same_map; /* of disk 0 when a test says so */
};

static int take(struct fixture *f, struct piece *p)
{
	return cursor_next(&f->c, &f->seat, 0, p, NULL);
}

static void claim(struct fixture *f, uint64_t first, uint64_t count)
{
	struct table_entry entry = { .kind = ENTRY_DATA, .gen = 1 };

	for (uint64_t b = first; b < first + count; b++)
		table_set(f->m.disks[0].table, b, &entry);
}

static void add(struct extent_set *s, uint64_t off, uint64_t len)
{
	assert_int_equal(extent_set_add(s, (struct extent){ .off = off, .len = len }), 0);
}

/* The kind of each block of disk ${d}, as a letter, each of which must come exactly once. */
static void kinds_of(struct fixture *f, unsigned d, char *ret)
{
	uint64_t n = table_blocks(f->m.disks[d].table);
	struct piece p;

	memset(ret, '?', n);
	ret[n] = 0;
	while (take(f, &p) == 1) {
		for (uint64_t b = p.block; p.d == d && b < p.block + p.count; b++) {
			assert_true(b < n && ret[b] == '?');
			ret[b] = "rzs"[p.kind];
		}
	}
}

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
		extent_set_free(i ? &f->same_map : &f->free_map);
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

	while (take(f, &p) == 1) {
		assert_true(p.count > 0 && p.block == next[p.d]);
		assert_true(p.kind == PIECE_ZERO || p.count * BLOCK <= 4 * MIB);
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

	while (take(f, &p) == 1) {
		uint64_t last = table_blocks(f->m.disks[p.d].table) - 1;

		if (p.kind == PIECE_ZERO)
			assert_true(p.block > 0 && p.block + p.count <= last);
	}
}

static void what_is_given_back_comes_again_first(void **state)
{
	struct fixture *f = *state;
	struct piece p, again = { .d = 0, .block = 0, .count = 1 };

	assert_int_equal(take(f, &p), 1);
	assert_true(cursor_give_back(&f->c, &again));
	assert_int_equal(take(f, &p), 1);
	assert_true(p.d == 0 && p.block == 0 && p.count == 1);
	while (take(f, &p) == 1)
		;
	assert_true(cursor_give_back(&f->c, &again));
	assert_true(cursor_has_more(&f->c));
	assert_int_equal(take(f, &p), 1);
	assert_int_equal(take(f, &p), 0);
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

/* Disk 0: block 0 and the last, 96 (100 bytes), hold data; 1 to 95 are a hole of the file. */
static void a_block_is_zero_only_if_it_is_free_as_a_whole(void **state)
{
	struct fixture *f = *state;
	char kinds[98];

	f->m.disks[0].free_map = &f->free_map;
	add(&f->free_map, 0, BLOCK - 1);
	kinds_of(f, 0, kinds);
	assert_true(kinds[0] == 'r' && kinds[1] == 'z' && kinds[95] == 'z' && kinds[96] == 'r');
}

static void a_short_last_block_can_be_free(void **state)
{
	struct fixture *f = *state;
	char kinds[98];

	f->m.disks[0].free_map = &f->free_map;
	add(&f->free_map, 0, BLOCK);
	add(&f->free_map, UINT64_C(96) * BLOCK, 100);
	kinds_of(f, 0, kinds);
	assert_true(kinds[0] == 'z' && kinds[96] == 'z' && !strchr(kinds, 'r'));
}

/* A file without holes of 24 blocks, as disk 0. */
static void make_full(struct fixture *f, uint64_t blocks)
{
	uint64_t data[128];

	for (uint64_t i = 0; i < blocks; i++)
		data[i] = i * BLOCK;
	source_close(f->m.disks[0].source);
	table_close(f->m.disks[0].table);
	assert_int_equal(unlinkat(f->dirfd, "disk0", 0), 0);
	make_disk(f, 0, blocks * BLOCK, data, blocks);
	f->m.n_disks = 2;
	cursor_init(&f->c, &f->m, BLOCK);
}

static void free_and_same_come_from_their_maps(void **state)
{
	struct fixture *f = *state;
	char kinds[25];

	make_full(f, 24);
	f->m.disks[0].free_map = &f->free_map;
	f->m.disks[0].same_map = &f->same_map;
	claim(f, 0, 24);
	add(&f->free_map, UINT64_C(2) * BLOCK + 1, UINT64_C(3) * BLOCK);     /* whole: 3 and 4 */
	add(&f->free_map, UINT64_C(10) * BLOCK, UINT64_C(2) * BLOCK);        /* 10, 11 */
	add(&f->same_map, UINT64_C(7) * BLOCK - 1, UINT64_C(6) * BLOCK + 1); /* 7 to 12 */
	add(&f->same_map, UINT64_C(20) * BLOCK, UINT64_C(4) * BLOCK);        /* 20 to 23 */
	kinds_of(f, 0, kinds);
	assert_string_equal(kinds, "rrrzzrrssszzsrrrrrrrssss");
}

static void what_nobody_claims_is_read_even_if_it_is_the_same(void **state)
{
	struct fixture *f = *state;
	char kinds[25];

	make_full(f, 24);
	f->m.disks[0].same_map = &f->same_map;
	add(&f->same_map, 0, UINT64_C(24) * BLOCK);
	claim(f, 1, 3);
	claim(f, 20, 4);
	kinds_of(f, 0, kinds);
	assert_string_equal(kinds, "rsssrrrrrrrrrrrrrrrrssss");
}

static void many_small_extents_cost_one_walk(void **state)
{
	struct fixture *f = *state;
	char kinds[98];

	make_full(f, 96);
	f->m.disks[0].free_map = &f->free_map;
	for (uint64_t off = 0; off < UINT64_C(96) * BLOCK; off += 32) /* never a whole block */
		add(&f->free_map, off, 16);
	add(&f->free_map, UINT64_C(50) * BLOCK, BLOCK);
	kinds_of(f, 0, kinds);
	for (unsigned b = 0; b < 96; b++)
		assert_int_equal(kinds[b], b == 50 ? 'z' : 'r');
	assert_true(f->c.lanes[0].free_at <= f->free_map.n);
}

static void given_back_pieces_keep_what_is_known(void **state)
{
	struct fixture *f = *state;
	struct piece p, zero = { .d = 0, .block = 5, .count = 2, .kind = PIECE_ZERO };

	assert_true(cursor_give_back(&f->c, &zero));
	assert_int_equal(take(f, &p), 1);
	assert_true(p.block == 5 && p.count == 2 && p.kind == PIECE_ZERO);
}

/* ---- several connections ---- */

/* The next piece for ${s}: it took ${ms} to do the one before. */
static unsigned seat_takes(struct fixture *f, struct seat *s, uint64_t *now_ms, uint64_t ms)
{
	struct piece p;

	*now_ms += ms;
	assert_int_equal(cursor_next(&f->c, s, *now_ms, &p, NULL), 1);
	return p.d;
}

/* Two disks of 24 pieces each, all of it to be read. */
static void make_two(struct fixture *f)
{
	static const uint64_t first[] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		char name[8];

		source_close(f->m.disks[i].source);
		table_close(f->m.disks[i].table);
		(void)snprintf(name, sizeof name, "disk%u", i);
		assert_int_equal(unlinkat(f->dirfd, name, 0), 0);
		make_disk(f, i, 96 * MIB, first, 1);
	}
	cursor_init(&f->c, &f->m, BLOCK);
	/* as block devices, which say nothing of holes */
	for (unsigned i = 0; i < 2; i++)
		f->c.lanes[i].hole_end = 96 * MIB;
}

static void connections_spread_over_the_disks_and_stay(void **state)
{
	struct fixture *f = *state;
	struct seat a = { 0 }, b = { 0 }, c = { 0 };
	uint64_t now = 0;

	make_two(f);
	assert_int_equal(cursor_crowd(&f->c), 1); /* both disks wait for somebody */
	assert_int_equal(seat_takes(f, &a, &now, 0), 0);
	assert_int_equal(cursor_crowd(&f->c), 2);
	assert_int_equal(seat_takes(f, &b, &now, 0), 1);
	assert_int_equal(seat_takes(f, &c, &now, 0), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(seat_takes(f, &a, &now, 10), 0);
		assert_int_equal(seat_takes(f, &b, &now, 10), 1);
		assert_int_equal(seat_takes(f, &c, &now, 10), 0);
	}
	cursor_leave(&f->c, &b); /* nobody is at disk 1 now, two at disk 0 */
	assert_int_equal(seat_takes(f, &a, &now, 10), 1);
	assert_int_equal(seat_takes(f, &c, &now, 10), 0);
}

static void who_is_done_with_a_disk_helps_with_the_other(void **state)
{
	struct fixture *f = *state;
	struct seat a = { 0 }, b = { 0 };
	uint64_t now = 0;
	struct piece p;

	make_two(f);
	assert_int_equal(seat_takes(f, &b, &now, 0), 0);
	for (unsigned i = 0; i < 24; i++)
		assert_int_equal(seat_takes(f, &a, &now, 5), 1);
	assert_int_equal(seat_takes(f, &a, &now, 5), 0);
	assert_int_equal(cursor_crowd(&f->c), 1);
	while (cursor_next(&f->c, &a, now, &p, NULL) == 1)
		assert_int_equal(p.d, 0);
	assert_false(a.taken);
	assert_int_equal(f->c.lanes[0].seats, 1);
}

static void a_slow_disk_keeps_one_connection_while_the_other_has_work(void **state)
{
	struct fixture *f = *state;
	struct seat s[4] = { 0 };
	uint64_t now = 0, done = 0;

	make_two(f);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seat_takes(f, &s[i], &now, 0), i & 1);
	/* the two at disk 0 need a second for a piece, those at disk 1 a tenth of that */
	s[1].began_ms = s[3].began_ms = 900;
	now = 1000;
	assert_int_equal(seat_takes(f, &s[1], &now, 0), 1);
	assert_int_equal(seat_takes(f, &s[0], &now, 0), 1); /* leaves the slow one */
	assert_int_equal(seat_takes(f, &s[2], &now, 0), 0); /* the last one stays */
	assert_int_equal(f->c.lanes[0].seats, 1);
	assert_int_equal(seat_takes(f, &s[3], &now, 0), 1);
	/* a new one does not go there either, nor does anyone back */
	struct seat late = { 0 };
	assert_int_equal(seat_takes(f, &late, &now, 0), 1);
	while (f->c.lanes[1].block < 1536 && done++ < 24)
		assert_int_equal(seat_takes(f, &s[1], &now, 100), 1);
	/* now that it is the only one with work it gets them all */
	assert_int_equal(seat_takes(f, &s[1], &now, 100), 0);
	assert_int_equal(seat_takes(f, &late, &now, 100), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_block_comes_once_and_in_order),
		TEST(blocks_with_data_are_never_in_a_hole),
		TEST(what_is_given_back_comes_again_first),
		TEST(there_is_an_end_to_what_can_be_given_back),
		TEST(a_block_is_zero_only_if_it_is_free_as_a_whole),
		TEST(a_short_last_block_can_be_free),
		TEST(free_and_same_come_from_their_maps),
		TEST(what_nobody_claims_is_read_even_if_it_is_the_same),
		TEST(many_small_extents_cost_one_walk),
		TEST(given_back_pieces_keep_what_is_known),
		TEST(connections_spread_over_the_disks_and_stay),
		TEST(who_is_done_with_a_disk_helps_with_the_other),
		TEST(a_slow_disk_keeps_one_connection_while_the_other_has_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
