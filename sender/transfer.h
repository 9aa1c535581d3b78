/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * transfer.h - rounds and seals that survive lost connections
 *
 * Rule    ERR_NET is tried again, with growing pauses, until --retry seconds have passed without a
 *         byte becoming durable; then it rises (exit code 3) and the same command goes on later.
 * Threads the main one.
 */
#ifndef SENDER_TRANSFER_H
#define SENDER_TRANSFER_H

#include "freeze.h"
#include "session.h"

struct transfer {
	struct move *m;
	struct session session;
	bool open;
	bool silent; /* nothing may be printed now: a frozen file system may hold the log */
	bool live;   /* another round follows: maps of free space need not be proved */
	struct freeze *frozen; /* borrowed; when its time is over, so is the round */
	atomic_bool *stop;     /* that of the move, to end such a round; borrowed */
	uint64_t lost_ms;      /* when the trouble began; 0: none */
	unsigned pause_ms;
};

void transfer_init(struct transfer *t, struct move *m, atomic_bool *stop);
/* Everything that a round needs before it reads: the connection, the disks, what the receiver has.
 */
int transfer_ready(struct transfer *t, struct err *e);
/* One whole round. */
int transfer_round(struct transfer *t, struct err *e);
/* The same, measured (rounds.h), with its line. */
int transfer_measured_round(struct transfer *t, struct err *e);
/* Seal what the tables say, wait for the verdict. */
int transfer_seal(struct transfer *t, bool *ret_verified, struct err *e);
void transfer_close(struct transfer *t, bool polite);

#endif
