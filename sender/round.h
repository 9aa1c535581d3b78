/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * round.h - one pass over all source disks: read, compare with what the receiver has, send
 *
 * Shape   a thread for each connection, the first on the session's own; they begin and end while
 *         the round runs (crew.h). Each has a seat at a disk and takes pieces of it from the
 *         cursor.
 * Order   the tables say what the receiver has: session_learn_all().
 * Loss    a connection that dies gives back what was not durable, which the others send, and is
 *         opened again: after a quarter of a second, then twice that, up to ten. That goes for the
 *         session's too: it is attached again to the same epoch. The round fails with ERR_NET only
 *         when none lived for some seconds, or the receiver says that the session is over; the next
 *         one begins where the receiver says.
 */
#ifndef SENDER_ROUND_H
#define SENDER_ROUND_H

#include "session.h"

/* ${on_tick} is called a few times a second while it runs, by the calling thread. s->link is NULL
 * afterwards when it was lost and the others ended the round without it. */
int round_run(struct move *m, struct session *s, void (*on_tick)(void *arg), void *arg,
	      struct err *e);

#endif
