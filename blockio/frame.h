/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * frame.h - the wire: a fixed header, then a payload bounded by a constant for its kind
 *
 * Source  docs/wire-protocol.md, version 1.
 * Order   big-endian. Every reserved byte is zero, and checked.
 * Shape   0 magic u32 | 4 kind u8 | 5 disk u8 | 6 codec u8 | 7 flags u8 | 8 length u32 |
 *         12 gen u32 | 16 block u64 | 24 seq u64; 32 bytes, then ${length} bytes of payload.
 * Limits  checked by frame_decode() before any arithmetic; nothing is allocated from the wire.
 */
#ifndef BLOCKIO_FRAME_H
#define BLOCKIO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "digest.h"

#define FRAME_MAGIC UINT32_C(0x54524e53) /* "TRNS" */
#define FRAME_HEADER_LEN 32
#define WIRE_VERSION 1
#define WIRE_ALPN "transit/1"

#define BLOCK_SIZE_MIN (64 * KIB)
#define BLOCK_SIZE_MAX (1 * MIB)
#define BLOCK_SIZE_DEFAULT (256 * KIB)
#define DISKS_MAX 20
#define DISK_SIZE_MAX (UINT64_C(1) << 54) /* 16 PiB: block numbers then fit in 38 bits */
#define WINDOW_BYTES (64 * MIB)           /* plain bytes sent and not yet durable, per session */
#define CONNECTIONS_MAX 8

#define FRAME_PAYLOAD_MAX (BLOCK_SIZE_MAX + DIGEST_LEN)
#define FACTS_MAX (64 * KIB)
#define HAVE_ENTRY_LEN 56
#define HAVE_ENTRIES_MAX 4096
#define MANIFEST_DIGESTS_MAX 16384 /* per frame */
#define WIRE_TEXT_MAX 512
#define PROBE_MAX (1 * MIB) /* payload of a PROBE */

/* clang-format off */
enum frame_kind {
	FRAME_HELLO = 1,      /* r->s  first on every connection: versions and a nonce */
	FRAME_PAIR = 2,       /* s->r  ticket, public key, proof of the code; fixed size */
	FRAME_LOGIN = 3,      /* s->r  signature over nonce and channel; fixed size */
	FRAME_WELCOME = 4,    /* r->s  answer to PAIR and to LOGIN */
	FRAME_FACTS = 5,      /* s->r  JSON about the source, at most FACTS_MAX */
	FRAME_OPEN = 6,       /* s->r  this disk, of this size */
	FRAME_OPENED = 7,     /* r->s  its geometry and how much is durable */
	FRAME_HAVE_ASK = 8,   /* s->r  tell me what you have of these blocks */
	FRAME_HAVE = 9,       /* r->s  runs of claims; the last one has FRAME_FLAG_LAST */
	FRAME_DATA = 10,      /* s->r  one block: digest, then the encoded bytes */
	FRAME_ZERO = 11,      /* s->r  a run of blocks that are zero */
	FRAME_UNCHANGED = 12, /* s->r  a run of blocks that equal what the receiver claims */
	FRAME_FLUSH = 13,     /* s->r  make this disk durable now, then say so */
	FRAME_DURABLE = 14,   /* r->s  all frames for this disk up to seq, on this connection */
	FRAME_MANIFEST = 15,  /* s->r  digests of blocks from header.block on */
	FRAME_SEAL = 16,      /* s->r  the signed statement over all disks' manifests */
	FRAME_STATE = 17,     /* r->s  the task's state, with progress of a verification */
	FRAME_PING = 18,      /* both  eight bytes, sent back in a PONG */
	FRAME_PONG = 19,
	FRAME_ERROR = 20,     /* both  a code and words; the sender of it then closes */
	FRAME_BYE = 21,       /* both  nothing more comes; without it the end is an interruption */
	FRAME_PROBE = 22,     /* s->r  bytes that measure the line: counted and thrown away */
	FRAME_PROBED = 23,    /* r->s  how many of them have come */
};
/* clang-format on */

#define FRAME_FLAG_LAST 0x01
#define FRAME_NO_DISK 0xff

struct frame {
	enum frame_kind kind;
	uint8_t disk; /* below DISKS_MAX, or FRAME_NO_DISK where the kind has none */
	uint8_t codec;
	uint8_t flags;
	uint32_t length; /* payload bytes */
	uint32_t gen;
	uint64_t block;
	/* 1, 2, 3 ... over DATA, ZERO, UNCHANGED and FLUSH of one disk on one connection; in
	 * DURABLE the last one that is durable; 0 in all other kinds. */
	uint64_t seq;
};

void frame_encode(const struct frame *f, uint8_t out[static FRAME_HEADER_LEN]);

/* Checks magic, kind, disk, codec, flags, length and reserved rules of the kind.
 * -EPROTO: not a frame of ours, with the field and its value in words. */
int frame_decode(const uint8_t in[static FRAME_HEADER_LEN], struct frame *ret, struct err *e);

/* "data", "zero", ...: logs and docs. */
const char *frame_kind_word(enum frame_kind kind);
/* Smallest and largest payload of the kind. */
void frame_payload_bounds(enum frame_kind kind, uint32_t *ret_min, uint32_t *ret_max);

#endif
