/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal_internal.h - the layout of docs/journal-format.md, and what the journal_*.c files share
 */
#ifndef BLOCKIO_JOURNAL_INTERNAL_H
#define BLOCKIO_JOURNAL_INTERNAL_H

#include "base/bytes.h"
#include "journal.h"

#define JOURNAL_PAGE 4096
#define JOURNAL_VERSION 1
#define RECORD_MAGIC UINT32_C(0x54524a52) /* "TRJR" */
#define RECORD_HEAD 64
#define RECORD_PAGES_MAX 16
#define ENTRY_LEN 48
#define ENTRIES_MAX ((RECORD_PAGES_MAX * JOURNAL_PAGE - RECORD_HEAD) / ENTRY_LEN)
#define TABLE_ENTRY 8 /* offset in the journal of the entry that claims the block */
#define RECENT_MAX 1024

enum record_type {
	RECORD_CLAIMS = 1,
	RECORD_EPOCH = 2,
	RECORD_SUSPECT = 3,
	RECORD_TRUSTED = 4,
};

struct record {
	enum record_type type;
	uint32_t pages;
	uint64_t seq;    /* one more than the record before */
	uint64_t synced; /* the last record that was durable when this one was written */
	uint64_t epoch;
	uint64_t prev; /* checksum of the record before, of the header for the first */
	uint64_t id;   /* the journal's, random: no record of an older file can be taken for ours */
	uint32_t n;
	uint64_t checksum;
};

/* Where the next record goes; compaction has one of its own for the new file. */
struct journal_tail {
	int fd;
	uint64_t id, end, seq, synced, epoch, chain;
	uint8_t *buf; /* RECORD_PAGES_MAX pages */
};

struct recent_batch {
	size_t n;
	uint64_t blocks[RECENT_MAX / 2];
};

struct journal {
	struct journal_disk disk;
	struct journal_tail tail;
	uint64_t blocks, claimed;
	uint64_t reserved; /* bytes of the file the file system has promised */
	uint8_t *bitmap;   /* one bit a block: claimed */
	int dirfd, table_fd;
	bool readonly, suspect;
	bool syncing;      /* between journal_sync_begin() and _end() */
	uint64_t sync_seq; /* what that sync covers */
	int failed;        /* positive errno of the write or sync that failed, for good */
	char dir[256];
	struct recent_batch recent[2]; /* [0] is the newer */
	uint8_t *chunk;                /* JOURNAL_CHUNK bytes, for the table and the scan */
};

#define JOURNAL_CHUNK (64 * KIB)

/* journal_record.c: bytes */
void journal_header_encode(const struct journal_disk *d, uint64_t id,
			   uint8_t out[static JOURNAL_PAGE]);
/* False when it is not a header of this version; ${ret_sum}: the start of the chain. */
bool journal_header_decode(const uint8_t in[static JOURNAL_PAGE], struct journal_disk *ret,
			   uint64_t *ret_id, uint64_t *ret_sum);
void journal_entry_encode(const struct journal_entry *m, uint8_t out[static ENTRY_LEN]);
bool journal_entry_decode(const uint8_t *p, uint64_t blocks, struct journal_entry *ret);
/* Head fields alone; false when they cannot be a record's. The checksum is not checked yet. */
bool journal_record_head(const uint8_t *p, struct record *ret);
/* ${p} holds all pages: does the checksum fit? */
bool journal_record_whole(uint8_t *p, const struct record *r);
uint32_t journal_record_pages(size_t n);

/* journal_io.c: files */
int journal_read(int fd, void *p, size_t len, uint64_t off);
int journal_write(int fd, const void *p, size_t len, uint64_t off);
int journal_table_set(struct journal *j, uint64_t block, uint64_t count, uint64_t value);
/* Writes one record at the tail: nothing is durable yet. */
int journal_tail_append(struct journal_tail *t, enum record_type type,
			const struct journal_entry *v, size_t n);
int journal_reserve(struct journal *j, int fd, struct err *e);
/* Creates DIR/journal.new with its header, open for writing. */
int journal_create(struct journal *j, struct journal_tail *ret, struct err *e);
/* Makes journal.new durable and puts it in the place of the journal. */
int journal_publish(struct journal *j, int fd, struct err *e);

/* journal_replay.c: the file -> what is claimed. Cuts a torn tail unless read-only. */
int journal_replay(struct journal *j, struct err *e);
/* What one claims entry at ${at} in the file means for memory and the table. */
int journal_apply(struct journal *j, const struct journal_entry *m, uint64_t at);
void journal_note_recent(struct journal *j, const struct journal_entry *v, size_t n);
void journal_note_batch(struct journal *j);

/* journal_compact.c */
bool journal_wants_compaction(const struct journal *j);
int journal_compact(struct journal *j, struct err *e);
uint64_t journal_need(uint64_t blocks);

#endif
