/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_login.c - who may send: the proof of the code, the pin, the login of each connection
 *
 * Rule    decided here and not in the conn, which only carries bytes: whoever takes over a conn
 *         before a login has gained no disk.
 */
#include <errno.h>
#include <openssl/crypto.h>

#include "base/cleanup.h"
#include "keeper_parts.h"

static void channel_of(const struct keeper *k, const struct ipc_msg *m, struct pairing_channel *ret)
{
	memcpy(ret->exporter, m->digest2, sizeof ret->exporter);
	memcpy(ret->spki, keeper_key_spki(k->key), sizeof ret->spki);
}

/* The first characters of a public key: enough to tell two senders apart in a log. */
static const char *short_key(const uint8_t *pub, char ret[static 17])
{
	digest_hex(pub, 8, ret);
	return ret;
}

static void welcome(struct keeper *k, struct keeper_peer *p, uint64_t epoch, const uint8_t *proof)
{
	struct msg_welcome w = { .version = WIRE_VERSION,
				 .state = k->task.state,
				 .epoch = epoch,
				 .block_size = k->task.block_size,
				 .disks = task_disks(&k->task) };
	uint8_t payload[MSG_WELCOME_LEN];

	memcpy(w.task, k->task.id, sizeof w.task);
	if (proof)
		memcpy(w.proof, proof, sizeof w.proof);
	msg_welcome_encode(&w, payload);
	keeper_peer_frame(k, p, FRAME_WELCOME, payload, sizeof payload);
}

/* ---- PAIR ---- */

/* The pin is durable before the sender hears that it has one. */
static int pin(struct keeper *k, const uint8_t pub[static PUBKEY_LEN], struct err *e)
{
	struct task before = k->task;
	int r;

	memcpy(k->task.pub, pub, PUBKEY_LEN);
	k->task.pinned = true;
	if (k->task.state == TASK_WAITING)
		r = keeper_move(k, TASK_EV_PAIRED, NULL, e);
	else
		r = keeper_save(k, e); /* paired again in the middle of a task */
	if (r)
		k->task = before;
	return r;
}

static void refuse_pair(struct keeper *k, struct keeper_peer *p, enum wire_error why,
			const struct msg_pair *m)
{
	char key[17];

	switch ((int)why) {
	case WIRE_CODE_USED:
		events_peer(k->events, LOG_LEVEL_WARN,
			    "ALARM a second sender came with a used pairing code peer=%s key=%s: "
			    "if it is not yours, somebody has the invite",
			    p->name, short_key(m->pub, key));
		keeper_peer_refuse(k, p, why,
				   "another sender has paired with this code; on the receiver: "
				   "receiverctl unpair, then receiverctl pair");
		return;
	case WIRE_CODE_EXPIRED:
		keeper_peer_refuse(k, p, why,
				   "no pairing code is open: it expired, was used up, or the "
				   "receiver was restarted; on the receiver: receiverctl pair");
		return;
	case WIRE_WRONG_CODE:
		keeper_peer_refuse(k, p, why,
				   "the proof does not fit the open pairing code; use the newest "
				   "invite");
		return;
	default:
		keeper_peer_refuse(k, p, why, "the pairing could not be answered");
	}
}

void keeper_on_pair(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	struct pairing_channel ch;
	uint8_t proof[PROOF_LEN];
	struct err e = { 0 };
	struct msg_pair pair;
	enum wire_error why;
	char key[17];

	if (msg_pair_decode(m->blob, m->blob_len, &pair, &e)) {
		keeper_peer_refuse(k, p, WIRE_PROTOCOL, "%s", e.text);
		return;
	}
	(void)tickets_expire(&k->tickets, tickets_now_ms());
	channel_of(k, m, &ch);
	why = tickets_check(&k->tickets, &pair, &ch, k->task.pinned ? k->task.pub : NULL,
			    k->task.id, proof);
	if (why) {
		refuse_pair(k, p, why, &pair);
		return;
	}
	if (!k->task.pinned && pin(k, pair.pub, &e)) {
		events_add(k->events, LOG_LEVEL_ERROR, "pairing: %s", e.text);
		keeper_peer_refuse(k, p, WIRE_INTERNAL, "the pairing could not be stored");
		return;
	}
	k->tickets.paired = true;
	events_add(k->events, LOG_LEVEL_INFO, "paired peer=%s key=%s", p->name,
		   short_key(pair.pub, key));
	welcome(k, p, 0, proof);
	OPENSSL_cleanse(proof, sizeof proof);
}

/* ---- LOGIN ---- */

/* False: refused. */
static bool login_is_genuine(struct keeper *k, struct keeper_peer *p, const struct msg_login *l,
			     const struct pairing_channel *ch)
{
	if (!k->task.pinned || CRYPTO_memcmp(k->task.pub, l->pub, PUBKEY_LEN)) {
		keeper_peer_refuse(k, p, WIRE_NOT_PAIRED,
				   "this sender's key is not the paired one; on the receiver: "
				   "receiverctl pair");
		return false;
	}
	if (pairing_login_check(l, p->nonce, ch)) {
		keeper_peer_refuse(k, p, WIRE_BAD_LOGIN,
				   "the login was not signed for this connection");
		return false;
	}
	/* Behind the signature: only the paired sender learns which task this is. */
	if (CRYPTO_memcmp(k->task.id, l->task, TASK_ID_LEN)) {
		keeper_peer_refuse(k, p, WIRE_NOT_PAIRED,
				   "the receiver has another task now: pair again");
		return false;
	}
	return true;
}

static bool state_takes_senders(struct keeper *k, struct keeper_peer *p)
{
	switch (k->task.state) {
	case TASK_PAUSED:
		keeper_peer_refuse(k, p, WIRE_PAUSED,
				   "the operator paused the task; on the receiver: receiverctl "
				   "resume");
		return false;
	case TASK_ABORTED:
		keeper_peer_refuse(k, p, WIRE_ABORTED, "the operator ended the task");
		return false;
	case TASK_FAILED:
		keeper_peer_refuse(k, p, WIRE_STATE,
				   "the task has failed: %.200s; on the receiver: receiverctl "
				   "resume",
				   k->task.reason);
		return false;
	case TASK_FINALIZING:
	case TASK_READY:
	case TASK_HANDED_BACK:
		keeper_peer_refuse(k, p, WIRE_STATE,
				   "the disks are %s: nothing more can be sent; on the receiver: "
				   "receiverctl undo first",
				   task_state_word(k->task.state));
		return false;
	case TASK_WAITING:
	case TASK_PAIRED:
	case TASK_RECEIVING:
	case TASK_INTERRUPTED:
	case TASK_RECEIVED:
	case TASK_VERIFYING:
	case TASK_VERIFIED:
		return true;
	}
	return true;
}

/* The same sender anew: the newest session wins, and what older ones still send is fenced off by
 * the writers before the new one hears that it may write. */
static void end_older(struct keeper *k, const struct keeper_peer *newest)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct keeper_peer *p = &k->peers[i];

		if (p != newest && p->used && p->logged_in)
			keeper_peer_kill(k, p, NULL);
	}
}

static void take_part(struct keeper *k, struct keeper_peer *p, enum login_role role)
{
	p->logged_in = true;
	p->role = role;
	p->epoch = k->task.epoch;
	if (role == LOGIN_SESSION)
		k->session_number = p->number;
	k->epoch_over_at_ms = 0;
}

static void begin_session(struct keeper *k, struct keeper_peer *p)
{
	struct err e = { 0 };

	end_older(k, p);
	k->epoch_over_at_ms = 0;
	k->task.epoch++;
	if (keeper_save(k, &e)) {
		k->task.epoch--;
		events_add(k->events, LOG_LEVEL_ERROR, "session: %s", e.text);
		keeper_peer_refuse(k, p, WIRE_INTERNAL, "the session could not be stored");
		return;
	}
	take_part(k, p, LOGIN_SESSION);
	if (k->tickets.paired)
		tickets_retire(&k->tickets);
	keeper_writers_epoch(k);
	events_add(k->events, LOG_LEVEL_INFO, "session began peer=%s epoch=%ju", p->name,
		   (uintmax_t)p->epoch);
	welcome(k, p, p->epoch, NULL);
}

static size_t peers_in_role(const struct keeper *k, enum login_role role)
{
	size_t n = 0;

	for (size_t i = 0; i < PEERS_MAX; i++)
		n += k->peers[i].used && k->peers[i].logged_in && !k->peers[i].kill_ms &&
		     k->peers[i].role == role;
	return n;
}

/* False: refused. */
static bool epoch_is_current(struct keeper *k, struct keeper_peer *p, uint64_t epoch)
{
	if (keeper_epoch_lives(k) && epoch == k->task.epoch)
		return true;
	keeper_peer_refuse(k, p, WIRE_STALE_EPOCH, "session %ju is over: log in for a new one",
			   (uintmax_t)epoch);
	return false;
}

/* The session's connection was lost, or the sender has given it up and we have not heard of that
 * yet; the data connections went on meanwhile, and no block is asked for twice. */
static void continue_session(struct keeper *k, struct keeper_peer *p, uint64_t epoch)
{
	struct keeper_peer *before = keeper_session(k);

	if (!epoch_is_current(k, p, epoch))
		return;
	if (before)
		keeper_peer_kill(k, before, "the sender has another connection for its session");
	take_part(k, p, LOGIN_SESSION);
	events_add(k->events, LOG_LEVEL_INFO, "session goes on peer=%s epoch=%ju connections=%u",
		   p->name, (uintmax_t)epoch, keeper_members(k));
	welcome(k, p, epoch, NULL);
}

static void join_session(struct keeper *k, struct keeper_peer *p, uint64_t epoch)
{
	if (!epoch_is_current(k, p, epoch))
		return;
	if (peers_in_role(k, LOGIN_DATA) >= CONNECTIONS_MAX) {
		keeper_peer_refuse(k, p, WIRE_LIMIT, "at most %d data connections",
				   CONNECTIONS_MAX);
		return;
	}
	take_part(k, p, LOGIN_DATA);
	welcome(k, p, epoch, NULL);
}

/* Measures the line and nothing else. A transfer comes first: none is disturbed by a probe, and one
 * that begins ends the probes. */
static void admit_probe(struct keeper *k, struct keeper_peer *p)
{
	if (keeper_members(k)) {
		keeper_peer_refuse(k, p, WIRE_BUSY,
				   "a transfer is running: its own lines say how fast it goes");
		return;
	}
	if (peers_in_role(k, LOGIN_PROBE) >= CONNECTIONS_MAX) {
		keeper_peer_refuse(k, p, WIRE_LIMIT, "at most %d probes", CONNECTIONS_MAX);
		return;
	}
	p->logged_in = true;
	p->role = LOGIN_PROBE;
	if (k->tickets.paired)
		tickets_retire(&k->tickets);
	welcome(k, p, 0, NULL);
}

void keeper_on_login(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	struct pairing_channel ch;
	struct msg_login login;
	struct err e = { 0 };

	if (msg_login_decode(m->blob, m->blob_len, &login, &e)) {
		keeper_peer_refuse(k, p, WIRE_PROTOCOL, "%s", e.text);
		return;
	}
	channel_of(k, m, &ch);
	if (!login_is_genuine(k, p, &login, &ch) || !state_takes_senders(k, p))
		return;
	if (login.role == LOGIN_SESSION && !login.epoch)
		begin_session(k, p);
	else if (login.role == LOGIN_SESSION)
		continue_session(k, p, login.epoch);
	else if (login.role == LOGIN_PROBE)
		admit_probe(k, p);
	else
		join_session(k, p, login.epoch);
}

/* ---- FACTS ---- */

static void store_facts(struct keeper *k, struct keeper_peer *p)
{
	char dir[STORE_PATH_MAX];
	struct err e = { 0 };
	json_error_t je;

	scoped(json_decrefp) json_t *j =
	    json_loadb(p->facts, p->facts_len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(j)) {
		keeper_peer_refuse(k, p, WIRE_PROTOCOL, "the facts are not a JSON object");
		return;
	}
	keeper_folder(k, "", dir);
	if (store_write(dir, "facts.json", p->facts, p->facts_len, &e)) {
		events_add(k->events, LOG_LEVEL_ERROR, "facts: %s", e.text);
		keeper_peer_refuse(k, p, WIRE_INTERNAL, "the facts could not be stored");
		return;
	}
	events_add(k->events, LOG_LEVEL_INFO, "facts of the source are here bytes=%zu",
		   p->facts_len);
}

void keeper_on_facts(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	/* a: bytes, b: offset, c: total; all bounded before any arithmetic */
	if (p->role != LOGIN_SESSION || m->c > FACTS_MAX || m->b > m->c || m->a > m->c - m->b ||
	    m->a != m->blob_len || m->b != p->facts_len) {
		keeper_peer_kill(k, p, "facts out of order");
		return;
	}
	if (!m->b) {
		free(p->facts);
		p->facts = malloc(m->c + 1);
		p->facts_total = m->c;
	}
	if (!p->facts || m->c != p->facts_total) {
		keeper_peer_kill(k, p, "facts of another length");
		return;
	}
	memcpy(p->facts + m->b, m->blob, m->blob_len);
	p->facts_len += m->blob_len;
	if (p->facts_len < p->facts_total)
		return;
	store_facts(k, p);
	free(take_ptr(&p->facts));
	p->facts_len = 0;
}
