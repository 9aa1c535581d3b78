/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_writer.c - the writers: started for a disk, introduced to conns, stopped before others
 *                   get the disk
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "clock.h"
#include "keeper_parts.h"
#include "ring.h"
#include "roles.h"

uint64_t keeper_written(const struct keeper *k, uint32_t n)
{
	return k->task.disk[n].written + k->writers[n].written;
}

/* ---- is everything there? ---- */

static bool pending(const struct keeper *k)
{
	for (size_t i = 0; i < DISKS_MAX; i++) {
		if (k->writers[i].phase == WRITER_READY && k->writers[i].pending)
			return true;
	}
	return false;
}

void keeper_weigh(struct keeper *k)
{
	bool complete = task_complete(&k->task) && !pending(k);

	if (complete && (k->task.state == TASK_RECEIVING || k->task.state == TASK_INTERRUPTED))
		keeper_move_or_log(k, TASK_EV_COMPLETE, NULL);
	else if (!complete && k->task.state == TASK_RECEIVED && keeper_epoch_lives(k) &&
		 !k->verify.waiting)
		keeper_move_or_log(k, TASK_EV_INCOMPLETE, NULL);
	keeper_verify_go_on(k);
}

/* ---- orders ---- */

static void order(struct keeper *k, uint32_t n, struct ipc_msg *m, const int *fds, size_t n_fds)
{
	struct err e = { 0 };

	m->disk = n;
	if (k->writers[n].fd >= 0 && ipc_send(k->writers[n].fd, m, fds, n_fds, &e))
		events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer: %s", n, e.text);
}

static void forget_channel(struct keeper_writer *w)
{
	if (w->on_message)
		event_free(take_ptr(&w->on_message));
	close_fdp(&w->fd);
}

/* What this writer wrote stays in the task's count. */
static void settle(struct keeper *k, uint32_t n)
{
	struct err e = { 0 };

	if (!k->writers[n].written)
		return;
	k->task.disk[n].written += k->writers[n].written;
	k->writers[n].written = 0;
	if (k->task.exists && keeper_save(k, &e))
		events_add(k->events, LOG_LEVEL_ERROR, "%s", e.text);
}

static void stop_one(struct keeper *k, uint32_t n)
{
	struct keeper_writer *w = &k->writers[n];
	struct ipc_msg m;

	w->wanted = false;
	w->told = true;
	if (w->phase != WRITER_STARTING && w->phase != WRITER_READY)
		return;
	ipc_init(&m, IPC_STOP);
	order(k, n, &m, NULL, 0);
	w->phase = WRITER_ENDING;
}

void keeper_writers_stop(struct keeper *k)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++)
		stop_one(k, n);
}

void keeper_writers_forget(struct keeper *k)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (k->writers[n].phase == WRITER_ENDING)
			forget_channel(&k->writers[n]);
	}
}

bool keeper_writers_gone(const struct keeper *k)
{
	for (size_t i = 0; i < DISKS_MAX; i++) {
		if (k->writers[i].phase != WRITER_NONE)
			return false;
	}
	return true;
}

static void tell_epoch(struct keeper *k, uint32_t n)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_EPOCH);
	m.a = k->task.epoch;
	order(k, n, &m, NULL, 0);
}

void keeper_writers_epoch(struct keeper *k)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (k->writers[n].phase == WRITER_STARTING || k->writers[n].phase == WRITER_READY)
			tell_epoch(k, n);
	}
}

/* ---- a conn and a writer meet ---- */

static void send_opened(struct keeper *k, struct keeper_peer *p, uint32_t n, const int fds[2])
{
	const struct task_disk *d = &k->task.disk[n];
	struct msg_opened o = { .target_size = k->writers[n].target_size,
				.blocks = task_disk_blocks(&k->task, n),
				.claimed = d->claimed,
				.block_size = k->task.block_size };
	struct ipc_msg m;

	ipc_init(&m, IPC_OPENED);
	m.disk = n;
	m.blob_len = MSG_OPENED_LEN;
	msg_opened_encode(&o, m.blob);
	keeper_peer_send(k, p, &m, fds, 2);
}

/* The ring and the channel are made here so that neither of the two can choose them; no end of
 * them stays. */
static int introduce(struct keeper *k, struct keeper_peer *p, uint32_t n, struct err *e)
{
	struct ring ring = { .fd = -1 };
	struct ipc_msg m;
	int pair[2], r = ring_make(k->task.block_size, &ring, e);

	if (!r)
		r = ipc_pair(pair, e);
	if (r) {
		ring_close(&ring);
		return r;
	}
	ipc_init(&m, IPC_GRANT);
	m.a = k->task.epoch;
	m.b = p->number;
	order(k, n, &m, (const int[]){ ring.fd, pair[0] }, 2);
	send_opened(k, p, n, (const int[]){ ring.fd, pair[1] });
	(void)close(pair[0]);
	(void)close(pair[1]);
	ring_close(&ring);
	return 0;
}

static void grant(struct keeper *k, struct keeper_peer *p, uint32_t n)
{
	enum task_state to;
	struct err e = { 0 };
	int r = 0;

	p->opens &= ~(UINT32_C(1) << n);
	p->granted |= UINT32_C(1) << n;
	/* receiving is durable before the first block can be written */
	if (!task_edge(k->task.state, TASK_EV_OPENED, &to)) {
		r = keeper_move(k, TASK_EV_OPENED, NULL, &e);
		if (!r)
			keeper_verify_unseal(k);
	}
	/* whatever an old OPEN waited for: blocks go to a task that says it receives them */
	if (!r && k->task.state != TASK_RECEIVING && k->task.state != TASK_RECEIVED) {
		keeper_peer_refuse(k, p, WIRE_STATE, "nothing can be written while the task is %s",
				   task_state_word(k->task.state));
		return;
	}
	if (!r)
		r = introduce(k, p, n, &e);
	if (!r)
		return;
	events_add(k->events, LOG_LEVEL_ERROR, "disk=%u open: %s", n, e.text);
	keeper_peer_refuse(k, p, WIRE_INTERNAL, "disk %u could not be opened", n);
}

static void grant_waiting(struct keeper *k, uint32_t n)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct keeper_peer *p = &k->peers[i];

		if (p->used && !p->kill_ms && (p->opens >> n & 1))
			grant(k, p, n);
	}
}

static void refuse_waiting(struct keeper *k, uint32_t n, enum wire_error code, const char *text)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct keeper_peer *p = &k->peers[i];

		if (p->used && !p->kill_ms && (p->opens >> n & 1))
			keeper_peer_refuse(k, p, code, "disk %u: %s", n, text);
	}
}

/* ---- what writers say ---- */

static void on_ready(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	struct keeper_writer *w = &k->writers[n];
	struct task_disk *d = &k->task.disk[n];

	if (w->phase != WRITER_STARTING)
		return;
	if (strcmp(m->text, d->serial) != 0) {
		events_add(k->events, LOG_LEVEL_ERROR,
			   "disk=%u serial=%s is not the paired disk, which is %s", n, m->text,
			   d->serial);
		refuse_waiting(k, n, WIRE_DISK_REFUSED,
			       "another disk is in the place of the paired one");
		if (k->task.state == TASK_VERIFYING)
			keeper_fail(k, "put the right disk back, then receiverctl resume",
				    "disk %u is another disk than the paired one", n);
		stop_one(k, n);
		return;
	}
	w->phase = WRITER_READY;
	w->was_ready = true;
	w->target_size = m->b;
	d->claimed = m->a;
	if (m->d)
		events_add(k->events, LOG_LEVEL_WARN,
			   "disk=%u blocks=%ju were not as the journal says and are wanted again",
			   n, (uintmax_t)m->d);
	if (m->b < d->source_size) {
		refuse_waiting(k, n, WIRE_TOO_SMALL, "the target disk is smaller than the source");
		stop_one(k, n);
		return;
	}
	grant_waiting(k, n);
	keeper_weigh(k);
}

static void on_progress(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	k->task.disk[n].claimed = m->a;
	k->writers[n].written = m->b;
	k->writers[n].pending = m->c;
	keeper_weigh(k);
}

/* Before it was ready nothing of the disk was touched: the sender may come again when the cause is
 * gone. After that it is a failure of the task. */
static void on_failed(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	struct keeper_writer *w = &k->writers[n];
	char name[40];
	uint32_t len = m->blob_len < sizeof name - 1 ? m->blob_len : (uint32_t)sizeof name - 1;
	bool early = w->phase == WRITER_STARTING && k->task.state != TASK_VERIFYING;

	memcpy(name, m->blob, len);
	name[len] = 0;
	w->phase = WRITER_ENDING;
	w->told = true;
	events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer failed name=%s: %s", n, name,
		   m->text);
	if (!early) {
		keeper_fail(k, "mend or replace the disk, then receiverctl resume", "disk %u: %s",
			    n, m->text);
		return;
	}
	refuse_waiting(k, n, len ? WIRE_DISK_REFUSED : WIRE_DISK_FAILED, m->text);
}

static void hear_writer(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	switch (m->type) {
	case IPC_WRITER_READY:
		on_ready(k, n, m);
		return;
	case IPC_WRITER_PROGRESS:
		on_progress(k, n, m);
		return;
	case IPC_VERIFY_PROGRESS:
	case IPC_VERIFY_DONE:
		keeper_on_verify_message(k, n, m);
		return;
	case IPC_WRITER_FAILED:
		on_failed(k, n, m);
		return;
	default:
		events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer sent message %u", n,
			   m->type);
	}
}

void keeper_writer_drain(struct keeper *k, uint32_t n)
{
	struct keeper_writer *w = &k->writers[n];
	struct ipc_msg m;
	int r;

	while (w->fd >= 0) {
		r = ipc_recv(w->fd, &m, NULL, NULL, NULL);
		if (!r)
			return;
		if (r < 0) {
			/* its process is reaped by the launcher, which tells us */
			forget_channel(w);
			if (w->phase != WRITER_NONE)
				w->phase = WRITER_ENDING;
			return;
		}
		hear_writer(k, n, &m);
	}
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
	struct keeper_writer *w = arg;

	(void)fd;
	(void)what;
	keeper_writer_drain(w->keeper, (uint32_t)(w - w->keeper->writers));
}

/* ---- start and end ---- */

static uint64_t n_disks(const struct keeper *k)
{
	uint64_t n = 0;

	for (size_t i = 0; i < DISKS_MAX; i++)
		n += k->o->disk[i][0] || k->task.disk[i].path[0];
	return n;
}

static int ask_launcher(struct keeper *k, uint32_t n, int channel, struct err *e)
{
	const struct task_disk *d = &k->task.disk[n];
	char below[16], dir[STORE_PATH_MAX];
	struct ipc_msg m;
	int r;

	(void)snprintf(below, sizeof below, "disk-%u", n);
	keeper_folder(k, below, dir);
	r = store_folder(dir, e);
	if (r)
		return r;
	ipc_init(&m, IPC_START_WRITER);
	m.disk = n;
	m.a = k->task.block_size;
	m.b = d->source_size;
	m.c = k->task.epoch;
	m.d = (d->may_erase ? WRITER_MAY_ERASE : 0) | n_disks(k) << WRITER_DISKS_BIT;
	m.blob_len = TASK_ID_LEN;
	memcpy(m.blob, k->task.id, TASK_ID_LEN);
	/* the configured path counts: device names move, the serial is checked by the writer */
	r = snprintf(m.text, sizeof m.text, "%s\n%s", k->o->disk[n][0] ? k->o->disk[n] : d->path,
		     dir);
	if (r < 0 || (size_t)r >= sizeof m.text)
		return err_set(e, ERR_SYS, ENAMETOOLONG, "disk %u", n);
	return keeper_tell_launcher(k, &m, &channel, 1, e);
}

static int launch(struct keeper *k, uint32_t n, struct err *e)
{
	struct keeper_writer *w = &k->writers[n];
	int pair[2], r = ipc_pair(pair, e);

	if (r)
		return r;
	scoped(close_fdp) int ours = pair[0];
	scoped(close_fdp) int theirs = pair[1];
	r = ask_launcher(k, n, theirs, e);
	if (r)
		return r;
	*w = (struct keeper_writer){ .keeper = k, .phase = WRITER_STARTING, .fd = take_fd(&ours) };
	w->on_message = event_new(k->base, w->fd, EV_READ | EV_PERSIST, on_message, w);
	if (!w->on_message || event_add(w->on_message, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "watch the writer of disk %u", n);
	if (keeper_epoch_lives(k))
		tell_epoch(k, n);
	return 0;
}

int keeper_writer_start(struct keeper *k, uint32_t n, struct err *e)
{
	struct keeper_writer *w = &k->writers[n];

	switch (w->phase) {
	case WRITER_STARTING:
	case WRITER_READY:
		return 0;
	case WRITER_ENDING:
		w->wanted = true; /* the one before still holds the disk's lock */
		return 0;
	case WRITER_NONE:
		return launch(k, n, e);
	}
	return 0;
}

/* A writer that ended without a word: a crash, or it was killed. */
static void died(struct keeper *k, uint32_t n, int status, bool was_ready)
{
	refuse_waiting(k, n, WIRE_DISK_FAILED, "its writer ended, see receiverctl logs");
	events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer ended by itself (%s %d)", n,
		   WIFSIGNALED(status) ? "signal" : "status",
		   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (was_ready || k->task.state == TASK_VERIFYING)
		keeper_fail(k, "receiverctl logs says more; then receiverctl resume",
			    "disk %u: its writer ended by itself", n);
}

void keeper_writer_reaped(struct keeper *k, uint32_t n, int status)
{
	struct keeper_writer *w = &k->writers[n];
	bool again, crash, was_ready;
	struct err e = { 0 };

	/* Its last words may still be in the channel. */
	keeper_writer_drain(k, n);
	again = w->wanted;
	crash = w->phase != WRITER_NONE && !w->told;
	was_ready = w->was_ready;
	settle(k, n);
	forget_channel(w);
	*w = (struct keeper_writer){ .keeper = k, .fd = -1 };
	if (crash && !k->quitting)
		died(k, n, status, was_ready);
	else if (again && keeper_writer_start(k, n, &e))
		events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer: %s", n, e.text);
	fix_go_on(k);
}

/* ---- OPEN ---- */

/* Partition tables count in sectors. A file has none of its own: it is an image, and whoever
 * attaches it decides. */
static bool sectors_fit(const struct task_disk *d, const struct msg_open *m)
{
	return m->logical_sector == d->logical_sector || !strncmp(d->serial, "file-", 5);
}

/* False: refused. */
static bool may_open(struct keeper *k, struct keeper_peer *p, uint32_t n, const struct msg_open *m)
{
	const struct task_disk *d = n < DISKS_MAX ? &k->task.disk[n] : NULL;

	if (!d || !d->used)
		keeper_peer_refuse(k, p, WIRE_NO_TICKET, "disk %u is not in this task", n);
	else if (m->size > d->size)
		keeper_peer_refuse(k, p, WIRE_TOO_SMALL,
				   "target disk %u has %ju bytes, the source %ju: attach a larger "
				   "one and pair again",
				   n, (uintmax_t)d->size, (uintmax_t)m->size);
	else if (!sectors_fit(d, m))
		keeper_peer_refuse(k, p, WIRE_SECTOR_SIZE,
				   "target disk %u has sectors of %u bytes, the source %u: its "
				   "partition table would not be found",
				   n, d->logical_sector, m->logical_sector);
	else if (d->source_size && d->source_size != m->size)
		keeper_peer_refuse(k, p, WIRE_STATE,
				   "disk %u of this task had %ju bytes at the source, now %ju: "
				   "another disk, or resized; receiverctl clean, then pair again",
				   n, (uintmax_t)d->source_size, (uintmax_t)m->size);
	else
		return true;
	return false;
}

/* The first OPEN says how large the source disk is, for good: the journal is made for it. */
static int fix_source(struct keeper *k, uint32_t n, const struct msg_open *m, struct err *e)
{
	struct task_disk before = k->task.disk[n], *d = &k->task.disk[n];
	int r;

	if (d->source_size)
		return 0;
	d->source_size = m->size;
	(void)log_safe(d->identity, sizeof d->identity, m->identity, strlen(m->identity));
	r = keeper_save(k, e);
	if (r)
		*d = before;
	return r;
}

void keeper_on_open(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	struct err e = { 0 };
	struct msg_open o;
	int r;

	if (msg_open_decode(m->blob, m->blob_len, &o, &e)) {
		keeper_peer_refuse(k, p, WIRE_PROTOCOL, "%s", e.text);
		return;
	}
	if (!keeper_epoch_lives(k) || p->epoch != k->task.epoch) {
		keeper_peer_refuse(k, p, WIRE_STALE_EPOCH, "a newer session has begun");
		return;
	}
	if (k->fix.what != FIX_NONE) {
		keeper_peer_refuse(k, p, WIRE_STATE, "bootfix is looking at the disks: try again");
		return;
	}
	if (!may_open(k, p, m->disk, &o))
		return;
	/* Each grant is a ring and a place at the writer: once for a connection, which checks this
	 * itself unless it was taken over. */
	if ((p->opens | p->granted) >> m->disk & 1) {
		keeper_peer_kill(k, p, "a disk opened twice");
		return;
	}
	/* The sender wants to write, so what is being read again is not the last word. */
	keeper_verify_cancel(k);
	r = fix_source(k, m->disk, &o, &e);
	p->opens |= UINT32_C(1) << m->disk;
	if (!r)
		r = keeper_writer_start(k, m->disk, &e);
	if (r) {
		events_add(k->events, LOG_LEVEL_ERROR, "disk=%u open: %s", m->disk, e.text);
		keeper_peer_refuse(k, p, WIRE_INTERNAL, "disk %u could not be opened", m->disk);
	} else if (k->writers[m->disk].phase == WRITER_READY) {
		grant(k, p, m->disk);
		keeper_weigh(k);
	}
}
