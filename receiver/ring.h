/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring.h - the memory that a conn and a writer share, one per connection and disk
 *
 * Shape   a sealed memfd of RING_SLOTS slots of one block each (page-aligned), nothing else in it:
 *         who owns a slot is decided by messages, never by words in shared memory.
 * Rule    conn expands a block into a slot once and says IPC_PUT; the writer writes from it without
 *         a copy and says IPC_SLOT_FREE. What a hostile conn changes in between is caught by the
 *         signed manifest and the re-read; lengths and numbers come from the message only.
 * Bounds  slots x block size is at most RING_BYTES, at least two slots.
 */
#ifndef RECEIVER_RING_H
#define RECEIVER_RING_H

#include "message.h"

#define RING_BYTES (4 * MIB)

struct ring {
	int fd;
	uint8_t *base;
	size_t len;
	uint32_t slots;
	uint32_t block_size;
};

int ring_make(uint32_t block_size, struct ring *ret, struct err *e);
/* Maps a memfd that came over a channel; its size and seals are checked. */
int ring_map(int fd, uint32_t block_size, bool writable, struct ring *ret, struct err *e);
/* NULL when there is no such slot. */
uint8_t *ring_slot(const struct ring *r, uint32_t slot);
void ring_close(struct ring *r);

#endif
