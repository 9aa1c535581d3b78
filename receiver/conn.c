/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conn.c - one connection from its first byte to its end, in a process of its own
 *
 * Holds    the socket, a channel to the keeper, and for each open disk a ring and a channel to its
 *          writer. No disk, no key, no path.
 * Why      poll(), not bufferevents: SSL_read goes straight to where the bytes stay, and the peers
 *          of this process are at most 22 descriptors.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "codec.h"
#include "conn_internal.h"
#include "listener_table.h"

#define WRITER_LOST_MS 1000 /* for the keeper to say why */
#define END_MS 5000         /* for the last words to go out */
#define LINGER_BYTES (64 * MIB)

int conn_drop(struct conn *c, enum conn_end end, const char *why)
{
	if (c->done)
		return -EPIPE;
	c->done = true;
	if (c->stage != CONN_ENDING) {
		c->end = end;
		c->why = why;
	}
	return -EPIPE;
}

static void close_disks(struct conn *c)
{
	for (int i = 0; i < DISKS_MAX; i++) {
		ring_close(&c->disk[i].ring);
		close_fdp(&c->disk[i].channel);
		c->disk[i].open = c->disk[i].opening = c->disk[i].durable_due = false;
	}
	c->have = (struct conn_have){ 0 };
}

void conn_finish(struct conn *c, enum conn_end end, const char *why)
{
	if (c->done || c->stage == CONN_ENDING)
		return;
	c->stage = CONN_ENDING;
	c->end = end;
	c->why = why;
	c->end_by_ms = clock_ms() + END_MS;
}

int conn_error(struct conn *c, enum wire_error code, const char *fmt, ...)
{
	uint8_t payload[4 + WIRE_TEXT_MAX];
	struct frame f = { .kind = FRAME_ERROR, .disk = FRAME_NO_DISK };
	struct msg_error m = { .code = code };
	char safe[256];
	va_list ap;

	if (c->done || c->stage == CONN_ENDING)
		return -EPROTO;
	va_start(ap, fmt);
	(void)vsnprintf(m.text, sizeof m.text, fmt, ap);
	va_end(ap);
	f.length = (uint32_t)msg_error_encode(&m, payload, sizeof payload);
	log_warn("conn=%ju peer=%s error=%s %s", (uintmax_t)c->o->number, c->peer,
		 wire_error_word(code), log_safe(safe, sizeof safe, m.text, sizeof m.text));
	(void)conn_out_frame(c, &f, payload);
	conn_finish(c, code == WIRE_INTERNAL ? CONN_END_FAILED : CONN_END_REFUSED,
		    wire_error_word(code));
	return -EPROTO;
}

/* ---- the loop ---- */

struct watch {
	struct pollfd p[2 + DISKS_MAX];
	uint8_t disk[DISKS_MAX];
	nfds_t n;
};

static bool reading(const struct conn *c)
{
	if (c->stage == CONN_ENDING)
		return false;
	if (c->stage == CONN_HTTP)
		return true;
	return c->phase == PHASE_PAYLOAD ||
	       (c->phase == PHASE_HEADER && conn_out_len(c) <= OUT_SOFT);
}

static void watch_writers(const struct conn *c, struct watch *w)
{
	for (uint8_t i = 0; i < DISKS_MAX; i++) {
		const struct conn_disk *d = &c->disk[i];
		bool room = (c->wait == WAIT_WRITER_ROOM && c->wait_disk == i) ||
			    (c->have.due && c->have.disk == i && conn_out_len(c) <= OUT_SOFT);

		if (!d->open || d->lost_ms || c->stage == CONN_ENDING)
			continue;
		w->disk[w->n - 2] = i;
		w->p[w->n++] = (struct pollfd){ .fd = d->channel,
						.events = (short)(POLLIN | (room ? POLLOUT : 0)) };
	}
}

static void watch_all(const struct conn *c, struct watch *w)
{
	short net = 0, keeper = 0;

	if (reading(c) && !c->read_wants_out)
		net |= POLLIN;
	if (conn_out_len(c) || c->read_wants_out)
		net |= POLLOUT;
	if (conn_out_len(c) <= OUT_SOFT && c->stage != CONN_ENDING)
		keeper |= POLLIN;
	if (c->wait == WAIT_KEEPER_ROOM)
		keeper |= POLLOUT;
	/* -1 where nothing is asked: a hang-up is told unasked, and would keep the loop awake */
	w->p[0] = (struct pollfd){ .fd = net ? c->socket : -1, .events = net };
	w->p[1] = (struct pollfd){ .fd = keeper ? c->keeper : -1, .events = keeper };
	w->n = 2;
	watch_writers(c, w);
}

/* The earliest of the limits that apply now; each is absolute. */
static uint64_t next_deadline(const struct conn *c)
{
	uint64_t idle_ms = (uint64_t)c->o->idle_timeout_s * 1000, at = UINT64_MAX, t;

	if (c->stage == CONN_LOGIN || c->stage == CONN_HTTP)
		at = c->login_by_ms;
	else if (c->stage == CONN_ENDING)
		at = c->end_by_ms;
	else if (reading(c))
		at = c->heard_ms + idle_ms;
	if (conn_out_len(c) && (t = c->wrote_ms + idle_ms) < at)
		at = t;
	if (c->stage == CONN_PROBE && c->probe.end_ms < at)
		at = c->probe.end_ms;
	for (int i = 0; i < DISKS_MAX && c->stage == CONN_TASK; i++)
		if (c->disk[i].lost_ms && (t = c->disk[i].lost_ms + WRITER_LOST_MS) < at)
			at = t;
	return at;
}

static void check_deadlines(struct conn *c)
{
	uint64_t now = clock_ms();

	if (now < next_deadline(c) || c->done)
		return;
	for (uint8_t i = 0; i < DISKS_MAX; i++)
		if (c->disk[i].lost_ms && c->stage == CONN_TASK) {
			(void)conn_error(c, WIRE_DISK_FAILED, "the writer of disk %u ended", i);
			return;
		}
	if (c->stage == CONN_LOGIN)
		(void)conn_error(c, WIRE_LIMIT, "no login in time");
	else if (c->stage == CONN_PROBE && now >= c->probe.end_ms)
		(void)conn_error(c, WIRE_LIMIT, "a probe has lasted long enough");
	else
		(void)conn_drop(c, CONN_END_INTERRUPTED, "silent");
}

static int one_turn(struct conn *c)
{
	struct watch w;
	uint64_t until;

	/* time with the disk as the brake is not the sender's silence */
	if (!reading(c))
		c->heard_ms = clock_ms();
	if (!conn_out_len(c))
		c->wrote_ms = clock_ms();
	watch_all(c, &w);
	until = next_deadline(c);
	if (conn_probe_due_ms(c) < until)
		until = conn_probe_due_ms(c);
	if (poll(w.p, w.n, c->more ? 0 : clock_left_ms(until)) < 0 && errno != EINTR)
		return conn_drop(c, CONN_END_FAILED, "poll");
	if (w.p[1].revents)
		(void)conn_from_keeper(c);
	for (nfds_t i = 2; i < w.n; i++)
		if (w.p[i].revents)
			(void)conn_from_writer(c, w.disk[i - 2]);
	if (c->stage == CONN_HTTP)
		(void)conn_http_go(c);
	else if (c->stage != CONN_ENDING)
		(void)conn_frames_go(c);
	if (!c->done)
		(void)conn_relay_due(c);
	if (!c->done)
		(void)conn_probe_answer(c);
	if (!c->done)
		(void)conn_out_flush(c);
	/* what TLS has read ahead wakes no poll() */
	if (c->wait == WAIT_OUT && conn_out_len(c) <= OUT_SOFT)
		c->more = true;
	check_deadlines(c);
	if (c->stage == CONN_ENDING && !conn_out_len(c))
		c->done = true;
	return 0;
}

/* What the peer still has under way is taken and forgotten: to close with unread bytes would reset
 * the connection, and our last words could be lost with it. */
static void linger(struct conn *c)
{
	static uint8_t bin[64 * KIB];
	uint64_t by = clock_ms() + (c->block_size ? LINGER_MS : LINGER_STRANGER_MS), taken = 0;

	(void)SSL_shutdown(c->ssl);
	(void)shutdown(c->socket, SHUT_WR);
	while (taken < LINGER_BYTES) {
		struct pollfd p = { .fd = c->socket, .events = POLLIN };
		int left = clock_left_ms(by);
		ssize_t n;

		if (!left || poll(&p, 1, left) <= 0)
			return;
		n = recv(c->socket, bin, sizeof bin, MSG_DONTWAIT);
		if (n <= 0)
			return;
		taken += (uint64_t)n;
	}
}

static int hello(struct conn *c)
{
	struct frame f = { .kind = FRAME_HELLO, .disk = FRAME_NO_DISK, .length = MSG_HELLO_LEN };
	struct msg_hello m = { .version_min = WIRE_VERSION, .version_max = WIRE_VERSION };
	uint8_t payload[MSG_HELLO_LEN];

	memcpy(m.nonce, c->nonce, NONCE_LEN);
	msg_hello_encode(&m, payload);
	return conn_out_frame(c, &f, payload);
}

static int serve(struct conn *c, struct err *e)
{
	uint64_t hand_by = c->o->accepted_ms + (uint64_t)c->o->handshake_timeout_s * 1000;
	bool logged_in;
	int r;

	c->login_by_ms = c->o->accepted_ms + (uint64_t)c->o->login_timeout_s * 1000;
	r = conn_greet(c, hand_by, e);
	if (!r)
		r = conn_handshake(c, hand_by, e);
	if (r < 0)
		return r;
	c->hash = digest_new();
	c->codec = codec_new();
	if (!c->hash || !c->codec)
		return err_set(e, ERR_SYS, ENOMEM, "digest and codec");
	frame_decoder_init(&c->decoder);
	c->heard_ms = c->wrote_ms = clock_ms();
	if (c->stage == CONN_LOGIN)
		r = hello(c);
	logged_in = false;
	while (!c->done) {
		(void)one_turn(c);
		if ((c->stage == CONN_TASK || c->stage == CONN_PROBE) && !logged_in) {
			logged_in = true;
			log_info("conn=%ju peer=%s login=%s", (uintmax_t)c->o->number, c->peer,
				 c->stage == CONN_PROBE ? "probe" : "ok");
		}
	}
	close_disks(c);
	if (c->stage == CONN_ENDING)
		linger(c);
	return r;
}

static void name_peer(struct conn *c)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;

	if (!getpeername(c->socket, (struct sockaddr *)&sa, &len) &&
	    (sa.ss_family == AF_INET || sa.ss_family == AF_INET6))
		source_text(&sa, c->peer, sizeof c->peer);
	else
		(void)snprintf(c->peer, sizeof c->peer, "local");
}

int conn_main(int keeper_fd, int socket_fd, const struct conn_options *o)
{
	struct conn c = { .o = o,
			  .keeper = keeper_fd,
			  .socket = socket_fd,
			  .end = CONN_END_FAILED,
			  .why = "not-served" };
	struct err e = { 0 };

	for (int i = 0; i < DISKS_MAX; i++) {
		c.disk[i].channel = -1;
		c.disk[i].ring.fd = -1;
	}
	name_peer(&c);
	if (serve(&c, &e) < 0 && !c.done) {
		c.end = e.kind == ERR_PEER ? CONN_END_REFUSED : CONN_END_FAILED;
		c.why = e.text;
	}
	log_info("conn=%ju peer=%s end=%d why=\"%s\" frames=%ju bytes=%ju", (uintmax_t)o->number,
		 c.peer, (int)c.end, c.why, (uintmax_t)c.n_frames, (uintmax_t)c.n_bytes);
	close_disks(&c);
	conn_tls_free(&c);
	digest_free(c.hash);
	codec_free(c.codec);
	free(c.buf);
	free(c.out);
	return (int)c.end;
}
