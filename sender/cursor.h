/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cursor.h - which piece of which disk comes next; pieces that were given back come first
 *
 * Threads any; it has its own lock.
 */
#ifndef SENDER_CURSOR_H
#define SENDER_CURSOR_H

#include "move.h"

struct piece {
	unsigned d; /* index into move.disks */
	uint64_t block, count;
	bool hole;
};

#define GIVEN_BACK_MAX 16384

struct cursor {
	pthread_mutex_t lock;
	struct move *m;
	uint32_t block_size;
	unsigned d;
	uint64_t block;
	/* What lies at ${block}, asked once for each range: the answer takes the kernel a walk over
	 * the whole of it. Good while ${block} is below ${range_end}. */
	bool range_hole;
	uint64_t range_end; /* in blocks */
	struct piece back[GIVEN_BACK_MAX];
	size_t n_back;
};

void cursor_init(struct cursor *c, struct move *m, uint32_t block_size);
/* 1 and *ret, 0 when there is nothing now. */
int cursor_next(struct cursor *c, struct piece *ret, struct err *e);
/* ${p} must be sent by someone else. False when there is no room: the round cannot go on. */
bool cursor_give_back(struct cursor *c, const struct piece *p);
bool cursor_has_more(struct cursor *c);

#endif
