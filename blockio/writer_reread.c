/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_reread.c - the device is read ahead while threads hash what was read, in bounded memory
 *
 * The places form a ring in the order of the disk: reads and digests end in any order, verdicts are
 * told from the oldest on. A place is touched by one thread at a time, handed on by the queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "writer_internal.h"

#define AHEAD_BYTES (6 * MIB)
#define AHEAD_MAX 32

struct place {
	struct device_io io; /* first member: a completion's tag is its address, or the place's */
	uint64_t block;
	size_t len;
	uint8_t *buf; /* one block, page-aligned */
	struct digest_ctx *digest;
	enum { PLACE_READING, PLACE_READ, PLACE_OVER } state;
	bool hole;
	struct writer_want want;
	int res; /* 1 the same, 0 another content, -errno */
};

struct ahead {
	struct writer *w;
	const struct writer_reread *how;
	struct place place[AHEAD_MAX];
	size_t n, first, used; /* places; the oldest; how many are taken */
	unsigned threads;
	bool queue_reads;
	struct extent hole; /* the last one that was met */
	bool ended;         /* there is no next block */
};

static int place_new(struct writer *w, struct place *p)
{
	void *buf = NULL;

	if (posix_memalign(&buf, 4096, w->block_size))
		return -ENOMEM;
	p->buf = buf;
	p->digest = digest_new();
	if (!p->digest)
		return -ENOMEM;
	digest_seed(p->digest, journal_disk(w->journal)->task);
	return 0;
}

static void ahead_freep(struct ahead **a)
{
	for (size_t i = 0; *a && i < AHEAD_MAX; i++) {
		digest_free((*a)->place[i].digest);
		free((*a)->place[i].buf);
	}
	free(*a);
	*a = NULL;
}

/*
 * io_uring reads while the threads hash. Without it the thread that hashes reads, which saves a
 * hand-over: there are twice as many then where a read waits for a disk, so that some hash; and
 * only as many places as keep them busy, because what is read into memory that is still in the
 * processor's cache is hashed sooner.
 */
static void choose(struct ahead *a)
{
	struct writer *w = a->w;
	const struct device_io io = {
		.device = w->device, .call = DEVICE_REREAD, .len = 4096, .to = NULL
	};
	bool waits = device_way(&io) == DEVICE_BY_OP;

	a->queue_reads = waits && ioq_backend(w->queue) == IOQ_URING;
	a->threads = w->hash_threads * (waits && !a->queue_reads ? 2 : 1);
	if (a->threads > IOQ_THREADS_MAX)
		a->threads = IOQ_THREADS_MAX;
	a->n = AHEAD_BYTES / w->block_size;
	if (!a->queue_reads && a->n > 2 * (size_t)a->threads)
		a->n = 2 * (size_t)a->threads;
	if (a->n > AHEAD_MAX)
		a->n = AHEAD_MAX;
}

static int ahead_new(struct writer *w, const struct writer_reread *how, struct ahead **ret,
		     struct err *e)
{
	scoped(ahead_freep) struct ahead *a = calloc(1, sizeof *a);

	if (!a)
		return err_set(e, ERR_SYS, ENOMEM, "read the disk back");
	a->w = w;
	a->how = how;
	choose(a);
	for (size_t i = 0; i < a->n; i++) {
		if (place_new(w, a->place + i) < 0)
			return err_set(e, ERR_SYS, ENOMEM, "read the disk back");
	}
	*ret = take_ptr(&a);
	return 0;
}

/* ---- on a thread of the queue ---- */

static int is_wanted(struct place *p)
{
	bool zeros = p->hole || all_zero(p->buf, p->len);
	uint8_t is[DIGEST_LEN];
	int r;

	if (p->want.zero)
		return zeros;
	/* Comparing with zeros costs a twentieth of SHA-256. */
	if (zeros)
		r = digest_zero_block(p->digest, p->want.kind, p->len, is);
	else
		r = digest_block(p->digest, p->want.kind, p->buf, p->len, is);
	return r < 0 ? r : !memcmp(is, p->want.digest, DIGEST_LEN);
}

static int judge(void *arg)
{
	struct place *p = arg;

	if (p->state == PLACE_READING && !p->hole) {
		int r = device_reread(p->io.device, p->buf, p->len, p->io.off, NULL);
		if (r < 0)
			return r;
	}
	return is_wanted(p);
}

/* ---- the writer's thread ---- */

static void over(struct place *p, int res)
{
	p->res = res;
	p->state = PLACE_OVER;
}

static void start_judge(struct ahead *a, struct place *p)
{
	struct ioq_op op = { .kind = IOQ_CALL, .call = judge, .arg = p, .tag = (uintptr_t)p };

	if (ioq_submit(a->w->queue, &op) < 0)
		over(p, judge(p));
}

static bool in_hole(struct ahead *a, const struct place *p)
{
	if (p->io.off < a->hole.off || p->io.off >= a->hole.off + a->hole.len)
		a->hole = (struct extent){ .off = p->io.off,
					   .len = device_hole(a->w->device, p->io.off) };
	return p->io.off + p->len <= a->hole.off + a->hole.len;
}

static void start_place(struct ahead *a, struct place *p)
{
	struct writer *w = a->w;

	p->len = writer_block_len(w, p->block);
	p->io = (struct device_io){ .device = w->device,
				    .call = DEVICE_REREAD,
				    .off = p->block * w->block_size,
				    .len = p->len,
				    .to = p->buf };
	p->state = PLACE_READING;
	p->hole = in_hole(a, p);
	if (p->hole && w->want_disk_digest)
		memset(p->buf, 0, p->len);
	if (p->hole)
		over(p, judge(p));
	else if (!a->queue_reads || device_way(&p->io) != DEVICE_BY_OP)
		start_judge(a, p);
	else if (device_start(w->queue, &p->io))
		over(p, p->io.res);
}

/* 1: something took a place; 0: the end, or no place. */
static int take_next(struct ahead *a, struct err *e)
{
	struct place *p = a->place + (a->first + a->used) % a->n;
	int r;

	if (a->used == a->n || a->ended)
		return 0;
	p->want = (struct writer_want){ 0 };
	r = a->how->next(a->w, &p->block, &p->want, a->how->arg, e);
	a->ended = r <= 0;
	if (r <= 0)
		return r;
	a->used++;
	start_place(a, p);
	return 1;
}

static void completed(struct ahead *a, const struct ioq_done *done)
{
	struct place *p = (struct place *)(uintptr_t)done->tag;

	/* Of a place that the queue read, the first completion is the read's. */
	if (p->state == PLACE_READING && done->res == (ssize_t)p->len) {
		p->state = PLACE_READ;
		start_judge(a, p);
	} else if (done->res > 1) {
		over(p, -EIO); /* a read that ended early */
	} else {
		over(p, (int)done->res);
	}
}

static int tell_first(struct ahead *a, struct err *e)
{
	struct place *p = a->place + a->first;

	a->first = (a->first + 1) % a->n;
	a->used--;
	return a->how->seen(a->w, p->block, p->res, p->buf, a->how->arg, e);
}

static int run(struct ahead *a, struct err *e)
{
	struct ioq_done done;
	int r;

	for (;;) {
		while ((r = take_next(a, e)) > 0)
			continue;
		if (r < 0 || !a->used)
			return r;
		while (a->place[a->first].state != PLACE_OVER && ioq_wait(a->w->queue, &done))
			completed(a, &done);
		if ((r = tell_first(a, e)) != 0)
			return r;
	}
}

int writer_reread(struct writer *w, const struct writer_reread *how, struct err *e)
{
	scoped(ahead_freep) struct ahead *a = NULL;
	struct ioq_done done;
	int r = ahead_new(w, how, &a, e);

	if (r < 0)
		return r;
	ioq_limit_threads(w->queue, a->threads);
	r = run(a, e);
	/* Whatever ended it: nothing is read into a buffer that goes. */
	while (ioq_wait(w->queue, &done))
		continue;
	ioq_limit_threads(w->queue, IOQ_THREADS_MAX);
	return r;
}
