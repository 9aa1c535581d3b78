/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include "clock.h"
#include "conn_internal.h"
#include "tcp.h"
#include "tls.h"

#define ALPN_NAMES_MAX 16
#define READ_BUFFER (256 * KIB)

static const unsigned char alpn_transit[] = "\x09" WIRE_ALPN;
static const unsigned char alpn_http[] = "\x08"
					 "http/1.1";

int conn_greet(struct conn *c, uint64_t deadline_ms, struct err *e)
{
	struct pollfd p = { .fd = c->keeper, .events = POLLIN };
	const unsigned char *der;
	struct ipc_msg m;
	int r, left;

	do {
		left = clock_left_ms(deadline_ms);
		if (!left)
			return err_set(e, ERR_SYS, ETIMEDOUT, "no greeting from the keeper");
		if (poll(&p, 1, left) < 0 && errno != EINTR)
			return err_set(e, ERR_SYS, errno, "wait for the greeting");
		r = ipc_recv(c->keeper, &m, NULL, NULL, e);
	} while (!r);
	if (r < 0)
		return r;
	if (m.type != IPC_GREETING || !m.blob_len || m.a != m.blob_len)
		return err_set(e, ERR_SYS, EPROTO, "message %u instead of a greeting", m.type);
	memcpy(c->nonce, m.digest, NONCE_LEN);
	der = m.blob;
	c->cert = d2i_X509(NULL, &der, (long)m.blob_len);
	if (!c->cert)
		return tls_err(e, ERR_SYS, "the keeper's certificate");
	return keymethod_new(c->cert, c->keeper, deadline_ms, &c->key, e);
}

/* Which of our two protocols the ClientHello names; NULL: none. Runs before any key exchange, so
 * that a scanner costs no ECDH and no signature. */
static const unsigned char *choose(const unsigned char *p, size_t len)
{
	const unsigned char *best = NULL;

	for (int i = 0; i < ALPN_NAMES_MAX && len; i++) {
		size_t n = (size_t)p[0] + 1;

		if (n > len)
			return NULL;
		if (n == sizeof alpn_transit - 1 && !memcmp(p, alpn_transit, n))
			return alpn_transit;
		if (n == sizeof alpn_http - 1 && !memcmp(p, alpn_http, n))
			best = alpn_http;
		p += n;
		len -= n;
	}
	return best;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *p;
	size_t len;

	(void)arg;
	/* the extension is a list with its own length of two bytes in front */
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
				      &len) == 1 &&
	    len > 2 && get_be16(p) == len - 2 && choose(p + 2, len - 2))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg)
{
	const unsigned char *name = choose(in, in_len);

	(void)ssl;
	(void)arg;
	if (!name)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = name + 1;
	*out_len = name[0];
	return SSL_TLSEXT_ERR_OK;
}

/* Reads of 256 KiB without OpenSSL's own read-ahead: that moves everything it has read ahead to the
 * front of its buffer for every record, eight times the data at this size. A buffering BIO costs
 * one copy. */
static int attach(struct conn *c, struct err *e)
{
	BIO *buffer = BIO_new(BIO_f_buffer()), *in = BIO_new_socket(c->socket, BIO_NOCLOSE),
	    *out = BIO_new_socket(c->socket, BIO_NOCLOSE);

	if (!buffer || !in || !out || BIO_set_read_buffer_size(buffer, READ_BUFFER) != 1) {
		BIO_free(buffer);
		BIO_free(in);
		BIO_free(out);
		return tls_err(e, ERR_SYS, "TLS buffers");
	}
	SSL_set_read_ahead(c->ssl, 0);
	SSL_set_default_read_buffer_len(c->ssl, 0);
	SSL_set0_rbio(c->ssl, BIO_push(buffer, in));
	SSL_set0_wbio(c->ssl, out);
	return 0;
}

static int prepare(struct conn *c, struct err *e)
{
	c->ctx = tls_context(true, e);
	if (!c->ctx)
		return -EIO;
	SSL_CTX_set_client_hello_cb(c->ctx, on_client_hello, NULL);
	SSL_CTX_set_alpn_select_cb(c->ctx, on_alpn, NULL);
	if (SSL_CTX_use_certificate(c->ctx, c->cert) != 1 ||
	    SSL_CTX_use_PrivateKey(c->ctx, keymethod_key(c->key)) != 1)
		return tls_err(e, ERR_SYS, "certificate and key");
	c->ssl = SSL_new(c->ctx);
	if (!c->ssl)
		return tls_err(e, ERR_SYS, "TLS connection");
	return attach(c, e);
}

static int accept_until(struct conn *c, uint64_t deadline_ms, struct err *e)
{
	for (;;) {
		int ok = SSL_accept(c->ssl), why = SSL_get_error(c->ssl, ok), left;
		struct pollfd p = { .fd = c->socket };

		if (ok == 1)
			return 0;
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return tls_err(e, ERR_PEER, "handshake");
		if (BIO_number_read(SSL_get_rbio(c->ssl)) > BEFORE_LOGIN_MAX)
			return err_set(e, ERR_PEER, EMSGSIZE, "handshake of too many bytes");
		left = clock_left_ms(deadline_ms);
		if (!left)
			return err_set(e, ERR_PEER, ETIMEDOUT, "handshake not done in time");
		p.events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		if (poll(&p, 1, left) < 0 && errno != EINTR)
			return err_set(e, ERR_SYS, errno, "wait for the handshake");
	}
}

int conn_handshake(struct conn *c, uint64_t deadline_ms, struct err *e)
{
	const unsigned char *name;
	unsigned int len;
	int r;

	/* not a TCP socket in unit tests: then this does nothing */
	tcp_set_up(c->socket, c->o->idle_timeout_s);
	r = prepare(c, e);
	if (!r)
		r = accept_until(c, deadline_ms, e);
	if (!r)
		r = tls_channel(c->ssl, c->cert, &c->channel, e);
	if (r < 0)
		return r;
	SSL_get0_alpn_selected(c->ssl, &name, &len);
	c->stage = len == sizeof alpn_transit - 2 ? CONN_LOGIN : CONN_HTTP;
	return 0;
}

void conn_tls_free(struct conn *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	keymethod_free(c->key);
	X509_free(c->cert);
}

int conn_read(struct conn *c, void *buf, size_t len, size_t *ret)
{
	int ok, why;

	ERR_clear_error();
	c->read_wants_out = false;
	ok = SSL_read_ex(c->ssl, buf, len, ret);
	if (ok == 1) {
		c->heard_ms = clock_ms();
		c->n_bytes += *ret;
		return 0;
	}
	why = SSL_get_error(c->ssl, ok);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		c->read_wants_out = why == SSL_ERROR_WANT_WRITE;
		return -EAGAIN;
	}
	/* a close without a bye, orderly for TLS or not, is an interruption */
	return conn_drop(c, CONN_END_INTERRUPTED, "no-bye");
}

/* A browser or a monitor gets one fixed answer, whatever it asked. */
int conn_http_go(struct conn *c)
{
	static const char answer[] = "HTTP/1.1 404 Not Found\r\n"
				     "Content-Type: text/plain\r\n"
				     "Content-Length: 58\r\n"
				     "Connection: close\r\n"
				     "\r\n"
				     "status over HTTP needs a token; not in this version of it\n";
	size_t n;
	int r;

	r = conn_buffer(c, HTTP_HEAD_MAX);
	while (!r && !memmem(c->buf, c->progress, "\r\n\r\n", 4)) {
		if (c->progress == HTTP_HEAD_MAX)
			return conn_drop(c, CONN_END_REFUSED, "http-head-too-large");
		r = conn_read(c, c->buf + c->progress, HTTP_HEAD_MAX - c->progress, &n);
		if (!r)
			c->progress += n;
	}
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	r = conn_out_bytes(c, answer, sizeof answer - 1);
	conn_finish(c, CONN_END_REFUSED, "http");
	return r;
}
