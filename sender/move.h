/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * move.h - one source's move as the sender sees it: what all parts of a run share
 *
 * Owner   main.c makes it and gives it to the parts; move_free() gives everything back.
 * Threads options, invite, disks: const while threads run. gauge: atomics, any thread.
 */
#ifndef SENDER_MOVE_H
#define SENDER_MOVE_H

#include <stdatomic.h>

#include "ceiling.h"
#include "extent.h"
#include "invite.h"
#include "limit.h"
#include "link.h"
#include "options.h"
#include "rounds.h"
#include "source.h"
#include "store.h"
#include "table.h"

struct disk_gauge {
	_Atomic uint64_t durable; /* bytes of this round that the receiver calls durable */
	/* Of all rounds of this run: what was sent, and what needed no sending. */
	_Atomic uint64_t data_blocks, zero_blocks;
	/* Of the last round: blocks that were as the receiver had them, bytes that were not read.
	 */
	_Atomic uint64_t unchanged_blocks, hole_bytes, free_bytes;
};

struct gauge {
	_Atomic uint64_t wire;  /* TLS bytes out */
	_Atomic uint64_t plain; /* plain bytes of data blocks sent */
	_Atomic uint64_t twice; /* of those, sent before with the same content */
	_Atomic uint64_t read;  /* bytes read from the sources */
	_Atomic uint64_t
	    settle_ms; /* of this round: the longest wait for the last durable blocks */
	/* Of all connections: what held them back, for the number that is used (crew.h). */
	_Atomic uint64_t wait_ns, busy_us, window_us;
	atomic_bool long_path, sole, cubic;
	atomic_uint lost; /* connections, in all rounds */
	struct disk_gauge disk[DISKS_MAX];
};

/* How the round at hand finds what changed (trace.h). */
struct tracking {
	bool traced; /* by the kernel's block events; else everything is read */
	const char
	    *lost; /* why the last round that was not traced was not; NULL: nothing was lost */
	uint64_t to_read; /* bytes, of a traced round */
};

struct trace;

struct move_disk {
	unsigned n; /* number in the task */
	struct source *source;
	struct table *table; /* NULL until the first session */
	/* What is known without reading, in bytes of the disk; NULL: nothing. Both are made before
	 * a round and stay as they are while it runs; freed with the disk. */
	struct extent_set *free_map; /* nobody's: as good as a hole */
	struct extent_set *same_map; /* not written since the last round began to read it */
	uint64_t claimed;            /* blocks that the receiver had when it was asked */
	struct tracking tracking;
	struct disk_usage *usage; /* how free_map was made: usage_round.c */
	bool provisional;  /* free_map was good for a live round only: nothing is sealed from it */
	uint64_t stamp[4]; /* of an image file when its last round began */
	bool stamped;
	uint8_t list_digest[DIGEST_LEN]; /* of the last seal */
};

struct move {
	const struct sender_options *o;
	struct invite invite;
	struct address to; /* --to */
	struct proxy proxy;
	const char *no_proxy;                 /* of the environment, or NULL */
	char congestion[TCP_CONGESTION_ROOM]; /* of the session's connection */
	struct store *store;
	char *facts;                       /* JSON text, at most FACTS_MAX */
	struct move_disk disks[DISKS_MAX]; /* by rising number */
	unsigned n_disks;
	struct limit limit;
	struct ceiling ceiling;
	struct govern *govern; /* borrowed; NULL outside of a run */
	struct gauge gauge;
	const atomic_bool *stop;
	struct trace *trace; /* NULL: nothing is traced */
	unsigned rounds;
	struct rounds log;
	atomic_uint connections; /* of this round now, or of the last one; 0: there was none */
	bool silent;             /* nothing may be printed in this round: see struct transfer */
	bool verified;
	bool sealed;
	uint64_t sealed_ms;              /* clock_ms() when the last seal had gone out */
	uint8_t seal_digest[DIGEST_LEN]; /* SHA-256 of the signed statement */
};

#endif
