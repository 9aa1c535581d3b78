/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal.h - what was about to be done, was done and was undone, with all that undo needs
 *
 * Shape    STATE/bootfix.journal: one record a line, "<16 hex digits> <JSON>\n"; the digits are the
 *          first 8 bytes of the SHA-256 of the JSON text. STATE/undo/<seq>.old: bytes as they were.
 *          The first record says which disks this is about. docs/bootfix-report.md has the keys.
 * Order    old bytes -> fsync -> record "start" -> fdatasync -> the change -> its fsync -> record
 *          "done" -> fdatasync. Undo: record "undo" -> the change -> record "undone".
 * Torn     a last line that is cut or does not match its digits is cut off; one in the middle is an
 *          error, because something after it was acted on.
 * Errors   0, or a negative errno with *e filled.
 * Owner    journal_open() gives the journal to the caller; journal_close(NULL) does nothing.
 */
#ifndef BOOTFIX_JOURNAL_H
#define BOOTFIX_JOURNAL_H

#include "types.h"

enum entry_state { ENTRY_STARTED, ENTRY_DONE, ENTRY_UNDOING, ENTRY_UNDONE };

/* What a path of the guest is. */
enum shape { SHAPE_ABSENT, SHAPE_FILE, SHAPE_LINK };

struct look {
	enum shape shape;
	uint8_t sha256[32]; /* of the file, or of the link's text */
	uint64_t len;
};

/* One action, as far as undo needs it. Strings are "" when they do not apply. */
struct entry {
	uint64_t seq;
	enum entry_state state;
	enum act kind;
	char step[64], path[MAX_PATH], from[MAX_PATH];
	char why[512];
	char made[MAX_PATH];       /* the first folder that was made for path, or "" */
	struct look before, after; /* of path; for A_SECTORS of those sectors; A_TOOL: len only */
	unsigned disk;             /* A_SECTORS, A_TOOL */
	uint64_t off;              /* A_SECTORS */
	enum tool tool;            /* A_TOOL */
	unsigned number;           /* A_TOOL: partition on disk */
	bool kept;                 /* undo/<seq>.old holds what path held */
};

struct journal;

/* Makes ${dir} (0700) when it is not there. */
int journal_open(const char *dir, struct journal **ret, struct err *e)
    __attribute__((warn_unused_result));
struct journal *journal_close(struct journal *j);
void journal_closep(struct journal **j);

/* Writes which disks this is about, or, when that is written already, refuses others
 * ("state-of-other-disks"). */
int journal_claim(struct journal *j, const struct guest *g, struct err *e)
    __attribute__((warn_unused_result));

/* Gives *x its number, keeps ${old} (may be NULL) and records the start; all of it is durable. */
int journal_start(struct journal *j, struct entry *x, const struct buf *old, struct err *e)
    __attribute__((warn_unused_result));
int journal_mark(struct journal *j, uint64_t seq, enum entry_state state, struct err *e)
    __attribute__((warn_unused_result));
/* The bytes kept for entry ${seq}. */
int journal_kept(const struct journal *j, uint64_t seq, struct buf *ret, struct err *e)
    __attribute__((warn_unused_result));

/* All entries, oldest first; borrowed until the next call that changes the journal. */
const struct entry *journal_entries(const struct journal *j, size_t *ret_n);
const char *entry_state_word(enum entry_state s);

#endif
