/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_batch.c - what was put becomes written, flushed, claimed, durable; all of it side by side
 *
 * Everything here is done by the writer's thread; the queue only writes and syncs.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "writer_internal.h"

/* One call to zero a range is not interrupted: short enough for a stop to be heard. */
#define ZERO_MAX (128 * MIB)
/* Always left for a flush and for a sync of the journal. */
#define ROOM_KEPT 2

int writer_batches_new(struct writer *w)
{
	for (size_t i = 0; i < 2; i++) {
		w->batch[i].entries = calloc(PENDING_MAX, sizeof *w->batch[i].entries);
		if (!w->batch[i].entries)
			return -ENOMEM;
	}
	w->open = &w->batch[0];
	for (size_t i = WRITER_ITEMS_MAX; i-- > 0;) {
		w->op[i].next = w->free;
		w->free = w->op + i;
	}
	w->n_free = WRITER_ITEMS_MAX;
	w->held_end = &w->held;
	return 0;
}

void writer_batches_free(struct writer *w)
{
	for (size_t i = 0; i < 2; i++) {
		extent_set_free(&w->batch[i].touched);
		free(w->batch[i].entries);
	}
}

/* ---- items ---- */

void writer_hold(struct writer *w, const struct writer_item *v, uint64_t needs)
{
	struct writer_op *op = w->free;
	uint64_t len = writer_run_len(w, v->block, v->count);

	w->free = op->next;
	w->n_free--;
	*op = (struct writer_op){ .batch = w->open, .needs = needs, .cookie = v->cookie };
	op->io.device = w->device;
	op->io.call = v->kind == WRITER_DATA ? DEVICE_WRITE : DEVICE_ZERO;
	op->io.from = v->data;
	op->io.off = v->block * w->block_size;
	op->io.len = len;
	op->end = op->io.off + len;
	w->open->writing++;
	w->open->bytes += len;
	w->written_bytes += len;
	*w->held_end = op;
	w->held_end = &op->next;
}

static void op_over(struct writer *w, struct writer_op *op)
{
	uint64_t cookie = op->cookie;

	op->batch->writing--;
	op->next = w->free;
	w->free = op;
	w->n_free++;
	if (w->on_written)
		w->on_written(w->arg, cookie);
}

/* True: the range is written to its end. */
static bool op_moved(struct writer_op *op)
{
	op->io.off += op->io.len;
	op->io.len = op->end - op->io.off;
	return !op->io.len;
}

/* Gives it to the queue, or does it where that is as good. */
static int op_start(struct writer *w, struct writer_op *op, struct err *e)
{
	do {
		if (op->io.call == DEVICE_ZERO && op->io.len > ZERO_MAX)
			op->io.len = ZERO_MAX;
		if (!device_start(w->queue, &op->io)) {
			w->writes++;
			return 0;
		}
		int r = device_finish(&op->io, op->io.res, e);
		if (r < 0)
			return r;
	} while (!op_moved(op));
	op_over(w, op);
	return 0;
}

static bool may_start(const struct writer *w)
{
	return w->held && w->held->needs <= w->synced && w->writes < WRITES_MAX &&
	       ioq_room(w->queue) > ROOM_KEPT;
}

/* In the order they were put: one that waits for its withdrawal keeps those behind it waiting, but
 * the sync it waits for is already under way. */
static int start_held(struct writer *w, struct err *e)
{
	while (may_start(w)) {
		struct writer_op *op = w->held;
		int r;

		w->held = op->next;
		if (!w->held)
			w->held_end = &w->held;
		r = op_start(w, op, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the journal ---- */

/* One at a time, and the next one covers all that came meanwhile. */
static int start_sync(struct writer *w, struct err *e)
{
	struct ioq_op op = { .kind = IOQ_DATASYNC, .tag = (uintptr_t)&w->syncing };
	int r;

	if (w->syncing || w->appended == w->synced)
		return 0;
	if ((r = journal_sync_begin(w->journal, &op.fd, e)) < 0)
		return r;
	w->syncing = w->appended;
	r = ioq_submit(w->queue, &op);
	assert(!r);
	return r;
}

static int sync_over(struct writer *w, ssize_t res, struct err *e)
{
	int r = journal_sync_end(w->journal, (int)res, e);

	if (!r)
		w->synced = w->syncing;
	w->syncing = 0;
	return r;
}

/* ---- the batch that is being committed ---- */

static int flush_over(struct writer *w, ssize_t res, struct err *e)
{
	w->closing->state = BATCH_FLUSHED;
	return device_finish(&w->flush, res, e);
}

static int start_flush(struct writer *w, struct err *e)
{
	w->flush = (struct device_io){ .device = w->device, .call = DEVICE_FLUSH };
	w->closing->state = BATCH_FLUSHING;
	return device_start(w->queue, &w->flush) ? flush_over(w, w->flush.res, e) : 0;
}

static int claim(struct writer *w, struct err *e)
{
	int r = journal_append(w->journal, w->closing->entries, w->closing->n, e);

	w->closing->appended = ++w->appended;
	w->closing->state = BATCH_SYNCING;
	return r;
}

static void batch_is_durable(struct writer *w)
{
	struct writer_batch *b = w->closing;

	b->state = BATCH_OPEN;
	b->n = 0;
	b->bytes = 0;
	b->touched.n = 0;
	w->closing = NULL;
}

static int step_batch(struct writer *w, struct err *e)
{
	struct writer_batch *b = w->closing;
	int r = 0;

	if (b && b->state == BATCH_WRITING && !b->writing)
		r = start_flush(w, e);
	if (!r && b && b->state == BATCH_FLUSHED && !w->syncing)
		r = claim(w, e);
	if (!r && b && b->state == BATCH_SYNCING && w->synced >= b->appended)
		batch_is_durable(w);
	return r;
}

bool writer_begin_commit(struct writer *w)
{
	if (w->failed || w->closing || !w->open->n)
		return false;
	w->closing = w->open;
	w->closing->state = BATCH_WRITING;
	w->open = w->closing == &w->batch[0] ? &w->batch[1] : &w->batch[0];
	return true;
}

/* ---- completions ---- */

/* The claims of a flushed batch go before a sync begins: one that is only for withdrawals, again
 * and again, would keep them out. */
int writer_pump(struct writer *w, struct err *e)
{
	int r = step_batch(w, e);

	if (!r)
		r = start_sync(w, e);
	if (!r)
		r = start_held(w, e);
	/* Where writes are done at once, the batch may just have got its last one. */
	if (!r)
		r = step_batch(w, e);
	if (!r)
		r = start_sync(w, e);
	return r < 0 ? writer_fail(w, r) : 0;
}

static int completed(struct writer *w, const struct ioq_done *done, struct err *e)
{
	struct writer_op *op = (struct writer_op *)(uintptr_t)done->tag;
	int r;

	if (done->tag == (uintptr_t)&w->syncing)
		return sync_over(w, done->res, e);
	if (done->tag == (uintptr_t)&w->flush)
		return flush_over(w, done->res, e);
	w->writes--;
	r = device_finish(&op->io, done->res, e);
	if (r < 0)
		return r;
	if (!op_moved(op))
		return op_start(w, op, e);
	op_over(w, op);
	return 0;
}

static int check_alive(const struct writer *w, struct err *e)
{
	return w->failed ? err_set(e, ERR_DISK, EIO, "the writer of '%s' failed before",
				   w->device->info.path)
			 : 0;
}

int writer_advance(struct writer *w, struct err *e)
{
	struct ioq_done done;
	int r = check_alive(w, e);

	if (r < 0)
		return r;
	while (!r && ioq_reap(w->queue, &done))
		r = completed(w, &done, e);
	return r < 0 ? writer_fail(w, r) : writer_pump(w, e);
}

int writer_wait(struct writer *w, struct err *e)
{
	struct ioq_done done;
	int r;

	if (ioq_wait(w->queue, &done) && (r = completed(w, &done, e)) < 0)
		return writer_fail(w, r);
	return writer_pump(w, e);
}

int writer_commit(struct writer *w, struct err *e)
{
	int r = check_alive(w, e);

	while (!r && (w->closing || w->open->n)) {
		(void)writer_begin_commit(w);
		r = writer_pump(w, e);
		if (!r && w->closing)
			r = writer_wait(w, e);
	}
	return r;
}

int writer_fail(struct writer *w, int r)
{
	struct ioq_done done;

	if (w->failed)
		return r;
	w->failed = true;
	/* Nobody may give back a buffer, or mark the journal, under what is still under way. */
	while (ioq_wait(w->queue, &done)) {
		if (done.tag == (uintptr_t)&w->syncing)
			(void)sync_over(w, done.res, NULL);
	}
	/* What the device holds now is not known: claims must be proved before they count again.
	 * If the journal cannot take the mark either, its own torn state says so at the next open.
	 */
	(void)journal_set_suspect(w->journal, true, NULL);
	return r;
}

uint64_t writer_open_bytes(const struct writer *w)
{
	return w->open->bytes;
}

uint64_t writer_pending_bytes(const struct writer *w)
{
	return w->open->bytes + (w->closing ? w->closing->bytes : 0);
}

bool writer_has_open(const struct writer *w)
{
	return w->open->n > 0;
}

bool writer_has_pending(const struct writer *w)
{
	return w->open->n || w->closing;
}

bool writer_is_committing(const struct writer *w)
{
	return w->closing != NULL;
}

/* While a batch cannot be closed because the one before is not durable, it does not grow for ever.
 */
size_t writer_room(const struct writer *w)
{
	size_t left = PENDING_MAX - w->open->n;

	if (w->closing && w->open->bytes >= WRITER_BATCH_BYTES)
		return 0;
	return left < w->n_free ? left : w->n_free;
}

int writer_fd(const struct writer *w)
{
	return ioq_fd(w->queue);
}
