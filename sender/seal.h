/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * seal.h - the signed statement of what the disks are, and the receiver's word that it found that
 *
 * Order   all rounds are settled; then for each disk its block digests (MANIFEST), then SEAL,
 *         signed with the paired key; then STATE frames until the task is verified.
 */
#ifndef SENDER_SEAL_H
#define SENDER_SEAL_H

#include "session.h"

enum seal_verdict {
	SEAL_VERIFIED,   /* the target was re-read and is what we signed */
	SEAL_MISMATCHED, /* blocks differ: they are wanted again */
};

/* Sends lists and seal. Every block of every table must be claimed: -ENODATA otherwise. */
int seal_send(struct move *m, struct session *s, struct err *e);
/* Waits for the verification. ${on_state} hears of its progress. ERR_PEER when the task failed. */
int seal_wait(struct move *m, struct session *s,
	      void (*on_state)(const struct msg_state *st, void *arg), void *arg,
	      enum seal_verdict *ret, struct err *e);
/* States in which a verification has already succeeded. */
bool seal_is_verified(enum task_state state);

#endif
