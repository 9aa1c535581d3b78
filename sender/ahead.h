/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ahead.h - what a connection will send next is read while it sends
 *
 * Shape   a short queue of chunks, taken out block by block in the order in which they went in. A
 *         block device is read into buffers by an I/O queue (io_uring or threads), so that reading
 *         goes on beside zero test, digest, packing and TLS. Of an image file the kernel is only
 *         told what comes next, and each block is read when its turn comes: it then stays in the
 *         processor's cache from the copy to the digest, which is worth more.
 * Memory  AHEAD_CHUNKS buffers of AHEAD_BYTES for a connection, made at the first need and used
 *         again, and one block; however many disks there are.
 * Threads one connection's.
 */
#ifndef SENDER_AHEAD_H
#define SENDER_AHEAD_H

#include "cursor.h"

#define AHEAD_CHUNKS 4
#define AHEAD_BYTES ((size_t)(1 * MIB))

struct ahead;

struct ahead_block {
	unsigned d;
	uint64_t block;
	const uint8_t *data; /* until ahead_done() */
	size_t len;
};

/* ${queue_files}: files are read as devices are, for tests. */
int ahead_new(struct move *m, uint32_t block_size, bool queue_files, struct ahead **ret,
	      struct err *e);
void ahead_free(struct ahead *a);

/* How many blocks from the beginning of ${p} can go in now; 0: the queue is full. */
uint64_t ahead_room(const struct ahead *a, const struct piece *p);
/* ${count} blocks, not more than there is room for. */
int ahead_ask(struct ahead *a, unsigned d, uint64_t block, uint64_t count, struct err *e);
/* Waits for the oldest block: 1 and *ret, 0 when the queue is empty. */
int ahead_next(struct ahead *a, struct ahead_block *ret, struct err *e);
/* The block of ahead_next() was dealt with: the next one comes next. */
void ahead_done(struct ahead *a);
/* Waits for reads under way and gives back what was not dealt with. */
bool ahead_give_back(struct ahead *a, struct cursor *c);

#endif
