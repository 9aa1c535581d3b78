/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * listener.c - accepts, looks at five bytes, hands the socket on or closes it
 *
 * Rule    a connection that has said nothing costs a table entry, never a process. Nothing is sent
 *         to who does not begin a TLS handshake: not one byte.
 * Limits  absolute from accept; docs/architecture.md has them in one table.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "ipc.h"
#include "listener_table.h"
#include "roles.h"

#define SOURCE_RATE_PER_S 32
#define SOURCE_BURST 128
#define SOURCES_BESIDE_WAITING 1024
#define EVICT_AFTER_MS 2000
#define EARLY_DROP_PERCENT 30
#define LOG_LINES_PER_S 10
#define ACCEPTS_PER_EVENT 16
#define PAUSE_MS 100 /* when descriptors run out */

struct waiting {
	struct listener *l;
	int fd; /* -1: free */
	bool ready;
	struct event *event; /* first bytes, or the deadline */
	uint64_t accepted_ms;
	size_t source;
	char peer[ADDRESS_TEXT_MAX];
};

struct listener {
	const struct receiver_options *o;
	struct event_base *base;
	int launcher;
	struct event *on_launcher, *on_room, *resume;
	struct event *on_accept[LISTEN_MAX];
	size_t n_sockets;
	struct source_table *sources;
	struct waiting *table;
	size_t n_table, n_waiting;
	uint64_t log_second, log_lines, log_left_out;
};

/* Under attack the log must not become the second victim. */
static void log_refusal(struct listener *l, const char *name, const char *peer)
{
	uint64_t second = clock_ms() / 1000;

	if (second != l->log_second) {
		if (l->log_left_out)
			log_warn("refused=many lines_left_out=%ju", (uintmax_t)l->log_left_out);
		l->log_second = second;
		l->log_lines = l->log_left_out = 0;
	}
	if (++l->log_lines > LOG_LINES_PER_S)
		l->log_left_out++;
	else
		log_warn("refused=%s peer=%s", name, peer);
}

/* NULL ${refusal}: the socket was handed on. */
static void end(struct listener *l, struct waiting *w, const char *refusal)
{
	if (refusal)
		log_refusal(l, refusal, w->peer);
	if (w->event)
		event_free(take_ptr(&w->event));
	close_fdp(&w->fd);
	source_release(l->sources, w->source);
	l->n_waiting--;
}

static void hand_on(struct waiting *w)
{
	struct listener *l = w->l;
	struct err e = { 0 };
	struct ipc_msg m;
	int r;

	ipc_init(&m, IPC_ACCEPTED);
	m.a = w->accepted_ms;
	memcpy(m.text, w->peer, sizeof w->peer);
	r = ipc_try_send(l->launcher, &m, &w->fd, 1, &e);
	if (r == -EAGAIN) {
		w->ready = true;
		(void)event_add(l->on_room, NULL);
		return;
	}
	end(l, w, r < 0 ? "launcher-gone" : NULL);
}

static void wait_more(struct waiting *w)
{
	uint64_t deadline = w->accepted_ms + (uint64_t)w->l->o->hello_timeout_s * 1000;
	int left = clock_left_ms(deadline);
	const struct timeval tv = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000L };

	if (event_add(w->event, &tv))
		end(w->l, w, "no-memory");
}

static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
	uint8_t first[HELLO_LOOK_LEN];
	struct waiting *w = arg;
	struct listener *l = w->l;
	const char *refusal;
	const int one = 1;
	ssize_t n;

	n = recv(fd, first, sizeof first, MSG_PEEK | MSG_DONTWAIT);
	if (w->ready || (what & EV_TIMEOUT)) {
		end(l, w, w->ready ? "busy" : "silent");
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_more(w);
		return;
	}
	if (n <= 0) {
		end(l, w, "closed-early");
		return;
	}
	refusal = hello_refusal(first, (size_t)n);
	if (refusal) {
		end(l, w, refusal);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
	/* the event is not persistent: the deadline is armed again for the time in the queue */
	hand_on(w);
	if (w->fd >= 0)
		(void)event_del(w->event);
}

/* The launcher takes more: those that were ready go, and those whose time is over end. */
static void on_room(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	uint64_t now = clock_ms();

	(void)fd;
	(void)what;
	for (size_t i = 0; i < l->n_table; i++) {
		struct waiting *w = &l->table[i];

		if (w->fd < 0 || !w->ready)
			continue;
		if (now - w->accepted_ms > (uint64_t)l->o->handshake_timeout_s * 1000)
			end(l, w, "busy");
		else
			hand_on(w);
	}
}

static struct waiting *oldest(struct listener *l)
{
	struct waiting *old = NULL;

	for (size_t i = 0; i < l->n_table; i++)
		if (l->table[i].fd >= 0 && (!old || l->table[i].accepted_ms < old->accepted_ms))
			old = &l->table[i];
	return old;
}

static struct waiting *free_place(struct listener *l)
{
	for (size_t i = 0; i < l->n_table; i++)
		if (l->table[i].fd < 0)
			return &l->table[i];
	return NULL;
}

/* A full table is an attack: chance decides from half on, and who has waited longest goes. */
static struct waiting *make_place(struct listener *l, uint64_t now)
{
	struct waiting *old;

	if (l->n_waiting > l->n_table / 2 && random() % 100 < EARLY_DROP_PERCENT)
		return NULL;
	if (l->n_waiting < l->n_table)
		return free_place(l);
	old = oldest(l);
	if (!old || now - old->accepted_ms < EVICT_AFTER_MS)
		return NULL;
	end(l, old, "evicted");
	return old;
}

static void wait_for_hello(struct listener *l, int fd, const struct sockaddr_storage *sa)
{
	const int look = HELLO_LOOK_LEN;
	uint64_t now = clock_ms();
	char peer[ADDRESS_TEXT_MAX];
	scoped(close_fdp) int own = fd;
	const char *refusal;
	struct waiting *w;
	size_t source;

	source_text(sa, peer, sizeof peer);
	refusal = source_take(l->sources, sa, now, &source);
	if (refusal) {
		log_refusal(l, refusal, peer);
		return;
	}
	w = make_place(l, now);
	if (!w) {
		source_release(l->sources, source);
		log_refusal(l, "table-full", peer);
		return;
	}
	/* not readable before five bytes are there: a byte at a time wakes nobody */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &look, sizeof look);
	*w = (struct waiting){ .l = l, .fd = take_fd(&own), .accepted_ms = now, .source = source };
	memcpy(w->peer, peer, sizeof w->peer);
	l->n_waiting++;
	w->event = event_new(l->base, w->fd, EV_READ, on_bytes, w);
	if (!w->event)
		end(l, w, "no-memory");
	else
		wait_more(w);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < l->n_sockets; i++)
		(void)event_add(l->on_accept[i], NULL);
}

static void pause_accepting(struct listener *l)
{
	const struct timeval tv = { .tv_usec = PAUSE_MS * 1000L };

	for (size_t i = 0; i < l->n_sockets; i++)
		(void)event_del(l->on_accept[i]);
	(void)evtimer_add(l->resume, &tv);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof sa;
		int fd =
		    accept4(listening, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
			pause_accepting(l);
			return;
		}
		if (fd < 0)
			return;
		wait_for_hello(l, fd, &sa);
	}
}

static void on_launcher(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct ipc_msg m;

	(void)what;
	/* the launcher says nothing to us: whatever comes is its end */
	if (ipc_recv(fd, &m, NULL, NULL, NULL))
		(void)event_base_loopbreak(l->base);
}

static int prepare(struct listener *l, const int *sockets, struct err *e)
{
	const struct source_limits limits = { .rate_per_s = SOURCE_RATE_PER_S,
					      .burst = SOURCE_BURST,
					      .waiting = l->o->conns_per_source };

	l->base = event_base_new();
	l->n_table = l->o->waiting_max;
	l->table = calloc(l->n_table, sizeof *l->table);
	l->sources = source_table_new(l->n_table + SOURCES_BESIDE_WAITING, &limits);
	if (!l->base || !l->table || !l->sources)
		return err_set(e, ERR_SYS, ENOMEM, "listener");
	for (size_t i = 0; i < l->n_table; i++)
		l->table[i].fd = -1;
	l->on_launcher = event_new(l->base, l->launcher, EV_READ | EV_PERSIST, on_launcher, l);
	l->on_room = event_new(l->base, l->launcher, EV_WRITE, on_room, l);
	l->resume = evtimer_new(l->base, on_resume, l);
	if (!l->on_launcher || !l->on_room || !l->resume || event_add(l->on_launcher, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "listener");
	for (size_t i = 0; i < l->n_sockets; i++) {
		l->on_accept[i] =
		    event_new(l->base, sockets[i], EV_READ | EV_PERSIST, on_accept, l);
		if (!l->on_accept[i] || event_add(l->on_accept[i], NULL))
			return err_set(e, ERR_SYS, ENOMEM, "listener");
	}
	return 0;
}

static void finish(struct listener *l)
{
	struct event *all[] = { l->on_launcher, l->on_room, l->resume };

	for (size_t i = 0; l->table && i < l->n_table; i++)
		if (l->table[i].fd >= 0)
			end(l, &l->table[i], "stopping");
	for (size_t i = 0; i < l->n_sockets; i++)
		if (l->on_accept[i])
			event_free(l->on_accept[i]);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i])
			event_free(all[i]);
	source_table_free(l->sources);
	free(l->table);
	if (l->base)
		event_base_free(l->base);
}

int listener_main(int launcher_fd, const int *sockets, size_t n, const struct receiver_options *o)
{
	struct listener l = { .o = o, .launcher = launcher_fd, .n_sockets = n };
	struct err e = { 0 };
	int r;

	srandom((unsigned)clock_ms());
	r = n > LISTEN_MAX ? -EINVAL : prepare(&l, sockets, &e);
	if (!r && event_base_dispatch(l.base) < 0)
		r = err_set(&e, ERR_SYS, EIO, "event loop");
	if (r < 0)
		log_error("%s", e.text);
	finish(&l);
	return r < 0;
}
