/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session.h - from a connection to disks that are open and known: pair, log in, open, have
 *
 * Order   the first time PAIR, whose answer proves that the receiver knows the code; pin and task
 *         are durable before the login. Then LOGIN, FACTS, and for each disk OPEN.
 * Trust   HAVE only selects blocks of the agreed disk; a wrong claim costs a failed verification.
 */
#ifndef SENDER_SESSION_H
#define SENDER_SESSION_H

#include "move.h"

struct session {
	struct link *link; /* NULL: lost, and not had again */
	uint64_t epoch;
	uint32_t block_size;
	uint32_t disks; /* bit N: in the task */
	enum task_state state;
	bool disks_open;
	bool learned; /* the tables say what the receiver has */
	/* Of the last frame of each disk on ${link}, by index of move.disks: rounds go on from it.
	 */
	uint64_t seq[DISKS_MAX];
};

/* Connects, logs in, sends facts. */
int session_open(struct move *m, struct session *ret, struct err *e);
/* Opens all disks of ${m} on the session's connection, and their tables; once. It tells the
 * receiver that more will be sent: not for a session that only waits for a verdict. */
int session_open_disks(struct move *m, struct session *s, struct err *e);
/* Says BYE when ${polite}. Safe on a session that is not open. */
void session_close(struct session *s, bool polite);

/* The session's own connection was lost: another one in its place, with all disks open. The session
 * goes on where it was. "stale-epoch": it is over at the receiver. */
int session_attach(struct move *m, const struct session *s, struct link **ret, struct err *e);
/* Another connection of the same session. */
int session_open_data(struct move *m, const struct session *s, struct link **ret, struct err *e);
/* A connection that measures the line (PROBE); pairs first when that was not done. */
int session_open_probe(struct move *m, struct link **ret, struct err *e);
int session_open_disk(struct link *l, const struct move_disk *d, struct msg_opened *ret,
		      struct err *e);
/* Asks what the receiver has of the disk, into its table. */
int session_learn(struct session *s, struct move_disk *d, struct err *e);
/* The same for all disks, once: a round that ended well on this session leaves the tables true. */
int session_learn_all(struct move *m, struct session *s, struct err *e);

#endif
