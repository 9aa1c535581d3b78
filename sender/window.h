/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * window.h - how much may be sent and not yet durable, shared by all connections of a round
 *
 * Rule    WINDOW_BYTES over all disks: that bounds what is sent twice after a crash. While several
 *         disks want a part of it, none holds more than an equal share, so that one whose target is
 *         slow cannot keep the others from sending.
 * Units   bytes of plain data; a run of zero blocks counts as one block, one of unchanged blocks as
 *         nothing: the receiver writes nothing for it, so it would fill the window before the
 *         receiver had gathered enough to make anything durable.
 * Threads any; it has its own lock.
 */
#ifndef SENDER_WINDOW_H
#define SENDER_WINDOW_H

#include <pthread.h>
#include <stdbool.h>

#include "frame.h"
#include "link.h"

struct window {
	pthread_mutex_t lock;
	uint64_t in_flight; /* of all disks */
	uint64_t held[DISKS_MAX];
	uint64_t unasked[DISKS_MAX]; /* taken since the last flush was advised */
	unsigned crowd;              /* how many disks share it */
	unsigned waiting;            /* connections that wait for room */
	struct link *links[CONNECTIONS_MAX];
};

void window_init(struct window *w);
/* ${crowd} disks want a part from now on; at least 1. */
void window_share(struct window *w, unsigned crowd);
/* Takes ${cost} for disk ${d}; false while there is no room for it. */
bool window_take(struct window *w, unsigned d, uint64_t cost);
/* Gives it back and wakes who waits, but for the caller, who has ${own_slot}. */
void window_give(struct window *w, unsigned d, uint64_t cost, unsigned own_slot);
/* True once for each half of a share: with less than the whole window for a disk the receiver would
 * gather longer than there is room, so it is asked for durability early. */
bool window_wants_flush(struct window *w, unsigned d);
/* For what is not room: all but the caller. */
void window_wake(struct window *w, unsigned own_slot);
/* Between the two the connection of ${slot} is woken when there is room; ${l} NULL: it is gone. */
void window_list(struct window *w, unsigned slot, struct link *l);
void window_wait(struct window *w, bool begin);

#endif
