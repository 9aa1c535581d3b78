/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_role.h - the process that holds one disk, as the files writer_*.c of the receiver see it
 *
 * Files   writer_role.c     birth, the keeper's orders, the loop, batches, failures
 *         writer_channel.c  what a conn may say, checked; answers that never block the loop
 *         writer_check.c    the whole-disk verification
 * Trust   a conn is hostile: every number is checked before it is used, and one conn's fault ends
 *         its channel and nothing else. Answers are state, not a queue (which slots are free, how
 *         far it is durable): a conn that does not listen costs no memory and delays nobody.
 * Order   writer.h: nothing is said durable that is not.
 */
#ifndef RECEIVER_WRITER_ROLE_H
#define RECEIVER_WRITER_ROLE_H

#include "ipc.h"
#include "ring.h"
#include "roles.h"
#include "writer.h"

#define CHANNELS_MAX 32
#define ITEMS_PER_CHANNEL 16 /* of one turn: nobody fills the batch alone */
#define HAVE_BLOCKS_PER_TURN 65536
#define NO_SLOT 255

struct writer_have {
	bool asked, ready;
	bool last;
	uint32_t slot;
	uint32_t bytes; /* of entries in the slot */
	uint64_t next, end;
};

struct writer_channel {
	int fd; /* -1: free place */
	struct ring ring;
	uint64_t epoch, conn;
	uint64_t seq;       /* of the last frame put */
	uint64_t closing;   /* of the last one in the batch that is being committed */
	uint64_t durable;   /* all up to here is */
	bool durable_due;   /* and the conn does not know it */
	uint64_t flush;     /* it waits until this one is */
	unsigned in_flight; /* items whose data lies in the ring, or that are not written yet */
	bool faulted;       /* it broke the contract */
	bool sealed;        /* open when a verification began: what it read stays as it is */
	bool ended;         /* faulted, or the conn is gone: closes when its items are written */
	uint64_t to_free;   /* slots, as bits */
	struct writer_have have;
};

struct writer_role {
	int keeper;
	uint32_t disk, block_size;
	uint64_t size, blocks;
	struct device *device;
	struct journal *journal;
	struct writer *writer;
	int list; /* digests of all blocks, as the manifest says them */
	bool list_changed;
	struct writer_channel channel[CHANNELS_MAX];

	struct writer_item item[WRITER_ITEMS_MAX];
	size_t n_items;
	size_t max_items; /* of this turn */
	bool more;        /* a channel had more than its share */
	uint64_t pending_since_ms;

	uint64_t progress_ms;
	uint64_t told_claimed, told_written, told_pending;
	bool verifying, stop_verify, verify_wanted;
	uint8_t verify_digest[DIGEST_LEN];
	uint64_t verify_ms;
	bool stop, failed;
};

/* writer_role.c */
int writer_keeper_message(struct writer_role *w, const struct ipc_msg *m, int *fds, size_t n);
int writer_keeper_drain(struct writer_role *w);
/* The disk is lost for this attempt: keeper and conns hear it, the role ends. Returns ${r}. */
int writer_lost(struct writer_role *w, int r, const struct err *e);
int writer_commit_all(struct writer_role *w);

/* writer_channel.c */
void channel_open(struct writer_role *w, const struct ipc_msg *m, int *fds);
/* Nothing of it is in flight. */
void channel_close(struct writer_channel *ch);
/* Says why, if the conn listens, and closes once what it put before is written. */
void channel_fault(struct writer_role *w, struct writer_channel *ch, enum wire_error code,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* An item of this cookie is written, or will never be. */
void channel_written(struct writer_role *w, uint64_t cookie, bool free_slot);
/* Closes those that ended and have nothing in flight. */
void channels_reap(struct writer_role *w);
/* All that are open: data is refused from a sealed one. */
void channels_seal(struct writer_role *w, bool on);
/* Takes messages; data becomes items, up to max_items of all channels. */
void channel_read(struct writer_role *w, struct writer_channel *ch);
/* A part of the answer to HAVE_ASK. True: there is more to do. */
bool channel_have(struct writer_role *w, struct writer_channel *ch);
/* Sends what is due; what does not fit stays due. True: something is left. */
bool channel_tell(struct writer_role *w, struct writer_channel *ch);

/* writer_check.c: runs until it is done or stopped; channels and keeper are served meanwhile. */
int writer_check(struct writer_role *w);

#endif
