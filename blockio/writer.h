/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.h - write -> flush(device) -> append -> sync(journal) -> durable, in that order only
 *
 * Shape   items are put; their blocks are written by an I/O queue, several at a time, while the
 *         caller does something else. What is put belongs to the open batch. writer_begin_commit()
 *         closes it: when its last write is over the device is flushed, then its claims are
 *         appended, then the journal is synced; the writes of the next batch go on meanwhile.
 * Rule    before a claimed block is overwritten its claim is withdrawn durably, for all items of
 *         one writer_put() in one record. A block that is put again is written again only when the
 *         first content of it is durable: two writes of one block are never under way at once.
 *         Any failure of the device or the journal is final: writer_failed() from then on, and
 *         nothing is in flight any more. A refused item (ERR_PEER, -ERANGE) is not.
 * Bounds  block numbers, lengths, generations and the epoch are checked here, whoever calls.
 * Threads one. Those of the queue touch a block's bytes and the device, nothing else.
 */
#ifndef BLOCKIO_WRITER_H
#define BLOCKIO_WRITER_H

#include "device.h"
#include "journal.h"

struct writer;

enum writer_kind { WRITER_DATA, WRITER_ZERO, WRITER_UNCHANGED };

struct writer_item {
	enum writer_kind kind;
	uint64_t block;
	uint64_t count; /* 1 for data */
	uint32_t gen;
	const void *data; /* exactly the block's length; borrowed until it is written */
	size_t len;
	uint64_t cookie; /* the caller's; comes back when ${data} is not needed any more */
	uint8_t digest[DIGEST_LEN]; /* as the sender said; checked by who decoded it */
};

#define WRITER_BATCH_BYTES (32 * MIB) /* commit when this much is written and not durable */
#define WRITER_BATCH_MS 1000          /* or when the oldest of it is this old */
#define WRITER_ITEMS_MAX 64           /* per call, and on their way at one time */

/* Borrows device and journal: they outlive the writer. */
int writer_new(struct device *d, struct journal *j, struct writer **ret, struct err *e);
void writer_free(struct writer *w);

/* Resume check: re-reads the recent blocks and up to 64 random claimed ones. A difference, or a
 * suspect journal, makes it re-read every claim; what differs is unclaimed durably.
 * *${ret_unclaimed}: how many. */
int writer_resume_check(struct writer *w, uint64_t *ret_unclaimed, struct err *e);

/* Called once for every item that was taken, when its data is not needed any more: when it is
 * written, or at once where nothing need be written. Never from writer_free(). */
void writer_on_written(struct writer *w, void (*on_written)(void *arg, uint64_t cookie), void *arg);

/* -ERANGE past the disk, -EPROTO (ERR_PEER) for a wrong length or a falling generation; the same
 * generation with another digest is ERR_PEER too, with the same digest it is accepted and not
 * written. UNCHANGED for a block without a claim is ERR_PEER; it keeps the claim as it is, so its
 * generation need only be at least the claim's.
 * *${ret_taken} (may be NULL): items that were taken; a refused one is the next, it and those after
 * it are as if never put. Waits when there is no room, or for the commit that a second content of
 * one block needs. */
int writer_put(struct writer *w, const struct writer_item *v, size_t n, size_t *ret_taken,
	       struct err *e);
/* Items that writer_put() takes without waiting for room. */
size_t writer_room(const struct writer *w);

/* Readable when writer_advance() has something to do. */
int writer_fd(const struct writer *w);
/* Takes what is over and begins what can begin; does not wait. */
int writer_advance(struct writer *w, struct err *e);

/* Closes the open batch, so that it becomes durable by and by. False: it is empty, or the one
 * before is not durable yet. */
bool writer_begin_commit(struct writer *w);
bool writer_is_committing(const struct writer *w);
/* Makes all that was put durable, and waits for it. */
int writer_commit(struct writer *w, struct err *e);

uint64_t writer_open_bytes(const struct writer *w);    /* put since the last batch was closed */
uint64_t writer_pending_bytes(const struct writer *w); /* put and not durable */
bool writer_has_open(const struct writer *w);
bool writer_has_pending(const struct writer *w);
uint64_t writer_written_bytes(const struct writer *w); /* since writer_new() */
bool writer_failed(const struct writer *w);

/* How many writers share this machine's cores: each hashes with its part of them, one at least and
 * eight at most. 1 at first. */
void writer_share_cores(struct writer *w, unsigned writers);

/* Re-reads the whole target and compares with the list of digests (n_blocks * DIGEST_LEN, read from
 * ${list_fd}). Blocks that differ are unclaimed durably, up to 1000 of their numbers go to
 * ${ret_bad}. ${on_progress} may be NULL; a non-zero return from it stops with -ECANCELED. */
struct writer_verdict {
	uint64_t bytes;      /* re-read */
	uint64_t mismatched; /* blocks */
	uint64_t bad[1000];
	size_t n_bad;
	bool direct;           /* read by O_DIRECT; false: cached pages were dropped before */
	bool have_disk_digest; /* only after writer_want_disk_digest() */
	uint8_t disk_digest[DIGEST_LEN]; /* SHA-256 of the whole disk as one stream */
};
/* Off at first: hashing the disk a second time, as one stream, doubles the CPU of a verification,
 * and the list of block digests proves the same. For those who want to compare with sha256sum. */
void writer_want_disk_digest(struct writer *w, bool want);
int writer_verify(struct writer *w, int list_fd,
		  int (*on_progress)(uint64_t done, uint64_t total, void *arg), void *arg,
		  struct writer_verdict *ret, struct err *e);

#endif
