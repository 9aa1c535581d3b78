/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "writer_role.h"

#define SERVE_EVERY_MS 20
#define PROGRESS_EVERY_MS 250

enum verdict_word { VERDICT_EQUAL, VERDICT_DIFFERENT, VERDICT_LIST };

/* The list in the file is what the sender signed, to the byte. */
static int list_is_signed(struct writer_role *w, bool *ret)
{
	scoped(digest_freep) struct digest_ctx *d = digest_new();
	static uint8_t buf[64 * 1024];
	uint64_t rest = w->blocks * DIGEST_LEN;
	uint8_t is[DIGEST_LEN];
	off_t off = 0;

	if (!d || digest_start(d) < 0)
		return -ENOMEM;
	while (rest) {
		ssize_t n = pread(w->list, buf, rest < sizeof buf ? rest : sizeof buf, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n || digest_add(d, buf, (size_t)n) < 0)
			return -EIO;
		off += n;
		rest -= (uint64_t)n;
	}
	if (digest_end(d, is) < 0)
		return -EIO;
	*ret = !memcmp(is, w->verify_digest, DIGEST_LEN);
	return 0;
}

static void tell_progress(struct writer_role *w, uint64_t done, uint64_t total)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_VERIFY_PROGRESS);
	m.a = done;
	m.b = total;
	(void)ipc_try_send(w->keeper, &m, NULL, 0, NULL);
}

/* The keeper may stop us, and a sender may still ask what is there. */
static int on_progress(uint64_t done, uint64_t total, void *arg)
{
	struct writer_role *w = arg;
	uint64_t now = clock_ms();

	if (now - w->verify_ms < SERVE_EVERY_MS && done != total)
		return 0;
	w->verify_ms = now;
	if (now - w->progress_ms >= PROGRESS_EVERY_MS || done == total) {
		w->progress_ms = now;
		tell_progress(w, done, total);
	}
	if (writer_keeper_drain(w) < 0)
		return 1;
	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		struct writer_channel *ch = &w->channel[i];

		if (ch->fd < 0)
			continue;
		channel_read(w, ch);
		(void)channel_have(w, ch);
		if (!ch->in_flight && ch->seq > ch->durable) {
			/* nothing is pending while verifying */
			ch->durable = ch->seq;
			ch->durable_due = true;
		}
		(void)channel_tell(w, ch);
	}
	channels_reap(w);
	return w->stop || w->stop_verify;
}

static void tell_done(struct writer_role *w, enum verdict_word word, const struct writer_verdict *v,
		      const char *text)
{
	struct ipc_msg m;
	struct err e = { 0 };
	size_t at = 0;

	ipc_init(&m, IPC_VERIFY_DONE);
	m.a = word;
	if (v) {
		m.b = v->mismatched;
		m.c = v->n_bad ? v->bad[0] : 0;
		memcpy(m.digest, v->disk_digest, DIGEST_LEN);
		for (size_t i = 0; i < v->n_bad && i < 8; i++)
			at += (size_t)snprintf(m.text + at, sizeof m.text - at, "%s%ju",
					       i ? " " : "", (uintmax_t)v->bad[i]);
	}
	if (!at)
		(void)snprintf(m.text, sizeof m.text, "%s", text);
	if (ipc_send(w->keeper, &m, NULL, 0, &e) < 0)
		log_error("keeper: %s", e.text);
}

static int reread(struct writer_role *w)
{
	scoped(freep) void *room = calloc(1, sizeof(struct writer_verdict));
	struct writer_verdict *v = room;
	struct err e = { 0 };
	int r;

	if (!v)
		return -ENOMEM;
	w->verifying = true;
	w->max_items = WRITER_ITEMS_MAX; /* put when it is over */
	w->stop_verify = false;
	r = writer_verify(w->writer, w->list, on_progress, w, v, &e);
	w->verifying = false;
	if (r == -ECANCELED) {
		log_info("verification stopped");
		return 0;
	}
	if (r < 0)
		return writer_lost(w, r, &e);
	tell_done(w, v->mismatched ? VERDICT_DIFFERENT : VERDICT_EQUAL, v, "");
	return 0;
}

int writer_check(struct writer_role *w)
{
	bool is_signed = false;
	int r;

	w->verify_wanted = false;
	channels_seal(w, true);
	r = writer_commit_all(w);
	if (r < 0)
		return r;
	if (fdatasync(w->list) || list_is_signed(w, &is_signed) < 0) {
		tell_done(w, VERDICT_LIST, NULL, "the list of digests cannot be read back");
		return 0;
	}
	if (!is_signed) {
		tell_done(w, VERDICT_LIST, NULL, "the list of digests is not the signed one");
		return 0;
	}
	return reread(w);
}
