/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * round.h - one pass over all source disks: read, compare with what the receiver has, send
 *
 * Shape   as many threads as connections, one of them on the session's own. They take pieces of
 *         4 MiB from one cursor; a hole of an image file is one piece of up to 128 MiB.
 * Order   the tables say what the receiver has: session_learn_all().
 * Loss    a data connection that dies gives back what was not durable, and the others send it;
 *         the session's connection ends the round with ERR_NET, and the next one begins where the
 *         receiver says.
 */
#ifndef SENDER_ROUND_H
#define SENDER_ROUND_H

#include "session.h"

/* ${on_tick} is called a few times a second while it runs, by the calling thread. */
int round_run(struct move *m, struct session *s, void (*on_tick)(void *arg), void *arg,
	      struct err *e);

#endif
