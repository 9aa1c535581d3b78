/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stream.h - frames of blocks on one connection, and which of them are durable
 *
 * Rule    plain bytes sent and not yet durable, over all streams of a round, stay within
 *         WINDOW_BYTES: a put waits for room, and meanwhile reads what the receiver says. That is
 *         what bounds the bytes sent twice after a crash.
 * Order   sequence numbers rise by one for each frame of a disk on a stream, from 1.
 * Threads a stream belongs to one thread; the window is shared.
 */
#ifndef SENDER_STREAM_H
#define SENDER_STREAM_H

#include "codec.h"
#include "session.h"

/* What all streams of a round share. */
struct window {
	_Atomic uint64_t in_flight;
	atomic_uint waiting;
	pthread_mutex_t lock; /* of links[] */
	struct link *links[CONNECTIONS_MAX];
};

void window_init(struct window *w);

struct sent {
	uint64_t seq, block, count;
	uint64_t cost; /* of the window */
	uint8_t disk;  /* index into move.disks */
	uint8_t kind;  /* enum frame_kind */
};

/* Each costs the window a block at least, so that there can be no more of them. */
#define SENT_MAX (WINDOW_BYTES / BLOCK_SIZE_MIN)

struct stream_disk {
	uint64_t seq;     /* of the last frame sent */
	uint64_t durable; /* the last one that is durable */
	uint64_t flushed; /* the last one before a FLUSH */
	bool open;
};

struct stream {
	struct move *m;
	struct link *link; /* borrowed */
	struct window *window;
	uint32_t block_size;
	unsigned slot; /* in window.links */
	struct stream_disk disks[DISKS_MAX];
	struct sent sent[SENT_MAX]; /* a ring, in the order of sending */
	size_t first, n;
};

void stream_init(struct stream *s, struct move *m, struct link *l, struct window *w,
		 uint32_t block_size, unsigned slot);
/* Gives the room of what is not durable back to the window. The frames stay listed in sent[]. */
void stream_drop(struct stream *s);

/* Before the first frame of a disk; does nothing when it is open. ${d} indexes move.disks. */
int stream_open_disk(struct stream *s, unsigned d, struct err *e);

/* On failure nothing of the frame counts as sent. */
int stream_data(struct stream *s, unsigned d, uint64_t block, uint32_t gen, enum codec codec,
		const uint8_t digest[static DIGEST_LEN], const void *payload, size_t len,
		struct err *e);
/* FRAME_ZERO or FRAME_UNCHANGED. */
int stream_run(struct stream *s, unsigned d, enum frame_kind kind, uint64_t block, uint64_t count,
	       uint32_t gen, struct err *e);
/* Asks for durability of everything sent and waits until it is there. */
int stream_settle(struct stream *s, struct err *e);
/* Reads what the receiver says for at most ${timeout_ms}; 0 means what is there. */
int stream_poll(struct stream *s, int timeout_ms, struct err *e);

#endif
