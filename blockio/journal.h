/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal.h - which blocks of the target disk are known to be durable, and with what content
 *
 * Source   docs/journal-format.md, version 1.
 * Shape    DIR/journal: header block, then records, each with its own checksum, sequence number
 *          and the checksum of the one before; DIR/table: the claims by block number, derived
 *          from the journal, rebuilt at open.
 * Units    blocks. The last block of a disk may be short.
 * Order    append a claim only for what a completed device flush already covers; withdraw before
 *          a claimed block is overwritten, and make that durable first.
 * Errors   0, or a negative errno with *e filled. A torn last record is cut, not an error.
 *          -EUCLEAN: a good record after a bad one, or a wrong header; never repaired silently.
 *          A failed sync is final: every later call fails with it.
 * Owner    journal_open() gives the journal to the caller; journal_close(NULL) does nothing.
 * Threads  the writer's thread only.
 */
#ifndef BLOCKIO_JOURNAL_H
#define BLOCKIO_JOURNAL_H

#include "message.h"

struct journal;

struct journal_disk { /* what the header pins; a journal of another disk is refused */
	uint8_t task[TASK_ID_LEN];
	uint32_t disk;
	uint32_t block_size;
	uint64_t size; /* bytes of the source disk */
	uint64_t target_size;
	char serial[96]; /* of the target disk */
};

enum claim_kind { CLAIM_NONE = 0, CLAIM_DATA = 1, CLAIM_ZERO = 2 };

struct claim {
	enum claim_kind kind;
	uint32_t gen;
	uint8_t digest[DIGEST_LEN];
};

struct journal_entry {
	uint64_t block;
	uint32_t count;     /* 1 for data; runs for zero and withdrawn blocks */
	struct claim claim; /* kind CLAIM_NONE: withdraw */
};

/* Creates or opens DIR/journal for ${want}. -ESTALE (ERR_REFUSED "disk-not-the-journals") when the
 * journal belongs to another disk, task or size. Preallocates, so that a full state disk shows
 * before the first byte of a target is written. */
int journal_open(const char *dir, const struct journal_disk *want, struct journal **ret,
		 struct err *e);
/* Reads without writing: for "the journal claims nothing that is not on the disk". */
int journal_open_readonly(const char *dir, struct journal **ret, struct err *e);
void journal_close(struct journal *j);
static inline void journal_closep(struct journal **j)
{
	journal_close(*j);
	*j = NULL;
}

const struct journal_disk *journal_disk(const struct journal *j);
uint64_t journal_blocks(const struct journal *j);
uint64_t journal_claimed(const struct journal *j); /* number of claimed blocks */
bool journal_is_claimed(const struct journal *j, uint64_t block);
int journal_get(struct journal *j, uint64_t block, struct claim *ret, struct err *e);

/* Appends one record; not durable until journal_sync(). The claims count at once in memory. */
int journal_append(struct journal *j, const struct journal_entry *v, size_t n, struct err *e);
int journal_sync(struct journal *j, struct err *e);

/* The same in two halves, for a sync that goes on while records are appended: what was appended
 * before the first half is durable when fdatasync(*ret_fd) gave 0. Between them no other sync, no
 * epoch and no mark; a compaction waits. */
int journal_sync_begin(struct journal *j, int *ret_fd, struct err *e);
/* ${res}: 0 or the negative errno of the fdatasync. */
int journal_sync_end(struct journal *j, int res, struct err *e);

/* Durable before the session may write. -ESTALE when ${epoch} is not above the last one. */
int journal_set_epoch(struct journal *j, uint64_t epoch, struct err *e);
uint64_t journal_epoch(const struct journal *j);

/* After a failed flush: durable mark that claims must be proved by re-reading. */
int journal_set_suspect(struct journal *j, bool suspect, struct err *e);
bool journal_is_suspect(const struct journal *j);

/* The blocks of the last two committed batches, for the spot check at resume: up to ${room}. */
size_t journal_recent(const struct journal *j, uint64_t *ret_blocks, size_t room);

#endif
