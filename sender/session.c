/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "route.h"

/* The receiver may start a writer and check its journal before it answers. */
#define ANSWER_MS 55000

static int connect_link(struct move *m, struct link **ret, struct err *e)
{
	struct link_options lo = route_link(m);

	/* Once paired, only the pin counts; before, what the invite says. */
	memcpy(lo.spki, m->store->paired ? m->store->spki : m->invite.spki, DIGEST_LEN);
	return link_open(&lo, ret, e);
}

static int prove_code(struct move *m, struct link *l, const struct pairing_code *code,
		      struct err *e)
{
	const struct pairing_channel *ch = link_channel(l);
	struct msg_pair pair = { .version = WIRE_VERSION };
	struct frame f = { .kind = FRAME_PAIR, .disk = FRAME_NO_DISK };
	struct msg_welcome w = { 0 };
	uint8_t out[MSG_PAIR_LEN], proof[PROOF_LEN];
	const uint8_t *p = NULL;
	int r;

	memcpy(pair.pub, m->store->pub, PUBKEY_LEN);
	if (pairing_ticket(code, pair.ticket) || pairing_proof_tx(code, ch, pair.pub, pair.proof))
		return err_set(e, ERR_SYS, EIO, "proof of the pairing code");
	msg_pair_encode(&pair, out);
	r = link_put(l, &f, out, sizeof out, NULL, 0, e);
	if (!r)
		r = link_expect(l, FRAME_WELCOME, ANSWER_MS, &f, &p, e);
	if (r < 0)
		return r;
	r = msg_welcome_decode(p, f.length, &w, e);
	if (r)
		return r;
	if (pairing_proof_rx(code, ch, pair.pub, w.task, proof) ||
	    CRYPTO_memcmp(proof, w.proof, PROOF_LEN))
		return err_set(e, ERR_AUTH, EACCES, "%s does not know the pairing code",
			       link_where(l));
	return store_pin(m->store, ch->spki, w.task, e);
}

static int pair(struct move *m, struct link *l, struct err *e)
{
	struct pairing_code code;
	int r = pairing_code_parse(m->invite.code_text, &code, e);

	if (r)
		return err_under(e, r, "pairing code of the invite");
	r = prove_code(m, l, &code, e);
	pairing_code_wipe(&code);
	return r;
}

static int login(struct move *m, struct link *l, enum login_role role, uint64_t epoch,
		 struct msg_welcome *ret, struct err *e)
{
	struct msg_login login = { .version = WIRE_VERSION, .role = role, .epoch = epoch };
	struct frame f = { .kind = FRAME_LOGIN, .disk = FRAME_NO_DISK };
	uint8_t out[MSG_LOGIN_LEN];
	const uint8_t *p = NULL;
	int r;

	memcpy(login.task, m->store->task, TASK_ID_LEN);
	memcpy(login.pub, m->store->pub, PUBKEY_LEN);
	if (pairing_login_sign(m->store->priv, &login, link_hello(l)->nonce, link_channel(l),
			       login.sig))
		return err_set(e, ERR_SYS, EIO, "sign the login");
	msg_login_encode(&login, out);
	r = link_put(l, &f, out, sizeof out, NULL, 0, e);
	if (!r)
		r = link_expect(l, FRAME_WELCOME, ANSWER_MS, &f, &p, e);
	if (r < 0)
		return r;
	r = msg_welcome_decode(p, f.length, ret, e);
	if (!r && ((!ret->epoch && role != LOGIN_PROBE) ||
		   memcmp(ret->task, m->store->task, TASK_ID_LEN) != 0))
		r = err_set(e, ERR_PEER, EPROTO, "welcome to another task, or without an epoch");
	return r;
}

int session_open_disk(struct link *l, const struct move_disk *d, struct msg_opened *ret,
		      struct err *e)
{
	const struct source_info *i = source_info(d->source);
	struct msg_open open = { .size = i->size,
				 .logical_sector = i->logical_sector,
				 .physical_sector = i->physical_sector };
	struct frame f = { .kind = FRAME_OPEN, .disk = (uint8_t)d->n };
	uint8_t out[MSG_OPEN_LEN];
	const uint8_t *p = NULL;
	int r;

	(void)snprintf(open.identity, sizeof open.identity, "%.30s %.60s", i->model, i->serial);
	msg_open_encode(&open, out);
	r = link_put(l, &f, out, sizeof out, NULL, 0, e);
	if (!r)
		r = link_expect(l, FRAME_OPENED, ANSWER_MS, &f, &p, e);
	if (r < 0)
		return err_under(e, r, "disk %u", d->n);
	return msg_opened_decode(p, f.length, ret, e);
}

/* Opens the disk and its table; what the receiver says of it must fit what we know. */
static int open_disk(struct move *m, struct session *s, struct move_disk *d, struct err *e)
{
	const struct source_info *i = source_info(d->source);
	struct msg_opened opened = { 0 };
	char name[32];
	int r;

	if (!(s->disks & (UINT32_C(1) << d->n)))
		return err_refuse(e, wire_error_word(WIRE_NO_TICKET), ENOENT,
				  "the task has no disk %u", d->n);
	r = session_open_disk(s->link, d, &opened, e);
	if (r)
		return r;
	if (!s->block_size || opened.block_size != s->block_size ||
	    opened.blocks != div_round_up(i->size, s->block_size))
		return err_set(e, ERR_PEER, EPROTO, "disk %u: %llu blocks of %u bytes were opened",
			       d->n, (unsigned long long)opened.blocks, opened.block_size);
	if (d->table)
		return 0;
	(void)snprintf(name, sizeof name, "disk-%u.table", d->n);
	return table_open(m->store->dirfd, name, m->store->task, i->size, s->block_size, &d->table,
			  e);
}

static int send_facts(struct move *m, struct link *l, struct err *e)
{
	struct frame f = { .kind = FRAME_FACTS, .disk = FRAME_NO_DISK };

	return link_put(l, &f, m->facts, strlen(m->facts), NULL, 0, e);
}

int session_open(struct move *m, struct session *ret, struct err *e)
{
	struct session s = { 0 };
	struct msg_welcome w = { 0 };
	int r = connect_link(m, &s.link, e);

	if (!r && !m->store->paired)
		r = pair(m, s.link, e);
	if (!r)
		r = login(m, s.link, LOGIN_SESSION, 0, &w, e);
	if (!r) {
		(void)link_congestion(s.link, m->congestion);
		s.epoch = w.epoch;
		s.block_size = w.block_size;
		s.disks = w.disks;
		s.state = w.state;
		log_debug("session", "epoch %llu, task %s, congestion control %s",
			  (unsigned long long)w.epoch, task_state_word(w.state), m->congestion);
		r = send_facts(m, s.link, e);
	}
	if (r) {
		link_close(s.link);
		return r;
	}
	*ret = s;
	return 0;
}

int session_open_disks(struct move *m, struct session *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; !s->disks_open && !r && i < m->n_disks; i++)
		r = open_disk(m, s, &m->disks[i], e);
	if (!r)
		s->disks_open = true;
	return r;
}

void session_close(struct session *s, bool polite)
{
	if (s->link && polite)
		(void)link_bye(s->link, NULL);
	link_close(s->link);
	s->link = NULL;
}

int session_open_data(struct move *m, const struct session *s, struct link **ret, struct err *e)
{
	struct msg_welcome w = { 0 };
	struct link *l = NULL;
	int r = connect_link(m, &l, e);

	if (!r)
		r = login(m, l, LOGIN_DATA, s->epoch, &w, e);
	if (r) {
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int session_attach(struct move *m, const struct session *s, struct link **ret, struct err *e)
{
	struct msg_welcome w = { 0 };
	struct msg_opened opened;
	struct link *l = NULL;
	int r = connect_link(m, &l, e);

	if (!r)
		r = login(m, l, LOGIN_SESSION, s->epoch, &w, e);
	if (!r && (w.epoch != s->epoch || w.block_size != s->block_size))
		r = err_set(e, ERR_PEER, EPROTO, "the session goes on as another one");
	for (unsigned i = 0; !r && i < m->n_disks; i++)
		r = session_open_disk(l, &m->disks[i], &opened, e);
	if (r) {
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int session_open_probe(struct move *m, struct link **ret, struct err *e)
{
	struct msg_welcome w = { 0 };
	struct link *l = NULL;
	int r = connect_link(m, &l, e);

	if (!r && !m->store->paired)
		r = pair(m, l, e);
	if (!r)
		r = login(m, l, LOGIN_PROBE, 0, &w, e);
	if (r) {
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

static int take_claims(struct move_disk *d, const uint8_t *p, size_t len, struct err *e)
{
	int r = 0;

	for (size_t at = 0; !r && at < len; at += HAVE_ENTRY_LEN) {
		struct have_entry have = { 0 };

		r = have_entry_decode(p + at, &have, e);
		if (!r)
			r = table_claim(d->table, &have, e);
		d->claimed += have.count;
	}
	return r;
}

int session_learn(struct session *s, struct move_disk *d, struct err *e)
{
	struct msg_have_ask ask = { .block = 0, .count = table_blocks(d->table) };
	struct frame f = { .kind = FRAME_HAVE_ASK, .disk = (uint8_t)d->n };
	uint8_t out[MSG_HAVE_ASK_LEN];
	const uint8_t *p = NULL;
	int r;

	table_forget_claims(d->table);
	d->claimed = 0;
	msg_have_ask_encode(&ask, out);
	r = link_put(s->link, &f, out, sizeof out, NULL, 0, e);
	while (!r) {
		r = link_expect(s->link, FRAME_HAVE, ANSWER_MS, &f, &p, e);
		if (r < 0)
			break;
		if (f.disk != d->n)
			return err_set(e, ERR_PEER, EPROTO, "claims of disk %u, asked for %u",
				       f.disk, d->n);
		r = take_claims(d, p, f.length, e);
		if (f.flags & FRAME_FLAG_LAST)
			break;
	}
	return r;
}

int session_learn_all(struct move *m, struct session *s, struct err *e)
{
	int r = 0;

	for (unsigned d = 0; !s->learned && !r && d < m->n_disks; d++)
		r = session_learn(s, &m->disks[d], e);
	s->learned = !r;
	return r;
}
