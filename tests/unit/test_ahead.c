/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each test runs three times: a file read when its turn comes, and through both kinds of queue. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"

#define BLOCK 65536u
#define BLOCKS 100 /* the last has 1000 bytes */
#define SIZE ((uint64_t)(BLOCKS - 1) * BLOCK + 1000)

static const uint8_t task[TASK_ID_LEN] = { 1 };

struct fixture {
	char dir[64], path[96];
	int dirfd;
	struct move m;
	struct ahead *a;
	struct cursor c;
};

static void make_image(struct fixture *f)
{
	static uint8_t block[BLOCK];
	int fd;

	(void)snprintf(f->path, sizeof f->path, "%s/disk", f->dir);
	fd = open(f->path, O_RDWR | O_CREAT, 0600);
	for (unsigned b = 0; b < BLOCKS; b++) {
		memset(block, (int)b + 1, sizeof block);
		assert_int_equal(pwrite(fd, block, b + 1 < BLOCKS ? BLOCK : 1000, (off_t)b * BLOCK),
				 b + 1 < BLOCKS ? BLOCK : 1000);
	}
	(void)close(fd);
}

static int set_up(void **state, bool queue_files, const char *backend)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct ioq *q = NULL;

	assert_non_null(f);
	assert_int_equal(setenv("TRANSIT_IO", backend, 1), 0);
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/transit-ahead.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
	make_image(f);
	f->m.n_disks = 1;
	assert_int_equal(source_open(f->path, &f->m.disks[0].source, NULL), 0);
	assert_int_equal(
	    table_open(f->dirfd, "table", task, SIZE, BLOCK, &f->m.disks[0].table, NULL), 0);
	cursor_init(&f->c, &f->m, BLOCK);
	assert_int_equal(ahead_new(&f->m, BLOCK, queue_files, &f->a, NULL), 0);
	*state = f;
	if (!ioq_new(IOQ_AUTO, 1, &q, NULL))
		ioq_free(q);
	else
		f->m.n_disks = 0; /* this kernel has no io_uring: the tests skip */
	return 0;
}

static int by_turns(void **state)
{
	return set_up(state, false, "auto");
}

static int by_threads(void **state)
{
	return set_up(state, true, "threads");
}

static int by_uring(void **state)
{
	return set_up(state, true, "uring");
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ahead_free(f->a);
	source_close(f->m.disks[0].source);
	table_close(f->m.disks[0].table);
	(void)unlinkat(f->dirfd, "disk", 0);
	(void)unlinkat(f->dirfd, "table", 0);
	(void)close(f->dirfd);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* As much of ${p} as goes in. */
static void ask(struct fixture *f, struct piece *p)
{
	uint64_t n;

	while (p->count && (n = ahead_room(f->a, p))) {
		assert_int_equal(ahead_ask(f->a, p->d, p->block, n, NULL), 0);
		p->block += n;
		p->count -= n;
	}
}

static void is_block(const struct ahead_block *b, uint64_t block)
{
	assert_int_equal(b->block, block);
	assert_int_equal(b->len, block + 1 < BLOCKS ? BLOCK : 1000);
	assert_int_equal(b->data[0], block + 1);
	assert_int_equal(b->data[b->len - 1], block + 1);
}

static void every_block_comes_in_order_with_its_content(void **state)
{
	struct fixture *f = *state;
	struct piece p = { .count = BLOCKS };
	struct ahead_block b;

	if (!f->m.n_disks)
		skip();
	for (uint64_t i = 0; i < BLOCKS; i++) {
		ask(f, &p);
		assert_int_equal(ahead_next(f->a, &b, NULL), 1);
		assert_int_equal(ahead_next(f->a, &b, NULL), 1); /* the same, until it is done */
		is_block(&b, i);
		ahead_done(f->a);
	}
	assert_int_equal(ahead_next(f->a, &b, NULL), 0);
	assert_int_equal(atomic_load(&f->m.gauge.read), SIZE);
}

static void no_more_goes_in_than_there_is_memory_for(void **state)
{
	struct fixture *f = *state;
	struct piece p = { .count = BLOCKS };
	struct ahead_block b;

	if (!f->m.n_disks)
		skip();
	ask(f, &p);
	assert_int_equal(p.block, AHEAD_CHUNKS * AHEAD_BYTES / BLOCK);
	for (uint64_t i = 0; i < AHEAD_BYTES / BLOCK; i++) {
		assert_int_equal(ahead_room(f->a, &p), 0);
		assert_int_equal(ahead_next(f->a, &b, NULL), 1);
		ahead_done(f->a);
	}
	assert_int_equal(ahead_room(f->a, &p), AHEAD_BYTES / BLOCK);
}

static void what_was_not_dealt_with_is_given_back_and_comes_again(void **state)
{
	struct fixture *f = *state;
	struct piece p = { .count = 50 }, back;
	struct ahead_block b;
	struct seat seat = { 0 };
	bool seen[BLOCKS] = { false };

	if (!f->m.n_disks)
		skip();
	ask(f, &p);
	for (uint64_t i = 0; i < 20; i++) {
		assert_int_equal(ahead_next(f->a, &b, NULL), 1);
		ahead_done(f->a);
	}
	assert_int_equal(ahead_next(f->a, &b, NULL), 1); /* looked at, not done */
	f->c.lanes[0].block = BLOCKS;                    /* nothing else is to be had */
	assert_true(ahead_give_back(f->a, &f->c));
	assert_int_equal(ahead_next(f->a, &b, NULL), 0);
	while (cursor_next(&f->c, &seat, 0, &back, NULL) == 1) {
		for (uint64_t i = back.block; i < back.block + back.count; i++) {
			assert_false(seen[i]);
			seen[i] = true;
		}
	}
	for (uint64_t i = 0; i < BLOCKS; i++)
		assert_int_equal(seen[i], i >= 20 && i < p.block);
	p = (struct piece){ .block = 20, .count = 5 };
	ask(f, &p);
	assert_int_equal(ahead_next(f->a, &b, NULL), 1);
	is_block(&b, 20);
}

static void a_source_that_became_shorter_is_an_error_with_the_place(void **state)
{
	struct fixture *f = *state;
	struct piece p = { .count = 40 };
	struct err e = { 0 };
	struct ahead_block b;
	int r;

	if (!f->m.n_disks)
		skip();
	assert_int_equal(truncate(f->path, 20 * BLOCK + 7), 0);
	ask(f, &p);
	while ((r = ahead_next(f->a, &b, &e)) == 1)
		ahead_done(f->a);
	assert_true(r < 0 && e.kind == ERR_DISK);
	assert_non_null(strstr(e.text, "it became shorter"));
	assert_non_null(strstr(e.text, "byte 1310727"));
}

int main(void)
{
#define THRICE(fn)                                                                                 \
	{ #fn " (by turns)", fn, by_turns, tear_down, NULL },                                      \
	    { #fn " (threads)", fn, by_threads, tear_down, NULL },                                 \
	{                                                                                          \
#fn " (io_uring)", fn, by_uring, tear_down, NULL                                   \
	}
	const struct CMUnitTest tests[] = {
		THRICE(every_block_comes_in_order_with_its_content),
		THRICE(no_more_goes_in_than_there_is_memory_for),
		THRICE(what_was_not_dealt_with_is_given_back_and_comes_again),
		THRICE(a_source_that_became_shorter_is_an_error_with_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
