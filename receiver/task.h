/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * task.h - one source's move: its disks, its state, whom it belongs to
 *
 * Shape   a plain struct, the whole of it stored by task_store. There is one task per receiverd:
 *         the target machine is one machine, its disks are one boot, and "which task" is then a
 *         question that no operator, no sender and no refusal ever has to ask. A second move is a
 *         second receiverd with another state folder.
 * Rule    ${state} is written by task_move() (task_state.c) and by loading, nowhere else.
 * Units   bytes, blocks where said; ${claimed} and ${written} are what a writer said last: for
 *         people, never for decisions about data (the journal decides those).
 */
#ifndef RECEIVER_TASK_H
#define RECEIVER_TASK_H

#include <stdbool.h>

#include "message.h"

#define TASK_TEXT_MAX 400
#define TASK_ARGS_MAX 16
#define TASK_ARG_MAX 48
#define TASK_PATH_MAX 256
#define TASK_SERIAL_MAX 96
#define TASK_BAD_MAX 16 /* bad blocks named per disk */

struct task_disk {
	bool used; /* in the task; all below is valid only then */
	char path[TASK_PATH_MAX];
	char serial[TASK_SERIAL_MAX];
	uint64_t size; /* of the target, when it was paired */
	uint32_t logical_sector;
	bool may_erase;              /* the operator gave --erase with this serial */
	uint64_t source_size;        /* 0 until the first OPEN */
	char identity[IDENTITY_LEN]; /* of the source disk, as the sender says: shown only */
	uint64_t claimed;            /* blocks */
	uint64_t written;            /* plain bytes, by writers that have ended */
	uint64_t bad[TASK_BAD_MAX];  /* blocks that the last verification found different */
	uint32_t n_bad;
	uint64_t n_different; /* all of them */
};

/* What bootfix was asked to do: a restart in "finalizing" runs it again. */
enum task_fix { TASK_FIX_NONE, TASK_FIX_APPLY, TASK_FIX_UNDO };

struct task {
	enum task_state state;
	bool exists; /* false: waiting, and nobody has said which disks */
	uint8_t id[TASK_ID_LEN];
	uint64_t epoch; /* of the newest session; 0 before the first */
	bool pinned;
	uint8_t pub[PUBKEY_LEN];
	uint32_t block_size;
	bool sealed;  /* a manifest is stored and fits what was last received */
	bool touched; /* bootfix has had the disks for writing: they differ from the manifest */
	enum task_fix fix;
	char fix_args[TASK_ARGS_MAX][TASK_ARG_MAX]; /* steps to skip, or the step to undo */
	uint32_t n_fix_args;
	enum task_state failed_from; /* where retry goes back to; valid in failed and aborted */
	char reason[TASK_TEXT_MAX];  /* why it failed, or what is to be known; may be "" */
	char next[TASK_TEXT_MAX];    /* what to do about it; "" for the state's usual one */
	struct task_disk disk[DISKS_MAX];
};

/* No task: waiting, nothing chosen. */
void task_init(struct task *t);
uint64_t task_disk_blocks(const struct task *t, uint32_t n);
/* Bit N for disk N. */
uint32_t task_disks(const struct task *t);
/* Every block of every disk is claimed, by the numbers heard last. */
bool task_complete(const struct task *t);

#endif
