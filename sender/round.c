/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "round.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "cursor.h"
#include "scan.h"
#include "stream.h"

#define REOPEN_TRIES 3

struct round {
	struct move *m;
	struct session *s;
	struct cursor cursor;
	struct window window;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running; /* threads */
	unsigned busy;    /* of them, those that may still give something back */
	bool failed;
	struct err err; /* of the first that failed */
};

struct worker {
	struct round *round;
	unsigned slot; /* 0: on the session's connection */
	pthread_t thread;
	bool started;
	struct link *own; /* data connection */
	struct stream stream;
	struct scanner scanner;
	struct seat seat;
};

static void fail(struct round *rd, const struct err *e)
{
	(void)pthread_mutex_lock(&rd->lock);
	if (!rd->failed)
		rd->err = *e;
	rd->failed = true;
	(void)pthread_mutex_unlock(&rd->lock);
}

static bool has_failed(struct round *rd)
{
	(void)pthread_mutex_lock(&rd->lock);
	bool failed = rd->failed;
	(void)pthread_mutex_unlock(&rd->lock);
	return failed;
}

static void add_busy(struct round *rd, int by)
{
	(void)pthread_mutex_lock(&rd->lock);
	rd->busy = (unsigned)((int)rd->busy + by);
	(void)pthread_mutex_unlock(&rd->lock);
}

static bool others_busy(struct round *rd)
{
	(void)pthread_mutex_lock(&rd->lock);
	bool busy = rd->busy != 0 && !rd->failed;
	(void)pthread_mutex_unlock(&rd->lock);
	return busy;
}

/* All pieces that there are, then durability of what this connection sent. */
static int work(struct worker *w, struct err *e)
{
	struct piece p;
	int r;

	while ((r = cursor_next(&w->round->cursor, &w->seat, clock_ms(), &p, e)) > 0) {
		r = scanner_piece(&w->scanner, &p, e);
		if (r)
			return r;
		if (has_failed(w->round))
			return err_set(e, ERR_NET, ECANCELED, "another connection failed");
	}
	if (!r)
		r = scanner_end_run(&w->scanner, e);
	return r ? r : stream_settle(&w->stream, e);
}

/* Works until nobody can give anything back any more. Comes and goes counted as busy. */
static int work_to_the_end(struct worker *w, struct err *e)
{
	struct round *rd = w->round;
	int r;

	for (;;) {
		r = work(w, e);
		if (r)
			return r;
		add_busy(rd, -1);
		while (!r && others_busy(rd) && !cursor_has_more(&rd->cursor))
			r = stream_poll(&w->stream, 100, e);
		add_busy(rd, 1);
		if (r || !cursor_has_more(&rd->cursor))
			return r;
	}
}

static void begin_stream(struct worker *w, struct link *l)
{
	struct round *rd = w->round;

	stream_init(&w->stream, rd->m, l, &rd->window, rd->s->block_size, w->slot);
	scanner_use(&w->scanner, &w->stream);
}

/* One data connection from its opening to its end. */
static int run_data(struct worker *w, struct err *e)
{
	struct round *rd = w->round;
	int r = session_open_data(rd->m, rd->s, &w->own, e);

	if (r)
		return r;
	begin_stream(w, w->own);
	r = work_to_the_end(w, e);
	cursor_leave(&rd->cursor, &w->seat);
	if (!r)
		(void)link_bye(w->own, NULL);
	else if (!scanner_give_back(&w->scanner, &rd->cursor))
		fail(rd, e);
	stream_drop(&w->stream);
	link_close(w->own);
	w->own = NULL;
	return r;
}

static bool may_reopen(const struct worker *w, const struct err *e)
{
	return e->kind == ERR_NET && !has_failed(w->round) &&
	       !(w->round->m->stop && atomic_load(w->round->m->stop)) &&
	       cursor_has_more(&w->round->cursor);
}

/* A data connection may die: the round goes on without it, unless the cause is not the network. */
static void data_worker(struct worker *w)
{
	for (int i = 0; i < REOPEN_TRIES; i++) {
		struct err e = { 0 };

		if (!run_data(w, &e))
			return;
		log_debug("round", "data connection %u: %s", w->slot, e.text);
		if (e.kind != ERR_NET) {
			fail(w->round, &e);
			return;
		}
		if (!may_reopen(w, &e))
			return;
		struct timespec t = { .tv_sec = i + 1 };
		(void)nanosleep(&t, NULL);
	}
}

static void session_worker(struct worker *w)
{
	struct session *s = w->round->s;
	unsigned n = w->round->m->n_disks;
	struct err e = { 0 };

	begin_stream(w, s->link);
	for (unsigned d = 0; d < n; d++)
		w->stream.disks[d] = (struct stream_disk){
			.open = true, .seq = s->seq[d], .durable = s->seq[d], .flushed = s->seq[d]
		};
	if (work_to_the_end(w, &e))
		fail(w->round, &e);
	for (unsigned d = 0; d < n; d++)
		s->seq[d] = w->stream.disks[d].seq;
	stream_drop(&w->stream);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct round *rd = w->round;
	struct err e = { 0 };

	if (scanner_open(&w->scanner, rd->m, rd->s->block_size, &e)) {
		fail(rd, &e);
	} else {
		if (w->slot)
			data_worker(w);
		else
			session_worker(w);
		scanner_close(&w->scanner);
	}
	(void)pthread_mutex_lock(&rd->lock);
	rd->busy--;
	rd->running--;
	(void)pthread_cond_signal(&rd->ended);
	(void)pthread_mutex_unlock(&rd->lock);
	return NULL;
}

static void wait_for_all(struct round *rd, void (*on_tick)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&rd->lock);
	while (rd->running) {
		struct timespec t;

		(void)clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 200000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&rd->ended, &rd->lock, &t);
		(void)pthread_mutex_unlock(&rd->lock);
		if (on_tick)
			on_tick(arg);
		(void)pthread_mutex_lock(&rd->lock);
	}
	(void)pthread_mutex_unlock(&rd->lock);
}

static void begin_disks(struct move *m)
{
	for (unsigned d = 0; d < m->n_disks; d++) {
		m->disks[d].stamped = source_stamp(m->disks[d].source, m->disks[d].stamp);
		atomic_store(&m->gauge.disk[d].durable, 0);
		atomic_store(&m->gauge.disk[d].unchanged_blocks, 0);
	}
}

static void start_workers(struct round *rd, struct worker *w, unsigned n)
{
	rd->running = rd->busy = n;
	for (unsigned i = 0; i < n; i++) {
		w[i].round = rd;
		w[i].slot = i;
		int r = pthread_create(&w[i].thread, NULL, worker_main, &w[i]);
		w[i].started = !r;
		if (!r)
			continue;
		struct err e = { 0 };
		(void)err_set(&e, ERR_SYS, r, "start a thread");
		fail(rd, &e);
		(void)pthread_mutex_lock(&rd->lock);
		rd->busy--;
		rd->running--;
		(void)pthread_mutex_unlock(&rd->lock);
	}
}

int round_run(struct move *m, struct session *s, void (*on_tick)(void *arg), void *arg,
	      struct err *e)
{
	unsigned n = m->o->connections;

	begin_disks(m);
	scoped(freep) struct round *rd = calloc(1, sizeof *rd);
	scoped(freep) struct worker *w = calloc(n, sizeof *w);
	if (!rd || !w)
		return err_set(e, ERR_SYS, ENOMEM, "threads of a round");
	rd->m = m;
	rd->s = s;
	cursor_init(&rd->cursor, m, s->block_size);
	window_init(&rd->window);
	(void)pthread_mutex_init(&rd->lock, NULL);
	(void)pthread_cond_init(&rd->ended, NULL);
	start_workers(rd, w, n);
	wait_for_all(rd, on_tick, arg);
	for (unsigned i = 0; i < n; i++) {
		if (w[i].started)
			(void)pthread_join(w[i].thread, NULL);
	}
	if (!rd->failed)
		return 0;
	*e = rd->err;
	return e->sys ? -e->sys : -EIO;
}
