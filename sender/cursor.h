/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cursor.h - which piece of which disk comes next for a connection, and what is known of it
 *
 * Shape   each disk is a lane that is cut into pieces from its beginning to its end; pieces that
 *         were given back come first. A connection takes a seat at a disk and stays with it, so
 *         that disks go side by side; an idle one takes the disk with the fewest seats.
 * Slow    a disk whose connections get less than half of what another's get, counted for each
 *         connection, keeps one seat as long as the other has work.
 * Kinds   ZERO and SAME come from the source's holes and from move_disk.free_map and same_map. A
 *         block counts only when it lies in one of them as a whole; SAME also needs a claim of the
 *         receiver. The maps must not change while a cursor uses them.
 * Cost    a lane walks through its maps once, so that a million extents cost no more than reading
 *         them.
 * Threads any; it has its own lock. Time is an argument, so that tests need no clock.
 */
#ifndef SENDER_CURSOR_H
#define SENDER_CURSOR_H

#include "move.h"

enum piece_kind {
	PIECE_READ, /* to be read: nothing is known */
	PIECE_ZERO, /* a hole, or free: zero without being read */
	PIECE_SAME, /* not written since the receiver's claim was true: unchanged, without reading
		     */
};

struct piece {
	unsigned d; /* index into move.disks */
	uint64_t block, count;
	enum piece_kind kind;
};

#define GIVEN_BACK_MAX 16384

/* Where one connection works. Zeroed before the first use. */
struct seat {
	bool taken;
	unsigned d;
	uint64_t began_ms, bytes; /* of the piece at hand, if it is one to be read */
};

struct lane {
	uint64_t block; /* the next one */
	/* What lies from ${block} on, up to ${range_end} (in blocks). */
	enum piece_kind range_kind;
	uint64_t range_end;
	bool range_free; /* of PIECE_ZERO: no hole */
	/* Asked once for each range: the answer takes the kernel a walk over the whole of it. */
	bool hole;
	uint64_t hole_end;       /* bytes */
	size_t free_at, same_at; /* extents of the maps that end after ${block} */
	unsigned seats;
	size_t n_back; /* of cursor.back */
	uint64_t rate; /* bytes a millisecond and connection, smoothed; 0: not known yet */
};

struct cursor {
	pthread_mutex_t lock;
	struct move *m;
	uint32_t block_size;
	struct lane lanes[DISKS_MAX];
	struct piece back[GIVEN_BACK_MAX];
	size_t n_back;
};

void cursor_init(struct cursor *c, struct move *m, uint32_t block_size);
/* 1 and *ret, 0 when there is nothing now: the seat is given up then. */
int cursor_next(struct cursor *c, struct seat *seat, uint64_t now_ms, struct piece *ret,
		struct err *e);
/* The connection ends. */
void cursor_leave(struct cursor *c, struct seat *seat);
/* ${p} must be sent by someone else. False when there is no room: the round cannot go on. */
bool cursor_give_back(struct cursor *c, const struct piece *p);
bool cursor_has_more(struct cursor *c);
/* How many disks want a part of the window: those with a seat, and one for all that have work but
 * no seat yet. At least 1. */
unsigned cursor_crowd(struct cursor *c);

#endif
