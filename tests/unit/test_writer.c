/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer over a disk in memory whose unsynced sectors are lost or torn at a power cut, and a
 * journal whose file is treated the same way.
 *
 * The queue is one without threads (sim_ioq.h): writes, flushes and syncs happen and are told in
 * any order the real ones could have. What was said to be written is spoiled in memory at once.
 *
 * I1  a claim of the journal is on the platter, whole, with that content.
 * I2  what was acknowledged (its batch is durable) is claimed, unless a later write of the same
 *     block had begun.
 * A seed gives one history: TRANSIT_SEED=n runs that one, TRANSIT_SEEDS=n that many.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "crash_fs.h"
#include "sim_ioq.h"
#include "writer.h"

#define BLOCKS 24
#define BLOCK BLOCK_SIZE_MIN
#define TAIL 1000 /* bytes of the last block */
#define SIZE ((BLOCKS - 1) * BLOCK + TAIL)

/* A disk that forgets what was not flushed. */
struct memory_disk {
	struct device base;
	uint8_t *now, *platter;
	bool dirty[BLOCKS];
	unsigned long rereads, writes;
};

static struct memory_disk *disk_of(struct device *d)
{
	return (struct memory_disk *)d;
}

static void touch(struct memory_disk *m, uint64_t off, uint64_t len)
{
	for (uint64_t b = off / BLOCK; b * BLOCK < off + len; b++)
		m->dirty[b] = true;
}

static int memory_write(struct device *d, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct memory_disk *m = disk_of(d);
	bool last;

	assert_true(off <= SIZE && len <= SIZE - off);
	if (!crash_alive(&last))
		return err_set(e, ERR_DISK, EIO, "no power");
	m->writes++;
	touch(m, off, len);
	memcpy(m->now + off, data, last ? crash_random() % (len + 1) : len);
	return last ? err_set(e, ERR_DISK, EIO, "no power") : 0;
}

static int memory_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	struct memory_disk *m = disk_of(d);
	bool last;

	assert_true(off <= SIZE && len <= SIZE - off);
	if (!crash_alive(&last))
		return err_set(e, ERR_DISK, EIO, "no power");
	m->writes++;
	touch(m, off, len);
	memset(m->now + off, 0, last ? crash_random() % (len + 1) : len);
	return last ? err_set(e, ERR_DISK, EIO, "no power") : 0;
}

static int memory_flush(struct device *d, struct err *e)
{
	struct memory_disk *m = disk_of(d);
	bool last;

	if (!crash_alive(&last) || (last && crash_random() % 2))
		return err_set(e, ERR_DISK, EIO, "no power");
	for (uint64_t b = 0; b < BLOCKS; b++) {
		if (m->dirty[b])
			memcpy(m->platter + b * BLOCK, m->now + b * BLOCK,
			       b == BLOCKS - 1 ? TAIL : BLOCK);
		m->dirty[b] = false;
	}
	return last ? err_set(e, ERR_DISK, EIO, "no power") : 0;
}

static int memory_reread(struct device *d, void *data, size_t len, uint64_t off, struct err *e)
{
	(void)e;
	assert_true(off <= SIZE && len <= SIZE - off);
	disk_of(d)->rereads++;
	memcpy(data, disk_of(d)->now + off, len);
	return 0;
}

static void memory_close(struct device *d)
{
	free(disk_of(d)->now);
	free(disk_of(d)->platter);
	free(d);
}

static const struct device_ops memory_ops = {
	.write = memory_write,
	.zero = memory_zero,
	.flush = memory_flush,
	.reread = memory_reread,
	.close = memory_close,
};

static struct device *memory_disk_new(void)
{
	struct memory_disk *m = calloc(1, sizeof *m);

	assert_non_null(m);
	m->base.ops = &memory_ops;
	m->base.info.size = SIZE;
	m->base.info.kind = DEVICE_WRAPPER;
	strcpy(m->base.info.path, "memory");
	m->now = calloc(1, SIZE);
	m->platter = calloc(1, SIZE);
	assert_true(m->now && m->platter);
	return &m->base;
}

/* Any subset of the unflushed sectors reached the platter, each whole. */
static void memory_cut(struct memory_disk *m)
{
	unsigned keep = (unsigned)(crash_random() % 101);

	for (uint64_t b = 0; b < BLOCKS; b++) {
		uint64_t end = b == BLOCKS - 1 ? SIZE : (b + 1) * BLOCK;

		for (uint64_t at = b * BLOCK; m->dirty[b] && at < end; at += CRASH_SECTOR) {
			size_t n = end - at < CRASH_SECTOR ? (size_t)(end - at) : CRASH_SECTOR;

			if (crash_random() % 100 < keep)
				memcpy(m->platter + at, m->now + at, n);
		}
		m->dirty[b] = false;
	}
	memcpy(m->now, m->platter, SIZE);
	m->base.flush_error = 0;
}

#define LENT_MAX 4096

struct fixture {
	char dir[64];
	struct journal_disk disk;
	enum digest_kind kind; /* of what the sender says */
	struct device *d;
	struct journal *j;
	struct writer *w;
	struct digest_ctx *digest;
	uint8_t *block;          /* the content just made */
	uint8_t *lent[LENT_MAX]; /* what the writer has or had, by cookie */
	size_t n_lent, n_back;
	size_t n_taken; /* items */
	uint64_t seed;
};

static size_t len_of(uint64_t block)
{
	return block == BLOCKS - 1 ? TAIL : (size_t)BLOCK;
}

/* Content number ${version} of a block; 0 is zeros. */
static void content(struct fixture *f, uint64_t block, uint32_t version, uint8_t *digest)
{
	uint64_t v = block << 32 | version;

	for (size_t i = 0; i < len_of(block); i++) {
		if (i % 8 == 0)
			v = v * UINT64_C(6364136223846793005) + 1442695040888963407;
		f->block[i] = (uint8_t)(version ? v >> 8 * (i % 8) : 0);
	}
	assert_int_equal(digest_block(f->digest, f->kind, f->block, len_of(block), digest), 0);
}

/* Its data is a copy that is spoiled when the writer gives it back. */
static struct writer_item item(struct fixture *f, uint64_t block, uint32_t version, uint32_t gen)
{
	struct writer_item v = { .kind = WRITER_DATA, .block = block, .count = 1, .gen = gen };

	assert_true(f->n_lent < LENT_MAX);
	v.len = len_of(block);
	v.cookie = f->n_lent;
	content(f, block, version, v.digest);
	f->lent[f->n_lent] = malloc(v.len);
	assert_non_null(f->lent[f->n_lent]);
	memcpy(f->lent[f->n_lent], f->block, v.len);
	v.data = f->lent[f->n_lent++];
	return v;
}

static struct writer_item run_of(enum writer_kind kind, uint64_t block, uint64_t count,
				 uint32_t gen)
{
	return (struct writer_item){
		.kind = kind, .block = block, .count = count, .gen = gen, .cookie = LENT_MAX
	};
}

static void on_written(void *arg, uint64_t cookie)
{
	struct fixture *f = arg;

	f->n_back++;
	assert_true(f->n_back <= f->n_taken + WRITER_ITEMS_MAX);
	if (cookie == LENT_MAX)
		return;
	assert_true(cookie < f->n_lent && f->lent[cookie]);
	free(f->lent[cookie]); /* the sanitizer sees who still uses it */
	f->lent[cookie] = NULL;
}

static void forget_lent(struct fixture *f)
{
	for (size_t i = 0; i < f->n_lent; i++)
		free(f->lent[i]);
	f->n_lent = f->n_back = f->n_taken = 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	(void)snprintf(f->dir, sizeof f->dir, "/dev/shm/transit-writer-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->disk = (struct journal_disk){ .task = "task-0123456789",
					 .block_size = BLOCK,
					 .size = SIZE,
					 .target_size = SIZE,
					 .serial = "MEMORY" };
	f->d = memory_disk_new();
	f->kind = DIGEST_STRONG;
	f->digest = digest_new();
	if (f->digest)
		digest_seed(f->digest, f->disk.task);
	f->block = malloc(BLOCK);
	crash_fs_watch(NULL, 1);
	sim_reset();
	*state = f;
	return f->block && f->digest ? 0 : -1;
}

static void drop(struct fixture *f)
{
	writer_free(f->w);
	f->w = NULL;
	forget_lent(f);
	journal_close(f->j);
	f->j = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	drop(f);
	device_close(f->d);
	digest_free(f->digest);
	free(f->block);
	crash_fs_watch(NULL, 1);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", f->dir);
	int r = system(cmd); /* NOLINT(cert-env33-c): a test's own folder */
	free(f);
	return r;
}

static void start(struct fixture *f)
{
	struct err e = { 0 };

	drop(f);
	if (journal_open(f->dir, &f->disk, &f->j, &e) || writer_new(f->d, f->j, &f->w, &e))
		fail_msg("seed %llu: %s", (unsigned long long)f->seed, e.text);
	writer_on_written(f->w, on_written, f);
}

static int put_items(struct fixture *f, const struct writer_item *v, size_t n, struct err *e)
{
	size_t taken = 99;
	int r = writer_put(f->w, v, n, &taken, e);

	assert_true(taken <= n && (r || taken == n));
	f->n_taken += taken;
	return r;
}

static void put(struct fixture *f, struct writer_item v)
{
	struct err e = { 0 };

	if (put_items(f, &v, 1, &e))
		fail_msg("%s", e.text);
}

static void refused(struct fixture *f, struct writer_item v, int r, const char *words)
{
	unsigned long writes = disk_of(f->d)->writes;
	struct err e = { 0 };

	assert_int_equal(put_items(f, &v, 1, &e), r);
	assert_int_equal(e.kind, ERR_PEER);
	if (!strstr(e.text, words))
		fail_msg("'%s' without '%s'", e.text, words);
	assert_int_equal(disk_of(f->d)->writes, writes);
	assert_false(writer_failed(f->w));
}

static void commit(struct fixture *f)
{
	struct err e = { 0 };

	if (writer_commit(f->w, &e))
		fail_msg("%s", e.text);
	assert_int_equal(f->n_back, f->n_taken); /* each once */
}

/* Goes on as long as something can happen. */
static void settle(struct fixture *f)
{
	for (int i = 0; i < 1000; i++)
		assert_int_equal(writer_advance(f->w, NULL), 0);
}

static void what_is_committed_is_claimed_and_not_before(void **state)
{
	struct fixture *f = *state;

	start(f);
	put(f, item(f, 3, 1, 1));
	put(f, run_of(WRITER_ZERO, 10, 5, 1));
	assert_true(writer_has_pending(f->w));
	assert_true(writer_pending_bytes(f->w) == 6 * BLOCK);
	assert_true(journal_claimed(f->j) == 0);
	commit(f);
	assert_false(writer_has_pending(f->w));
	assert_true(writer_pending_bytes(f->w) == 0);
	assert_true(writer_written_bytes(f->w) == 6 * BLOCK);
	assert_true(journal_claimed(f->j) == 6);
	content(f, 3, 1, (uint8_t[DIGEST_LEN]){ 0 });
	assert_memory_equal(disk_of(f->d)->platter + 3 * BLOCK, f->block, BLOCK);
	start(f);
	assert_true(journal_claimed(f->j) == 6);
}

static void what_lies_outside_the_disk_is_refused(void **state)
{
	struct fixture *f = *state;
	struct writer_item v;

	start(f);
	v = item(f, 0, 1, 1);
	v.block = BLOCKS;
	refused(f, v, -ERANGE, "past the disk");
	v.block = UINT64_MAX;
	refused(f, v, -ERANGE, "past the disk");
	refused(f, run_of(WRITER_ZERO, 1, BLOCKS, 1), -ERANGE, "past the disk");
	refused(f, run_of(WRITER_ZERO, 1, UINT64_MAX, 1), -ERANGE, "past the disk");
	refused(f, run_of(WRITER_ZERO, 1, 0, 1), -EPROTO, "impossible length");
	v = item(f, 0, 1, 1);
	v.len--;
	refused(f, v, -EPROTO, "length");
	v = item(f, BLOCKS - 1, 1, 1);
	v.len = BLOCK;
	refused(f, v, -EPROTO, "length");
	v = item(f, 0, 1, 1);
	v.count = 2;
	refused(f, v, -EPROTO, "length");
	put(f, item(f, BLOCKS - 1, 1, 1));
	commit(f);
}

static void generations_never_fall_and_never_mean_two_contents(void **state)
{
	struct fixture *f = *state;
	unsigned long writes;

	start(f);
	put(f, item(f, 5, 1, 7));
	commit(f);
	writes = disk_of(f->d)->writes;
	refused(f, item(f, 5, 2, 6), -EPROTO, "falls");
	refused(f, item(f, 5, 2, 7), -EPROTO, "two contents");
	refused(f, run_of(WRITER_ZERO, 4, 2, 7), -EPROTO, "two contents");
	refused(f, run_of(WRITER_ZERO, 4, 2, 6), -EPROTO, "falls");
	put(f, item(f, 5, 1, 7)); /* a frame that came twice */
	assert_false(writer_has_pending(f->w));
	put(f, item(f, 5, 1, 9)); /* the same content, sent again later */
	commit(f);
	assert_int_equal(disk_of(f->d)->writes, writes);
	refused(f, item(f, 5, 2, 8), -EPROTO, "falls");
	put(f, item(f, 5, 2, 10));
	settle(f);
	/* the same rules while it is not durable yet */
	refused(f, item(f, 5, 3, 9), -EPROTO, "falls");
	refused(f, item(f, 5, 3, 10), -EPROTO, "two contents");
}

static void unchanged_needs_a_claim_and_keeps_it(void **state)
{
	struct fixture *f = *state;
	struct claim c;

	start(f);
	put(f, item(f, 5, 1, 7));
	put(f, run_of(WRITER_ZERO, 6, 3, 2));
	commit(f);
	put(f, run_of(WRITER_UNCHANGED, 5, 4, 8));
	refused(f, run_of(WRITER_UNCHANGED, 5, 5, 8), -EPROTO, "nothing is claimed");
	refused(f, run_of(WRITER_UNCHANGED, 5, 1, 6), -EPROTO, "falls");
	commit(f);
	assert_int_equal(journal_get(f->j, 5, &c, NULL), 0);
	assert_int_equal(c.gen, 7);
}

static void zeros_by_data_and_by_run_are_the_same_content(void **state)
{
	struct fixture *f = *state;
	unsigned long writes;

	start(f);
	put(f, run_of(WRITER_ZERO, 0, BLOCKS, 1));
	commit(f);
	writes = disk_of(f->d)->writes;
	put(f, item(f, 4, 0, 1));
	put(f, item(f, BLOCKS - 1, 0, 2));
	put(f, run_of(WRITER_ZERO, 0, BLOCKS, 3));
	commit(f);
	assert_int_equal(disk_of(f->d)->writes, writes);
	refused(f, item(f, 4, 1, 2), -EPROTO, "falls");
}

/* Nobody can tell whether contents of two kinds of digest are equal: the block is written. */
static void a_digest_of_the_other_kind_is_another_content(void **state)
{
	struct fixture *f = *state;
	unsigned long writes;
	struct claim c;

	start(f);
	f->kind = DIGEST_FAST;
	put(f, item(f, 3, 1, 1));
	commit(f);
	writes = disk_of(f->d)->writes;
	put(f, item(f, 3, 1, 2));
	assert_int_equal(disk_of(f->d)->writes, writes);
	f->kind = DIGEST_STRONG;
	put(f, item(f, 3, 1, 3));
	commit(f);
	assert_int_equal(disk_of(f->d)->writes, writes + 1);
	assert_int_equal(journal_get(f->j, 3, &c, NULL), 0);
	assert_int_equal(digest_kind_of(c.digest), DIGEST_STRONG);
	/* zeros are compared in the kind of whoever has one */
	f->kind = DIGEST_FAST;
	put(f, run_of(WRITER_ZERO, 5, 1, 1));
	commit(f);
	writes = disk_of(f->d)->writes;
	put(f, item(f, 5, 0, 2));
	commit(f);
	assert_int_equal(disk_of(f->d)->writes, writes);
}

static void items_of_one_call_may_overlap(void **state)
{
	struct fixture *f = *state;
	struct writer_item v[3];
	struct claim c;

	start(f);
	v[0] = item(f, 2, 1, 1);
	v[1] = run_of(WRITER_ZERO, 0, 4, 2);
	v[2] = item(f, 2, 3, 3);
	assert_int_equal(put_items(f, v, 3, NULL), 0);
	commit(f);
	assert_int_equal(journal_get(f->j, 2, &c, NULL), 0);
	assert_int_equal(c.gen, 3);
	assert_memory_equal(disk_of(f->d)->platter + 2 * BLOCK, f->block, BLOCK);
	assert_true(all_zero(disk_of(f->d)->platter + 3 * BLOCK, BLOCK));
}

static void a_claim_is_withdrawn_before_its_block_is_overwritten(void **state)
{
	struct fixture *f = *state;
	uint8_t *first = malloc(BLOCK);

	assert_non_null(first);
	start(f);
	put(f, item(f, 5, 1, 1));
	commit(f);
	memcpy(first, disk_of(f->d)->now + 5 * BLOCK, BLOCK);
	sim.held = SIM_SYNC;
	put(f, item(f, 5, 2, 2));
	put(f, item(f, 6, 2, 1)); /* nothing is claimed there, and it comes behind */
	settle(f);
	assert_false(journal_is_claimed(f->j, 5));
	assert_int_equal(sim.begun[SIM_WRITE], 1); /* the first content's */
	assert_memory_equal(disk_of(f->d)->now + 5 * BLOCK, first, BLOCK);
	sim.held = SIM_WRITE;
	settle(f);
	assert_int_equal(sim.begun[SIM_WRITE], 3);
	sim.held = 0;
	start(f); /* without a commit: the withdrawal was durable */
	assert_false(journal_is_claimed(f->j, 5));
	free(first);
}

static void the_next_batch_is_written_while_one_is_flushed(void **state)
{
	struct fixture *f = *state;

	start(f);
	sim.held = SIM_FLUSH;
	put(f, item(f, 1, 1, 1));
	assert_true(writer_begin_commit(f->w));
	settle(f);
	assert_int_equal(sim.begun[SIM_FLUSH], 1);
	for (uint64_t b = 2; b < 12; b++)
		put(f, item(f, b, 1, 1));
	settle(f);
	/* all are written and given back, and nothing is durable */
	assert_int_equal(f->n_back, 11);
	assert_int_equal(disk_of(f->d)->writes, 11);
	assert_true(writer_is_committing(f->w) && writer_has_open(f->w));
	assert_false(writer_begin_commit(f->w));
	assert_true(journal_claimed(f->j) == 0);
	sim.held = 0;
	settle(f);
	/* the flush began before they were written: it claims the first one only */
	assert_false(writer_is_committing(f->w));
	assert_true(journal_claimed(f->j) == 1 && journal_is_claimed(f->j, 1));
	assert_true(writer_open_bytes(f->w) == 10 * BLOCK);
	commit(f);
	assert_true(journal_claimed(f->j) == 11);
}

static void a_flush_begins_when_the_last_write_of_its_batch_is_over(void **state)
{
	struct fixture *f = *state;

	start(f);
	sim.held = SIM_ZERO;
	put(f, item(f, 1, 1, 1));
	put(f, run_of(WRITER_ZERO, 4, 3, 1));
	assert_true(writer_begin_commit(f->w));
	settle(f);
	assert_int_equal(f->n_back, 1); /* the zeros are not there yet */
	assert_int_equal(sim.begun[SIM_FLUSH], 0);
	sim.held = SIM_FLUSH;
	settle(f);
	assert_int_equal(f->n_back, 2);
	assert_int_equal(sim.begun[SIM_FLUSH], 1);
	assert_int_equal(sim.begun[SIM_SYNC], 0); /* and the claims come after the flush */
	sim.held = SIM_SYNC;
	settle(f);
	assert_int_equal(sim.begun[SIM_SYNC], 1);
	assert_true(writer_is_committing(f->w)); /* claimed is not durable */
	sim.held = 0;
	settle(f);
	assert_false(writer_has_pending(f->w));
}

static void writes_are_under_way_several_at_a_time_and_no_more_than_that(void **state)
{
	struct fixture *f = *state;
	struct writer_item v[BLOCKS];

	start(f);
	sim.held = SIM_WRITE;
	for (uint64_t b = 0; b < BLOCKS; b++)
		v[b] = item(f, b, 1, 1);
	assert_int_equal(put_items(f, v, BLOCKS, NULL), 0);
	settle(f);
	assert_int_equal(sim.most_writes, 16);
	assert_int_equal(writer_room(f->w), WRITER_ITEMS_MAX - BLOCKS);
	sim.held = 0;
	commit(f);
	assert_int_equal(sim.begun[SIM_WRITE], BLOCKS);
	assert_int_equal(writer_room(f->w), WRITER_ITEMS_MAX);
}

static uint64_t zeroed, zero_calls;

static int count_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	(void)d;
	(void)e;
	assert_true(off == zeroed && len <= 128 * MIB);
	zeroed += len;
	zero_calls++;
	return 0;
}

static int no_flush(struct device *d, struct err *e)
{
	(void)d;
	(void)e;
	return 0;
}

static void a_long_run_of_zeros_is_written_in_pieces(void **state)
{
	static const struct device_ops ops = { .zero = count_zero, .flush = no_flush };
	struct fixture *f = *state;
	struct device big = { .ops = &ops, .info.size = 300 * MIB + 512 };
	struct device *small = f->d;

	f->d = &big;
	f->disk.size = f->disk.target_size = big.info.size;
	start(f);
	put(f, run_of(WRITER_ZERO, 0, journal_blocks(f->j), 1));
	commit(f);
	assert_true(zeroed == big.info.size && zero_calls == 3);
	assert_true(journal_claimed(f->j) == journal_blocks(f->j));
	drop(f);
	f->d = small;
}

static void those_before_a_refused_item_are_taken_and_no_other(void **state)
{
	struct fixture *f = *state;
	struct writer_item v[3];
	size_t taken = 99;

	start(f);
	v[0] = item(f, 1, 1, 1);
	v[1] = run_of(WRITER_UNCHANGED, 2, 1, 1);
	v[2] = item(f, 3, 1, 1);
	assert_int_equal(writer_put(f->w, v, 3, &taken, NULL), -EPROTO);
	assert_int_equal(taken, 1);
	f->n_taken = 1;
	commit(f);
	assert_true(journal_claimed(f->j) == 1 && journal_is_claimed(f->j, 1));
}

static void after_a_failed_flush_nothing_more_is_written(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	assert_int_equal(device_fault_wrap(&f->d, "flush:2:EIO", NULL), 0);
	start(f);
	struct writer_item v = item(f, 1, 1, 1);
	assert_int_equal(put_items(f, &v, 1, NULL), 0);
	assert_int_equal(writer_commit(f->w, NULL), 0);
	v = item(f, 2, 1, 1);
	assert_int_equal(put_items(f, &v, 1, NULL), 0);
	assert_int_equal(writer_commit(f->w, &e), -EIO);
	assert_int_equal(e.kind, ERR_DISK);
	assert_true(writer_failed(f->w));
	assert_int_equal(put_items(f, &v, 1, NULL), -EIO);
	assert_int_equal(writer_commit(f->w, NULL), -EIO);
	assert_true(journal_is_suspect(f->j));
	assert_true(journal_claimed(f->j) == 1);
}

static void a_failed_write_is_final_too(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(device_fault_wrap(&f->d, "write:2:ENOSPC", NULL), 0);
	start(f);
	struct writer_item v = item(f, 1, 1, 1);
	assert_int_equal(put_items(f, &v, 1, NULL), 0);
	v = item(f, 2, 1, 1);
	(void)put_items(f, &v, 1, NULL);
	struct err e = { 0 };
	(void)writer_commit(f->w, &e);
	assert_true(writer_failed(f->w) && !sim.n);
	assert_true(journal_is_suspect(f->j));
	assert_int_equal(writer_commit(f->w, NULL), -EIO);
	assert_true(journal_claimed(f->j) == 0);
}

static void a_target_smaller_than_the_source_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct writer *w;

	start(f);
	f->d->info.size--;
	assert_int_equal(writer_new(f->d, f->j, &w, &e), -ENOSPC);
	assert_string_equal(e.name, "disk-too-small");
	f->d->info.size++;
}

static void fill_all(struct fixture *f)
{
	for (uint64_t b = 0; b < BLOCKS; b++) {
		if (b % 3)
			put(f, item(f, b, 1, 1));
		else
			put(f, run_of(WRITER_ZERO, b, 1, 1));
		if (b % 5 == 4)
			commit(f);
	}
	commit(f);
}

static void a_resume_finds_what_changed_under_it(void **state)
{
	struct fixture *f = *state;
	uint64_t lost = 99;

	start(f);
	fill_all(f);
	start(f);
	assert_int_equal(writer_resume_check(f->w, &lost, NULL), 0);
	assert_true(lost == 0);
	/* one bit in the last batch: all is read, and one block is lost */
	disk_of(f->d)->now[22 * BLOCK + 5] ^= 1;
	assert_int_equal(writer_resume_check(f->w, &lost, NULL), 0);
	assert_true(lost == 1);
	assert_false(journal_is_claimed(f->j, 22));
	assert_false(journal_is_suspect(f->j));
	/* a suspect journal is read whole, wherever the damage is */
	disk_of(f->d)->now[1 * BLOCK] ^= 1;
	disk_of(f->d)->now[3 * BLOCK + 9] ^= 1;
	assert_int_equal(journal_set_suspect(f->j, true, NULL), 0);
	assert_int_equal(writer_resume_check(f->w, &lost, NULL), 0);
	assert_true(lost == 2);
	start(f);
	assert_true(journal_claimed(f->j) == BLOCKS - 3);
	/* and not by a sample: each claim once */
	unsigned long rereads = disk_of(f->d)->rereads;
	assert_int_equal(journal_set_suspect(f->j, true, NULL), 0);
	assert_int_equal(writer_resume_check(f->w, &lost, NULL), 0);
	assert_true(lost == 0 && disk_of(f->d)->rereads == rereads + BLOCKS - 3);
}

static int make_list(struct fixture *f)
{
	int fd = memfd_create("list", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		uint8_t digest[DIGEST_LEN];

		content(f, b, b % 3 ? 1 : 0, digest);
		assert_int_equal(write(fd, digest, DIGEST_LEN), DIGEST_LEN);
	}
	return fd;
}

static int stop(uint64_t done, uint64_t total, void *arg)
{
	*(uint64_t *)arg = done;
	return done == total ? -1 : 0;
}

static void a_verification_finds_one_flipped_bit_anywhere(void **state)
{
	struct fixture *f = *state;
	struct writer_verdict v;
	uint8_t whole[DIGEST_LEN];

	start(f);
	fill_all(f);
	scoped(close_fdp) int list = make_list(f);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t at = (uint64_t)i * 7919 * 131 % SIZE;

		disk_of(f->d)->now[at] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(writer_verify(f->w, list, NULL, NULL, &v, NULL), 0);
		assert_true(v.bytes == SIZE && v.mismatched == 1 && v.n_bad == 1);
		assert_true(v.bad[0] == at / BLOCK);
		assert_false(journal_is_claimed(f->j, at / BLOCK));
		disk_of(f->d)->now[at] ^= (uint8_t)(1 << i % 8);
	}
	writer_want_disk_digest(f->w, true);
	assert_int_equal(writer_verify(f->w, list, NULL, NULL, &v, NULL), 0);
	assert_true(v.mismatched == 0 && v.have_disk_digest);
	assert_int_equal(digest_of(f->digest, disk_of(f->d)->now, SIZE, whole), 0);
	assert_memory_equal(v.disk_digest, whole, DIGEST_LEN);
	uint64_t told = 0;
	assert_int_equal(writer_verify(f->w, list, stop, &told, &v, NULL), -ECANCELED);
	assert_true(told == SIZE);
	assert_int_equal(ftruncate(list, (off_t)5 * DIGEST_LEN), 0);
	assert_true(writer_verify(f->w, list, NULL, NULL, &v, NULL) < 0);
}

/* What the test knows of each block. */
struct known {
	uint32_t gen;     /* the highest that was tried */
	uint32_t version; /* of that generation */
	bool acked;       /* what follows was acknowledged */
	bool begun;       /* and a later write has begun since */
	uint32_t acked_gen;
	uint8_t acked_digest[DIGEST_LEN];
	bool pending; /* put, and nothing is known of it yet */
	bool closing; /* it is in the batch that is being committed: */
	uint32_t closing_gen, closing_version;
};

struct history {
	struct fixture *f;
	struct known k[BLOCKS];
	uint64_t epoch;
	bool committing;
	unsigned crashes, acked_blocks, overwrites, overlapped;
};

static void note_put(struct history *h, uint64_t block, uint32_t gen, uint32_t version)
{
	struct known *k = h->k + block;

	h->overwrites += k->acked;
	k->begun = true;
	k->gen = gen;
	k->version = version;
	k->pending = true;
}

static void note_begin(struct history *h)
{
	h->committing = true;
	for (uint64_t b = 0; b < BLOCKS; b++) {
		struct known *k = h->k + b;

		k->closing = k->pending;
		k->pending = false;
		k->closing_gen = k->gen;
		k->closing_version = k->version;
	}
}

static void note_durable(struct history *h)
{
	h->committing = false;
	for (uint64_t b = 0; b < BLOCKS; b++) {
		struct known *k = h->k + b;

		if (!k->closing)
			continue;
		k->closing = false;
		k->acked = true;
		k->begun = k->pending;
		k->acked_gen = k->closing_gen;
		content(h->f, b, k->closing_version, k->acked_digest);
		h->acked_blocks++;
	}
}

/* One call with some items that do not overlap. Returns what writer_put() said. */
static int random_put(struct history *h)
{
	struct writer_item v[4];
	size_t n = 0;

	for (uint64_t b = crash_random() % BLOCKS; n < 4 && b < BLOCKS;
	     b += 1 + crash_random() % 5) {
		uint32_t version = (uint32_t)(crash_random() % 4);
		uint32_t gen = h->k[b].gen + 1;

		if (crash_random() % 5 == 0) {
			uint64_t count = 1 + crash_random() % 3;

			if (count > BLOCKS - b)
				count = BLOCKS - b;
			for (uint64_t i = 0; i < count; i++) {
				if (h->k[b + i].gen >= gen)
					gen = h->k[b + i].gen + 1;
			}
			v[n++] = run_of(WRITER_ZERO, b, count, gen);
			for (uint64_t i = 0; i < count; i++)
				note_put(h, b + i, gen, 0);
			b += count - 1;
			continue;
		}
		v[n] = item(h->f, b, version, gen);
		note_put(h, b, gen, version);
		n++;
	}
	return put_items(h->f, v, n, NULL);
}

static void fail_at(const struct history *h, uint64_t block, const char *what)
{
	fail_msg("seed %llu, crash %u, block %llu: %s", (unsigned long long)h->f->seed, h->crashes,
		 (unsigned long long)block, what);
}

static void check_invariants(struct history *h)
{
	struct fixture *f = h->f;

	for (uint64_t b = 0; b < BLOCKS; b++) {
		struct known *k = h->k + b;
		const uint8_t *p = disk_of(f->d)->platter + b * BLOCK;
		uint8_t is[DIGEST_LEN];
		struct claim c;

		assert_int_equal(journal_get(f->j, b, &c, NULL), 0);
		assert_int_equal(digest_block(f->digest, f->kind, p, len_of(b), is), 0);
		if (c.kind == CLAIM_ZERO && !all_zero(p, len_of(b)))
			fail_at(h, b, "I1: claimed zero, and is not");
		if (c.kind == CLAIM_DATA && memcmp(c.digest, is, DIGEST_LEN) != 0)
			fail_at(h, b, "I1: the claim is not on the platter");
		if (c.kind == CLAIM_NONE && k->acked && !k->begun)
			fail_at(h, b, "I2: acknowledged, and not claimed");
		if (c.kind != CLAIM_NONE && k->acked && c.gen < k->acked_gen)
			fail_at(h, b, "I4: the generation fell");
		if (c.kind != CLAIM_NONE && k->acked && !k->begun &&
		    (c.gen != k->acked_gen || memcmp(is, k->acked_digest, DIGEST_LEN) != 0))
			fail_at(h, b, "I2: acknowledged with another content");
		/* What is claimed now was acknowledged or will be taken as such by a sender. */
		k->pending = k->closing = false;
		k->acked = c.kind != CLAIM_NONE;
		k->begun = false;
		k->acked_gen = c.gen;
		memcpy(k->acked_digest, is, DIGEST_LEN);
		/* The generation that was tried stays used: a sender counts on. */
	}
}

static void resume(struct history *h)
{
	uint64_t lost = 0;
	struct err e = { 0 };

	start(h->f);
	check_invariants(h);
	if (writer_resume_check(h->f->w, &lost, &e))
		fail_msg("seed %llu: %s", (unsigned long long)h->f->seed, e.text);
	if (lost)
		fail_at(h, lost, "the resume check found lost blocks");
	if (journal_epoch(h->f->j) > h->epoch)
		h->epoch = journal_epoch(h->f->j);
	if (journal_set_epoch(h->f->j, ++h->epoch, &e))
		fail_msg("seed %llu: %s", (unsigned long long)h->f->seed, e.text);
}

/* One thing that a role does. */
static int random_step(struct history *h)
{
	switch (crash_random() % 8) {
	case 0:
		return writer_commit(h->f->w, NULL);
	case 1:
	case 2:
		if (writer_begin_commit(h->f->w))
			note_begin(h);
		return 0;
	case 3:
		return writer_advance(h->f->w, NULL);
	default:
		h->overlapped += h->committing;
		return random_put(h);
	}
}

static void run_until_the_cut(struct history *h)
{
	h->committing = false;
	for (unsigned step = 0; step < 120 && !crash_fs.dead; step++) {
		int r = random_step(h);

		if (r && !crash_fs.dead)
			fail_at(h, 0, "an error without a power cut");
		if (r || writer_failed(h->f->w))
			break;
		if (h->committing && !writer_is_committing(h->f->w))
			note_durable(h);
		if (!writer_has_pending(h->f->w)) {
			note_begin(h);
			note_durable(h);
		}
	}
}

static void one_history(struct history *h, struct fixture *f, uint64_t seed)
{
	char path[128];

	memset(h->k, 0, sizeof h->k);
	h->f = f;
	h->epoch = 0;
	f->seed = seed;
	f->kind = seed % 2 ? DIGEST_FAST : DIGEST_STRONG;
	drop(f);
	device_close(f->d);
	f->d = memory_disk_new();
	(void)snprintf(path, sizeof path, "%s/journal", f->dir);
	(void)unlink(path);
	crash_fs_watch(f->dir, seed);
	for (h->crashes = 0; h->crashes < 3; h->crashes++) {
		resume(h);
		crash_fs_arm(1 + crash_random() % 80);
		run_until_the_cut(h);
		drop(f);
		memory_cut(disk_of(f->d));
		crash_fs_cut();
	}
	resume(h);
}

static void after_any_power_cut_claims_are_true_and_acked_blocks_are_there(void **state)
{
	const char *one = getenv("TRANSIT_SEED"), *many = getenv("TRANSIT_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t n = one ? 1 : many ? strtoull(many, NULL, 10) : 150;
	struct history h = { 0 };

	for (uint64_t seed = first; seed < first + n; seed++)
		one_history(&h, *state, seed);
	print_message("%llu histories, 3 power cuts each: %u acknowledged blocks, %u of them "
		      "overwritten, %u calls while a batch was being committed\n",
		      (unsigned long long)n, h.acked_blocks, h.overwrites, h.overlapped);
	if (!one)
		assert_true(h.acked_blocks > n && h.overwrites > n && h.overlapped > n);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_committed_is_claimed_and_not_before),
		T(what_lies_outside_the_disk_is_refused),
		T(generations_never_fall_and_never_mean_two_contents),
		T(unchanged_needs_a_claim_and_keeps_it),
		T(zeros_by_data_and_by_run_are_the_same_content),
		T(a_digest_of_the_other_kind_is_another_content),
		T(items_of_one_call_may_overlap),
		T(a_claim_is_withdrawn_before_its_block_is_overwritten),
		T(the_next_batch_is_written_while_one_is_flushed),
		T(a_flush_begins_when_the_last_write_of_its_batch_is_over),
		T(writes_are_under_way_several_at_a_time_and_no_more_than_that),
		T(a_long_run_of_zeros_is_written_in_pieces),
		T(those_before_a_refused_item_are_taken_and_no_other),
		T(after_a_failed_flush_nothing_more_is_written),
		T(a_failed_write_is_final_too),
		T(a_target_smaller_than_the_source_is_refused),
		T(a_resume_finds_what_changed_under_it),
		T(a_verification_finds_one_flipped_bit_anywhere),
		T(after_any_power_cut_claims_are_true_and_acked_blocks_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
