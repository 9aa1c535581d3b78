/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * launcher.c - the parent of all roles: binds, starts, reaps, restarts, ends
 *
 * Rule    reads nothing from the network and holds neither key nor disk: what it learns of a peer
 *         is the address that the listener wrote down.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "launcher_internal.h"

#define STOP_LIMIT_S 10
#define BOOTFIX_TERM_S 5
#define MESSAGES_PER_EVENT 64

static const char *const role_words[] = {
	[ROLE_LAUNCHER] = "launcher", [ROLE_LISTENER] = "listener", [ROLE_CONN] = "conn",
	[ROLE_KEEPER] = "keeper",     [ROLE_WRITER] = "writer",     [ROLE_BOOTFIX] = "bootfix"
};

/* ---- children ---- */

static struct child *child_free_place(struct launcher *l)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (!l->children[i].pid)
			return &l->children[i];
	return NULL;
}

static struct child *child_find(struct launcher *l, enum role role, uint64_t number)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (l->children[i].pid && l->children[i].role == role &&
		    l->children[i].number == number)
			return &l->children[i];
	return NULL;
}

int launcher_start(struct launcher *l, enum role role, uint64_t number, const struct child_plan *p,
		   struct child **ret, struct err *e)
{
	struct child *c = child_free_place(l);
	int r;

	if (!c)
		return err_set(e, ERR_SYS, EAGAIN, "%d children already", CHILDREN_MAX);
	memset(c, 0, sizeof *c);
	r = child_spawn(p, &c->pid, e);
	if (r < 0)
		return r;
	c->role = role;
	c->number = number;
	c->started_ms = clock_ms();
	if (ret)
		*ret = c;
	return 0;
}

static void end_loop(struct launcher *l, int status)
{
	l->status = status;
	(void)event_base_loopbreak(l->base);
}

/* ---- the listener ---- */

static void on_bucket(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;

	(void)fd;
	(void)what;
	if (l->on_listener)
		(void)event_add(l->on_listener, NULL);
}

static void listener_lost(struct launcher *l)
{
	const struct timeval second = { .tv_sec = 1 };

	if (l->on_listener)
		event_free(take_ptr(&l->on_listener));
	close_fdp(&l->listener);
	if (!l->stopping)
		(void)evtimer_add(l->listener_timer, &second);
}

/* While the bucket is empty the listener's channel is left alone: its table, not ours, waits. */
static void on_listener(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = { .tv_usec = 20000 };
	struct launcher *l = arg;
	struct ipc_msg m;

	(void)what;
	for (int i = 0; i < MESSAGES_PER_EVENT; i++) {
		int fds[IPC_FDS_MAX], r;
		struct err e = { 0 };
		size_t n;

		if (!launcher_bucket_take(l)) {
			(void)event_del(l->on_listener);
			(void)evtimer_add(l->bucket_timer, &pause);
			return;
		}
		r = ipc_recv(fd, &m, fds, &n, &e);
		if (r <= 0)
			launcher_bucket_give(l);
		if (!r)
			return;
		if (r < 0) {
			listener_lost(l);
			return;
		}
		if (m.type == IPC_ACCEPTED && n == 1)
			r = launcher_conn(l, &m, fds[0], &e);
		if (r < 0)
			log_error("connection lost=%s", e.text);
		ipc_close_fds(fds, n);
	}
}

static int start_listener(struct launcher *l, struct err *e)
{
	char title[] = "receiverd [listener]", role[] = "--role", name[] = "listener";
	char *argv[LISTEN_MAX * 2 + 64];
	int pair[2], fds[1 + LISTEN_MAX], r;
	size_t n = 0;
	const size_t n_listen = l->o->receiver->n_listen;

	argv[n++] = title;
	argv[n++] = role;
	argv[n++] = name;
	for (int i = 1; i < l->o->argc && n < 60 + LISTEN_MAX; i++)
		argv[n++] = l->o->argv[i];
	argv[n] = NULL;
	r = ipc_pair(pair, e);
	if (r < 0)
		return r;
	scoped(close_fdp) int theirs = pair[1];
	l->listener = pair[0];
	fds[0] = theirs;
	for (size_t i = 0; i < n_listen; i++)
		fds[1 + i] = l->sockets[i];
	const struct child_plan p = { .program = SELF,
				      .argv = argv,
				      .fds = fds,
				      .n_fds = 1 + n_listen,
				      .out = -1,
				      .err = -1 };
	r = launcher_start(l, ROLE_LISTENER, 0, &p, NULL, e);
	if (r < 0)
		return r;
	l->on_listener = event_new(l->base, l->listener, EV_READ | EV_PERSIST, on_listener, l);
	if (!l->on_listener || event_add(l->on_listener, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "watch the listener");
	return 0;
}

static void on_listener_timer(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;
	struct err e = { 0 };

	(void)fd;
	(void)what;
	if (l->stopping || l->listener >= 0)
		return;
	log_warn("listener=restarted");
	if (start_listener(l, &e) < 0) {
		log_error("listener=%s", e.text);
		listener_lost(l);
	}
}

/* ---- what the keeper asks for ---- */

static int start_writer(struct launcher *l, struct ipc_msg *m, int channel, struct err *e)
{
	char title[32], role[] = "--role", name[] = "writer";
	char *argv[] = { title, role, name, NULL };
	int pair[2], r;
	size_t room;

	if (m->disk >= DISKS_MAX || m->blob_len != TASK_ID_LEN)
		return err_set(e, ERR_PEER, EPROTO, "orders for disk %u", m->disk);
	(void)snprintf(title, sizeof title, "receiverd [writer %u]", m->disk);
	m->d &= ~WRITER_FAULT;
	if (l->o->fault[m->disk]) {
		room = sizeof m->blob - m->blob_len;
		(void)snprintf((char *)m->blob + m->blob_len, room, "%s", l->o->fault[m->disk]);
		m->blob_len += (uint32_t)strlen((char *)m->blob + m->blob_len);
		m->d |= WRITER_FAULT;
	}
	r = ipc_pair(pair, e);
	if (r < 0)
		return r;
	scoped(close_fdp) int ours = pair[0];
	scoped(close_fdp) int theirs = pair[1];
	const int fds[] = { channel, theirs };
	const struct child_plan p = {
		.program = SELF, .argv = argv, .fds = fds, .n_fds = 2, .out = -1, .err = -1
	};
	r = ipc_send(ours, m, NULL, 0, e);
	if (r < 0)
		return r;
	return launcher_start(l, ROLE_WRITER, m->disk, &p, NULL, e);
}

/* Only the program that receiverd was configured with: the keeper chooses its arguments, not what
 * runs. */
static int start_bootfix(struct launcher *l, struct ipc_msg *m, const int *out, struct err *e)
{
	char *argv[64], *save = NULL;
	size_t n = 0;

	for (char *a = strtok_r(m->text, "\n", &save); a && n < 63; a = strtok_r(NULL, "\n", &save))
		argv[n++] = a;
	argv[n] = NULL;
	if (!n || strcmp(argv[0], l->o->receiver->bootfix) != 0)
		return err_set(e, ERR_PEER, EPROTO, "asked to run something that is not bootfix");
	const struct child_plan p = {
		.program = argv[0], .argv = argv, .out = out[0], .err = out[1], .own_group = true
	};
	return launcher_start(l, ROLE_BOOTFIX, m->a, &p, NULL, e);
}

static void on_bootfix_timer(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (l->children[i].pid && l->children[i].role == ROLE_BOOTFIX)
			(void)kill(-l->children[i].pid, SIGKILL);
}

static void stop_bootfix(struct launcher *l, uint64_t run)
{
	const struct timeval limit = { .tv_sec = BOOTFIX_TERM_S };
	struct child *c = child_find(l, ROLE_BOOTFIX, run);

	if (!c)
		return;
	(void)kill(-c->pid, SIGTERM);
	(void)evtimer_add(l->bootfix_timer, &limit);
}

static void tell_child_end(struct launcher *l, enum role role, uint64_t number, int status)
{
	struct err e = { 0 };
	struct ipc_msg m;

	if (l->keeper < 0)
		return;
	ipc_init(&m, IPC_CHILD_END);
	m.disk = role;
	m.a = number;
	m.b = (uint64_t)(uint32_t)status;
	if (ipc_send(l->keeper, &m, NULL, 0, &e) < 0)
		log_error("keeper=%s", e.text);
}

/* What cannot be started is told as an end, so that the keeper has one way to hear of it. */
static void not_started(struct launcher *l, enum role role, uint64_t number, const struct err *e)
{
	log_error("start=%s", e->text);
	tell_child_end(l, role, number, 127 << 8);
}

static void obey(struct launcher *l, struct ipc_msg *m, int *fds, size_t n)
{
	struct err e = { 0 };
	struct child *c;

	if (m->type == IPC_START_WRITER && n == 1) {
		if (start_writer(l, m, fds[0], &e) < 0)
			not_started(l, ROLE_WRITER, m->disk, &e);
	} else if (m->type == IPC_START_BOOTFIX && n == 2) {
		if (start_bootfix(l, m, fds, &e) < 0)
			not_started(l, ROLE_BOOTFIX, m->a, &e);
	} else if (m->type == IPC_STOP_BOOTFIX) {
		stop_bootfix(l, m->a);
	} else if (m->type == IPC_KILL_CONN) {
		c = child_find(l, ROLE_CONN, m->a);
		if (c)
			(void)kill(c->pid, SIGKILL);
	} else if (m->type == IPC_QUIT) {
		end_loop(l, 0);
	} else {
		log_error("keeper sent=%u fds=%zu: not for the launcher", m->type, n);
		end_loop(l, 1);
	}
	ipc_close_fds(fds, n);
}

static void on_keeper(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;
	struct ipc_msg m;

	(void)what;
	for (int i = 0; i < MESSAGES_PER_EVENT; i++) {
		int fds[IPC_FDS_MAX];
		struct err e = { 0 };
		size_t n;
		int r = ipc_recv(fd, &m, fds, &n, &e);

		if (!r)
			return;
		if (r < 0) {
			if (!l->stopping)
				log_error("keeper ended: everything ends");
			end_loop(l, l->stopping ? 0 : 1);
			return;
		}
		obey(l, &m, fds, n);
	}
}

static int start_keeper(struct launcher *l, struct err *e)
{
	char title[] = "receiverd [keeper]", role[] = "--role", name[] = "keeper";
	char *argv[128];
	int pair[2], r;
	size_t n = 0;

	argv[n++] = title;
	argv[n++] = role;
	argv[n++] = name;
	for (int i = 1; i < l->o->argc && n < 127; i++)
		argv[n++] = l->o->argv[i];
	argv[n] = NULL;
	r = ipc_pair(pair, e);
	if (r < 0)
		return r;
	scoped(close_fdp) int theirs = pair[1];
	const struct child_plan p = {
		.program = SELF, .argv = argv, .fds = &theirs, .n_fds = 1, .out = -1, .err = -1
	};
	l->keeper = pair[0];
	r = launcher_start(l, ROLE_KEEPER, 0, &p, NULL, e);
	if (r < 0)
		return r;
	l->on_keeper = event_new(l->base, l->keeper, EV_READ | EV_PERSIST, on_keeper, l);
	if (!l->on_keeper || event_add(l->on_keeper, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "watch the keeper");
	return 0;
}

/* ---- signals ---- */

static void reap_one(struct launcher *l, pid_t pid, int status)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *c = &l->children[i];

		if (c->pid != pid)
			continue;
		c->pid = 0;
		if (WIFSIGNALED(status) && c->role != ROLE_BOOTFIX && !l->stopping)
			log_warn("role=%s number=%ju ended by signal %d", role_words[c->role],
				 (uintmax_t)c->number, WTERMSIG(status));
		if (c->role != ROLE_KEEPER && c->role != ROLE_LISTENER)
			tell_child_end(l, c->role, c->number, status);
		return;
	}
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;
	int status;
	pid_t pid;

	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reap_one(l, pid, status);
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	const struct timeval limit = { .tv_sec = STOP_LIMIT_S };
	struct launcher *l = arg;
	struct child *listener = child_find(l, ROLE_LISTENER, 0);
	struct err e = { 0 };
	struct ipc_msg m;

	(void)sig;
	(void)what;
	if (l->stopping)
		return;
	l->stopping = true;
	if (listener)
		(void)kill(listener->pid, SIGTERM);
	(void)evtimer_add(l->stop_timer, &limit);
	ipc_init(&m, IPC_QUIT);
	if (ipc_send(l->keeper, &m, NULL, 0, &e) < 0)
		end_loop(l, 1);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct launcher *l = arg;

	(void)fd;
	(void)what;
	log_warn("stop: not orderly after %d s, ending all roles", STOP_LIMIT_S);
	end_loop(l, 1);
}

/* Reaped here, so that locks on disks are free when the launcher has ended. */
static void end_children(struct launcher *l)
{
	uint64_t deadline = clock_ms() + 2000;
	bool left = true;

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *c = &l->children[i];

		if (c->pid && c->role == ROLE_BOOTFIX)
			(void)kill(-c->pid, SIGKILL);
		else if (c->pid)
			(void)kill(c->pid, SIGKILL);
	}
	while (left && clock_left_ms(deadline)) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		left = pid >= 0;
		if (!pid)
			(void)usleep(2000);
	}
}

static int watch(struct launcher *l, struct err *e)
{
	l->base = event_base_new();
	if (!l->base)
		return err_set(e, ERR_SYS, ENOMEM, "event loop");
	l->on_child = evsignal_new(l->base, SIGCHLD, on_child, l);
	l->on_term = evsignal_new(l->base, SIGTERM, on_term, l);
	l->on_int = evsignal_new(l->base, SIGINT, on_term, l);
	l->stop_timer = evtimer_new(l->base, on_stop_timer, l);
	l->listener_timer = evtimer_new(l->base, on_listener_timer, l);
	l->bucket_timer = evtimer_new(l->base, on_bucket, l);
	l->bootfix_timer = evtimer_new(l->base, on_bootfix_timer, l);
	if (!l->on_child || !l->on_term || !l->on_int || !l->stop_timer || !l->listener_timer ||
	    !l->bucket_timer || !l->bootfix_timer)
		return err_set(e, ERR_SYS, ENOMEM, "event loop");
	if (event_add(l->on_child, NULL) || event_add(l->on_term, NULL) ||
	    event_add(l->on_int, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "event loop");
	return 0;
}

static void unwatch(struct launcher *l)
{
	struct event *all[] = { l->on_keeper,      l->on_listener,  l->on_child,
				l->on_term,        l->on_int,       l->stop_timer,
				l->listener_timer, l->bucket_timer, l->bootfix_timer };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i])
			event_free(all[i]);
	if (l->base)
		event_base_free(l->base);
	for (size_t i = 0; i < LISTEN_MAX; i++)
		close_fdp(&l->sockets[i]);
	close_fdp(&l->keeper);
	close_fdp(&l->listener);
	close_fdp(&l->lock);
}

static int run(struct launcher *l, struct err *e)
{
	int r = watch(l, e);

	if (!r)
		r = launcher_bind(l, e);
	if (!r)
		r = start_keeper(l, e);
	if (!r)
		r = start_listener(l, e);
	if (!r && event_base_dispatch(l->base) < 0)
		r = err_set(e, ERR_SYS, EIO, "event loop");
	return r;
}

int launcher_main(const struct launcher_options *o)
{
	struct launcher l = { .o = o,
			      .keeper = -1,
			      .listener = -1,
			      .lock = -1,
			      .tokens_milli = NEW_CONNS_BURST * 1000,
			      .tokens_ms = clock_ms() };
	struct err e = { 0 };
	int status;

	for (size_t i = 0; i < LISTEN_MAX; i++)
		l.sockets[i] = -1;
	if (run(&l, &e) < 0) {
		log_error("%s", e.text);
		l.status = 1;
	}
	end_children(&l);
	status = l.status;
	unwatch(&l);
	return status;
}
