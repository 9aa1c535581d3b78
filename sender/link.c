/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "link.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "congestion.h"
#include "frame_decoder.h"
#include "tcp.h"
#include "tls.h"

#define HANDSHAKE_MS 15000
#define PINGS 4     /* so many go out before a silent peer is taken for dead */
#define TICK_MS 200 /* how long a wait may be deaf to the stop flag */
#define TICK_NS (TICK_MS * UINT64_C(1000000))
#define WIRE_BATCH ((size_t)(256 * KIB))
/* One frame of the largest kind, its TLS records, and what was there before. */
#define WIRE_ROOM (WIRE_BATCH + (size_t)(2 * MIB))
#define PAYLOAD_ROOM ((size_t)(HAVE_ENTRIES_MAX * HAVE_ENTRY_LEN))
#define READ_ROOM ((size_t)(64 * KIB))
/* AES-GCM keys are changed long before the limit of records under one key. */
#define REKEY_BYTES (64 * GIB)

struct link {
	int fd, wakefd;
	SSL *ssl;
	struct link_options o;
	char where[DIAL_WHERE_MAX];
	struct pairing_channel channel;
	struct msg_hello hello;
	uint8_t *wire; /* encrypted, not yet given to the kernel: [wire_at, wire_len) */
	size_t wire_at, wire_len;
	uint8_t *in; /* decrypted, not yet decoded: [in_at, in_len) */
	size_t in_at, in_len;
	struct frame_decoder decoder;
	uint8_t *payload;
	uint64_t heard_ms, said_ms, since_rekey;
	struct link_load load;
	struct congestion congestion;
};

/* ---- the write side of the TLS engine: records gather in l->wire ---- */

static int wire_bio_write(BIO *b, const char *data, int len)
{
	struct link *l = BIO_get_data(b);
	size_t n = (size_t)len;

	BIO_clear_retry_flags(b);
	if (len <= 0)
		return 0;
	if (n > WIRE_ROOM - l->wire_len) { /* never: link_put() drains before it fills */
		BIO_set_retry_write(b);
		return -1;
	}
	memcpy(l->wire + l->wire_len, data, n);
	l->wire_len += n;
	return len;
}

static long wire_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int wire_bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO_METHOD *wire_method;
static pthread_once_t wire_method_once = PTHREAD_ONCE_INIT;

static void make_wire_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (m && BIO_meth_set_write(m, wire_bio_write) && BIO_meth_set_ctrl(m, wire_bio_ctrl) &&
	    BIO_meth_set_create(m, wire_bio_create))
		wire_method = m;
}

/* ---- waiting ---- */

static int stopped(const struct link *l, struct err *e)
{
	if (l->o.stop && atomic_load(l->o.stop))
		return err_set(e, ERR_NET, 0, "stopped by a signal");
	return 0;
}

/* Waits for ${events} on the socket. True when another thread woke us. */
static bool wait_for(struct link *l, short events, int timeout_ms)
{
	struct pollfd p[2] = { { .fd = l->fd, .events = events },
			       { .fd = l->wakefd, .events = POLLIN } };
	uint64_t drop;

	if (poll(p, 2, timeout_ms) <= 0 || !p[1].revents)
		return false;
	return read(l->wakefd, &drop, sizeof drop) == (ssize_t)sizeof drop;
}

static uint64_t dead_ms(const struct link *l)
{
	return l->o.dead_s * UINT64_C(1000);
}

static int lost(struct link *l, int sys, const char *what, struct err *e)
{
	return err_set(e, ERR_NET, sys, "connection to %.200s %s", l->where, what);
}

/* Waits until ${len} bytes may go, in pieces that see the stop flag. */
static int pay_limit(struct link *l, size_t len, struct err *e)
{
	uint64_t began = clock_ns(), now = began, until = now + limit_take(l->o.limit, len, now);

	for (; now < until; now = clock_ns()) {
		if (stopped(l, e))
			return -EINTR;
		clock_sleep_ns(until - now < TICK_NS ? until - now : TICK_NS);
	}
	l->load.wait_ns += now - began;
	return 0;
}

/* Gives everything in l->wire to the kernel. */
static int drain(struct link *l, struct err *e)
{
	uint64_t blocked_since = 0;
	size_t paid = 0; /* of what lies at wire_at: a socket may take less than was paid for */

	while (l->wire_at < l->wire_len) {
		if (!paid) {
			paid = limit_piece(l->o.limit, l->wire_len - l->wire_at);
			if (pay_limit(l, paid, e))
				return -EINTR;
		}
		ssize_t n = send(l->fd, l->wire + l->wire_at, paid, MSG_NOSIGNAL);
		if (n > 0) {
			l->wire_at += (size_t)n;
			paid -= (size_t)n;
			l->load.wire += (uint64_t)n;
			atomic_fetch_add(l->o.wire_bytes, (uint64_t)n);
			if (blocked_since)
				l->load.wait_ns += clock_ns() - blocked_since;
			blocked_since = 0;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return lost(l, errno, "broke", e);
		if (stopped(l, e))
			return -EINTR;
		if (!blocked_since)
			blocked_since = clock_ns();
		if (clock_ns() - blocked_since > dead_ms(l) * UINT64_C(1000000))
			return lost(l, ETIMEDOUT, "takes nothing", e);
		(void)wait_for(l, POLLOUT, TICK_MS);
	}
	l->wire_at = l->wire_len = 0;
	l->said_ms = clock_ms();
	return 0;
}

/* ---- frames out ---- */

static int encrypt(struct link *l, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;

	/* One record at a time: that is what partial writes mean. */
	for (size_t done = 0, n = 0; done < len; done += n) {
		if (SSL_write_ex(l->ssl, p + done, len - done, &n) != 1)
			return tls_err(e, ERR_NET, "send");
	}
	l->since_rekey += len;
	return 0;
}

int link_put(struct link *l, struct frame *f, const void *a, size_t a_len, const void *b,
	     size_t b_len, struct err *e)
{
	uint8_t head[FRAME_HEADER_LEN + 512];
	size_t n = FRAME_HEADER_LEN;
	int r = 0;

	f->length = (uint32_t)(a_len + b_len);
	frame_encode(f, head);
	if (l->since_rekey > REKEY_BYTES) {
		if (SSL_key_update(l->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
			return tls_err(e, ERR_NET, "key update");
		l->since_rekey = 0;
	}
	/* Small parts ride with the header: one record instead of two. */
	if (a_len <= sizeof head - n) {
		if (a_len)
			memcpy(head + n, a, a_len);
		n += a_len;
		a_len = 0;
	}
	r = encrypt(l, head, n, e);
	if (!r)
		r = encrypt(l, a, a_len, e);
	if (!r)
		r = encrypt(l, b, b_len, e);
	if (!r && l->wire_len >= WIRE_BATCH)
		r = drain(l, e);
	return r;
}

int link_flush(struct link *l, struct err *e)
{
	return drain(l, e);
}

int link_bye(struct link *l, struct err *e)
{
	struct frame f = { .kind = FRAME_BYE, .disk = FRAME_NO_DISK };
	int r = link_put(l, &f, NULL, 0, NULL, 0, e);

	return r ? r : drain(l, e);
}

/* ---- frames in ---- */

int link_error(const struct msg_error *m, struct err *e)
{
	char text[WIRE_TEXT_MAX + 1];
	const char *word = wire_error_word(m->code);
	int r;

	(void)log_safe(text, sizeof text, m->text, sizeof m->text);
	switch (m->code) {
	case WIRE_PAUSED:
	case WIRE_LIMIT:
	case WIRE_STALE_EPOCH: /* the session was lost, and this connection heard of it first */
		r = err_set(e, ERR_NET, EAGAIN, "receiver says %s: %.200s", word, text);
		if (e)
			e->name = word;
		return r;
	case WIRE_DISK_FAILED:
		return err_set(e, ERR_DISK, 0, "receiver says %s: %.200s", word, text);
	case WIRE_PROTOCOL:
	case WIRE_DIGEST:
	case WIRE_SEAL:
	case WIRE_INTERNAL:
	case WIRE_GENERATION:
		return err_set(e, ERR_PEER, EPROTO, "receiver says %s: %.200s", word, text);
	case WIRE_VERSION_RANGE:
	case WIRE_WRONG_CODE:
	case WIRE_CODE_EXPIRED:
	case WIRE_CODE_USED:
	case WIRE_NOT_PAIRED:
	case WIRE_BAD_LOGIN:
	case WIRE_BUSY:
	case WIRE_NO_TICKET:
	case WIRE_TOO_SMALL:
	case WIRE_SECTOR_SIZE:
	case WIRE_STATE:
	case WIRE_DISK_REFUSED:
	case WIRE_ABORTED:
		break;
	}
	return err_refuse(e, word, EACCES, "receiver says %s: %.200s", word, text);
}

static int answer_ping(struct link *l, const struct frame *f, struct err *e)
{
	struct frame pong = { .kind = FRAME_PONG, .disk = FRAME_NO_DISK };
	int r = link_put(l, &pong, l->payload, f->length, NULL, 0, e);

	return r ? r : drain(l, e);
}

/* 1: for the caller; 0: done with here. */
static int take_frame(struct link *l, const struct frame *f, struct err *e)
{
	struct msg_error m;
	int r;

	log_debug("frame", "%s: got %s disk %u block %llu seq %llu", l->where,
		  frame_kind_word(f->kind), f->disk, (unsigned long long)f->block,
		  (unsigned long long)f->seq);
	if (f->kind == FRAME_PING)
		return answer_ping(l, f, e);
	if (f->kind == FRAME_PONG)
		return 0;
	if (f->kind == FRAME_BYE)
		return lost(l, ECONNRESET, "was ended by the receiver", e);
	if (f->kind != FRAME_ERROR)
		return 1;
	r = msg_error_decode(l->payload, f->length, &m, e);
	return r ? r : link_error(&m, e);
}

/* Decodes what is in l->in until a frame is whole. 1 frame, 0 more bytes are needed. */
static int decode(struct link *l, struct frame *ret, struct err *e)
{
	for (;;) {
		const uint8_t *p = l->in + l->in_at;
		size_t len = l->in_len - l->in_at;
		enum frame_step step = frame_decoder_step(&l->decoder, &p, &len, e);

		l->in_at = l->in_len - len;
		switch (step) {
		case FRAME_MORE:
			return 0;
		case FRAME_BAD:
			return err_under(e, -EPROTO, "%s", l->where);
		case FRAME_HEAD:
			if (l->decoder.head.length > PAYLOAD_ROOM)
				return err_set(e, ERR_PEER, EPROTO, "%s: a frame of %u bytes",
					       l->where, l->decoder.head.length);
			frame_decoder_into(&l->decoder, l->payload);
			break;
		case FRAME_END:
			*ret = l->decoder.head;
			return 1;
		}
	}
}

/* 1 bytes are in l->in, 0 the socket has none now. */
static int fill(struct link *l, struct err *e)
{
	int n = SSL_read(l->ssl, l->in, (int)READ_ROOM);

	if (n > 0) {
		l->in_at = 0;
		l->in_len = (size_t)n;
		l->heard_ms = clock_ms();
		return 1;
	}
	switch (SSL_get_error(l->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return lost(l, ECONNRESET, "was closed by the receiver", e);
	case SSL_ERROR_SYSCALL:
		return lost(l, errno ? errno : ECONNRESET, "broke", e);
	default:
		/* a FIN without TLS's goodbye: what a killed receiver and a cut line look like */
		if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return lost(l, ECONNRESET, "was cut off", e);
		return tls_err(e, ERR_NET, "receive");
	}
}

static int keep_alive(struct link *l, struct err *e)
{
	static const uint8_t zeros[MSG_PING_LEN];
	struct frame f = { .kind = FRAME_PING, .disk = FRAME_NO_DISK };
	uint64_t now = clock_ms();

	if (now - l->heard_ms > dead_ms(l))
		return lost(l, ETIMEDOUT, "is silent", e);
	if (now - l->said_ms < dead_ms(l) / PINGS)
		return 0;
	int r = link_put(l, &f, zeros, sizeof zeros, NULL, 0, e);
	return r ? r : drain(l, e);
}

/* A frame for the caller from what has arrived, without waiting. 1 frame, 0 none. */
static int next_here(struct link *l, struct frame *ret, struct err *e)
{
	for (;;) {
		int r = decode(l, ret, e);

		if (r > 0)
			r = take_frame(l, ret, e);
		else if (!r && !(r = fill(l, e)))
			return 0;
		else if (r > 0)
			continue;
		if (r)
			return r;
	}
}

int link_next(struct link *l, int timeout_ms, struct frame *ret, const uint8_t **ret_payload,
	      struct err *e)
{
	uint64_t now = clock_ms(), end = now + (uint64_t)timeout_ms;

	for (;;) {
		int r = next_here(l, ret, e);

		*ret_payload = l->payload;
		if (!r)
			r = stopped(l, e);
		if (!r)
			r = keep_alive(l, e);
		now = clock_ms();
		if (r || now >= end)
			return r;
		if (wait_for(l, POLLIN, end - now < TICK_MS ? (int)(end - now) : TICK_MS))
			return 0;
	}
}

int link_expect(struct link *l, enum frame_kind kind, int timeout_ms, struct frame *ret,
		const uint8_t **ret_payload, struct err *e)
{
	uint64_t end = clock_ms() + (uint64_t)timeout_ms;
	int r = drain(l, e);

	while (!r) {
		r = link_next(l, TICK_MS, ret, ret_payload, e);
		if (r < 0)
			break;
		if (r && ret->kind == kind)
			return 1;
		if (r && ret->kind != FRAME_STATE && ret->kind != FRAME_DURABLE)
			return err_set(e, ERR_PEER, EPROTO, "%s: %s came where %s was due",
				       l->where, frame_kind_word(ret->kind), frame_kind_word(kind));
		if (clock_ms() >= end)
			return lost(l, ETIMEDOUT, "does not answer", e);
		r = 0;
	}
	return r;
}

void link_wake(struct link *l)
{
	uint64_t one = 1;

	if (write(l->wakefd, &one, sizeof one) < 0)
		return; /* full: it is awake already */
}

/* ---- opening ---- */

static int handshake(struct link *l, struct err *e)
{
	uint64_t end = clock_ms() + HANDSHAKE_MS;

	for (;;) {
		int n = SSL_connect(l->ssl), why = SSL_get_error(l->ssl, n);
		int r = drain(l, e);
		if (r)
			return r;
		if (n == 1)
			return 0;
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return err_under(e, tls_err(e, ERR_NET, "TLS handshake"), "%s", l->where);
		if (clock_ms() > end)
			return lost(l, ETIMEDOUT, "does not finish the handshake", e);
		if (stopped(l, e))
			return -EINTR;
		(void)wait_for(l, POLLIN, TICK_MS);
	}
}

static int set_up_tls(struct link *l, SSL_CTX *ctx, struct err *e)
{
	static const unsigned char alpn[] = "\x09" WIRE_ALPN;
	BIO *in, *out;

	_Static_assert(sizeof WIRE_ALPN - 1 == 9, "the ALPN's length byte");
	(void)pthread_once(&wire_method_once, make_wire_method);
	l->ssl = SSL_new(ctx);
	if (!l->ssl || !wire_method)
		return tls_err(e, ERR_SYS, "TLS set-up");
	in = BIO_new_socket(l->fd, BIO_NOCLOSE);
	out = BIO_new(wire_method);
	if (!in || !out) {
		(void)BIO_free(in);
		(void)BIO_free(out);
		return tls_err(e, ERR_SYS, "TLS set-up");
	}
	BIO_set_data(out, l);
	SSL_set_bio(l->ssl, in, out);
	/* 0 is success here, unlike everywhere else in OpenSSL. */
	if (SSL_set_alpn_protos(l->ssl, alpn, sizeof alpn - 1))
		return tls_err(e, ERR_SYS, "TLS set-up");
	return 0;
}

static int check_peer(struct link *l, struct err *e)
{
	const unsigned char *alpn;
	unsigned len;
	X509 *cert = SSL_get1_peer_certificate(l->ssl);
	int r;

	if (!cert)
		return err_set(e, ERR_AUTH, EACCES, "%s shows no certificate", l->where);
	r = tls_channel(l->ssl, cert, &l->channel, e);
	X509_free(cert);
	if (r)
		return r;
	if (memcmp(l->channel.spki, l->o.spki, DIGEST_LEN) != 0) {
		char hex[2 * DIGEST_LEN + 1];

		digest_hex(l->channel.spki, DIGEST_LEN, hex);
		r = err_set(e, ERR_AUTH, EACCES,
			    "wrong-pin: %s is not the receiver of this invite (its key is %s)",
			    l->where, hex);
		if (e)
			e->name = "wrong-pin";
		return r;
	}
	SSL_get0_alpn_selected(l->ssl, &alpn, &len);
	if (len != sizeof WIRE_ALPN - 1 || memcmp(alpn, WIRE_ALPN, len) != 0)
		return err_set(e, ERR_PEER, EPROTO, "%s does not speak " WIRE_ALPN, l->where);
	return 0;
}

static int read_hello(struct link *l, struct err *e)
{
	struct frame f = { 0 };
	const uint8_t *p = NULL;
	int r = link_expect(l, FRAME_HELLO, HANDSHAKE_MS, &f, &p, e);

	if (r < 0)
		return r;
	r = msg_hello_decode(p, f.length, &l->hello, e);
	if (r)
		return r;
	if (l->hello.version_min > WIRE_VERSION || l->hello.version_max < WIRE_VERSION)
		return err_refuse(e, wire_error_word(WIRE_VERSION_RANGE), EPROTO,
				  "%s speaks versions %u to %u, this transit-send %u", l->where,
				  l->hello.version_min, l->hello.version_max, WIRE_VERSION);
	return 0;
}

/* Owns ${fd}, also on failure. */
static int open_over(const struct link_options *o, int fd, const char *where, SSL_CTX *ctx,
		     struct link **ret, struct err *e)
{
	char congestion[TCP_CONGESTION_ROOM];
	scoped(close_fdp) int own = fd;
	int r;

	scoped(link_closep) struct link *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, ERR_SYS, ENOMEM, "connection");
	l->fd = take_fd(&own);
	l->o = *o;
	(void)snprintf(l->where, sizeof l->where, "%s", where);
	l->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->wire = malloc(WIRE_ROOM);
	l->in = malloc(READ_ROOM);
	l->payload = malloc(PAYLOAD_ROOM);
	if (l->wakefd < 0 || !l->wire || !l->in || !l->payload)
		return err_set(e, ERR_SYS, ENOMEM, "connection");
	congestion_init(&l->congestion, !strcmp(tcp_congestion(l->fd, congestion), "bbr"));
	frame_decoder_init(&l->decoder);
	l->heard_ms = l->said_ms = clock_ms();
	r = set_up_tls(l, ctx, e);
	if (!r)
		r = handshake(l, e);
	if (!r)
		r = check_peer(l, e);
	if (!r)
		r = read_hello(l, e);
	if (r)
		return r;
	*ret = take_ptr(&l);
	return 0;
}

/* The next address is for one that cannot be reached, not for one that says no. */
static int open_any(const struct link_options *o, struct dial *d, SSL_CTX *ctx, struct link **ret,
		    struct err *e)
{
	char where[DIAL_WHERE_MAX];
	int r, fd;

	for (;;) {
		struct err none = { 0 };

		r = dial_next(d, &fd, where, &none);
		if (r) { /* what answered, but wrongly, says more than what did not answer */
			if (e->kind == ERR_NONE || (none.kind != ERR_NONE && none.kind != ERR_NET))
				*e = none;
			return r;
		}
		err_clear(e);
		r = open_over(o, fd, where, ctx, ret, e);
		if (!r || e->kind != ERR_NET)
			return r;
	}
}

int link_open(const struct link_options *o, struct link **ret, struct err *e)
{
	const struct dial_options d = { .targets = o->addresses,
					.n_targets = o->n_addresses,
					.proxy = o->proxy,
					.no_proxy = o->no_proxy,
					.dead_s = o->dead_s,
					.stop = o->stop };
	scoped(dial_closep) struct dial *dial = NULL;
	struct err why = { 0 };
	int r = dial_open(&d, &dial, &why);
	SSL_CTX *ctx = r ? NULL : tls_context(false, &why);

	if (!r)
		r = ctx ? open_any(o, dial, ctx, ret, &why) : -EIO;
	SSL_CTX_free(ctx);
	if (r && e && e->kind == ERR_NONE)
		*e = why;
	return r;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	SSL_free(l->ssl);
	if (l->fd >= 0)
		(void)close(l->fd);
	if (l->wakefd >= 0)
		(void)close(l->wakefd);
	free(l->wire);
	free(l->in);
	free(l->payload);
	free(l);
}

const struct pairing_channel *link_channel(const struct link *l)
{
	return &l->channel;
}

const struct msg_hello *link_hello(const struct link *l)
{
	return &l->hello;
}

const char *link_where(const struct link *l)
{
	return l->where;
}

const char *link_congestion(const struct link *l, char buf[static TCP_CONGESTION_ROOM])
{
	return tcp_congestion(l->fd, buf);
}

struct link_load link_load(const struct link *l)
{
	return l->load;
}

static void judge_path(struct link *l, const struct tcp_path *p)
{
	enum congestion_wish wish = congestion_look(&l->congestion, p, clock_ms());
	const char *name = wish == CONGESTION_CUBIC ? "cubic" : "bbr";

	if (wish == CONGESTION_KEEP)
		return;
	if (!tcp_use_congestion(l->fd, name))
		congestion_refused(&l->congestion);
	else
		log_debug("link", "congestion control %s, round trip %u of at least %u us", name,
			  p->rtt_us, p->min_rtt_us);
}

bool link_path(struct link *l, struct link_path *ret)
{
	if (!tcp_path(l->fd, &ret->tcp))
		return false;
	judge_path(l, &ret->tcp);
	ret->sole = !l->congestion.fixed;
	ret->cubic = l->congestion.cubic;
	return true;
}
