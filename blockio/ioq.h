/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ioq.h - reads, writes and syncs of descriptors that go on while the caller does something else
 *
 * Shape    a queue of a bounded depth: operations go in with a tag, completions come out with it.
 *          An operation counts against the depth until its completion was reaped.
 * Backends io_uring where the kernel lets us have it, else a pool of threads; the results are the
 *          same. IOQ_AUTO looks at TRANSIT_IO: "threads", "uring" (not to be had: an error), or
 *          "auto" as if it were not set: io_uring, silently threads where it is forbidden.
 * Order    none between operations in flight. Who needs one waits for the first completion.
 * Errors   in the completion: -errno. Short transfers are continued inside, so that a write is
 *          whole or failed; of a failed one nobody knows how much was written.
 * Owner    buffers and descriptors are borrowed until the completion is reaped or ioq_free() is
 *          back, which waits for what is in flight and drops what has not begun.
 * Threads  one owner calls everything here; IOQ_CALL's function runs on another thread.
 */
#ifndef BLOCKIO_IOQ_H
#define BLOCKIO_IOQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct ioq;

enum ioq_backend { IOQ_AUTO, IOQ_URING, IOQ_THREADS };

enum ioq_kind {
	IOQ_READ,     /* res: bytes, fewer than asked only at the end of the file */
	IOQ_WRITE,    /* res: all bytes */
	IOQ_DATASYNC, /* res: 0 */
	IOQ_CALL,     /* res: what the function returned; for what has no operation of its own */
};

struct ioq_op {
	enum ioq_kind kind;
	int fd;
	uint64_t off;
	size_t len;
	void *to;         /* read into */
	const void *from; /* written from */
	int (*call)(void *arg);
	void *arg;
	uint64_t tag; /* the caller's */
};

struct ioq_done {
	uint64_t tag;
	ssize_t res; /* or a negative errno */
};

#define IOQ_DEPTH_MAX 256
#define IOQ_THREADS_MAX 8 /* of one queue; started when the first operation needs them */

/* ${depth}: 1 to IOQ_DEPTH_MAX. -EINVAL (ERR_USAGE) for an unknown word in TRANSIT_IO. */
int ioq_new(enum ioq_backend backend, unsigned depth, struct ioq **ret, struct err *e);
void ioq_free(struct ioq *q);
static inline void ioq_freep(struct ioq **q)
{
	ioq_free(*q);
	*q = NULL;
}

/* At most ${n} (1 to IOQ_THREADS_MAX) of its threads work from now on: for work that fills a core.
 */
void ioq_limit_threads(struct ioq *q, unsigned n);
/* The backend in use: IOQ_URING or IOQ_THREADS. */
enum ioq_backend ioq_backend(const struct ioq *q);
/* "auto", "uring", "threads"; false for any other word. */
bool ioq_backend_parse(const char *word, enum ioq_backend *ret);

/* Operations that could be submitted now, and those submitted and not reaped. */
unsigned ioq_room(const struct ioq *q);
unsigned ioq_in_flight(const struct ioq *q);

/* -EAGAIN: no room. Any other failure comes as the operation's completion. */
int ioq_submit(struct ioq *q, const struct ioq_op *op);

/* Takes one completion. False: there is none now. ioq_wait(): false: nothing is in flight. */
bool ioq_reap(struct ioq *q, struct ioq_done *ret);
bool ioq_wait(struct ioq *q, struct ioq_done *ret);

/* For poll(): readable when something completed since ioq_reap() last returned false. So reap until
 * it does before sleeping on it. Not to be read by others. */
int ioq_fd(const struct ioq *q);

#endif
