/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

/* Digests in one MANIFEST frame: small enough to leave other frames their turn. */
#define LIST_PART 4096

struct lister {
	struct move *m;
	struct session *s;
	struct digest_ctx *list, *block; /* over the list; of a block of zeros */
	uint8_t out[LIST_PART * DIGEST_LEN];
};

static void lister_closep(struct lister **l)
{
	if (!*l)
		return;
	digest_free((*l)->list);
	digest_free((*l)->block);
	free(*l);
	*l = NULL;
}

static int block_digest(struct lister *l, const struct move_disk *d, uint64_t block,
			uint8_t ret[static DIGEST_LEN], struct err *e)
{
	struct table_entry entry;
	uint64_t left = source_info(d->source)->size - block * l->s->block_size;
	size_t len = left < l->s->block_size ? (size_t)left : l->s->block_size;

	table_get(d->table, block, &entry);
	switch (entry.kind) {
	case ENTRY_NONE:
		return err_set(e, ERR_WRONG_STATE, ENODATA,
			       "disk %u, block %llu was not sent: run 'transit-send sync' first",
			       d->n, (unsigned long long)block);
	case ENTRY_DATA:
		if (!entry.strong_known)
			return err_set(e, ERR_WRONG_STATE, ENODATA,
				       "the SHA-256 of disk %u, block %llu was never taken: run "
				       "'transit-send sync --final'",
				       d->n, (unsigned long long)block);
		memcpy(ret, entry.strong, DIGEST_LEN);
		return 0;
	case ENTRY_ZERO:
		break;
	}
	if (digest_zero_block(l->block, DIGEST_STRONG, len, ret))
		return err_set(e, ERR_SYS, EIO, "SHA-256 of zeros");
	return 0;
}

static int send_list(struct lister *l, struct move_disk *d, struct err *e)
{
	uint64_t blocks = table_blocks(d->table);

	if (digest_start(l->list))
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	for (uint64_t from = 0; from < blocks; from += LIST_PART) {
		size_t n = blocks - from < LIST_PART ? (size_t)(blocks - from) : LIST_PART;
		struct frame f = { .kind = FRAME_MANIFEST, .disk = (uint8_t)d->n, .block = from };

		for (size_t i = 0; i < n; i++) {
			int r = block_digest(l, d, from + i, l->out + i * DIGEST_LEN, e);
			if (r)
				return r;
		}
		if (digest_add(l->list, l->out, n * DIGEST_LEN))
			return err_set(e, ERR_SYS, EIO, "SHA-256");
		int r = link_put(l->s->link, &f, NULL, 0, l->out, n * DIGEST_LEN, e);
		if (r)
			return r;
	}
	if (digest_end(l->list, d->list_digest))
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	return 0;
}

static int send_seal(struct lister *l, struct err *e)
{
	struct move *m = l->m;
	struct msg_seal seal = { .sealed_at = (uint64_t)time(NULL),
				 .block_size = l->s->block_size,
				 .n_disks = m->n_disks };
	struct frame f = { .kind = FRAME_SEAL, .disk = FRAME_NO_DISK };
	uint8_t out[MSG_SEAL_MAX];
	size_t len;
	int r;

	memcpy(seal.task, m->store->task, TASK_ID_LEN);
	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct move_disk *d = &m->disks[i];

		seal.disks[i] = (struct msg_seal_disk){ .disk = (uint8_t)d->n,
							.size = source_info(d->source)->size,
							.blocks = table_blocks(d->table) };
		memcpy(seal.disks[i].list_digest, d->list_digest, DIGEST_LEN);
	}
	if (pairing_seal_sign(m->store->priv, &seal))
		return err_set(e, ERR_SYS, EIO, "sign the manifest");
	len = msg_seal_statement(&seal, out, sizeof out);
	if (digest_of(l->block, out, len, m->seal_digest))
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	len = msg_seal_encode(&seal, out);
	r = link_put(l->s->link, &f, NULL, 0, out, len, e);
	if (!r)
		r = link_flush(l->s->link, e);
	if (!r)
		m->sealed = true;
	return r;
}

int seal_send(struct move *m, struct session *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < m->n_disks; i++) {
		if (m->disks[i].provisional)
			return err_set(
			    e, ERR_SYS, EINVAL,
			    "disk %u: what was left out is not proved to be free; a final "
			    "round has to come first",
			    m->disks[i].n);
	}
	for (unsigned n = 0; n < DISKS_MAX; n++) {
		bool ours = false;

		for (unsigned i = 0; i < m->n_disks; i++)
			ours |= m->disks[i].n == n;
		if (!ours && (s->disks & (UINT32_C(1) << n)))
			return err_refuse(e, "disk-not-named", ENOENT,
					  "disk %u of the task is not among the disks given: "
					  "all of them are sealed together",
					  n);
	}
	scoped(lister_closep) struct lister *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, ERR_SYS, ENOMEM, "manifest");
	l->m = m;
	l->s = s;
	l->list = digest_new();
	l->block = digest_new();
	if (!l->list || !l->block)
		return err_set(e, ERR_SYS, ENOMEM, "manifest");
	for (unsigned i = 0; !r && i < m->n_disks; i++)
		r = send_list(l, &m->disks[i], e);
	return r ? r : send_seal(l, e);
}

bool seal_is_verified(enum task_state state)
{
	return state == TASK_VERIFIED || state == TASK_FINALIZING || state == TASK_READY ||
	       state == TASK_HANDED_BACK;
}

/* 1: *ret is the verdict, 0: wait on. ${began}: the verification was seen running. */
static int judge(const struct msg_state *st, bool began, enum seal_verdict *ret, struct err *e)
{
	if (seal_is_verified(st->state)) {
		*ret = SEAL_VERIFIED;
		return 1;
	}
	if (st->mismatched && st->state != TASK_VERIFYING) {
		*ret = SEAL_MISMATCHED;
		return 1;
	}
	if (st->state == TASK_FAILED || st->state == TASK_ABORTED)
		return err_set(e, ERR_PEER, EIO, "the task is %s: %s", task_state_word(st->state),
			       st->text);
	if (began && (st->state == TASK_RECEIVED || st->state == TASK_PAUSED))
		return err_set(e, ERR_WRONG_STATE, ECANCELED,
			       "the receiver stopped the verification; the task is %s",
			       task_state_word(st->state));
	return 0;
}

int seal_wait(struct move *m, struct session *s,
	      void (*on_state)(const struct msg_state *st, void *arg), void *arg,
	      enum seal_verdict *ret, struct err *e)
{
	struct msg_state st;
	struct frame f;
	const uint8_t *p;
	bool began = false;
	int r;

	for (;;) {
		r = link_next(s->link, 1000, &f, &p, e);
		if (r < 0)
			return r;
		if (!r || f.kind == FRAME_DURABLE)
			continue;
		if (f.kind != FRAME_STATE)
			return err_set(e, ERR_PEER, EPROTO, "%s came during a verification",
				       frame_kind_word(f.kind));
		r = msg_state_decode(p, f.length, &st, e);
		if (r)
			return r;
		s->state = st.state;
		if (on_state)
			on_state(&st, arg);
		r = judge(&st, began, ret, e);
		began |= st.state == TASK_VERIFYING;
		if (r) {
			m->verified = r > 0 && *ret == SEAL_VERIFIED;
			return r < 0 ? r : 0;
		}
	}
}
