/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_peer.c - the conn processes: what each may say when, and how each ends
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "clock.h"
#include "keeper_parts.h"
#include "roles.h"

/* Writers report four times a second: a goodbye may come before the last. */
#define LAST_COUNTS_MS 1000
#define MESSAGES_PER_EVENT 16 /* one busy peer must not starve the others */

/* Whether ${p} is a connection of the newest epoch that still has its say. A probe has none. */
static bool is_member(const struct keeper *k, const struct keeper_peer *p)
{
	return p->used && p->logged_in && !p->kill_ms && p->role != LOGIN_PROBE &&
	       p->epoch == k->task.epoch;
}

struct keeper_peer *keeper_session(struct keeper *k)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct keeper_peer *p = &k->peers[i];

		if (is_member(k, p) && p->role == LOGIN_SESSION)
			return p;
	}
	return NULL;
}

unsigned keeper_members(const struct keeper *k)
{
	unsigned n = 0;

	for (size_t i = 0; i < PEERS_MAX; i++)
		n += is_member(k, &k->peers[i]);
	return n;
}

bool keeper_epoch_lives(const struct keeper *k)
{
	return k->epoch_over_at_ms || keeper_members(k);
}

/* ---- ends ---- */

void keeper_peer_end(struct keeper *k, struct keeper_peer *p)
{
	(void)k;
	if (p->on_message)
		event_free(p->on_message);
	close_fdp(&p->fd);
	free(p->facts);
	OPENSSL_cleanse(p->nonce, sizeof p->nonce);
	*p = (struct keeper_peer){ .fd = -1 };
}

static void ask_kill(struct keeper *k, const struct keeper_peer *p)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_KILL_CONN);
	m.a = p->number;
	(void)keeper_tell_launcher(k, &m, NULL, 0, NULL);
}

/* They may be saying their own goodbyes; the writers' epoch fences what they write. */
static void end_members(struct keeper *k)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (is_member(k, &k->peers[i]))
			k->peers[i].kill_ms = clock_ms() + PEER_GRACE_MS;
	}
}

/* Its connections end, and the sender begins a new session. */
static void epoch_over(struct keeper *k)
{
	enum task_state to;

	k->epoch_over_at_ms = 0;
	end_members(k);
	k->verify.waiting = false;
	/* the last counts may be waiting: a round that is complete was not interrupted */
	for (uint32_t n = 0; n < DISKS_MAX; n++)
		keeper_writer_drain(k, n);
	events_add(k->events, LOG_LEVEL_INFO, "session ended epoch=%ju", (uintmax_t)k->task.epoch);
	if (!task_edge(k->task.state, TASK_EV_LOST, &to))
		keeper_move_or_log(k, TASK_EV_LOST, NULL);
}

/* What is under way on the others is not touched: each connection is as good as the next, and the
 * one with the session's role can be had again. */
static void member_lost(struct keeper *k, const char *name, bool session)
{
	unsigned left = keeper_members(k);

	if (session) /* who sealed is gone, and will ask again */
		k->verify.waiting = false;
	if (session || !left)
		events_add(k->events, LOG_LEVEL_INFO,
			   "connection lost peer=%s epoch=%ju role=%s connections=%u", name,
			   (uintmax_t)k->task.epoch, session ? "session" : "data", left);
	if (!left)
		k->epoch_over_at_ms = clock_ms() + EPOCH_GRACE_MS;
}

static void lost(struct keeper *k, struct keeper_peer *p)
{
	bool member = is_member(k, p), session = p == keeper_session(k);
	char name[ADDRESS_TEXT_MAX];

	(void)snprintf(name, sizeof name, "%s", p->name);
	keeper_peer_end(k, p);
	if (member && !k->quitting)
		member_lost(k, name, session);
}

void keeper_peer_kill(struct keeper *k, struct keeper_peer *p, const char *why)
{
	if (why)
		events_peer(k->events, LOG_LEVEL_WARN, "connection ended peer=%s cause=%s", p->name,
			    why);
	ask_kill(k, p);
	lost(k, p);
}

void keeper_peer_reaped(struct keeper *k, uint64_t number, int status)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (k->peers[i].used && k->peers[i].number == number)
			lost(k, &k->peers[i]);
	}
	/* The channel's end, which may have come before, does not say whether there was a goodbye.
	 */
	if (number == k->session_number && WIFEXITED(status) &&
	    WEXITSTATUS(status) == CONN_END_BYE && keeper_epoch_lives(k) && !k->quitting) {
		end_members(k);
		k->epoch_over_at_ms = clock_ms() + LAST_COUNTS_MS;
	}
}

void keeper_peers_tick(struct keeper *k, uint64_t now_ms)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (k->peers[i].used && k->peers[i].kill_ms && now_ms >= k->peers[i].kill_ms)
			keeper_peer_kill(k, &k->peers[i], NULL);
	}
	if (k->epoch_over_at_ms && now_ms >= k->epoch_over_at_ms)
		epoch_over(k);
}

/* ---- what they hear ---- */

void keeper_peer_send(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m,
		      const int *fds, size_t n_fds)
{
	struct err e = { 0 };

	/* Hundreds of messages fit in its queue: one that lets it fill does not play by the
	 * rules, and the keeper waits for nobody. */
	if (ipc_try_send(p->fd, m, fds, n_fds, &e))
		keeper_peer_kill(k, p, "it does not read");
}

void keeper_peer_frame(struct keeper *k, struct keeper_peer *p, enum frame_kind kind,
		       const void *payload, size_t len)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_SEND);
	m.a = kind;
	m.b = len;
	m.disk = FRAME_NO_DISK;
	m.blob_len = (uint32_t)len;
	memcpy(m.blob, payload, len);
	keeper_peer_send(k, p, &m, NULL, 0);
}

void keeper_peer_refuse(struct keeper *k, struct keeper_peer *p, enum wire_error code,
			const char *fmt, ...)
{
	uint8_t payload[8 + WIRE_TEXT_MAX] = { 0 };
	struct msg_error m = { .code = code };
	bool member = is_member(k, p), session = p == keeper_session(k);
	char name[ADDRESS_TEXT_MAX];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(m.text, sizeof m.text, fmt, ap);
	va_end(ap);
	events_peer(k->events, LOG_LEVEL_WARN, "refused=%s peer=%s text=%s", wire_error_word(code),
		    p->name, m.text);
	(void)snprintf(name, sizeof name, "%s", p->name);
	len = msg_error_encode(&m, payload, sizeof payload);
	p->kill_ms = clock_ms() + PEER_GRACE_MS;
	keeper_peer_frame(k, p, FRAME_ERROR, payload, len);
	/* Refused is gone: what it still says is not heard. A session that was refused is not to
	 * be had again. */
	if (session)
		epoch_over(k);
	else if (member)
		member_lost(k, name, false);
}

void keeper_peers_refuse(struct keeper *k, enum wire_error code, const char *text)
{
	struct keeper_peer *session = keeper_session(k);
	bool lives = keeper_epoch_lives(k);

	/* The session last: its end takes the others with it. */
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct keeper_peer *p = &k->peers[i];

		if (p->used && p->logged_in && !p->kill_ms && p != session)
			keeper_peer_refuse(k, p, code, "%s", text);
	}
	if (session)
		keeper_peer_refuse(k, session, code, "%s", text);
	else if (lives)
		epoch_over(k);
}

void keeper_tell_state(struct keeper *k, uint64_t done, uint64_t total, uint64_t mismatched,
		       const char *text)
{
	uint8_t payload[32 + WIRE_TEXT_MAX] = { 0 };
	struct msg_state m = {
		.state = k->task.state, .done = done, .total = total, .mismatched = mismatched
	};
	struct keeper_peer *p = keeper_session(k);

	if (!p)
		return;
	(void)snprintf(m.text, sizeof m.text, "%s", text);
	keeper_peer_frame(k, p, FRAME_STATE, payload,
			  msg_state_encode(&m, payload, sizeof payload));
}

/* ---- what they say ---- */

static void on_sign(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	uint8_t sig[TLS_SIGNATURE_MAX];
	struct err e = { 0 };
	struct ipc_msg answer;
	size_t len;

	/* Once: a captured conn must not become a signing service. */
	if (p->has_signed || m->blob_len != DIGEST_LEN) {
		keeper_peer_kill(k, p, "a second signature");
		return;
	}
	p->has_signed = true;
	if (keeper_key_sign(k->key, m->blob, sig, &len, &e)) {
		keeper_peer_kill(k, p, e.text);
		return;
	}
	ipc_init(&answer, IPC_SIGNED);
	answer.a = len;
	answer.blob_len = (uint32_t)len;
	memcpy(answer.blob, sig, len);
	keeper_peer_send(k, p, &answer, NULL, 0);
}

static void hear_before_login(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	if (m->type == IPC_SIGN)
		on_sign(k, p, m);
	else if (m->type == IPC_PAIR)
		keeper_on_pair(k, p, m);
	else if (m->type == IPC_LOGIN)
		keeper_on_login(k, p, m);
	else
		keeper_peer_kill(k, p, "a message that needs a login");
}

static void hear(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m)
{
	if (!p->logged_in)
		hear_before_login(k, p, m);
	else if (p->role == LOGIN_PROBE)
		keeper_peer_kill(k, p, "a probe that wants more than the line");
	else if (m->type == IPC_OPEN)
		keeper_on_open(k, p, m);
	else if (m->type == IPC_FACTS)
		keeper_on_facts(k, p, m);
	else if (m->type == IPC_SEAL)
		keeper_on_seal(k, p, m);
	else
		keeper_peer_kill(k, p, "a message that is not for now");
}

/* False: ${p} is no more, or has said all there is for now. */
static bool hear_one(struct keeper_peer *p)
{
	struct keeper *k = p->keeper;
	uint64_t number = p->number;
	struct err e = { 0 };
	struct ipc_msg m;
	int r = ipc_recv(p->fd, &m, NULL, NULL, &e);

	if (!r)
		return false;
	if (r == -EPIPE) {
		lost(k, p);
		return false;
	}
	if (r < 0) {
		keeper_peer_kill(k, p, e.text);
		return false;
	}
	if (!p->kill_ms)
		hear(k, p, &m);
	return p->used && p->number == number;
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	for (int i = 0; i < MESSAGES_PER_EVENT; i++) {
		if (!hear_one(arg))
			return;
	}
}

static int greet(struct keeper *k, struct keeper_peer *p)
{
	const uint8_t *der;
	struct ipc_msg m;
	size_t len;

	if (getrandom(p->nonce, sizeof p->nonce, 0) != (ssize_t)sizeof p->nonce)
		return -EIO;
	der = keeper_key_cert(k->key, &len);
	ipc_init(&m, IPC_GREETING);
	memcpy(m.digest, p->nonce, sizeof p->nonce);
	m.a = len;
	m.blob_len = (uint32_t)len;
	memcpy(m.blob, der, len);
	return ipc_try_send(p->fd, &m, NULL, 0, NULL);
}

void keeper_peer_new(struct keeper *k, const struct ipc_msg *m, int fd)
{
	struct keeper_peer *p = NULL;

	for (size_t i = 0; i < PEERS_MAX && !p; i++) {
		if (!k->peers[i].used)
			p = &k->peers[i];
	}
	if (!p || k->quitting) {
		ask_kill(k, &(struct keeper_peer){ .number = m->a });
		(void)close(fd);
		return;
	}
	*p = (struct keeper_peer){ .used = true, .keeper = k, .number = m->a, .fd = fd };
	(void)log_safe(p->name, sizeof p->name, m->text, strlen(m->text));
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	p->on_message = event_new(k->base, fd, EV_READ | EV_PERSIST, on_message, p);
	if (!p->on_message || event_add(p->on_message, NULL) || greet(k, p))
		keeper_peer_kill(k, p, "it could not be greeted");
}
