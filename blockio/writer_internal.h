/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_internal.h - shared by writer.c (what is judged and put), writer_batch.c (how it becomes
 * durable), writer_reread.c and writer_verify.c (what is there)
 */
#ifndef BLOCKIO_WRITER_INTERNAL_H
#define BLOCKIO_WRITER_INTERNAL_H

#include "base/bytes.h"
#include "extent.h"
#include "ioq.h"
#include "writer.h"

/* One record holds the claims of a batch, so that a commit is one append. */
#define PENDING_MAX 1024
/* Writes of one disk under way at one time; more gain nothing on the disks we know. */
#define WRITES_MAX 16

/*
 * open -> writing -> flushing -> flushed -> syncing -> open (empty)
 *
 * writing: closed, its last writes are under way. flushed: the claims wait for a sync of the
 * journal that is under way, since two at once might share out one error between them.
 */
enum batch_state { BATCH_OPEN, BATCH_WRITING, BATCH_FLUSHING, BATCH_FLUSHED, BATCH_SYNCING };

struct writer_batch {
	enum batch_state state;
	struct journal_entry *entries; /* PENDING_MAX: what becomes claims */
	size_t n;
	struct extent_set touched; /* their blocks */
	uint64_t bytes;
	unsigned writing;  /* items whose writes are not over */
	uint64_t appended; /* syncing: durable when this much of the journal is */
};

/* One item whose blocks are to be written. */
struct writer_op {
	struct device_io io; /* first member: a completion's tag is its address */
	struct writer_batch *batch;
	uint64_t end;   /* of the range; zeros are written in pieces */
	uint64_t needs; /* held until this much of the journal is durable */
	uint64_t cookie;
	struct writer_op *next;
};

struct writer {
	struct device *device;   /* borrowed */
	struct journal *journal; /* borrowed */
	struct ioq *queue;
	uint64_t blocks, size;
	uint32_t block_size;
	struct digest_ctx *digest;
	bool failed, want_disk_digest;
	unsigned hash_threads;
	uint64_t written_bytes;
	void (*on_written)(void *arg, uint64_t cookie);
	void *arg;

	struct writer_batch batch[2];
	struct writer_batch *open, *closing; /* closing: NULL when none is */
	struct writer_op op[WRITER_ITEMS_MAX];
	struct writer_op *free;
	size_t n_free;
	struct writer_op *held, **held_end; /* in the order they were put */
	unsigned writes;                    /* given to the queue */
	struct device_io flush;
	/* Records are counted here: how many were appended, how many of them are durable, how many
	 * the sync under way covers (0: there is none). */
	uint64_t appended, synced, syncing;
};

size_t writer_block_len(const struct writer *w, uint64_t block);
/* Marks the writer failed and the journal suspect, when nothing is in flight; returns ${r}. */
int writer_fail(struct writer *w, int r);

/* writer_batch.c */
int writer_batches_new(struct writer *w);
void writer_batches_free(struct writer *w);
/* An item that was judged good: to be written when ${needs} records are durable. There is room. */
void writer_hold(struct writer *w, const struct writer_item *v, uint64_t needs);
/* Begins what can begin. */
int writer_pump(struct writer *w, struct err *e);
/* Waits for one completion and what follows from it. */
int writer_wait(struct writer *w, struct err *e);
uint64_t writer_run_len(const struct writer *w, uint64_t block, uint64_t count);

/*
 * writer_reread.c: blocks read ahead and hashed by several threads, told in the order of the disk
 */
struct writer_want { /* what a block should be */
	bool zero;
	enum digest_kind kind; /* unless it is to be zero */
	uint8_t digest[DIGEST_LEN];
};
struct writer_reread {
	/* 1: *ret_block is to be looked at next; 0: that was all; or -errno. */
	int (*next)(struct writer *w, uint64_t *ret_block, struct writer_want *ret, void *arg,
		    struct err *e);
	/* In the order of next(). ${res}: 1 it is that, 0 it is not, -errno: it could not be read
	 * or hashed. ${data}: the block, for the whole disk's digest. Non-zero ends it. */
	int (*seen)(struct writer *w, uint64_t block, int res, const void *data, void *arg,
		    struct err *e);
	void *arg;
};
/* Nothing is pending meanwhile. */
int writer_reread(struct writer *w, const struct writer_reread *how, struct err *e);

#endif
