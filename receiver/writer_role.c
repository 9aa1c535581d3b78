/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "writer_role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"

#define ORDERS_MS 10000
#define LOCK_WAIT_MS                                                                               \
	5000 /* for a writer before us that is being killed in the middle of a flush               \
	      */
#define PROGRESS_EVERY_MS 250

/* ---- failures ---- */

static void tell_failed(const struct writer_role *w, int r, const struct err *e)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_WRITER_FAILED);
	m.disk = w->disk;
	m.a = (uint64_t)(e->sys ? e->sys : -r);
	(void)snprintf(m.text, sizeof m.text, "%s", e->text);
	if (e->name) {
		m.blob_len = (uint32_t)strlen(e->name);
		memcpy(m.blob, e->name, m.blob_len);
	}
	if (ipc_send(w->keeper, &m, NULL, 0, NULL) < 0)
		log_error("keeper is gone");
}

int writer_lost(struct writer_role *w, int r, const struct err *e)
{
	if (w->failed)
		return r;
	w->failed = w->stop = true;
	log_error("disk=%u failed: %s", w->disk, e->text);
	tell_failed(w, r, e);
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		channel_fault(w, &w->channel[i], WIRE_DISK_FAILED, "%s", e->text);
	return r;
}

/* ---- birth ---- */

static int take_orders(int fd, struct ipc_msg *m, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	if (poll(&p, 1, ORDERS_MS) < 0 && errno != EINTR)
		return err_set(e, ERR_SYS, errno, "wait for orders");
	r = ipc_recv(fd, m, NULL, NULL, e);
	if (!r)
		return err_set(e, ERR_SYS, ETIMEDOUT, "no orders came");
	if (r < 0)
		return r;
	if (m->type != IPC_START_WRITER || m->blob_len < TASK_ID_LEN || m->disk >= DISKS_MAX ||
	    m->a < BLOCK_SIZE_MIN || m->a > BLOCK_SIZE_MAX || !m->b || m->b > DISK_SIZE_MAX)
		return err_set(e, ERR_SYS, EPROTO, "orders that cannot be followed");
	return 0;
}

/* The lock of a process that is being killed goes with its last system call: a flush may take its
 * time. Every other refusal is final at once. */
static int open_device(const char *path, struct device **ret, struct err *e)
{
	uint64_t by = clock_ms() + LOCK_WAIT_MS;
	int r;

	for (;;) {
		err_clear(e);
		r = device_open(path, ret, e);
		if (r >= 0 || !e->name || strcmp(e->name, "disk-in-use") != 0 || !clock_left_ms(by))
			return r;
		(void)usleep(100000);
	}
}

/* A disk that holds something is only written when the operator named it, or the journal says that
 * what it holds came from us. */
static int check_blank(const char *path, const char *dir, bool may_erase, struct err *e)
{
	char journal[IPC_TEXT_MAX + 16];
	const char *what = "data";
	int r;

	(void)snprintf(journal, sizeof journal, "%s/journal", dir);
	if (may_erase || !access(journal, F_OK))
		return 0;
	r = device_is_blank(path, &what, e);
	if (r < 0)
		return r;
	if (!r)
		return err_refuse(e, "disk-not-empty", EEXIST,
				  "'%s' is not empty: it seems to hold %s; name its serial with "
				  "--erase to overwrite it",
				  path, what);
	return 0;
}

static int open_list(struct writer_role *w, const char *dir, struct err *e)
{
	char path[IPC_TEXT_MAX + 16];

	(void)snprintf(path, sizeof path, "%s/manifest", dir);
	w->list = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->list < 0)
		return err_set(e, ERR_SYS, errno, "open '%s'", path);
	if (ftruncate(w->list, (off_t)(w->blocks * DIGEST_LEN)))
		return err_set(e, ERR_SYS, errno, "size '%s'", path);
	return 0;
}

static int open_journal(struct writer_role *w, const char *dir, const struct ipc_msg *m,
			struct err *e)
{
	struct journal_disk want = { .disk = w->disk,
				     .block_size = w->block_size,
				     .size = w->size,
				     .target_size = w->device->info.size };

	if (w->device->info.size < w->size)
		return err_refuse(e, "disk-too-small", ENOSPC, "'%s' has %ju bytes, %ju are needed",
				  w->device->info.path, (uintmax_t)w->device->info.size,
				  (uintmax_t)w->size);
	memcpy(want.task, m->blob, TASK_ID_LEN);
	memcpy(want.serial, w->device->info.serial, sizeof want.serial);
	return journal_open(dir, &want, &w->journal, e);
}

static int wrap_fault(struct writer_role *w, const struct ipc_msg *m, struct err *e)
{
	char spec[256] = "";
	size_t n = m->blob_len - TASK_ID_LEN;

	if (!(m->d & WRITER_FAULT))
		return 0;
	if (n >= sizeof spec)
		return err_set(e, ERR_USAGE, EINVAL, "fault of %zu bytes", n);
	memcpy(spec, m->blob + TASK_ID_LEN, n);
	log_warn("disk=%u fault device: %s", w->disk, spec);
	return device_fault_wrap(&w->device, spec, e);
}

static int tell_ready(struct writer_role *w, uint64_t unclaimed, struct err *e)
{
	const struct device_info *info = &w->device->info;
	struct ipc_msg m;

	ipc_init(&m, IPC_WRITER_READY);
	m.disk = w->disk;
	m.a = journal_claimed(w->journal);
	m.b = info->size;
	m.c = (uint64_t)info->logical_sector << 32 | info->physical_sector;
	m.d = unclaimed;
	(void)snprintf(m.text, sizeof m.text, "%s", info->serial);
	return ipc_send(w->keeper, &m, NULL, 0, e);
}

static int be_born(struct writer_role *w, struct ipc_msg *m, struct err *e)
{
	char *dir = strchr(m->text, '\n');
	uint64_t unclaimed = 0;
	int r;

	if (!dir)
		return err_set(e, ERR_SYS, EPROTO, "orders without a state directory");
	*dir++ = 0;
	w->disk = m->disk;
	w->block_size = (uint32_t)m->a;
	w->size = m->b;
	w->blocks = div_round_up(w->size, w->block_size);
	if ((r = open_device(m->text, &w->device, e)) < 0 ||
	    (r = check_blank(m->text, dir, m->d & WRITER_MAY_ERASE, e)) < 0 ||
	    (r = open_journal(w, dir, m, e)) < 0 || (r = wrap_fault(w, m, e)) < 0 ||
	    (r = open_list(w, dir, e)) < 0 ||
	    (r = writer_new(w->device, w->journal, &w->writer, e)) < 0 ||
	    (r = writer_resume_check(w->writer, &unclaimed, e)) < 0)
		return r;
	log_info("disk=%u path=%s claimed=%ju of=%ju unclaimed=%ju", w->disk, w->device->info.path,
		 (uintmax_t)journal_claimed(w->journal), (uintmax_t)w->blocks,
		 (uintmax_t)unclaimed);
	return tell_ready(w, unclaimed, e);
}

/* ---- the keeper's orders ---- */

/* Old channels go first: when the new epoch is durable, nothing of the old one can write. */
static int new_epoch(struct writer_role *w, uint64_t epoch)
{
	struct err e = { 0 };
	int r = 0;

	if (epoch <= journal_epoch(w->journal)) {
		/* a writer that was started again within a session knows its epoch already */
		if (epoch < journal_epoch(w->journal))
			log_warn("epoch %ju is older than %ju", (uintmax_t)epoch,
				 (uintmax_t)journal_epoch(w->journal));
		return 0;
	}
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[i];

		if (ch->fd < 0)
			continue;
		channel_fault(w, ch, WIRE_STALE_EPOCH, "a newer session has begun");
		channel_close(ch);
	}
	w->n_items = 0;
	if (!w->verifying)
		r = writer_commit_all(w);
	if (!r)
		r = journal_set_epoch(w->journal, epoch, &e);
	return r < 0 ? writer_lost(w, r, &e) : 0;
}

int writer_keeper_message(struct writer_role *w, const struct ipc_msg *m, int *fds, size_t n)
{
	switch (m->type) {
	case IPC_EPOCH:
		return new_epoch(w, m->a);
	case IPC_GRANT:
		if (n == 2)
			channel_open(w, m, fds);
		return 0;
	case IPC_VERIFY:
		memcpy(w->verify_digest, m->digest, DIGEST_LEN);
		w->verify_wanted = true;
		return 0;
	case IPC_VERIFY_STOP:
		w->stop_verify = true;
		w->verify_wanted = false;
		channels_seal(w, false);
		return 0;
	case IPC_STOP:
		w->stop = true;
		return 0;
	default:
		log_error("message %u from the keeper", m->type);
		w->stop = true;
		return -EPROTO;
	}
}

int writer_keeper_drain(struct writer_role *w)
{
	while (!w->stop) {
		int fds[IPC_FDS_MAX] = { -1, -1, -1 }, r;
		struct ipc_msg m;
		size_t n = 0;

		r = ipc_recv(w->keeper, &m, fds, &n, NULL);
		if (!r)
			return 0;
		if (r < 0) {
			log_warn("disk=%u the keeper is gone", w->disk);
			w->stop = true;
			return r;
		}
		r = writer_keeper_message(w, &m, fds, n);
		ipc_close_fds(fds, IPC_FDS_MAX);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- batches ---- */

int writer_commit_all(struct writer_role *w)
{
	struct err e = { 0 };
	int r = writer_commit(w->writer, &e);

	w->pending_since_ms = 0;
	return r < 0 ? writer_lost(w, r, &e) : 0;
}

/* One of the items breaks the contract: found by putting each alone, which is the same work again
 * for those already taken and no write. Only who sent it pays. */
static int put_singly(struct writer_role *w)
{
	for (size_t i = 0; i < w->n_items; i++) {
		struct writer_channel *ch = &w->channel[w->item_channel[i]];
		const struct writer_item *item = &w->item[i];
		struct err e = { 0 };
		int r;

		if (ch->faulted)
			continue;
		r = writer_put(w->writer, item, 1, &e);
		if (r < 0 && e.kind != ERR_PEER)
			return writer_lost(w, r, &e);
		if (r < 0)
			channel_fault(w, ch,
				      r == -ERANGE || item->kind == WRITER_UNCHANGED
					  ? WIRE_PROTOCOL
					  : WIRE_GENERATION,
				      "%s", e.text);
	}
	return 0;
}

static int put_items(struct writer_role *w)
{
	struct err e = { 0 };
	int r;

	if (!w->n_items)
		return 0;
	r = writer_put(w->writer, w->item, w->n_items, &e);
	if (r < 0 && e.kind == ERR_PEER)
		r = put_singly(w);
	else if (r < 0)
		r = writer_lost(w, r, &e);
	for (size_t i = 0; i < w->n_items; i++)
		if (w->item_slot[i] < 64)
			w->channel[w->item_channel[i]].to_free |= UINT64_C(1) << w->item_slot[i];
	w->n_items = 0;
	if (!r && writer_has_pending(w->writer) && !w->pending_since_ms)
		w->pending_since_ms = clock_ms();
	return r;
}

static bool commit_is_due(const struct writer_role *w)
{
	if (!writer_has_pending(w->writer))
		return false;
	if (writer_pending_bytes(w->writer) >= WRITER_BATCH_BYTES ||
	    clock_ms() - w->pending_since_ms >= WRITER_BATCH_MS)
		return true;
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		if (w->channel[i].flush)
			return true;
	return false;
}

/* The list is made durable where the sender asks for it, so that a signed manifest is not lost. */
static int sync_list(struct writer_role *w)
{
	bool flush = false;

	for (size_t i = 0; i < CHANNELS_MAX; i++)
		flush |= w->channel[i].flush;
	if (!flush || !w->list_changed)
		return 0;
	if (fdatasync(w->list)) {
		struct err e = { 0 };

		return writer_lost(w, err_set(&e, ERR_SYS, errno, "flush the manifest"), &e);
	}
	w->list_changed = false;
	return 0;
}

static int commit_and_mark(struct writer_role *w)
{
	int r = sync_list(w);

	if (!r && commit_is_due(w))
		r = writer_commit_all(w);
	if (r < 0 || writer_has_pending(w->writer))
		return r;
	w->pending_since_ms = 0;
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[i];

		if (ch->fd < 0 || (ch->seq <= ch->durable && !ch->flush))
			continue;
		ch->durable = ch->durable_seq = ch->seq;
		ch->durable_due = true;
		ch->flush = false;
	}
	return 0;
}

static void tell_progress(struct writer_role *w)
{
	uint64_t now = clock_ms(), claimed = journal_claimed(w->journal),
		 written = writer_written_bytes(w->writer),
		 pending = writer_pending_bytes(w->writer);
	struct ipc_msg m;

	if (now - w->progress_ms < PROGRESS_EVERY_MS ||
	    (claimed == w->told_claimed && written == w->told_written &&
	     pending == w->told_pending))
		return;
	ipc_init(&m, IPC_WRITER_PROGRESS);
	m.disk = w->disk;
	m.a = w->told_claimed = claimed;
	m.b = w->told_written = written;
	m.c = w->told_pending = pending;
	w->progress_ms = now;
	(void)ipc_try_send(w->keeper, &m, NULL, 0, NULL);
}

/* ---- the loop ---- */

static int wait_ms(const struct writer_role *w, bool busy)
{
	int left = 1000;

	if (busy || w->more || w->verify_wanted)
		return 0;
	if (writer_has_pending(w->writer)) {
		left = clock_left_ms(w->pending_since_ms + WRITER_BATCH_MS);
		return left < PROGRESS_EVERY_MS ? left : PROGRESS_EVERY_MS;
	}
	return left;
}

static void wait_for_any(struct writer_role *w, bool busy)
{
	struct pollfd p[1 + CHANNELS_MAX];

	p[0] = (struct pollfd){ .fd = w->keeper, .events = POLLIN };
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		const struct writer_channel *ch = &w->channel[i];
		bool due = ch->to_free || ch->durable_due || ch->have.ready;

		p[1 + i] = (struct pollfd){ .fd = ch->fd,
					    .events = (short)(POLLIN | (due ? POLLOUT : 0)) };
	}
	(void)poll(p, 1 + CHANNELS_MAX, wait_ms(w, busy));
}

/* Every channel gets its share; who comes first rotates, so that a full batch starves nobody. */
static void gather(struct writer_role *w, size_t first)
{
	w->more = false;
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[(first + i) % CHANNELS_MAX];

		if (ch->fd >= 0)
			channel_read(w, ch);
	}
}

static bool answer(struct writer_role *w)
{
	bool busy = false;

	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[i];

		if (ch->fd < 0)
			continue;
		busy |= channel_have(w, ch);
		(void)channel_tell(w, ch);
		if (ch->ended)
			channel_close(ch);
	}
	return busy;
}

static int serve(struct writer_role *w)
{
	bool busy = false;
	size_t turn = 0;
	int r = 0;

	while (!w->stop && !r) {
		wait_for_any(w, busy);
		r = writer_keeper_drain(w);
		if (r < 0 || w->stop)
			break;
		gather(w, turn++);
		r = put_items(w);
		if (!r)
			r = commit_and_mark(w);
		if (r < 0)
			break;
		busy = answer(w);
		if (w->verify_wanted && !w->more)
			r = writer_check(w);
		tell_progress(w);
	}
	return r;
}

/* What was put is made durable and said so, then the channels close. */
static int end_role(struct writer_role *w, int r)
{
	if (!w->failed && w->writer) {
		int r2 = put_items(w);

		if (!r2)
			r2 = writer_commit_all(w);
		if (!r2 && !r)
			(void)commit_and_mark(w);
		(void)answer(w);
		r = r ? r : r2;
	}
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		channel_close(&w->channel[i]);
	writer_free(w->writer);
	journal_close(w->journal);
	device_close(w->device);
	close_fdp(&w->list);
	return r;
}

int writer_main(int keeper_fd, int orders_fd)
{
	scoped(freep) void *room = calloc(1, sizeof(struct writer_role));
	struct writer_role *w = room;
	struct err e = { 0 };
	struct ipc_msg m;
	int r;

	if (!w)
		return 1;
	w->keeper = keeper_fd;
	w->list = -1;
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		w->channel[i] = (struct writer_channel){ .fd = -1, .ring = { .fd = -1 } };
	r = take_orders(orders_fd, &m, &e);
	(void)close(orders_fd);
	if (!r)
		r = be_born(w, &m, &e);
	if (r < 0)
		r = writer_lost(w, r, &e);
	else
		r = serve(w);
	r = end_role(w, r);
	return w->failed || r < 0;
}
