/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ioq_internal.h - shared by ioq.c (places, choice), ioq_uring.c and ioq_threads.c (who does it)
 */
#ifndef BLOCKIO_IOQ_INTERNAL_H
#define BLOCKIO_IOQ_INTERNAL_H

#include "ioq.h"

/* One operation on its way. */
struct ioq_slot {
	struct ioq_op op;
	size_t done; /* bytes transferred so far */
	ssize_t res;
	struct ioq_slot *next; /* in whichever list it is */
};

/* What a transfer of ${n} bytes (or -errno) means. True: the operation is over, slot->res is set;
 * false: the rest must be asked for. */
bool ioq_slot_moved(struct ioq_slot *s, ssize_t n);

/* ioq_threads.c. ${event}: an eventfd that is told of completions, borrowed. */
struct ioq_pool;
struct ioq_pool *ioq_pool_new(unsigned threads, int event);
/* Waits for what runs, drops what waits. */
void ioq_pool_free(struct ioq_pool *p);
void ioq_pool_limit(struct ioq_pool *p, unsigned n);
void ioq_pool_submit(struct ioq_pool *p, struct ioq_slot *s);
struct ioq_slot *ioq_pool_reap(struct ioq_pool *p);

/* ioq_uring.c. NULL with *e: not to be had here. */
struct ioq_ring;
int ioq_ring_new(unsigned depth, int event, struct ioq_ring **ret, struct err *e);
void ioq_ring_free(struct ioq_ring *r);
/* False: the ring did not take it; somebody else must. */
bool ioq_ring_submit(struct ioq_ring *r, struct ioq_slot *s);
/* A finished operation, or NULL. ${ret_left}: one that the ring cannot go on with. */
struct ioq_slot *ioq_ring_reap(struct ioq_ring *r, struct ioq_slot **ret_left);

#endif
