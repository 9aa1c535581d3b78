/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer as a process of its own: this file plays keeper and conns, honest and hostile ones.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "io_mode.h"
#include "ipc.h"
#include "ring.h"
#include "roles.h"

#define BLOCK ((uint32_t)BLOCK_SIZE_MIN)
#define BLOCKS 40
#define SIZE (BLOCKS * (uint64_t)BLOCK - 512) /* the last block is short */

struct fixture {
	char dir[64], disk[80];
	pid_t pid;
	int keeper;
	struct ipc_msg got;
};

struct peer { /* a conn */
	int fd;
	struct ring ring;
	uint64_t seq;
};

static const uint8_t task[TASK_ID_LEN] = "a task of sixtee";

static void make_disk(struct fixture *f, uint64_t size)
{
	int fd = open(f->disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	(void)close(fd);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)strcpy(f->dir, "/tmp/transit-writer-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->disk, sizeof f->disk, "%s/disk", f->dir);
	f->keeper = -1;
	make_disk(f, BLOCKS * (uint64_t)BLOCK);
	*state = f;
	return 0;
}

static void end_writer(struct fixture *f)
{
	close_fdp(&f->keeper);
	if (f->pid > 0) {
		(void)kill(f->pid, SIGKILL);
		(void)waitpid(f->pid, NULL, 0);
	}
	f->pid = 0;
}

/* Files only: what a writer leaves behind. */
static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		(void)unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		(void)closedir(dir);
	assert_int_equal(rmdir(path), 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	end_writer(f);
	remove_folder(f->dir);
	free(f);
	return 0;
}

/* The next message, whatever it is; fails after ten seconds. */
static int next(int fd, struct ipc_msg *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	return ipc_recv(fd, ret, NULL, NULL, NULL);
}

static struct ipc_msg *expect_in(struct fixture *f, int fd, enum ipc_type type)
{
	for (;;) {
		int r = next(fd, &f->got);

		assert_int_equal(r, 1);
		if (f->got.type == type)
			return &f->got;
		/* these come at times of their own */
		assert_true(f->got.type == IPC_WRITER_PROGRESS ||
			    f->got.type == IPC_VERIFY_PROGRESS || f->got.type == IPC_SLOT_FREE ||
			    f->got.type == IPC_DURABLE);
	}
}

static void start(struct fixture *f, uint64_t size, uint64_t flags, const char *fault)
{
	int channel[2], orders[2];
	struct ipc_msg m;

	assert_int_equal(ipc_pair(channel, NULL), 0);
	assert_int_equal(ipc_pair(orders, NULL), 0);
	ipc_init(&m, IPC_START_WRITER);
	m.disk = 2;
	m.a = BLOCK;
	m.b = size;
	m.d = flags | (fault ? WRITER_FAULT : 0);
	memcpy(m.blob, task, TASK_ID_LEN);
	m.blob_len = TASK_ID_LEN;
	if (fault) {
		memcpy(m.blob + TASK_ID_LEN, fault, strlen(fault));
		m.blob_len += (uint32_t)strlen(fault);
	}
	(void)snprintf(m.text, sizeof m.text, "%s\n%s", f->disk, f->dir);
	assert_int_equal(ipc_send(orders[0], &m, NULL, 0, NULL), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(channel[0]);
		(void)close(orders[0]);
		_exit(writer_main(channel[1], orders[1]));
	}
	(void)close(channel[1]);
	(void)close(orders[0]);
	(void)close(orders[1]);
	f->keeper = channel[0];
}

static void say(int fd, enum ipc_type type, uint64_t a)
{
	struct ipc_msg m;

	ipc_init(&m, type);
	m.a = a;
	assert_int_equal(ipc_send(fd, &m, NULL, 0, NULL), 0);
}

static struct peer grant(struct fixture *f, uint64_t epoch)
{
	struct peer p = { .seq = 0 };
	int pair[2], fds[2];
	struct ipc_msg m;

	assert_int_equal(ring_make(BLOCK, &p.ring, NULL), 0);
	assert_int_equal(ipc_pair(pair, NULL), 0);
	p.fd = pair[0];
	fds[0] = p.ring.fd;
	fds[1] = pair[1];
	ipc_init(&m, IPC_GRANT);
	m.a = epoch;
	m.b = 1;
	assert_int_equal(ipc_send(f->keeper, &m, fds, 2, NULL), 0);
	(void)close(pair[1]);
	return p;
}

static void end_peer(struct peer *p)
{
	close_fdp(&p->fd);
	ring_close(&p->ring);
}

/* A writer that is ready, in epoch 1, with one conn. */
static struct peer ready(struct fixture *f)
{
	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	say(f->keeper, IPC_EPOCH, 1);
	return grant(f, 1);
}

static size_t length_of(uint64_t block)
{
	return block == BLOCKS - 1 ? BLOCK - 512 : BLOCK;
}

static struct ipc_msg block_message(struct peer *p, uint64_t block, uint8_t fill, uint32_t slot)
{
	struct digest_ctx *d = digest_new();
	struct ipc_msg m;

	ipc_init(&m, IPC_PUT);
	m.slot = slot;
	m.a = block;
	m.b = 1;
	m.c = length_of(block);
	m.d = p->seq + 1;
	memset(ring_slot(&p->ring, slot), fill, BLOCK);
	assert_int_equal(digest_of(d, ring_slot(&p->ring, slot), m.c, m.digest), 0);
	digest_free(d);
	return m;
}

static void put(struct peer *p, uint64_t block, uint8_t fill, uint32_t slot)
{
	struct ipc_msg m = block_message(p, block, fill, slot);

	assert_int_equal(ipc_send(p->fd, &m, NULL, 0, NULL), 0);
	p->seq++;
}

static void flush(struct peer *p)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_FLUSH);
	m.d = ++p->seq;
	assert_int_equal(ipc_send(p->fd, &m, NULL, 0, NULL), 0);
}

static uint64_t durable_up_to(struct fixture *f, struct peer *p, uint64_t seq)
{
	do
		(void)expect_in(f, p->fd, IPC_DURABLE);
	while (f->got.d < seq);
	return f->got.a;
}

static uint8_t disk_byte(struct fixture *f, uint64_t off)
{
	int fd = open(f->disk, O_RDONLY | O_CLOEXEC);
	uint8_t c = 0xee;

	assert_int_equal(pread(fd, &c, 1, (off_t)off), 1);
	(void)close(fd);
	return c;
}

static void expect_fault(struct fixture *f, struct peer *p, enum wire_error code)
{
	(void)expect_in(f, p->fd, IPC_FAULT);
	assert_int_equal(f->got.a, code);
	assert_int_equal(next(p->fd, &f->got), -EPIPE);
}

/* ---- */

static void ready_tells_size_sectors_and_serial(void **state)
{
	struct fixture *f = *state;

	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	assert_int_equal(f->got.a, 0);
	assert_int_equal(f->got.b, BLOCKS * (uint64_t)BLOCK);
	assert_true(f->got.c >> 32 >= 512);
	assert_int_equal(strncmp(f->got.text, "file-", 5), 0);
}

static void a_block_is_on_the_disk_when_it_is_said_durable(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);

	put(&p, 3, 0x33, 0);
	put(&p, BLOCKS - 1, 0x44, 1);
	(void)expect_in(f, p.fd, IPC_SLOT_FREE);
	flush(&p);
	assert_int_equal(durable_up_to(f, &p, 3), 2);
	assert_int_equal(disk_byte(f, 3 * (uint64_t)BLOCK), 0x33);
	assert_int_equal(disk_byte(f, 4 * (uint64_t)BLOCK), 0);
	assert_int_equal(disk_byte(f, SIZE - 1), 0x44);
	assert_int_equal(disk_byte(f, SIZE), 0);
	end_peer(&p);
}

/* A flush that takes its time holds up nobody: slots of the next batch come back before it ends.
 * What is asked behind the order to flush is answered when the flush has begun. */
static void the_next_batch_is_written_while_one_is_flushed(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m;
	struct peer p;
	int freed = 0;

	start(f, SIZE, 0, "flush:1:delay=2000ms");
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	say(f->keeper, IPC_EPOCH, 1);
	p = grant(f, 1);
	put(&p, 1, 0x11, 0);
	flush(&p);
	ipc_init(&m, IPC_HAVE_ASK);
	m.slot = 10;
	m.b = 1;
	assert_int_equal(ipc_send(p.fd, &m, NULL, 0, NULL), 0);
	(void)expect_in(f, p.fd, IPC_HAVE);
	for (uint32_t i = 1; i < 9; i++)
		put(&p, 1 + i, 0x22, i);
	while (freed < 8) {
		assert_int_equal(next(p.fd, &f->got), 1);
		assert_int_equal(f->got.type, IPC_SLOT_FREE);
		freed++;
	}
	/* then the first batch alone is durable, and nothing is claimed of the second */
	(void)expect_in(f, p.fd, IPC_DURABLE);
	assert_int_equal(f->got.d, 2);
	assert_int_equal(f->got.a, 1);
	flush(&p);
	assert_int_equal(durable_up_to(f, &p, 11), 9);
	end_peer(&p);
}

static void durable_comes_without_a_flush_after_a_second(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);

	put(&p, 7, 0x77, 0);
	assert_int_equal(durable_up_to(f, &p, 1), 1);
	end_peer(&p);
}

static void what_was_durable_is_claimed_after_a_kill(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);

	put(&p, 5, 0x55, 0);
	flush(&p);
	(void)durable_up_to(f, &p, 2);
	end_peer(&p);
	end_writer(f);
	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	assert_int_equal(f->got.a, 1);
	assert_int_equal(f->got.d, 0);
}

static void have_lists_data_and_zero_runs(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	struct have_entry have;
	struct ipc_msg m;

	put(&p, 0, 0x11, 0);
	ipc_init(&m, IPC_PUT_ZERO);
	m.a = 10;
	m.b = 4;
	m.c = 20;
	m.d = ++p.seq;
	assert_int_equal(ipc_send(p.fd, &m, NULL, 0, NULL), 0);
	flush(&p);
	assert_int_equal(durable_up_to(f, &p, 3), 21);
	ipc_init(&m, IPC_HAVE_ASK);
	m.a = 0;
	m.b = BLOCKS;
	m.slot = 9;
	assert_int_equal(ipc_send(p.fd, &m, NULL, 0, NULL), 0);
	(void)expect_in(f, p.fd, IPC_HAVE);
	assert_int_equal(f->got.slot, 9);
	assert_int_equal(f->got.b, 1);
	assert_int_equal(f->got.a, 2 * HAVE_ENTRY_LEN);
	assert_int_equal(have_entry_decode(ring_slot(&p.ring, 9), &have, NULL), 0);
	assert_int_equal(have.kind, HAVE_DATA);
	assert_int_equal(have.block, 0);
	assert_int_equal(have_entry_decode(ring_slot(&p.ring, 9) + HAVE_ENTRY_LEN, &have, NULL), 0);
	assert_int_equal(have.kind, HAVE_ZERO);
	assert_int_equal(have.block, 10);
	assert_int_equal(have.count, 20);
	assert_int_equal(have.gen, 4);
	end_peer(&p);
}

static void hostile_numbers_end_the_channel_and_write_nothing(void **state)
{
	struct hostile {
		enum ipc_type type;
		uint32_t slot;
		uint64_t a, b, c;
	};
	static const struct hostile cases[] = {
		{ IPC_PUT, 64, 1, 1, BLOCK },
		{ IPC_PUT, UINT32_MAX, 1, 1, BLOCK },
		{ IPC_PUT, 0, BLOCKS, 1, BLOCK },
		{ IPC_PUT, 0, UINT64_MAX, 1, BLOCK },
		{ IPC_PUT, 0, UINT64_MAX / BLOCK + 2, 1, BLOCK },
		{ IPC_PUT, 0, 1, 1, BLOCK - 1 },
		{ IPC_PUT, 0, 1, 1, BLOCK + 1 },
		{ IPC_PUT, 0, 1, 1, UINT64_MAX },
		{ IPC_PUT, 0, 1, 1, 0 },
		{ IPC_PUT, 0, BLOCKS - 1, 1, BLOCK },
		{ IPC_PUT, 0, 1, UINT64_C(1) << 32, BLOCK },
		{ IPC_PUT_ZERO, 0, 1, 1, 0 },
		{ IPC_PUT_ZERO, 0, 1, 1, BLOCKS },
		{ IPC_PUT_ZERO, 0, 1, 1, UINT64_MAX },
		{ IPC_PUT_ZERO, 0, UINT64_MAX, 1, 1 },
		{ IPC_PUT_SAME, 0, 1, 1, 1 }, /* nothing is claimed */
		{ IPC_PUT_SAME, 0, BLOCKS, 1, 1 },
		{ IPC_HAVE_ASK, 64, 0, 1, 0 },
		{ IPC_HAVE_ASK, 0, 0, BLOCKS + 1, 0 },
		{ IPC_HAVE_ASK, 0, 1, UINT64_MAX, 0 },
		{ IPC_LIST, 0, 0, BLOCK / DIGEST_LEN + 1, 0 },
		{ IPC_LIST, 0, BLOCKS, 1, 0 },
		{ IPC_LIST, 0, 1, UINT64_MAX, 0 },
		{ IPC_LIST, 99, 0, 1, 0 },
		{ IPC_SIGN, 0, 0, 0, 0 },
		{ IPC_EPOCH, 0, 9, 0, 0 }, /* the keeper's word, from a conn */
		{ (enum ipc_type)9999, 0, 0, 0, 0 },
	};
	struct fixture *f = *state;
	struct peer p = ready(f);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ipc_msg m = block_message(&p, 1, 0x66, 0);

		m.type = cases[i].type;
		m.slot = cases[i].slot;
		m.a = cases[i].a;
		m.b = cases[i].b;
		m.c = cases[i].c;
		assert_int_equal(ipc_send(p.fd, &m, NULL, 0, NULL), 0);
		expect_fault(f, &p, WIRE_PROTOCOL);
		end_peer(&p);
		p = grant(f, 1);
	}
	assert_int_equal(disk_byte(f, BLOCK), 0);
	/* and the writer is none the worse for it */
	put(&p, 1, 0x22, 0);
	flush(&p);
	assert_int_equal(durable_up_to(f, &p, 2), 1);
	end_peer(&p);
}

static void a_message_of_an_odd_length_ends_the_channel_only(void **state)
{
	struct fixture *f = *state;
	struct peer bad = ready(f), good = grant(f, 1);

	assert_int_equal(write(bad.fd, "abc", 3), 3);
	assert_int_equal(next(bad.fd, &f->got), -EPIPE);
	put(&good, 2, 0x2b, 0);
	flush(&good);
	assert_int_equal(durable_up_to(f, &good, 2), 1);
	end_peer(&bad);
	end_peer(&good);
}

static void sequence_numbers_must_rise_by_one(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	struct ipc_msg m = block_message(&p, 1, 0x66, 0);

	m.d = 2;
	assert_int_equal(ipc_send(p.fd, &m, NULL, 0, NULL), 0);
	expect_fault(f, &p, WIRE_PROTOCOL);
	end_peer(&p);
}

static void two_contents_of_one_generation_are_refused_and_others_unharmed(void **state)
{
	struct fixture *f = *state;
	struct peer bad = ready(f), good = grant(f, 1);

	put(&bad, 6, 0x61, 0);
	flush(&bad);
	(void)durable_up_to(f, &bad, 2);
	/* in one batch, as far as time allows: the good one's blocks are written all the same */
	put(&good, 20, 0x20, 0);
	put(&bad, 6, 0x62, 0);
	put(&good, 21, 0x21, 1);
	flush(&good);
	expect_fault(f, &bad, WIRE_GENERATION);
	assert_int_equal(durable_up_to(f, &good, 3), 3);
	assert_int_equal(disk_byte(f, 6 * (uint64_t)BLOCK), 0x61);
	assert_int_equal(disk_byte(f, 21 * (uint64_t)BLOCK), 0x21);
	end_peer(&bad);
	end_peer(&good);
}

static void a_newer_epoch_closes_the_channels_of_the_older_one(void **state)
{
	struct fixture *f = *state;
	struct peer old = ready(f), new, late;

	say(f->keeper, IPC_EPOCH, 2);
	new = grant(f, 2);
	late = grant(f, 1);
	expect_fault(f, &old, WIRE_STALE_EPOCH);
	assert_int_equal(next(late.fd, &f->got), -EPIPE);
	put(&new, 1, 0x12, 0);
	flush(&new);
	assert_int_equal(durable_up_to(f, &new, 2), 1);
	end_peer(&old);
	end_peer(&new);
	end_peer(&late);
}

static void a_conn_that_dies_loses_nothing_it_had_put(void **state)
{
	struct fixture *f = *state;
	struct peer a = ready(f), b = grant(f, 1);

	for (uint32_t i = 0; i < 16; i++)
		put(&a, i, 0x50, i);
	end_peer(&a);
	flush(&b);
	/* the other conn's flush may come first; what a put is durable within the second */
	(void)durable_up_to(f, &b, 1);
	do
		(void)next(f->keeper, &f->got);
	while (f->got.type != IPC_WRITER_PROGRESS || f->got.a < 16);
	assert_int_equal(disk_byte(f, 15 * (uint64_t)BLOCK), 0x50);
	end_peer(&b);
}

/* A verification begins when the keeper has heard of the last claim: who waits here, waits always.
 */
static void what_became_durable_is_told_at_once(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	struct timespec from, to;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 0; i < 20; i++) {
		put(&p, i, 0x50, 0);
		flush(&p);
		do
			(void)next(f->keeper, &f->got);
		while (f->got.type != IPC_WRITER_PROGRESS || f->got.a < i + 1);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	/* one after another at a quarter of a second each would need five */
	assert_true(to.tv_sec - from.tv_sec < 4);
	end_peer(&p);
}

static void a_conn_that_never_listens_delays_nobody(void **state)
{
	struct fixture *f = *state;
	struct peer deaf = ready(f), good = grant(f, 1);
	struct ipc_msg m;
	int refused = 0;

	ipc_init(&m, IPC_FLUSH);
	for (uint64_t i = 0; i < 20000 && refused < 200; i++) {
		int r;

		m.d = deaf.seq + 1;
		r = ipc_try_send(deaf.fd, &m, NULL, 0, NULL);
		if (!r)
			deaf.seq++;
		else
			refused++;
		if (r == -EAGAIN)
			(void)usleep(100);
	}
	put(&good, 1, 0x31, 0);
	flush(&good);
	assert_int_equal(durable_up_to(f, &good, 2), 1);
	end_peer(&deaf);
	end_peer(&good);
}

static void a_write_error_fails_the_disk_for_all(void **state)
{
	struct fixture *f = *state;
	struct peer p;
	int status;

	start(f, SIZE, 0, "write:2:EIO");
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	say(f->keeper, IPC_EPOCH, 1);
	p = grant(f, 1);
	put(&p, 0, 1, 0);
	put(&p, 1, 2, 1);
	(void)expect_in(f, p.fd, IPC_FAULT);
	assert_int_equal(f->got.a, WIRE_DISK_FAILED);
	(void)expect_in(f, f->keeper, IPC_WRITER_FAILED);
	assert_int_equal(f->got.a, EIO);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	f->pid = 0;
	end_peer(&p);
}

static void a_flush_error_is_never_said_durable(void **state)
{
	struct fixture *f = *state;
	struct peer p;

	start(f, SIZE, 0, "flush:1:EIO");
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	say(f->keeper, IPC_EPOCH, 1);
	p = grant(f, 1);
	put(&p, 0, 1, 0);
	flush(&p);
	do
		assert_int_equal(next(p.fd, &f->got), 1);
	while (f->got.type == IPC_SLOT_FREE);
	assert_int_equal(f->got.type, IPC_FAULT);
	assert_int_equal(f->got.a, WIRE_DISK_FAILED);
	(void)expect_in(f, f->keeper, IPC_WRITER_FAILED);
	end_peer(&p);
}

static void a_disk_that_holds_something_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->disk, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "here", 4, 1000), 4);
	(void)close(fd);
	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_FAILED);
	assert_int_equal(f->got.blob_len, strlen("disk-not-empty"));
	assert_memory_equal(f->got.blob, "disk-not-empty", f->got.blob_len);
	end_writer(f);
	start(f, SIZE, WRITER_MAY_ERASE, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
}

static void a_disk_that_is_too_small_or_missing_is_refused_by_name(void **state)
{
	struct fixture *f = *state;

	start(f, BLOCKS * (uint64_t)BLOCK + 512, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_FAILED);
	assert_memory_equal(f->got.blob, "disk-too-small", f->got.blob_len);
	end_writer(f);
	assert_int_equal(unlink(f->disk), 0);
	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_FAILED);
	assert_memory_equal(f->got.blob, "disk-missing", f->got.blob_len);
}

/* ---- verification ---- */

static void send_list(struct peer *p, const uint8_t *digests, uint64_t n)
{
	struct ipc_msg m;

	/* a slot of its own: those of the blocks may still be the writer's */
	memcpy(ring_slot(&p->ring, 50), digests, n * DIGEST_LEN);
	ipc_init(&m, IPC_LIST);
	m.slot = 50;
	m.b = n;
	assert_int_equal(ipc_send(p->fd, &m, NULL, 0, NULL), 0);
}

/* Every block is ${fill} + its number; the list's digest goes to ${ret}. */
static void fill_disk(struct fixture *f, struct peer *p, uint8_t ret[static DIGEST_LEN])
{
	static uint8_t digests[BLOCKS * DIGEST_LEN];
	struct digest_ctx *d = digest_new();

	for (uint32_t i = 0; i < BLOCKS; i++) {
		struct ipc_msg m = block_message(p, i, (uint8_t)(i + 1), i);

		memcpy(digests + (size_t)i * DIGEST_LEN, m.digest, DIGEST_LEN);
		assert_int_equal(ipc_send(p->fd, &m, NULL, 0, NULL), 0);
		p->seq++;
	}
	send_list(p, digests, BLOCKS);
	flush(p);
	assert_int_equal(durable_up_to(f, p, BLOCKS + 1), BLOCKS);
	assert_int_equal(digest_of(d, digests, sizeof digests, ret), 0);
	digest_free(d);
}

static void verify(struct fixture *f, const uint8_t digest[static DIGEST_LEN])
{
	struct ipc_msg m;

	ipc_init(&m, IPC_VERIFY);
	memcpy(m.digest, digest, DIGEST_LEN);
	assert_int_equal(ipc_send(f->keeper, &m, NULL, 0, NULL), 0);
	(void)expect_in(f, f->keeper, IPC_VERIFY_DONE);
}

static void an_equal_disk_is_verified_equal(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	uint8_t digest[DIGEST_LEN];

	fill_disk(f, &p, digest);
	verify(f, digest);
	assert_int_equal(f->got.a, 0);
	assert_int_equal(f->got.b, 0);
	end_peer(&p);
}

static void one_flipped_bit_is_found_and_its_block_unclaimed(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	uint8_t digest[DIGEST_LEN], byte = 18 ^ 4;
	int fd;

	fill_disk(f, &p, digest);
	fd = open(f->disk, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, 17 * (off_t)BLOCK + 999), 1);
	(void)close(fd);
	verify(f, digest);
	assert_int_equal(f->got.a, 1);
	assert_int_equal(f->got.b, 1);
	assert_int_equal(f->got.c, 17);
	assert_string_equal(f->got.text, "17");
	say(f->keeper, IPC_VERIFY_STOP, 0);
	/* the same content again mends it */
	put(&p, 17, 18, 0);
	flush(&p);
	assert_int_equal(durable_up_to(f, &p, p.seq), BLOCKS);
	verify(f, digest);
	assert_int_equal(f->got.a, 0);
	end_peer(&p);
}

/* "verified" is about what lies there afterwards: no conn that was open may change it. */
static void what_was_verified_is_not_written_until_the_keeper_says_so(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f), other = grant(f, 1), third = grant(f, 1), late;
	uint8_t digest[DIGEST_LEN];

	fill_disk(f, &p, digest);
	verify(f, digest);
	assert_int_equal(f->got.a, 0);
	p.seq = 0; /* of its own channel each */
	put(&other, 3, 0xee, 1);
	expect_fault(f, &other, WIRE_STATE);
	send_list(&p, digest, 1);
	expect_fault(f, &p, WIRE_STATE);
	assert_int_equal(disk_byte(f, 3 * (uint64_t)BLOCK), 4);
	verify(f, digest);
	assert_int_equal(f->got.a, 0);

	say(f->keeper, IPC_VERIFY_STOP, 0);
	late = grant(f, 1);
	put(&late, 3, 4, 0);
	flush(&late);
	(void)durable_up_to(f, &late, 2);
	put(&third, 3, 4, 0);
	flush(&third);
	(void)durable_up_to(f, &third, 2);
	end_peer(&p);
	end_peer(&other);
	end_peer(&third);
	end_peer(&late);
}

static void a_list_that_is_not_the_signed_one_is_refused(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	uint8_t digest[DIGEST_LEN];

	fill_disk(f, &p, digest);
	digest[0] ^= 1;
	verify(f, digest);
	assert_int_equal(f->got.a, 2);
	end_peer(&p);
}

static void stop_commits_and_ends_well(void **state)
{
	struct fixture *f = *state;
	struct peer p = ready(f);
	int status;

	put(&p, 9, 0x99, 0);
	(void)expect_in(f, p.fd, IPC_SLOT_FREE);
	say(f->keeper, IPC_STOP, 0);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	f->pid = 0;
	end_peer(&p);
	start(f, SIZE, 0, NULL);
	(void)expect_in(f, f->keeper, IPC_WRITER_READY);
	assert_int_equal(f->got.a, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(ready_tells_size_sectors_and_serial),
		T(a_block_is_on_the_disk_when_it_is_said_durable),
		T(the_next_batch_is_written_while_one_is_flushed),
		T(durable_comes_without_a_flush_after_a_second),
		T(what_was_durable_is_claimed_after_a_kill),
		T(have_lists_data_and_zero_runs),
		T(hostile_numbers_end_the_channel_and_write_nothing),
		T(a_message_of_an_odd_length_ends_the_channel_only),
		T(sequence_numbers_must_rise_by_one),
		T(two_contents_of_one_generation_are_refused_and_others_unharmed),
		T(a_newer_epoch_closes_the_channels_of_the_older_one),
		T(a_conn_that_dies_loses_nothing_it_had_put),
		T(what_became_durable_is_told_at_once),
		T(a_conn_that_never_listens_delays_nobody),
		T(a_write_error_fails_the_disk_for_all),
		T(a_flush_error_is_never_said_durable),
		T(a_disk_that_holds_something_is_refused_by_name),
		T(a_disk_that_is_too_small_or_missing_is_refused_by_name),
		T(an_equal_disk_is_verified_equal),
		T(one_flipped_bit_is_found_and_its_block_unclaimed),
		T(what_was_verified_is_not_written_until_the_keeper_says_so),
		T(a_list_that_is_not_the_signed_one_is_refused),
		T(stop_commits_and_ends_well),
	};

	int missing = io_mode_missing();

	if (missing)
		return missing;
	log_open("test_writer_role", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("writer_role", tests, NULL, NULL);
}
