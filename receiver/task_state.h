/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * task_state.h - the states of a task and the only way from one to another
 *
 * Source  docs/task-states.md has this table as a drawing, and what an operator sees in each.
 * Rule    a change is durable before the action that it stands for: task_move() saves first, and
 *         when saving fails nothing has changed. An event without an edge is refused by name.
 */
#ifndef RECEIVER_TASK_STATE_H
#define RECEIVER_TASK_STATE_H

#include "task.h"

/* clang-format off */
enum task_event {
	TASK_EV_PAIRED = 1,    /* a sender proved the code; its key is pinned */
	TASK_EV_UNPAIRED,      /* the operator dropped the pin */
	TASK_EV_OPENED,        /* the sender may write a disk */
	TASK_EV_LOST,          /* the session ended */
	TASK_EV_COMPLETE,      /* every block of every disk is durable */
	TASK_EV_INCOMPLETE,    /* a block is being sent again */
	TASK_EV_PAUSE,
	TASK_EV_RESUME,
	TASK_EV_VERIFY,        /* a signed manifest is there: re-read everything */
	TASK_EV_EQUAL,         /* the target is what the manifest says */
	TASK_EV_DIFFERENT,     /* it is not; the blocks that differ are wanted again */
	TASK_EV_VERIFY_STOPPED,
	TASK_EV_FINALIZE,      /* bootfix gets the disks */
	TASK_EV_FIXED,
	TASK_EV_UNDONE,
	TASK_EV_HANDED_BACK,
	TASK_EV_FAILED,
	TASK_EV_RETRY_DATA,    /* leave failed or aborted: send the rest */
	TASK_EV_RETRY_VERIFY,  /* leave failed: everything was there, verify again */
	TASK_EV_RETRY_FIX,     /* leave failed or aborted: finalize or undo again */
	TASK_EV_ABORT,
	TASK_EV_CLEAN,
	TASK_EV_RESTARTED,     /* receiverd was started with a task in this state */
	TASK_EV_END_           /* how many there are; not an event */
};
/* clang-format on */

const char *task_event_word(enum task_event on);

/* 0 and *ret, or -EINVAL: there is no such edge. Pure. */
int task_edge(enum task_state from, enum task_event on, enum task_state *ret);

/* What the operator does next in this state: one line, for status. */
const char *task_state_next(enum task_state s);

struct task_why {
	const char *reason; /* NULL: none */
	const char *next;
};
typedef int task_save_fn(const struct task *t, void *arg, struct err *e);

/* Moves ${t} along the edge of ${on}: saved first, then visible. ERR_WRONG_STATE when there is no
 * edge. ${why} (may be NULL) replaces reason and next. */
int task_move(struct task *t, enum task_event on, const struct task_why *why, task_save_fn *save,
	      void *arg, struct err *e);

#endif
