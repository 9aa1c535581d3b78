/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ioq.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ioq_internal.h"

struct ioq {
	unsigned depth, in_flight;
	int event;
	struct ioq_ring *ring; /* NULL: everything goes to the pool */
	struct ioq_pool *pool; /* with a ring: calls, and what the ring gave back */
	struct ioq_slot *free; /* list */
	struct ioq_slot slot[];
};

bool ioq_backend_parse(const char *word, enum ioq_backend *ret)
{
	if (!strcmp(word, "auto"))
		*ret = IOQ_AUTO;
	else if (!strcmp(word, "uring"))
		*ret = IOQ_URING;
	else if (!strcmp(word, "threads"))
		*ret = IOQ_THREADS;
	else
		return false;
	return true;
}

void ioq_free(struct ioq *q)
{
	if (!q)
		return;
	ioq_ring_free(q->ring);
	ioq_pool_free(q->pool);
	close_fdp(&q->event);
	free(q);
}

static int choose(struct ioq *q, enum ioq_backend backend, struct err *e)
{
	const char *word = getenv("TRANSIT_IO");
	struct err why = { 0 };
	int r;

	if (backend == IOQ_AUTO && word && !ioq_backend_parse(word, &backend))
		return err_set(e, ERR_USAGE, EINVAL,
			       "TRANSIT_IO is '%s', not auto, uring or threads", word);
	if (backend == IOQ_THREADS)
		return 0;
	r = ioq_ring_new(q->depth, q->event, &q->ring, &why);
	if (r < 0 && backend == IOQ_URING)
		return err_set(e, ERR_SYS, -r, "%s", why.text);
	if (r < 0)
		log_debug("ioq", "threads: %s", why.text);
	return 0;
}

int ioq_new(enum ioq_backend backend, unsigned depth, struct ioq **ret, struct err *e)
{
	scoped(ioq_freep) struct ioq *q = NULL;
	int r;

	if (!depth || depth > IOQ_DEPTH_MAX)
		return err_set(e, ERR_SYS, EINVAL, "an I/O queue of depth %u", depth);
	q = calloc(1, sizeof *q + depth * sizeof *q->slot);
	if (!q)
		return err_set(e, ERR_SYS, ENOMEM, "I/O queue");
	q->depth = depth;
	q->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->event < 0)
		return err_set(e, ERR_SYS, errno, "I/O queue");
	q->pool = ioq_pool_new(depth < IOQ_THREADS_MAX ? depth : IOQ_THREADS_MAX, q->event);
	if (!q->pool)
		return err_set(e, ERR_SYS, ENOMEM, "I/O queue");
	if ((r = choose(q, backend, e)) < 0)
		return r;
	for (unsigned i = depth; i-- > 0;) {
		q->slot[i].next = q->free;
		q->free = q->slot + i;
	}
	*ret = take_ptr(&q);
	return 0;
}

enum ioq_backend ioq_backend(const struct ioq *q)
{
	return q->ring ? IOQ_URING : IOQ_THREADS;
}

void ioq_limit_threads(struct ioq *q, unsigned n)
{
	ioq_pool_limit(q->pool, n);
}

unsigned ioq_room(const struct ioq *q)
{
	return q->depth - q->in_flight;
}

unsigned ioq_in_flight(const struct ioq *q)
{
	return q->in_flight;
}

int ioq_fd(const struct ioq *q)
{
	return q->event;
}

bool ioq_slot_moved(struct ioq_slot *s, ssize_t n)
{
	if (n < 0) {
		s->res = n;
		return true;
	}
	s->done += (size_t)n;
	s->res = (ssize_t)s->done;
	if (s->done == s->op.len)
		return true;
	if (n)
		return false;
	/* Nothing moved: the end of a file, or a disk that takes no more. */
	if (s->op.kind == IOQ_WRITE)
		s->res = -ENOSPC;
	return true;
}

int ioq_submit(struct ioq *q, const struct ioq_op *op)
{
	struct ioq_slot *s = q->free;

	if (!s)
		return -EAGAIN;
	q->free = s->next;
	*s = (struct ioq_slot){ .op = *op };
	q->in_flight++;
	if (op->kind == IOQ_CALL || !q->ring || !ioq_ring_submit(q->ring, s))
		ioq_pool_submit(q->pool, s);
	return 0;
}

static struct ioq_slot *take(struct ioq *q)
{
	struct ioq_slot *s = NULL, *left = NULL;

	if (q->ring) {
		while (!(s = ioq_ring_reap(q->ring, &left)) && left)
			ioq_pool_submit(q->pool, take_ptr(&left));
	}
	return s ? s : ioq_pool_reap(q->pool);
}

bool ioq_reap(struct ioq *q, struct ioq_done *ret)
{
	struct ioq_slot *s = q->in_flight ? take(q) : NULL;

	if (!s) {
		/* Forget what was told, then look once more: nothing is missed in between. Also
		 * when nothing is under way: who polls would be woken for ever. */
		uint64_t told;
		ssize_t n = read(q->event, &told, sizeof told);

		(void)n; /* nothing was told: as good */
		s = q->in_flight ? take(q) : NULL;
	}
	if (!s)
		return false;
	*ret = (struct ioq_done){ .tag = s->op.tag, .res = s->res };
	s->next = q->free;
	q->free = s;
	q->in_flight--;
	return true;
}

bool ioq_wait(struct ioq *q, struct ioq_done *ret)
{
	struct pollfd p = { .fd = q->event, .events = POLLIN };

	while (q->in_flight) {
		if (ioq_reap(q, ret))
			return true;
		(void)poll(&p, 1, -1);
	}
	return false;
}
