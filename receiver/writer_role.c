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

static void on_written(void *arg, uint64_t cookie)
{
	channel_written(arg, cookie, true);
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
	    (r = writer_new(w->device, w->journal, &w->writer, e)) < 0)
		return r;
	writer_on_written(w->writer, on_written, w);
	writer_share_cores(w->writer, (unsigned)(m->d >> WRITER_DISKS_BIT & 0xff));
	r = writer_resume_check(w->writer, &unclaimed, e);
	if (r < 0)
		return r;
	log_info("disk=%u path=%s claimed=%ju of=%ju unclaimed=%ju", w->disk, w->device->info.path,
		 (uintmax_t)journal_claimed(w->journal), (uintmax_t)w->blocks,
		 (uintmax_t)unclaimed);
	return tell_ready(w, unclaimed, e);
}

/* ---- the keeper's orders ---- */

static void drop_items(struct writer_role *w)
{
	for (size_t i = 0; i < w->n_items; i++)
		channel_written(w, w->item[i].cookie, false);
	w->n_items = 0;
}

/* Old channels go first: when the new epoch is durable, nothing of the old one can write. */
static int new_epoch(struct writer_role *w, uint64_t epoch)
{
	struct err e = { 0 };
	int r;

	if (epoch <= journal_epoch(w->journal)) {
		/* a writer that was started again within a session knows its epoch already */
		if (epoch < journal_epoch(w->journal))
			log_warn("epoch %ju is older than %ju", (uintmax_t)epoch,
				 (uintmax_t)journal_epoch(w->journal));
		return 0;
	}
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		channel_fault(w, &w->channel[i], WIRE_STALE_EPOCH, "a newer session has begun");
	drop_items(w);
	/* While verifying nothing is pending. */
	r = w->verifying ? 0 : writer_commit_all(w);
	channels_reap(w);
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

/* Only who sent what breaks the contract pays. */
static void refuse(struct writer_role *w, const struct writer_item *item, int r,
		   const struct err *e)
{
	channel_fault(w, &w->channel[item->cookie >> 8],
		      r == -ERANGE || item->kind == WRITER_UNCHANGED ? WIRE_PROTOCOL
								     : WIRE_GENERATION,
		      "%s", e->text);
	channel_written(w, item->cookie, false);
}

/* What a channel had sent behind a refused item is not written. */
static void drop_behind(struct writer_role *w, size_t refused)
{
	uint64_t channel = w->item[refused].cookie >> 8;
	size_t kept = refused + 1;

	for (size_t i = kept; i < w->n_items; i++) {
		if (w->item[i].cookie >> 8 == channel)
			channel_written(w, w->item[i].cookie, false);
		else
			w->item[kept++] = w->item[i];
	}
	w->n_items = kept;
}

static int put_items(struct writer_role *w)
{
	size_t done = 0;
	int r = 0;

	while (!r && done < w->n_items) {
		struct err e = { 0 };
		size_t taken = 0;

		r = writer_put(w->writer, w->item + done, w->n_items - done, &taken, &e);
		done += taken;
		if (r < 0 && e.kind != ERR_PEER)
			return writer_lost(w, r, &e);
		if (r < 0) {
			refuse(w, &w->item[done], r, &e);
			drop_behind(w, done++);
			r = 0;
		}
	}
	w->n_items = 0;
	if (writer_has_open(w->writer) && !w->pending_since_ms)
		w->pending_since_ms = clock_ms();
	return r;
}

static bool flush_is_asked(const struct writer_role *w)
{
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		if (w->channel[i].flush > w->channel[i].durable)
			return true;
	return false;
}

static bool commit_is_due(const struct writer_role *w)
{
	if (!writer_has_open(w->writer))
		return false;
	if (writer_open_bytes(w->writer) >= WRITER_BATCH_BYTES ||
	    clock_ms() - w->pending_since_ms >= WRITER_BATCH_MS)
		return true;
	return flush_is_asked(w);
}

/* The list is made durable where the sender asks for it, so that a signed manifest is not lost. */
static int sync_list(struct writer_role *w)
{
	if (!w->list_changed || !flush_is_asked(w))
		return 0;
	if (fdatasync(w->list)) {
		struct err e = { 0 };

		return writer_lost(w, err_set(&e, ERR_SYS, errno, "flush the manifest"), &e);
	}
	w->list_changed = false;
	return 0;
}

static void mark_durable(struct writer_channel *ch, uint64_t seq)
{
	if (ch->fd < 0 || seq <= ch->durable)
		return;
	ch->durable = seq;
	ch->durable_due = true;
}

/* What is in the batch that is now being committed; all that a channel said so far was put. */
static void begin_commit(struct writer_role *w)
{
	if (!writer_begin_commit(w->writer))
		return;
	w->pending_since_ms = 0;
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		w->channel[i].closing = w->channel[i].seq;
}

/* Goes on with what is under way; where a batch became durable, its channels are told. */
static int commit_and_mark(struct writer_role *w)
{
	struct err e = { 0 };
	int r = sync_list(w);

	if (!r && (r = writer_advance(w->writer, &e)) < 0)
		return writer_lost(w, r, &e);
	for (int i = 0; !r && i < 2 && !writer_is_committing(w->writer); i++) {
		for (size_t k = 0; k < CHANNELS_MAX; k++)
			mark_durable(&w->channel[k], writer_has_open(w->writer)
							 ? w->channel[k].closing
							 : w->channel[k].seq);
		if (!commit_is_due(w))
			break;
		begin_commit(w);
		if ((r = writer_advance(w->writer, &e)) < 0)
			return writer_lost(w, r, &e);
	}
	return r;
}

static void tell_progress(struct writer_role *w)
{
	uint64_t now = clock_ms(), claimed = journal_claimed(w->journal),
		 written = writer_written_bytes(w->writer),
		 pending = writer_pending_bytes(w->writer);
	struct ipc_msg m;

	if (claimed == w->told_claimed && written == w->told_written && pending == w->told_pending)
		return;
	/* The keeper begins a verification when the last claim is told: that one does not wait. */
	if (pending && now - w->progress_ms < PROGRESS_EVERY_MS)
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

	if (busy || (w->more && writer_room(w->writer)) || w->verify_wanted)
		return 0;
	if (writer_is_committing(w->writer))
		return PROGRESS_EVERY_MS;
	if (writer_has_open(w->writer)) {
		left = clock_left_ms(w->pending_since_ms + WRITER_BATCH_MS);
		return left < PROGRESS_EVERY_MS ? left : PROGRESS_EVERY_MS;
	}
	return left;
}

static void wait_for_any(struct writer_role *w, bool busy)
{
	struct pollfd p[2 + CHANNELS_MAX];
	bool room = writer_room(w->writer) > 0;

	p[0] = (struct pollfd){ .fd = w->keeper, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = writer_fd(w->writer), .events = POLLIN };
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		const struct writer_channel *ch = &w->channel[i];
		bool due = ch->to_free || ch->durable_due || ch->have.ready;

		/* One that cannot be read now, or ended, must not wake us by having been closed. */
		p[2 + i] =
		    (struct pollfd){ .fd = ch->ended || !(room || due) ? -1 : ch->fd,
				     .events = (short)((room ? POLLIN : 0) | (due ? POLLOUT : 0)) };
	}
	(void)poll(p, 2 + CHANNELS_MAX, wait_ms(w, busy));
}

/* Every channel gets its share; who comes first rotates, so that a full batch starves nobody. */
static void gather(struct writer_role *w, size_t first)
{
	w->more = false;
	w->max_items = writer_room(w->writer);
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[(first + i) % CHANNELS_MAX];

		if (ch->fd >= 0 && w->n_items < w->max_items)
			channel_read(w, ch);
	}
	w->more |= w->n_items >= w->max_items;
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
	}
	channels_reap(w);
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
		if (w->verify_wanted && !w->more && writer_room(w->writer))
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
	writer_free(w->writer); /* before the rings go that it may still write from */
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		channel_close(&w->channel[i]);
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
