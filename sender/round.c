/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "round.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "crew.h"
#include "cursor.h"
#include "progress.h"
#include "scan.h"
#include "stream.h"

#define TICK_MS 200
#define HURRY_TICK_MS 25 /* in the first second of a round, while there is one connection */
#define HURRY_MS 1000
/* More than what lies in buffers when a line is slow. */
#define SENT_MIN (8 * MIB)
#define READ_MIN (64 * MIB)
#define REOPEN_MIN_MS 250
#define REOPEN_MAX_MS 10000
#define STEADY_MS 10000 /* a connection that lived so long is opened again without much ado */
#define GONE_MS 5000    /* without any connection: the receiver gives the session up then */
#define GONE_MIN_MS 200 /* less than the first pause: not tried again where nobody asked for it */

struct round;

struct worker {
	struct round *round;
	unsigned slot; /* 0: has the session's connection */
	pthread_t thread;
	bool started, ended; /* under round.lock, as is the next */
	bool busy;           /* may still give something back */
	struct link *link;
	struct stream stream;
	struct scanner scanner;
	struct seat seat;
	unsigned disk; /* of the piece before */
	/* The last loss of its connection. */
	struct err lost;
	uint64_t lost_ms, in_doubt, up_ms;
	unsigned pause_ms; /* before the next try */
};

struct round {
	struct move *m;
	struct session *s;
	struct cursor cursor;
	struct window window;
	struct worker workers[CONNECTIONS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned wanted;  /* connections */
	unsigned running; /* threads */
	unsigned busy;    /* of them */
	unsigned alive;   /* connections */
	uint64_t none_since_ms;
	bool failed;
	struct err err; /* of the first that failed */
	struct crew crew;
	uint64_t judged_ms, judged_bytes;
	struct look {
		uint64_t ms, wire, read, wait_ns, busy_us, window_us;
	} began, looked;
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

static void set_busy(struct worker *w, bool busy)
{
	struct round *rd = w->round;

	(void)pthread_mutex_lock(&rd->lock);
	if (busy && !w->busy)
		rd->busy++;
	if (!busy && w->busy)
		rd->busy--;
	w->busy = busy;
	bool last = !rd->busy;
	(void)pthread_mutex_unlock(&rd->lock);
	/* The others wait for what it might have given back. */
	if (last)
		window_wake(&rd->window, w->slot);
}

static bool others_busy(struct round *rd)
{
	(void)pthread_mutex_lock(&rd->lock);
	bool busy = rd->busy != 0 && !rd->failed;
	(void)pthread_mutex_unlock(&rd->lock);
	return busy;
}

static void add_alive(struct round *rd, int by)
{
	(void)pthread_mutex_lock(&rd->lock);
	rd->alive = (unsigned)((int)rd->alive + by);
	rd->none_since_ms = clock_ms();
	(void)pthread_mutex_unlock(&rd->lock);
}

static bool is_surplus(struct worker *w)
{
	struct round *rd = w->round;

	(void)pthread_mutex_lock(&rd->lock);
	bool surplus = w->slot >= rd->wanted;
	(void)pthread_mutex_unlock(&rd->lock);
	return surplus;
}

static bool nothing_left(struct round *rd)
{
	return !cursor_has_more(&rd->cursor) && !others_busy(rd);
}

/* ---- work on a connection ---- */

/* Who leaves a disk may have sent the last of it: nobody else would ask for its durability. */
static int change_disk(struct worker *w, const struct piece *p, struct err *e)
{
	unsigned before = w->disk;
	int r;

	window_share(&w->round->window, cursor_crowd(&w->round->cursor));
	w->disk = p->d;
	if (before == p->d)
		return 0;
	r = scanner_end(&w->scanner, e);
	return r ? r : stream_flush(&w->stream, before, e);
}

/* All pieces that there are, then durability of what this connection sent. */
static int work(struct worker *w, struct err *e)
{
	struct round *rd = w->round;
	struct piece p;
	int r = 0;

	while (!is_surplus(w) && (r = cursor_next(&rd->cursor, &w->seat, clock_ms(), &p, e)) > 0) {
		r = change_disk(w, &p, e);
		if (!r)
			r = scanner_piece(&w->scanner, &p, e);
		if (r)
			return r;
		if (has_failed(rd))
			return err_set(e, ERR_NET, ECANCELED, "another connection failed");
	}
	cursor_leave(&rd->cursor, &w->seat);
	window_share(&rd->window, cursor_crowd(&rd->cursor));
	if (!r && is_surplus(w) && !scanner_give_up(&w->scanner, &rd->cursor))
		return err_set(e, ERR_SYS, ENOBUFS, "more is left than can be listed");
	if (!r)
		r = scanner_end(&w->scanner, e);
	return r ? r : stream_settle(&w->stream, e);
}

/* Works until nobody can give anything back any more, or it is one connection too many. */
static int work_to_the_end(struct worker *w, struct err *e)
{
	struct round *rd = w->round;
	int r;

	do {
		set_busy(w, true);
		r = work(w, e);
		if (r)
			return r;
		set_busy(w, false);
		while (!r && !is_surplus(w) && others_busy(rd) && !cursor_has_more(&rd->cursor))
			r = stream_poll(&w->stream, 100, e);
	} while (!r && !is_surplus(w) && cursor_has_more(&rd->cursor));
	return r;
}

static void begin_stream(struct worker *w)
{
	struct round *rd = w->round;

	stream_init(&w->stream, rd->m, w->link, &rd->window, rd->s->block_size, w->slot);
	for (unsigned d = 0; !w->slot && d < rd->m->n_disks; d++)
		stream_goes_on(&w->stream, d, rd->s->seq[d]);
	scanner_use(&w->scanner, &w->stream);
}

/* The first time the session's connection is there; it may be lost as any other. */
static int open_link(struct worker *w, struct err *e)
{
	struct session *s = w->round->s;

	if (w->slot)
		return session_open_data(w->round->m, s, &w->link, e);
	if (!s->link) {
		int r = session_attach(w->round->m, s, &s->link, e);
		if (r)
			return r;
		memset(s->seq, 0, sizeof s->seq);
	}
	w->link = s->link;
	return 0;
}

/* What was not durable goes to the others. */
static void lose(struct worker *w, const struct err *e)
{
	struct round *rd = w->round;
	struct err full = { 0 };

	w->lost = *e;
	w->lost_ms = clock_ms();
	w->in_doubt = stream_in_doubt(&w->stream);
	cursor_leave(&rd->cursor, &w->seat);
	if (!scanner_give_back(&w->scanner, &rd->cursor)) {
		(void)err_set(&full, ERR_NET, ENOBUFS, "more was lost than can be listed: %.200s",
			      e->text);
		fail(rd, &full);
	}
	stream_drop(&w->stream);
	link_close(w->link);
	w->link = NULL;
	if (!w->slot)
		rd->s->link = NULL;
	set_busy(w, false);
	atomic_fetch_add(&rd->m->gauge.lost, 1);
}

static void leave(struct worker *w)
{
	for (unsigned d = 0; !w->slot && d < w->round->m->n_disks; d++)
		w->round->s->seq[d] = w->stream.disks[d].seq;
	stream_drop(&w->stream);
	if (w->slot) {
		(void)link_bye(w->link, NULL);
		link_close(w->link);
	}
	w->link = NULL;
}

static void say_back(const struct worker *w)
{
	char room[32];

	if (!w->lost_ms || w->round->m->silent)
		return;
	log_warn("connection %u%s is back after %.1f s: %s; %s were not durable and are sent again",
		 w->slot + 1, w->slot ? "" : " (the session's)",
		 (double)(clock_ms() - w->lost_ms) / 1000.0, w->lost.text,
		 progress_bytes(room, sizeof room, w->in_doubt));
}

/* One connection from its opening to its end. */
static int run_link(struct worker *w, struct err *e)
{
	int r = open_link(w, e);

	if (r)
		return r;
	say_back(w);
	w->lost_ms = 0;
	w->up_ms = clock_ms();
	add_alive(w->round, 1);
	begin_stream(w);
	r = work_to_the_end(w, e);
	add_alive(w->round, -1);
	if (r)
		lose(w, e);
	else
		leave(w);
	return r;
}

/* ---- a connection that is lost ---- */

/* The receiver's own word that this session is not to go on. */
static bool is_final(const struct err *e)
{
	return e->kind != ERR_NET ||
	       (e->name && (!strcmp(e->name, wire_error_word(WIRE_STALE_EPOCH)) ||
			    !strcmp(e->name, wire_error_word(WIRE_PAUSED))));
}

static bool stopping(const struct round *rd)
{
	return rd->m->stop && atomic_load(rd->m->stop);
}

/* No connection for so long that nothing will come of it. */
static bool all_gone(struct round *rd)
{
	uint64_t bound = (uint64_t)rd->m->o->retry_s * 1000 + GONE_MIN_MS;

	(void)pthread_mutex_lock(&rd->lock);
	bool gone =
	    !rd->alive && clock_ms() - rd->none_since_ms >= (bound < GONE_MS ? bound : GONE_MS);
	(void)pthread_mutex_unlock(&rd->lock);
	return gone;
}

/* Waits for the next try. False: there is none. */
static bool wait_to_reopen(struct worker *w)
{
	struct round *rd = w->round;
	uint64_t end;

	if (w->up_ms && w->lost_ms - w->up_ms >= STEADY_MS)
		w->pause_ms = 0;
	w->up_ms = 0;
	w->pause_ms = w->pause_ms ? w->pause_ms * 2 : REOPEN_MIN_MS;
	if (w->pause_ms > REOPEN_MAX_MS)
		w->pause_ms = REOPEN_MAX_MS;
	for (end = clock_ms() + w->pause_ms; clock_ms() < end; clock_sleep_ns(20000000)) {
		if (has_failed(rd) || stopping(rd) || is_surplus(w) || nothing_left(rd) ||
		    all_gone(rd))
			break;
	}
	return clock_ms() >= end && !has_failed(rd) && !nothing_left(rd);
}

static void give_up(struct worker *w, const struct err *e)
{
	struct round *rd = w->round;

	if (!nothing_left(rd) && !is_surplus(w))
		fail(rd, e);
	else if (w->lost_ms && !rd->m->silent)
		log_warn("connection %u%s: %s; the others went on without it", w->slot + 1,
			 w->slot ? "" : " (the session's)", e->text);
}

static void run_worker(struct worker *w)
{
	struct round *rd = w->round;
	struct err e = { 0 };

	while (run_link(w, &e)) {
		bool final = is_final(&e) || stopping(rd);

		log_debug("round", "connection %u: %s", w->slot + 1, e.text);
		/* What was lost first is the cause; that it cannot be had again, an effect. */
		if (w->lost_ms && e.kind == ERR_NET)
			e = w->lost;
		if (final) {
			fail(rd, &e);
			return;
		}
		if (!wait_to_reopen(w)) {
			give_up(w, &e);
			return;
		}
		err_clear(&e);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct round *rd = w->round;
	struct err e = { 0 };

	if (scanner_open(&w->scanner, rd->m, rd->s->block_size, &e)) {
		fail(rd, &e);
	} else {
		run_worker(w);
		scanner_close(&w->scanner);
	}
	(void)pthread_mutex_lock(&rd->lock);
	w->ended = true;
	rd->running--;
	(void)pthread_cond_signal(&rd->ended);
	(void)pthread_mutex_unlock(&rd->lock);
	return NULL;
}

/* ---- the round as a whole ---- */

static void start_worker(struct round *rd, unsigned slot)
{
	struct worker *w = &rd->workers[slot];
	struct err e = { 0 };
	int r;

	if (w->started)
		(void)pthread_join(w->thread, NULL);
	*w = (struct worker){ .round = rd, .slot = slot, .started = true };
	(void)pthread_mutex_lock(&rd->lock);
	rd->running++;
	(void)pthread_mutex_unlock(&rd->lock);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	if (!r)
		return;
	w->started = false;
	(void)err_set(&e, ERR_SYS, r, "start a thread");
	fail(rd, &e);
	(void)pthread_mutex_lock(&rd->lock);
	rd->running--;
	(void)pthread_mutex_unlock(&rd->lock);
}

/* Whether slot ${i} has no thread; called by the one that starts them. */
static bool is_vacant(struct round *rd, unsigned i)
{
	(void)pthread_mutex_lock(&rd->lock);
	bool vacant = !rd->workers[i].started || rd->workers[i].ended;
	(void)pthread_mutex_unlock(&rd->lock);
	return vacant;
}

static void use_connections(struct round *rd, unsigned n)
{
	(void)pthread_mutex_lock(&rd->lock);
	rd->wanted = n;
	(void)pthread_mutex_unlock(&rd->lock);
	atomic_store(&rd->m->connections, n);
	for (unsigned i = 0; i < n; i++) {
		if (is_vacant(rd, i))
			start_worker(rd, i);
	}
}

/* Wire and reading together: the one tells of a narrow line, the other of a round without much to
 * send. */
static uint64_t bytes_moved(const struct round *rd)
{
	return atomic_load(&rd->m->gauge.wire) + atomic_load(&rd->m->gauge.read);
}

static struct look look(const struct round *rd)
{
	const struct gauge *g = &rd->m->gauge;

	return (struct look){ .ms = clock_ms(),
			      .wire = atomic_load(&g->wire),
			      .read = atomic_load(&g->read),
			      .wait_ns = atomic_load(&g->wait_ns),
			      .busy_us = atomic_load(&g->busy_us),
			      .window_us = atomic_load(&g->window_us) };
}

static void look_at_line(struct round *rd)
{
	const struct gauge *g = &rd->m->gauge;
	struct look was = rd->looked, now = look(rd);
	double ms = (double)(now.ms - was.ms), busy = (double)(now.busy_us - was.busy_us);

	if (now.ms - was.ms < CREW_LOOK_MS)
		return;
	struct crew_signs s = {
		.rate = (now.wire - was.wire) * 1000 / (now.ms - was.ms),
		.waits = (double)(now.wait_ns - was.wait_ns) / 1e6 / (ms * rd->crew.now),
		.windows = busy > 0 ? (double)(now.window_us - was.window_us) / busy : 0,
		.long_path = atomic_load(&g->long_path),
		.sole = atomic_load(&g->sole),
	};
	(void)crew_look(&rd->crew, &s);
	rd->looked = now;
}

static uint64_t beyond(uint64_t now, uint64_t before, uint64_t buffered)
{
	return now - before > buffered ? now - before - buffered : 0;
}

/* On a long path one connection says nothing yet: it has to open its window first. */
static void hurry(struct round *rd)
{
	struct look now = look(rd), was = rd->began;
	uint64_t wire = beyond(now.wire, was.wire, SENT_MIN);
	uint64_t read = beyond(now.read, was.read, READ_MIN);

	if (!atomic_load(&rd->m->gauge.long_path))
		(void)crew_hurry(&rd->crew, wire > read ? wire : read, now.ms - was.ms);
}

static void judge_crew(struct round *rd)
{
	uint64_t now = clock_ms(), bytes = bytes_moved(rd);
	unsigned before = rd->crew.now, n;

	hurry(rd);
	look_at_line(rd);
	n = rd->crew.now;
	if (now - rd->judged_ms >= CREW_INTERVAL_MS) {
		n = crew_judge(&rd->crew,
			       (bytes - rd->judged_bytes) * 1000 / (now - rd->judged_ms));
		rd->judged_ms = now;
		rd->judged_bytes = bytes;
	}
	/* Towards the end of a round threads leave; they are not to be called back. */
	if (n == before || !cursor_has_more(&rd->cursor))
		return;
	if (!rd->m->silent)
		log_info("%u connection%s: %s", n, n == 1 ? "" : "s",
			 n > before ? "more are tried" : "fewer bring as much");
	use_connections(rd, n);
}

/* A slow beginning of a fast copy would cost more than some turns of this loop. */
static long tick_ms(const struct round *rd)
{
	return rd->crew.now == 1 && clock_ms() - rd->began.ms < HURRY_MS ? HURRY_TICK_MS : TICK_MS;
}

static void wait_for_all(struct round *rd, void (*on_tick)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&rd->lock);
	while (rd->running) {
		struct timespec t;

		(void)clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += tick_ms(rd) * 1000000L;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&rd->ended, &rd->lock, &t);
		(void)pthread_mutex_unlock(&rd->lock);
		if (on_tick)
			on_tick(arg);
		judge_crew(rd);
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
		atomic_store(&m->gauge.disk[d].hole_bytes, 0);
		atomic_store(&m->gauge.disk[d].free_bytes, 0);
	}
}

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

/* A round that reads far more than it sends is held by the processor from its first block on, on
 * any line. */
static bool mostly_compares(const struct move *m)
{
	uint64_t blocks = 0, claimed = 0;

	for (unsigned d = 0; d < m->n_disks; d++) {
		blocks += table_blocks(m->disks[d].table);
		claimed += m->disks[d].claimed;
	}
	return claimed > blocks / 2;
}

static unsigned connections_before(struct move *m)
{
	unsigned n = atomic_load(&m->connections);

	return n || cores() < 2 || !mostly_compares(m) ? n : 2;
}

static void init(struct round *rd, struct move *m, struct session *s)
{
	rd->m = m;
	rd->s = s;
	cursor_init(&rd->cursor, m, s->block_size);
	window_init(&rd->window);
	(void)pthread_mutex_init(&rd->lock, NULL);
	(void)pthread_cond_init(&rd->ended, NULL);
	crew_init(&rd->crew, m->o->connections, connections_before(m), cores(), m->n_disks);
	rd->none_since_ms = rd->judged_ms = clock_ms();
	rd->judged_bytes = bytes_moved(rd);
	rd->began = rd->looked = look(rd);
}

int round_run(struct move *m, struct session *s, void (*on_tick)(void *arg), void *arg,
	      struct err *e)
{

	begin_disks(m);
	scoped(freep) struct round *rd = calloc(1, sizeof *rd);
	if (!rd)
		return err_set(e, ERR_SYS, ENOMEM, "threads of a round");
	init(rd, m, s);
	use_connections(rd, rd->crew.now);
	wait_for_all(rd, on_tick, arg);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (rd->workers[i].started)
			(void)pthread_join(rd->workers[i].thread, NULL);
	}
	if (!rd->failed)
		return 0;
	*e = rd->err;
	return e->sys ? -e->sys : -EIO;
}
