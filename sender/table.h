/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table.h - what the receiver has of one disk, block by block, in a file
 *
 * Shape   a 64-byte header, then 56 bytes a block: kind u8, flags u8 (1: the SHA-256 is known, 2:
 * it is the claim's digest), 2 zero bytes, generation u32 big endian, fast digest of 16 bytes,
 *         SHA-256. Mapped, so that memory does not grow with the disk.
 * Meaning kind, generation and digest are what the receiver claims, or what was last sent to it
 *         since. kind 0: it claims nothing; generation and digest are then those last sent. The
 *         SHA-256 goes into the manifest; it belongs to the content that the digest is of, and is
 *         forgotten with it.
 * Trust   the file saves generations between runs; kinds and digests are taken from the receiver
 *         again at each round, so a lost or old file costs time, never correctness.
 * Threads different blocks may be used by different threads at once.
 */
#ifndef SENDER_TABLE_H
#define SENDER_TABLE_H

#include "message.h"

#define TABLE_ENTRY_LEN 56

struct table;

enum entry_kind { ENTRY_NONE = 0, ENTRY_DATA = HAVE_DATA, ENTRY_ZERO = HAVE_ZERO };

struct table_entry {
	enum entry_kind kind;
	uint32_t gen;
	uint8_t digest[DIGEST_LEN]; /* of either kind */
	bool strong_known;
	uint8_t strong[DIGEST_LEN]; /* SHA-256; zero while it is not known */
};

/* Opens or makes NAME in ${dirfd} for a disk of ${size} bytes. A file of another task, size or
 * block size is begun anew. */
int table_open(int dirfd, const char *name, const uint8_t task[static TASK_ID_LEN], uint64_t size,
	       uint32_t block_size, struct table **ret, struct err *e);
void table_close(struct table *t);

uint64_t table_blocks(const struct table *t);
void table_get(const struct table *t, uint64_t block, struct table_entry *ret);
void table_set(struct table *t, uint64_t block, const struct table_entry *entry);

/* Blocks with data whose SHA-256 was not taken yet. */
uint64_t table_without_strong(const struct table *t);

/* The receiver claims nothing until it says so again: all kinds become ENTRY_NONE. */
void table_forget_claims(struct table *t);
/* One claim of the receiver. -EPROTO: past the end of the disk. Generations never fall. */
int table_claim(struct table *t, const struct have_entry *have, struct err *e);
/* Blocks [first, first + count) must be sent again, with a higher generation. */
void table_unclaim(struct table *t, uint64_t first, uint64_t count);

/* Detach from the file: later changes stay in memory. For the time in which the file system that
 * holds it may be frozen. table_attach() writes them back. */
int table_detach(struct table *t, struct err *e);
int table_attach(struct table *t, struct err *e);

#endif
