/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scan.h - a piece of a disk, block by block, into frames: zero, unchanged, or data
 *
 * Rule    a generation rises whenever a block is sent; the table says what was sent as soon as the
 *         frame is queued. Neighbouring blocks of a kind become one run.
 * Threads one scanner belongs to one thread.
 */
#ifndef SENDER_SCAN_H
#define SENDER_SCAN_H

#include "ahead.h"
#include "cursor.h"
#include "pace.h"
#include "stream.h"

struct run {
	enum frame_kind kind; /* FRAME_ZERO or FRAME_UNCHANGED; no run while count is 0 */
	unsigned d;
	uint64_t block, count;
	uint32_t gen; /* at least that of each block */
};

struct scanner {
	struct move *m;
	struct stream *stream;
	uint32_t block_size;
	struct digest_ctx *digest;
	struct codec_ctx *codec;
	bool strong_must;  /* a block is not done without its SHA-256 */
	bool strong_cheap; /* taken of what is sent, while the processor has the time */
	uint8_t *packed;   /* one block */
	struct ahead *ahead;
	struct piece piece; /* of the piece at hand, what is not even being read */
	struct run run;
	struct pace pace;
	/* The connection's counters when they were last added to the gauge. */
	uint64_t watched_ns, waited_ns;
	struct tcp_path path;
};

int scanner_open(struct scanner *sc, struct move *m, uint32_t block_size, struct err *e);
void scanner_close(struct scanner *sc);
/* The connection that frames go to from now on. */
void scanner_use(struct scanner *sc, struct stream *s);

/* Sends ${p}, but for a run that the next piece may go on with, and for the last blocks, which are
 * still being read when it returns. */
int scanner_piece(struct scanner *sc, const struct piece *p, struct err *e);
/* Sends those. */
int scanner_end(struct scanner *sc, struct err *e);
/* The connection is one too many: gives back what was not sent yet. scanner_end() comes after it.
 * False when there is more than the cursor can list. */
bool scanner_give_up(struct scanner *sc, struct cursor *c);
/* The connection is lost: gives back what was not durable, and the rest of the piece. */
bool scanner_give_back(struct scanner *sc, struct cursor *c);

#endif
