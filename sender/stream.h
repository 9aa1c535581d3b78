/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stream.h - frames of blocks on one connection, and which of them are durable
 *
 * Rule    a put waits for room in the window, and meanwhile reads what the receiver says.
 * Order   sequence numbers rise by one for each frame of a disk on a stream, from 1. What one disk
 *         has not made durable holds up no other.
 * Threads a stream belongs to one thread; the window is shared.
 */
#ifndef SENDER_STREAM_H
#define SENDER_STREAM_H

#include "codec.h"
#include "session.h"
#include "window.h"

/* What costs the window a block each, and a run of unchanged ones around each. */
#define SENT_MAX (2 * (WINDOW_BYTES / BLOCK_SIZE_MIN) + 2)
#define SENT_NONE UINT16_MAX

struct sent {
	uint64_t seq, block, count;
	uint64_t cost; /* of the window */
	uint8_t disk;  /* index into move.disks */
	uint8_t kind;  /* enum frame_kind */
	uint16_t next; /* of the same disk, or of those that are free; SENT_NONE: the last */
};

struct stream_disk {
	uint64_t seq;         /* of the last frame sent */
	uint64_t durable;     /* the last one that is durable */
	uint64_t flushed;     /* the last one before a FLUSH */
	uint16_t first, last; /* what is not durable, in the order of sending: indexes of sent[] */
	bool open;
};

struct stream {
	struct move *m;
	struct link *link; /* borrowed */
	struct window *window;
	uint32_t block_size;
	unsigned slot; /* in window.links */
	struct stream_disk disks[DISKS_MAX];
	struct sent sent[SENT_MAX];
	uint16_t free; /* the first unused one of sent[] */
};

void stream_init(struct stream *s, struct move *m, struct link *l, struct window *w,
		 uint32_t block_size, unsigned slot);
/* Gives the room of what is not durable back to the window. The frames stay listed. */
void stream_drop(struct stream *s);
/* Bytes of the disks that were sent and are not known to be durable. */
uint64_t stream_in_doubt(const struct stream *s);

/* Before the first frame of a disk; does nothing when it is open. ${d} indexes move.disks. */
int stream_open_disk(struct stream *s, unsigned d, struct err *e);
/* The disk is open on this connection, and ${seq} was the last frame of it. */
void stream_goes_on(struct stream *s, unsigned d, uint64_t seq);

/* On failure nothing of the frame counts as sent. */
int stream_data(struct stream *s, unsigned d, uint64_t block, uint32_t gen, enum codec codec,
		const uint8_t digest[static DIGEST_LEN], const void *payload, size_t len,
		struct err *e);
/* FRAME_ZERO or FRAME_UNCHANGED. */
int stream_run(struct stream *s, unsigned d, enum frame_kind kind, uint64_t block, uint64_t count,
	       uint32_t gen, struct err *e);
/* Asks for durability of what was sent of disk ${d}, and goes on. */
int stream_flush(struct stream *s, unsigned d, struct err *e);
/* Asks for durability of everything sent and waits until it is there. */
int stream_settle(struct stream *s, struct err *e);
/* Reads what the receiver says for at most ${timeout_ms}; 0 means what is there. */
int stream_poll(struct stream *s, int timeout_ms, struct err *e);

#endif
