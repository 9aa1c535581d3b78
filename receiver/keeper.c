/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "clock.h"
#include "control.h"
#include "keeper_parts.h"

#define MESSAGES_PER_EVENT 32
#define WRITTEN_SAVE_MS 10000
#define CONTROL_SOCKET "control.sock"

void keeper_folder(const struct keeper *k, const char *below, char ret[static STORE_PATH_MAX])
{
	(void)snprintf(ret, STORE_PATH_MAX, "%s/" TASK_FOLDER "%s%s", k->o->state_dir,
		       *below ? "/" : "", below);
}

/* ---- the task ---- */

static int save(const struct task *t, void *arg, struct err *e)
{
	const struct keeper *k = arg;

	return task_store_save(k->o->state_dir, t, e);
}

int keeper_save(struct keeper *k, struct err *e)
{
	return save(&k->task, k, e);
}

int keeper_move(struct keeper *k, enum task_event on, const struct task_why *why, struct err *e)
{
	enum task_state from = k->task.state;
	int r = task_move(&k->task, on, why, save, k, e);

	if (r)
		return r;
	events_add(k->events, on == TASK_EV_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		   "state=%s before=%s event=%s%s%s", task_state_word(k->task.state),
		   task_state_word(from), task_event_word(on), k->task.reason[0] ? " reason=" : "",
		   k->task.reason);
	return 0;
}

void keeper_move_or_log(struct keeper *k, enum task_event on, const struct task_why *why)
{
	struct err e = { 0 };

	if (keeper_move(k, on, why, &e))
		events_add(k->events, LOG_LEVEL_ERROR, "event=%s not taken: %s",
			   task_event_word(on), e.text);
}

/* The task cannot go on: the sender hears it, the writers end, the operator decides. */
void keeper_fail(struct keeper *k, const char *next, const char *fmt, ...)
{
	char reason[TASK_TEXT_MAX];
	enum task_state to;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	if (task_edge(k->task.state, TASK_EV_FAILED, &to)) {
		events_add(k->events, LOG_LEVEL_ERROR, "%s", reason);
		return;
	}
	keeper_move_or_log(k, TASK_EV_FAILED, &(struct task_why){ reason, next });
	k->verify.active = k->verify.waiting = false;
	keeper_tell_state(k, 0, 0, 0, reason);
	keeper_peers_refuse(k, WIRE_DISK_FAILED, reason);
	keeper_writers_stop(k);
}

/* ---- the launcher ---- */

int keeper_tell_launcher(struct keeper *k, const struct ipc_msg *m, const int *fds, size_t n_fds,
			 struct err *e)
{
	return ipc_send(k->launcher, m, fds, n_fds, e);
}

static void quit(struct keeper *k)
{
	events_add(k->events, LOG_LEVEL_INFO, "receiverd ends, the task stays %s",
		   task_state_word(k->task.state));
	k->quitting = true;
	keeper_verify_cancel(k);
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (k->peers[i].used)
			keeper_peer_kill(k, &k->peers[i], NULL);
	}
	keeper_writers_stop(k);
}

static void child_ended(struct keeper *k, const struct ipc_msg *m)
{
	int status = (int)(uint32_t)m->b;

	if (m->disk == ROLE_CONN)
		keeper_peer_reaped(k, m->a, status);
	else if (m->disk == ROLE_WRITER && m->a < DISKS_MAX)
		keeper_writer_reaped(k, (uint32_t)m->a, status);
	else if (m->disk == ROLE_BOOTFIX)
		fix_reaped(k, m->a, status);
}

static void hear_launcher(struct keeper *k, const struct ipc_msg *m, int *fds, size_t n)
{
	if (m->type == IPC_CONN_NEW && n == 1)
		keeper_peer_new(k, m, take_fd(&fds[0]));
	else if (m->type == IPC_CHILD_END)
		child_ended(k, m);
	else if (m->type == IPC_QUIT)
		quit(k);
	else
		events_add(k->events, LOG_LEVEL_ERROR, "launcher sent message %u", m->type);
}

static void on_launcher(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
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
			k->status = 1;
			(void)event_base_loopbreak(k->base);
			return;
		}
		hear_launcher(k, &m, fds, n);
		ipc_close_fds(fds, n);
	}
}

/* ---- the clock ---- */

static void expire_code(struct keeper *k)
{
	if (tickets_expire(&k->tickets, tickets_now_ms()))
		events_add(k->events, LOG_LEVEL_INFO, "the pairing code has expired");
}

/* Counts are for people; what they say may be ten seconds old after a crash. */
static void save_counts(struct keeper *k, uint64_t now_ms)
{
	struct err e = { 0 };

	if (!keeper_epoch_lives(k) || now_ms - k->written_saved_ms < WRITTEN_SAVE_MS)
		return;
	k->written_saved_ms = now_ms;
	if (keeper_save(k, &e))
		events_add(k->events, LOG_LEVEL_ERROR, "%s", e.text);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	uint64_t now = clock_ms();

	(void)fd;
	(void)what;
	expire_code(k);
	keeper_peers_tick(k, now);
	keeper_verify_tick(k, now);
	save_counts(k, now);
	if (k->quitting && keeper_writers_gone(k))
		(void)event_base_loopbreak(k->base);
}

/* ---- birth and end ---- */

static void come_back(struct keeper *k)
{
	enum task_state to;

	if (!task_edge(k->task.state, TASK_EV_RESTARTED, &to))
		keeper_move_or_log(k, TASK_EV_RESTARTED, NULL);
	else
		events_add(k->events, LOG_LEVEL_INFO, "started, the task is %s",
			   task_state_word(k->task.state));
	fix_again(k);
}

static int watch(struct keeper *k, struct err *e)
{
	const struct timeval tick = { .tv_usec = TICK_MS * 1000L };

	k->base = event_base_new();
	if (!k->base)
		return err_set(e, ERR_SYS, ENOMEM, "event loop");
	k->on_launcher = event_new(k->base, k->launcher, EV_READ | EV_PERSIST, on_launcher, k);
	k->on_tick = event_new(k->base, -1, EV_PERSIST, on_tick, k);
	if (!k->on_launcher || !k->on_tick || event_add(k->on_launcher, NULL) ||
	    event_add(k->on_tick, &tick))
		return err_set(e, ERR_SYS, ENOMEM, "event loop");
	return 0;
}

static int open_all(struct keeper *k, struct err *e)
{
	char socket[STORE_PATH_MAX];
	int r = store_folder(k->o->state_dir, e);

	if (!r)
		r = events_open(k->o->state_dir, &k->events, e);
	if (!r)
		r = task_store_load(k->o->state_dir, &k->task, e);
	if (!r)
		r = keeper_key_open(k->o->state_dir, &k->key, e);
	if (!r)
		r = watch(k, e);
	(void)snprintf(socket, sizeof socket, "%s/" CONTROL_SOCKET, k->o->state_dir);
	if (!r)
		r = control_open(k->base, socket, keeper_command, k, &k->control, e);
	return r;
}

int keeper_new(int launcher_fd, const struct receiver_options *o, struct keeper **ret,
	       struct err *e)
{
	struct keeper *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return err_set(e, ERR_SYS, ENOMEM, "the keeper");
	k->o = o;
	k->launcher = launcher_fd;
	for (size_t i = 0; i < PEERS_MAX; i++)
		k->peers[i].fd = -1;
	for (size_t i = 0; i < DISKS_MAX; i++)
		k->writers[i].fd = -1;
	(void)fcntl(launcher_fd, F_SETFL, fcntl(launcher_fd, F_GETFL) | O_NONBLOCK);
	r = open_all(k, e);
	if (r) {
		keeper_free(k);
		return r;
	}
	come_back(k);
	*ret = k;
	return 0;
}

static void forget_event(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < PEERS_MAX; i++)
		keeper_peer_end(k, &k->peers[i]);
	for (size_t i = 0; i < DISKS_MAX; i++) {
		forget_event(&k->writers[i].on_message);
		close_fdp(&k->writers[i].fd);
	}
	control_close(k->control);
	forget_event(&k->on_launcher);
	forget_event(&k->on_tick);
	if (k->base)
		event_base_free(k->base);
	tickets_retire(&k->tickets);
	keeper_key_close(k->key);
	events_close(k->events);
	free(k);
}

/* A crash must not leave the key in a core file, nor a process of the same user read it. */
static void confine(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void say_quit(struct keeper *k)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_QUIT);
	(void)keeper_tell_launcher(k, &m, NULL, 0, NULL);
}

int keeper_main(int launcher_fd, const struct receiver_options *o)
{
	struct keeper *k = NULL;
	struct err e = { 0 };
	int status;

	confine();
	if (keeper_new(launcher_fd, o, &k, &e) || !k) {
		log_error("%s", e.text);
		return err_exit_code(&e);
	}
	log_info("fingerprint and pairing: receiverctl --socket %s/" CONTROL_SOCKET " status",
		 o->state_dir);
	(void)event_base_dispatch(k->base);
	status = k->status;
	if (k->quitting)
		say_quit(k);
	keeper_free(k);
	return status;
}
