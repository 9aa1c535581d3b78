/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ioq_threads.c - operations done by a few threads, in the order they came in
 *
 * A thread is started when an operation finds none idle, up to the bound; where not even one can
 * be had, the operation is done on the spot.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "ioq_internal.h"

#define STACK_BYTES (256 * KIB)

struct list {
	struct ioq_slot *first, **end;
};

struct ioq_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list waiting, done;
	unsigned n_waiting, idle, max;
	unsigned busy, limit; /* threads that work, and how many may */
	bool stop;
	int event;
	unsigned n_threads;
	pthread_t thread[];
};

static void list_add(struct list *l, struct ioq_slot *s)
{
	s->next = NULL;
	*l->end = s;
	l->end = &s->next;
}

static struct ioq_slot *list_take(struct list *l)
{
	struct ioq_slot *s = l->first;

	if (!s)
		return NULL;
	l->first = s->next;
	if (!l->first)
		l->end = &l->first;
	return s;
}

static ssize_t move_some(const struct ioq_slot *s)
{
	const struct ioq_op *op = &s->op;
	off_t off = (off_t)(op->off + s->done);
	size_t len = op->len - s->done;
	ssize_t n;

	do {
		if (op->kind == IOQ_READ)
			n = pread(op->fd, (uint8_t *)op->to + s->done, len, off);
		else
			n = pwrite(op->fd, (const uint8_t *)op->from + s->done, len, off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void do_op(struct ioq_slot *s)
{
	switch (s->op.kind) {
	case IOQ_READ:
	case IOQ_WRITE:
		while (!ioq_slot_moved(s, move_some(s)))
			continue;
		break;
	case IOQ_DATASYNC:
		s->res = fdatasync(s->op.fd) < 0 ? -errno : 0;
		break;
	case IOQ_CALL:
		s->res = s->op.call(s->op.arg);
		break;
	}
}

static void tell(const struct ioq_pool *p)
{
	const uint64_t one = 1;
	/* Fails only when the counter is full: then it is readable anyway. */
	ssize_t n = write(p->event, &one, sizeof one);

	(void)n;
}

static void *work(void *arg)
{
	struct ioq_pool *p = arg;
	struct ioq_slot *s;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		s = p->busy < p->limit ? list_take(&p->waiting) : NULL;
		if (!s) {
			p->idle++;
			(void)pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
			continue;
		}
		p->n_waiting--;
		p->busy++;
		(void)pthread_mutex_unlock(&p->lock);
		do_op(s);
		(void)pthread_mutex_lock(&p->lock);
		list_add(&p->done, s);
		tell(p);
		p->busy--;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct ioq_pool *ioq_pool_new(unsigned threads, int event)
{
	struct ioq_pool *p = calloc(1, sizeof *p + threads * sizeof *p->thread);

	if (!p)
		return NULL;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->waiting.end = &p->waiting.first;
	p->done.end = &p->done.first;
	p->max = p->limit = threads;
	p->event = event;
	return p;
}

void ioq_pool_free(struct ioq_pool *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		(void)pthread_join(p->thread[i], NULL);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Signals stay with the thread that made the queue. */
static void start_thread(struct ioq_pool *p)
{
	sigset_t all, old;
	pthread_attr_t attr;

	(void)sigfillset(&all);
	if (pthread_attr_init(&attr))
		return;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&p->thread[p->n_threads], &attr, work, p))
		p->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
}

void ioq_pool_limit(struct ioq_pool *p, unsigned n)
{
	(void)pthread_mutex_lock(&p->lock);
	p->limit = n < p->max ? n : p->max;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
}

void ioq_pool_submit(struct ioq_pool *p, struct ioq_slot *s)
{
	(void)pthread_mutex_lock(&p->lock);
	if (p->idle <= p->n_waiting && p->n_threads < p->limit)
		start_thread(p);
	if (p->n_threads) {
		list_add(&p->waiting, s);
		p->n_waiting++;
		(void)pthread_cond_signal(&p->work);
	} else {
		do_op(s);
		list_add(&p->done, s);
		tell(p);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

struct ioq_slot *ioq_pool_reap(struct ioq_pool *p)
{
	struct ioq_slot *s;

	(void)pthread_mutex_lock(&p->lock);
	s = list_take(&p->done);
	(void)pthread_mutex_unlock(&p->lock);
	return s;
}
