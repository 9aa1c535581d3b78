/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_world.h - a real keeper between a launcher, conns and writers that the test plays
 *
 * Shape   everything runs in one thread: say something, turn(), look at what came back. The state
 *         folder is a temporary one, disk 0 a blank file of 1 MiB, disk 1 one of 2 MiB.
 */
#ifndef KEEPER_WORLD_H
#define KEEPER_WORLD_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "keeper_parts.h"
#include "roles.h"

struct world {
	char dir[80];
	struct receiver_options o;
	struct keeper *k;
	int launcher; /* the test's end */
	uint64_t conns;
	uint8_t priv[PRIVKEY_LEN], pub[PUBKEY_LEN];
	char serial[DISKS_MAX][TASK_SERIAL_MAX];
};

struct fake_conn {
	int fd;
	uint64_t number;
	uint8_t nonce[NONCE_LEN];
	struct pairing_channel channel;
};

#define HELPER static inline __attribute__((unused))

HELPER void turn(struct world *w)
{
	for (int i = 0; i < 4; i++)
		(void)event_base_loop(w->k->base, EVLOOP_NONBLOCK);
}

HELPER void start_keeper(struct world *w)
{
	struct err e = { 0 };
	int pair[2];

	assert_int_equal(ipc_pair(pair, &e), 0);
	w->launcher = pair[0];
	assert_int_equal(keeper_new(pair[1], &w->o, &w->k, &e), 0);
}

/* As a crash would: nothing is said, nothing is saved. */
HELPER void crash_keeper(struct world *w)
{
	int theirs = w->k->launcher;

	keeper_free(w->k);
	w->k = NULL;
	(void)close(theirs);
	(void)close(w->launcher);
}

HELPER void restart_keeper(struct world *w)
{
	crash_keeper(w);
	start_keeper(w);
	if (!w->k)
		abort(); /* cmocka has jumped away; analysers do not know */
}

HELPER void make_blank(struct world *w, uint32_t n, off_t size)
{
	int fd;

	(void)snprintf(w->o.disk[n], sizeof w->o.disk[n], "%s/target%u", w->dir, n);
	fd = open(w->o.disk[n], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

HELPER int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	(void)snprintf(w->dir, sizeof w->dir, "%s/transit-keeper.XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(receiver_options_read(NULL, &w->o, NULL), 0);
	(void)snprintf(w->o.state_dir, sizeof w->o.state_dir, "%s/s", w->dir);
	(void)snprintf(w->o.bootfix, sizeof w->o.bootfix, "/bin/true");
	make_blank(w, 0, 1 << 20);
	make_blank(w, 1, 2 << 20);
	assert_int_equal(pairing_key_make(w->priv, w->pub, NULL), 0);
	start_keeper(w);
	*state = w;
	return 0;
}

HELPER int world_teardown(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };
	const char *name;

	if (w->k)
		crash_keeper(w);
	/* the temporary folder and its name; store_discard() removes what is in it */
	name = strrchr(w->dir, '/') + 1;
	w->dir[name - w->dir - 1] = 0;
	assert_int_equal(store_discard(w->dir, name, &e), 0);
	free(w);
	return 0;
}

/* ---- the operator ---- */

/* {"command": NAME, ...} as json_pack() makes it; the answer is the caller's. */
#define ask(w, ...) ask_packed((w), json_pack(__VA_ARGS__))
HELPER json_t *ask_packed(struct world *w, json_t *request)
{
	json_t *answer;

	assert_non_null(request);
	answer = keeper_command(w->k, request);
	json_decref(request);
	assert_non_null(answer);
	turn(w);
	return answer;
}

HELPER bool is_ok(json_t *answer)
{
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (!ok)
		print_message("%s\n", json_string_value(json_object_get(
					  json_object_get(answer, "error"), "text")));
	json_decref(answer);
	return ok;
}

HELPER bool is_refused(json_t *answer, const char *name, int status)
{
	const json_t *error = json_object_get(answer, "error");
	const char *is = json_string_value(json_object_get(error, "name"));
	bool same = is && !strcmp(is, name) &&
		    json_integer_value(json_object_get(answer, "exit")) == status;

	if (!same)
		print_message("refused as '%s': %s\n", is ? is : "(not at all)",
			      json_string_value(json_object_get(error, "text")));
	json_decref(answer);
	return same;
}

HELPER bool plain(struct world *w, const char *command)
{
	return is_ok(ask(w, "{s:s}", "command", command));
}

/* Opens a code for disk 0. */
HELPER void open_code(struct world *w)
{
	assert_true(is_ok(ask(w, "{s:s, s:[i], s:[s]}", "command", "pair", "disks", 0, "addresses",
			      "127.0.0.1:443")));
}

/* ---- the launcher ---- */

/* Reads what the keeper asked for until ${type} comes; -1 when it did not. *ret_fd is the test's
 * to close, -1 when none came. */
HELPER int launcher_hears(struct world *w, enum ipc_type type, struct ipc_msg *ret, int *ret_fd)
{
	int fds[IPC_FDS_MAX];
	size_t n;

	if (ret_fd)
		*ret_fd = -1;
	while (ipc_recv(w->launcher, ret, fds, &n, NULL) == 1) {
		if (ret_fd && n) {
			*ret_fd = fds[0];
			fds[0] = -1;
		}
		ipc_close_fds(fds, n);
		if (ret->type == type)
			return 0;
		if (ret_fd)
			close_fdp(ret_fd);
	}
	return -1;
}

HELPER void child_ends(struct world *w, enum role role, uint64_t number, int status)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_CHILD_END);
	m.disk = role;
	m.a = number;
	m.b = (uint64_t)(uint32_t)status;
	assert_int_equal(ipc_send(w->launcher, &m, NULL, 0, NULL), 0);
	turn(w);
}

/* ---- a conn ---- */

HELPER void connect_conn(struct world *w, struct fake_conn *c)
{
	struct ipc_msg m;
	int pair[2];

	assert_int_equal(ipc_pair(pair, NULL), 0);
	ipc_init(&m, IPC_CONN_NEW);
	m.a = c->number = ++w->conns;
	(void)snprintf(m.text, sizeof m.text, "192.0.2.%u:4000", (unsigned)c->number);
	assert_int_equal(ipc_send(w->launcher, &m, &pair[1], 1, NULL), 0);
	(void)close(pair[1]);
	c->fd = pair[0];
	turn(w);
	assert_int_equal(ipc_recv(c->fd, &m, NULL, NULL, NULL), 1);
	assert_int_equal(m.type, IPC_GREETING);
	memcpy(c->nonce, m.digest, sizeof c->nonce);
	memset(c->channel.exporter, (int)c->number, sizeof c->channel.exporter);
	memcpy(c->channel.spki, keeper_key_spki(w->k->key), DIGEST_LEN);
}

HELPER void say(struct world *w, struct fake_conn *c, enum ipc_type type, const void *blob,
		size_t len)
{
	struct ipc_msg m;

	ipc_init(&m, type);
	m.blob_len = (uint32_t)len;
	if (len)
		memcpy(m.blob, blob, len);
	memcpy(m.digest2, c->channel.exporter, EXPORTER_LEN);
	assert_int_equal(ipc_send(c->fd, &m, NULL, 0, NULL), 0);
	turn(w);
}

/* The next message, or -EPIPE when the keeper closed. */
HELPER int hear(struct fake_conn *c, struct ipc_msg *m)
{
	return ipc_recv(c->fd, m, NULL, NULL, NULL);
}

HELPER bool hears_error(struct fake_conn *c, enum wire_error code)
{
	struct msg_error e = { 0 };
	struct ipc_msg m;

	do {
		if (hear(c, &m) != 1)
			return false;
	} while (m.type != IPC_SEND || m.a != FRAME_ERROR);
	assert_int_equal(msg_error_decode(m.blob, m.blob_len, &e, NULL), 0);
	if (e.code != code)
		print_message("refused as %s: %s\n", wire_error_word(e.code), e.text);
	return e.code == code;
}

HELPER bool hears_welcome(struct fake_conn *c, struct msg_welcome *ret)
{
	struct ipc_msg m;

	return hear(c, &m) == 1 && m.type == IPC_SEND && m.a == FRAME_WELCOME &&
	       !msg_welcome_decode(m.blob, m.blob_len, ret, NULL);
}

HELPER bool is_closed(struct fake_conn *c)
{
	struct ipc_msg m;
	int r;

	do
		r = hear(c, &m);
	while (r == 1);
	return r == -EPIPE;
}

HELPER void say_pair(struct world *w, struct fake_conn *c, const struct pairing_code *code,
		     const uint8_t *pub)
{
	struct msg_pair p = { .version = WIRE_VERSION };
	uint8_t payload[MSG_PAIR_LEN];

	assert_int_equal(pairing_ticket(code, p.ticket), 0);
	memcpy(p.pub, pub, PUBKEY_LEN);
	assert_int_equal(pairing_proof_tx(code, &c->channel, pub, p.proof), 0);
	msg_pair_encode(&p, payload);
	say(w, c, IPC_PAIR, payload, sizeof payload);
}

HELPER void make_login(struct world *w, struct fake_conn *c, enum login_role role, uint64_t epoch,
		       uint8_t payload[static MSG_LOGIN_LEN])
{
	struct msg_login l = { .version = WIRE_VERSION, .role = role, .epoch = epoch };

	memcpy(l.task, w->k->task.id, TASK_ID_LEN);
	memcpy(l.pub, w->pub, PUBKEY_LEN);
	assert_int_equal(pairing_login_sign(w->priv, &l, c->nonce, &c->channel, l.sig), 0);
	msg_login_encode(&l, payload);
}

HELPER void say_login(struct world *w, struct fake_conn *c, enum login_role role, uint64_t epoch)
{
	uint8_t payload[MSG_LOGIN_LEN];

	make_login(w, c, role, epoch, payload);
	say(w, c, IPC_LOGIN, payload, sizeof payload);
}

/* A code, a pin: the task is paired. */
HELPER void pair_sender(struct world *w)
{
	struct msg_welcome welcome;
	struct fake_conn c;

	open_code(w);
	connect_conn(w, &c);
	say_pair(w, &c, &w->k->tickets.code, w->pub);
	assert_true(hears_welcome(&c, &welcome));
	assert_int_equal(w->k->task.state, TASK_PAIRED);
	(void)close(c.fd);
	turn(w);
}

HELPER void begin_session_of(struct world *w, struct fake_conn *c)
{
	struct msg_welcome welcome;

	connect_conn(w, c);
	say_login(w, c, LOGIN_SESSION, 0);
	assert_true(hears_welcome(c, &welcome));
}

/* As if nobody had come back in time. */
HELPER void let_epoch_end(struct world *w)
{
	turn(w);
	assert_true(w->k->epoch_over_at_ms > 0);
	keeper_peers_tick(w->k, w->k->epoch_over_at_ms);
	turn(w);
}

HELPER void say_open(struct world *w, struct fake_conn *c, uint32_t disk, uint64_t size)
{
	struct msg_open o = { .size = size, .logical_sector = 512, .physical_sector = 512 };
	struct ipc_msg m;

	(void)snprintf(o.identity, sizeof o.identity, "a source disk");
	ipc_init(&m, IPC_OPEN);
	m.disk = disk;
	m.blob_len = MSG_OPEN_LEN;
	msg_open_encode(&o, m.blob);
	assert_int_equal(ipc_send(c->fd, &m, NULL, 0, NULL), 0);
	turn(w);
}

/* ---- a writer ---- */

HELPER void writer_says(struct world *w, int fd, enum ipc_type type, uint64_t a, uint64_t b,
			uint64_t c, const char *text)
{
	struct ipc_msg m;

	ipc_init(&m, type);
	m.a = a;
	m.b = b;
	m.c = c;
	(void)snprintf(m.text, sizeof m.text, "%s", text);
	assert_int_equal(ipc_send(fd, &m, NULL, 0, NULL), 0);
	turn(w);
}

/* Skips what else is said to it. */
HELPER bool writer_hears(int fd, enum ipc_type type, struct ipc_msg *ret)
{
	while (ipc_recv(fd, ret, NULL, NULL, NULL) == 1) {
		if (ret->type == type)
			return true;
	}
	return false;
}

/* The writer that was asked for, told ready: its end of the channel. */
HELPER int start_writer(struct world *w, uint32_t disk, uint64_t claimed)
{
	struct ipc_msg m;
	int fd;

	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, &fd), 0);
	assert_int_equal(m.disk, disk);
	writer_says(w, fd, IPC_WRITER_READY, claimed, w->k->task.disk[disk].size, 0,
		    w->k->task.disk[disk].serial);
	return fd;
}

/* Session, disk 0 of 1 MiB opened, writer ready: receiving. */
HELPER int receive_disk(struct world *w, struct fake_conn *c)
{
	begin_session_of(w, c);
	say_open(w, c, 0, 1 << 20);
	return start_writer(w, 0, 0);
}

#endif
