/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_verify.c - from a signed manifest to "verified", and back when a block differs
 *
 * Order   a seal is checked against the pinned key and stored; "verifying" is stored; then every
 *         writer gets its list's digest and re-reads its whole disk. The task is verified when all
 *         of them found it equal, and not before that is stored.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "keeper_parts.h"
#include "manifest.h"

#define TELL_MS 500

enum verdict { VERDICT_EQUAL = 0, VERDICT_DIFFERENT = 1, VERDICT_LIST = 2 };

/* Only once it is stored that the task is neither verifying nor verified: a block that is written
 * after its disk was found equal must never stand under that word. */
void keeper_verify_unseal(struct keeper *k)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_VERIFY_STOP);
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		struct keeper_writer *w = &k->writers[n];

		m.disk = n;
		if (w->verify_asked && w->fd >= 0 && k->task.state != TASK_VERIFYING &&
		    k->task.state != TASK_VERIFIED)
			(void)ipc_send(w->fd, &m, NULL, 0, NULL);
	}
}

/* ---- begin ---- */

static void forget_bad(struct keeper *k)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		k->task.disk[n].n_bad = 0;
		k->task.disk[n].n_different = 0;
	}
}

static int begin(struct keeper *k, bool by_sender, struct err *e)
{
	int r = 0;

	forget_bad(k);
	/* A seal may come while the last counts are new: received comes first, always. */
	if (k->task.state == TASK_RECEIVING)
		r = keeper_move(k, TASK_EV_COMPLETE, NULL, e);
	if (!r)
		r = keeper_move(k, TASK_EV_VERIFY, NULL, e);
	if (r)
		return r;
	k->verify.waiting = false;
	k->verify.active = true;
	k->verify.by_sender = by_sender;
	k->verify.result[0] = 0;
	k->verify.told_ms = 0;
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		struct keeper_writer *w = &k->writers[n];

		w->verify_asked = w->verify_ended = false;
		w->verify_done = w->verify_total = 0;
		if (k->task.disk[n].used && keeper_writer_start(k, n, e)) {
			keeper_fail(k, "receiverctl resume, then receiverctl verify", "disk %u: %s",
				    n, e->text);
			return -EIO;
		}
	}
	keeper_verify_go_on(k);
	return 0;
}

static void ask_ready(struct keeper *k)
{
	for (uint32_t i = 0; i < k->verify.seal.n_disks; i++) {
		const struct msg_seal_disk *d = &k->verify.seal.disks[i];
		struct keeper_writer *w = &k->writers[d->disk];
		struct ipc_msg m;

		/* What it said before belongs to what was asked before. */
		if (w->phase == WRITER_READY && !w->verify_asked)
			keeper_writer_drain(k, d->disk);
		if (w->phase != WRITER_READY || w->verify_asked || !k->verify.active)
			continue;
		w->verify_asked = true;
		ipc_init(&m, IPC_VERIFY);
		m.disk = d->disk;
		memcpy(m.digest, d->list_digest, sizeof m.digest);
		if (ipc_send(w->fd, &m, NULL, 0, NULL))
			events_add(k->events, LOG_LEVEL_ERROR, "disk=%u writer does not listen",
				   d->disk);
	}
}

static void refuse_seal(struct keeper *k, enum wire_error code, const char *text)
{
	struct keeper_peer *p = keeper_session(k);

	k->verify.waiting = false;
	if (p)
		keeper_peer_refuse(k, p, code, "%s", text);
}

void keeper_verify_go_on(struct keeper *k)
{
	struct err e = { 0 };

	if (k->verify.waiting && k->task.state == TASK_RECEIVED) {
		if (begin(k, true, &e)) {
			events_add(k->events, LOG_LEVEL_ERROR, "verify: %s", e.text);
			refuse_seal(k, WIRE_INTERNAL, "the verification could not begin");
		}
		return;
	}
	if (k->verify.active)
		ask_ready(k);
}

/* ---- a seal from the sender ---- */

/* NULL when the seal is about exactly this task. */
static const char *seal_misfit(const struct keeper *k, const struct msg_seal *s)
{
	uint32_t mask = 0;

	if (CRYPTO_memcmp(s->task, k->task.id, TASK_ID_LEN))
		return "it is about another task";
	if (s->block_size != k->task.block_size)
		return "its block size is not the task's";
	for (uint32_t i = 0; i < s->n_disks; i++) {
		const struct msg_seal_disk *d = &s->disks[i];

		if (!k->task.disk[d->disk].used || k->task.disk[d->disk].source_size != d->size)
			return "a disk in it is not the task's, or of another size";
		mask |= UINT32_C(1) << d->disk;
	}
	if (mask != task_disks(&k->task))
		return "a disk of the task is missing in it";
	if (pairing_seal_check(k->task.pub, s))
		return "its signature is not the paired key's";
	return NULL;
}

static int store_seal(struct keeper *k, struct err *e)
{
	struct manifest m = { .seal = k->verify.seal };
	char dir[STORE_PATH_MAX];
	int r;

	memcpy(m.pub, k->task.pub, sizeof m.pub);
	keeper_folder(k, "", dir);
	r = manifest_save(dir, &m, e);
	if (!r)
		k->task.sealed = true; /* stored with the change to verifying */
	return r;
}

void keeper_on_seal(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	struct err e = { 0 };
	struct msg_seal seal;
	const char *misfit;

	if (p->role != LOGIN_SESSION || msg_seal_decode(m->blob, m->blob_len, &seal, &e)) {
		keeper_peer_refuse(k, p, WIRE_SEAL, "the seal cannot be read: %s", e.text);
		return;
	}
	misfit = seal_misfit(k, &seal);
	if (misfit) {
		keeper_peer_refuse(k, p, WIRE_SEAL, "the manifest is refused: %s", misfit);
		return;
	}
	if (k->task.state != TASK_RECEIVING && k->task.state != TASK_RECEIVED) {
		keeper_peer_refuse(k, p, WIRE_STATE, "nothing to seal while the task is %s",
				   task_state_word(k->task.state));
		return;
	}
	k->verify.seal = seal;
	k->verify.waiting = true;
	k->verify.deadline_ms = clock_ms() + SEAL_WAIT_MS;
	if (store_seal(k, &e)) {
		events_add(k->events, LOG_LEVEL_ERROR, "manifest: %s", e.text);
		refuse_seal(k, WIRE_INTERNAL, "the manifest could not be stored");
		return;
	}
	keeper_weigh(k);
}

/* ---- a stored manifest, again ---- */

int keeper_verify_stored(struct keeper *k, struct err *e)
{
	enum task_state to;
	char dir[STORE_PATH_MAX];
	struct manifest m;
	int r;

	if (task_edge(k->task.state, TASK_EV_VERIFY, &to))
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "verify is not possible while the task is %s; next: %s",
			       task_state_word(k->task.state),
			       k->task.next[0] ? k->task.next : task_state_next(k->task.state));
	keeper_folder(k, "", dir);
	r = manifest_load(dir, &m, e);
	if (r == -ENOENT || (!r && !k->task.sealed))
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "there is no signed manifest yet: on the source, transit-send sync "
			       "--final");
	if (r)
		return r;
	k->verify.seal = m.seal;
	return begin(k, false, e);
}

/* ---- the writers' verdicts ---- */

static void take_bad_blocks(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	struct task_disk *d = &k->task.disk[n];
	const char *p = m->text;
	char *end;

	d->n_different = m->b;
	d->n_bad = 0;
	while (d->n_bad < TASK_BAD_MAX) {
		while (*p && (*p < '0' || *p > '9'))
			p++;
		if (!*p)
			break;
		d->bad[d->n_bad++] = strtoull(p, &end, 10);
		p = end;
	}
	if (!d->n_bad && m->b)
		d->bad[d->n_bad++] = m->c;
	for (uint32_t i = 0; i < d->n_bad; i++)
		events_add(k->events, LOG_LEVEL_ERROR,
			   "disk=%u block=%ju off=%ju is not what the manifest says", n,
			   (uintmax_t)d->bad[i], (uintmax_t)(d->bad[i] * k->task.block_size));
	/* the writer has unclaimed them; its next count will say so too */
	if (d->claimed == task_disk_blocks(&k->task, n))
		d->claimed -= m->b < d->claimed ? m->b : d->claimed;
}

static int store_proof(struct keeper *k, struct err *e)
{
	struct manifest m;
	char dir[STORE_PATH_MAX];
	int r;

	keeper_folder(k, "", dir);
	r = manifest_load(dir, &m, e);
	if (r)
		return r;
	m.verified = true;
	m.verified_at = (uint64_t)time(NULL);
	for (uint32_t i = 0; i < m.seal.n_disks; i++)
		memcpy(m.disk_digest[i], k->writers[m.seal.disks[i].disk].disk_digest, DIGEST_LEN);
	return manifest_save(dir, &m, e);
}

static void all_equal(struct keeper *k)
{
	struct err e = { 0 };

	k->verify.rounds = 0;
	if (store_proof(k, &e)) {
		keeper_fail(k, "make room in the state folder, then receiverctl resume",
			    "the proof could not be stored: %s", e.text);
		return;
	}
	(void)snprintf(k->verify.result, sizeof k->verify.result, "equal");
	keeper_move_or_log(k, TASK_EV_EQUAL, NULL);
	keeper_tell_state(k, 0, 0, 0, "the whole target was read again and equals the manifest");
}

static void some_differ(struct keeper *k, uint64_t different)
{
	char text[TASK_TEXT_MAX];
	uint32_t n = 0;

	while (n < DISKS_MAX - 1 && !k->task.disk[n].n_bad)
		n++;
	(void)snprintf(
	    text, sizeof text,
	    "blocks that differ from the manifest: %ju, the first at offset %ju of disk %u",
	    (uintmax_t)different, (uintmax_t)(k->task.disk[n].bad[0] * k->task.block_size), n);
	(void)snprintf(k->verify.result, sizeof k->verify.result, "%s", text);
	if (k->verify.by_sender && ++k->verify.rounds >= VERIFY_ROUNDS_MAX) {
		k->verify.rounds = 0;
		keeper_fail(k, "replace the target disk, then receiverctl clean and pair again",
			    "the disk does not keep what is written: %s, for the %dth time", text,
			    VERIFY_ROUNDS_MAX);
		return;
	}
	keeper_move_or_log(k, TASK_EV_DIFFERENT,
			   &(struct task_why){ text, "on the source: transit-send sync --final" });
	keeper_verify_unseal(k);
	keeper_tell_state(k, 0, 0, different, text);
	if (!keeper_session(k))
		keeper_move_or_log(
		    k, TASK_EV_LOST,
		    &(struct task_why){ text, "on the source: transit-send sync --final" });
}

static void list_misfit(struct keeper *k)
{
	static const char text[] = "the list of block digests is not the one that was signed";

	(void)snprintf(k->verify.result, sizeof k->verify.result, "%s", text);
	k->task.sealed = false;
	keeper_move_or_log(k, TASK_EV_VERIFY_STOPPED,
			   &(struct task_why){ text, "on the source: transit-send sync --final" });
	keeper_verify_unseal(k);
	if (k->verify.by_sender)
		refuse_seal(k, WIRE_SEAL, text);
}

static void conclude(struct keeper *k)
{
	uint64_t different = 0;
	bool misfit = false;

	for (uint32_t i = 0; i < k->verify.seal.n_disks; i++) {
		uint32_t n = k->verify.seal.disks[i].disk;

		if (!k->writers[n].verify_ended)
			return;
		misfit |= k->writers[n].verify_verdict == VERDICT_LIST;
		if (k->writers[n].verify_verdict == VERDICT_DIFFERENT)
			different += k->task.disk[n].n_different;
	}
	k->verify.active = false;
	if (misfit)
		list_misfit(k);
	else if (different)
		some_differ(k, different);
	else
		all_equal(k);
}

static void tell_progress(struct keeper *k)
{
	uint64_t now = clock_ms(), done = 0, total = 0;

	if (now - k->verify.told_ms < TELL_MS)
		return;
	k->verify.told_ms = now;
	for (uint32_t i = 0; i < k->verify.seal.n_disks; i++) {
		done += k->writers[k->verify.seal.disks[i].disk].verify_done;
		total += k->verify.seal.disks[i].size;
	}
	keeper_tell_state(k, done < total ? done : total, total, 0, "");
}

void keeper_on_verify_message(struct keeper *k, uint32_t n, const struct ipc_msg *m)
{
	struct keeper_writer *w = &k->writers[n];

	if (!k->verify.active || !w->verify_asked || w->verify_ended)
		return; /* of a verification that was stopped */
	if (m->type == IPC_VERIFY_PROGRESS) {
		w->verify_done = m->a;
		w->verify_total = m->b;
		tell_progress(k);
		return;
	}
	w->verify_ended = true;
	w->verify_verdict = m->a;
	memcpy(w->disk_digest, m->digest, sizeof w->disk_digest);
	if (m->a == VERDICT_DIFFERENT)
		take_bad_blocks(k, n, m);
	conclude(k);
}

/* ---- stop ---- */

void keeper_verify_cancel(struct keeper *k)
{
	k->verify.waiting = false;
	if (!k->verify.active)
		return;
	k->verify.active = false;
	(void)snprintf(k->verify.result, sizeof k->verify.result, "stopped");
	if (k->task.state == TASK_VERIFYING)
		keeper_move_or_log(k, TASK_EV_VERIFY_STOPPED, NULL);
	keeper_verify_unseal(k);
}

void keeper_verify_tick(struct keeper *k, uint64_t now_ms)
{
	if (k->verify.waiting && now_ms >= k->verify.deadline_ms)
		refuse_seal(k, WIRE_STATE,
			    "blocks are missing: not every block of every disk is durable yet");
}
