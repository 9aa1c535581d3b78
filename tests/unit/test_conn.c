/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connection as a process of its own: this file plays the sender over real TLS, the keeper in a
 * thread (its key signs), and the writer by looking into the ring.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "codec.h"
#include "frame_decoder.h"
#include "ipc.h"
#include "ring.h"
#include "roles.h"
#include "tls.h"

#define BLOCK ((uint32_t)BLOCK_SIZE_MIN)
#define BLOCKS 600
#define SIZE (BLOCKS * (uint64_t)BLOCK - 1000)
#define SEEN_MAX 256

struct keeper { /* the thread's world */
	int fd;
	EVP_PKEY *key;
	pthread_t thread;
	atomic_int seen[SEEN_MAX]; /* how many of each message type */
	atomic_bool deaf;          /* answers no login */
	int writer;                /* our end of the channel to disk 0 */
	struct ring ring;
	uint8_t facts[FACTS_MAX];
	uint64_t facts_len;
};

struct fixture {
	struct conn_options o;
	struct keeper k;
	pid_t pid;
	int sock;
	SSL_CTX *ctx;
	SSL *ssl;
	struct frame head;
	uint8_t payload[FRAME_PAYLOAD_MAX];
	uint64_t seq;
};

/* ---- keeper ---- */

static X509 *make_cert(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	assert_non_null(cert);
	assert_int_equal(X509_set_version(cert, 2), 1);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static void greet(struct keeper *k)
{
	X509 *cert = make_cert(k->key);
	unsigned char *der = NULL;
	struct ipc_msg m = { 0 };
	int len = i2d_X509(cert, &der);

	ipc_init(&m, IPC_GREETING);
	memset(m.digest, 0x4e, sizeof m.digest);
	m.a = m.blob_len = (uint32_t)len;
	memcpy(m.blob, der, (size_t)len);
	(void)ipc_send(k->fd, &m, NULL, 0, NULL);
	OPENSSL_free(der);
	X509_free(cert);
}

static void sign(struct keeper *k, const struct ipc_msg *ask)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
	struct ipc_msg m = { 0 };
	size_t len = sizeof m.blob;

	ipc_init(&m, IPC_SIGNED);
	if (EVP_PKEY_sign_init(c) == 1 &&
	    EVP_PKEY_sign(c, m.blob, &len, ask->blob, DIGEST_LEN) == 1)
		m.a = m.blob_len = (uint32_t)len;
	EVP_PKEY_CTX_free(c);
	(void)ipc_send(k->fd, &m, NULL, 0, NULL);
}

static void welcome(struct keeper *k, uint64_t epoch)
{
	struct msg_welcome w = { .version = WIRE_VERSION,
				 .state = TASK_RECEIVING,
				 .epoch = epoch,
				 .block_size = BLOCK,
				 .disks = 1 };
	struct ipc_msg m = { 0 };

	ipc_init(&m, IPC_SEND);
	m.disk = FRAME_NO_DISK;
	m.a = FRAME_WELCOME;
	m.b = m.blob_len = MSG_WELCOME_LEN;
	msg_welcome_encode(&w, m.blob);
	(void)ipc_send(k->fd, &m, NULL, 0, NULL);
}

static void opened(struct keeper *k, uint32_t disk)
{
	struct msg_opened o = { .target_size = 2 * SIZE, .blocks = BLOCKS, .block_size = BLOCK };
	int pair[2], fds[2];
	struct ipc_msg m = { 0 };

	if (ring_make(BLOCK, &k->ring, NULL) || ipc_pair(pair, NULL))
		abort();
	k->writer = pair[0];
	ipc_init(&m, IPC_OPENED);
	m.disk = disk;
	m.blob_len = MSG_OPENED_LEN;
	msg_opened_encode(&o, m.blob);
	fds[0] = k->ring.fd;
	fds[1] = pair[1];
	(void)ipc_send(k->fd, &m, fds, 2, NULL);
	(void)close(pair[1]);
}

static void hear(struct keeper *k, const struct ipc_msg *m)
{
	if (m->type == IPC_SIGN)
		sign(k, m);
	else if (m->type == IPC_LOGIN && !k->deaf)
		welcome(k, m->blob[2] == LOGIN_PROBE ? 0 : 1);
	else if (m->type == IPC_PAIR && !k->deaf)
		welcome(k, 0);
	else if (m->type == IPC_OPEN)
		opened(k, m->disk);
	else if (m->type == IPC_FACTS && m->b + m->a <= FACTS_MAX) {
		memcpy(k->facts + m->b, m->blob, m->a);
		k->facts_len = m->b + m->a;
	}
	/* last: who waits for the count may look at what it stands for */
	if (m->type < SEEN_MAX)
		atomic_fetch_add(&k->seen[m->type], 1);
}

static void *keep(void *arg)
{
	struct keeper *k = arg;
	struct ipc_msg m = { 0 };
	int r;

	do {
		struct pollfd p = { .fd = k->fd, .events = POLLIN };

		(void)poll(&p, 1, 1000);
		r = ipc_recv(k->fd, &m, NULL, NULL, NULL);
		if (r == 1)
			hear(k, &m);
	} while (r >= 0);
	return NULL;
}

/* ---- set up ---- */

static int set_up(void **state)
{
	static struct fixture fixtures[1];
	struct fixture *f = fixtures;

	memset(f, 0, sizeof *f);
	f->o = (struct conn_options){
		.number = 7, .handshake_timeout_s = 2, .login_timeout_s = 3, .idle_timeout_s = 3
	};
	f->sock = f->k.writer = f->k.fd = -1;
	*state = f;
	return 0;
}

static void start(struct fixture *f)
{
	int channel[2], net[2];

	assert_int_equal(ipc_pair(channel, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, net), 0);
	f->o.accepted_ms = clock_ms();
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(channel[0]);
		(void)close(net[0]);
		/* as accept4() gives it */
		(void)fcntl(net[1], F_SETFL, O_NONBLOCK);
		_exit(conn_main(channel[1], net[1], &f->o));
	}
	(void)close(channel[1]);
	(void)close(net[1]);
	f->sock = net[0];
	f->k.fd = channel[0];
	f->k.key = EVP_EC_gen("P-256");
	assert_non_null(f->k.key);
	greet(&f->k);
	assert_int_equal(pthread_create(&f->k.thread, NULL, keep, &f->k), 0);
}

static bool shake_hands(struct fixture *f, const char *alpn, size_t len)
{
	f->ctx = tls_context(false, NULL);
	assert_non_null(f->ctx);
	f->ssl = SSL_new(f->ctx);
	if (alpn)
		assert_int_equal(
		    SSL_set_alpn_protos(f->ssl, (const unsigned char *)alpn, (unsigned)len), 0);
	assert_int_equal(SSL_set_fd(f->ssl, f->sock), 1);
	return SSL_connect(f->ssl) == 1;
}

/* How the process ended; fails after ten seconds. */
static int exit_status(struct fixture *f)
{
	int status = -1;

	for (int i = 0; i < 1000; i++) {
		if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
			f->pid = 0;
			assert_true(WIFEXITED(status));
			return WEXITSTATUS(status);
		}
		(void)usleep(10000);
	}
	fail_msg("the connection does not end");
	return -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	SSL_free(f->ssl);
	SSL_CTX_free(f->ctx);
	close_fdp(&f->sock);
	if (f->pid > 0) {
		(void)kill(f->pid, SIGKILL);
		(void)waitpid(f->pid, NULL, 0);
	}
	if (f->k.fd >= 0)
		(void)pthread_join(f->k.thread, NULL);
	close_fdp(&f->k.fd);
	close_fdp(&f->k.writer);
	ring_close(&f->k.ring);
	EVP_PKEY_free(f->k.key);
	return 0;
}

/* ---- sender ---- */

static bool read_all(struct fixture *f, void *buf, size_t len)
{
	size_t at = 0, n;

	while (at < len) {
		if (SSL_read_ex(f->ssl, (uint8_t *)buf + at, len - at, &n) != 1)
			return false;
		at += n;
	}
	return true;
}

static bool next_frame(struct fixture *f)
{
	uint8_t head[FRAME_HEADER_LEN];

	if (!read_all(f, head, sizeof head))
		return false;
	assert_int_equal(frame_decode(head, &f->head, NULL), 0);
	return read_all(f, f->payload, f->head.length);
}

static void expect(struct fixture *f, enum frame_kind kind)
{
	assert_true(next_frame(f));
	assert_string_equal(frame_kind_word(f->head.kind), frame_kind_word(kind));
}

static void expect_error(struct fixture *f, enum wire_error code)
{
	struct msg_error m;

	do
		assert_true(next_frame(f));
	while (f->head.kind != FRAME_ERROR);
	assert_int_equal(msg_error_decode(f->payload, f->head.length, &m, NULL), 0);
	assert_string_equal(wire_error_word(m.code), wire_error_word(code));
	assert_false(next_frame(f));
	close_fdp(&f->sock);
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
}

static void send_bytes(struct fixture *f, const void *p, size_t len)
{
	size_t n;

	if (len)
		assert_int_equal(SSL_write_ex(f->ssl, p, len, &n), 1);
}

static void send_frame(struct fixture *f, struct frame head, const void *payload)
{
	uint8_t out[FRAME_HEADER_LEN];

	frame_encode(&head, out);
	send_bytes(f, out, sizeof out);
	for (uint32_t at = 0; at < head.length;) {
		uint32_t n = head.length - at > 16384 ? 16384 : head.length - at;

		send_bytes(f, (const uint8_t *)payload + at, n);
		at += n;
	}
}

static void send_login_as(struct fixture *f, enum login_role role, uint64_t epoch)
{
	struct msg_login m = { .version = WIRE_VERSION, .role = role, .epoch = epoch };
	uint8_t payload[MSG_LOGIN_LEN];

	msg_login_encode(&m, payload);
	send_frame(
	    f,
	    (struct frame){ .kind = FRAME_LOGIN, .disk = FRAME_NO_DISK, .length = MSG_LOGIN_LEN },
	    payload);
}

static void send_login(struct fixture *f)
{
	send_login_as(f, LOGIN_DATA, 1);
}

static void connect_and_hello(struct fixture *f)
{
	start(f);
	assert_true(shake_hands(f, "\x09" WIRE_ALPN, 10));
	expect(f, FRAME_HELLO);
}

static void log_in(struct fixture *f)
{
	connect_and_hello(f);
	send_login(f);
	expect(f, FRAME_WELCOME);
}

static void open_disk(struct fixture *f)
{
	struct msg_open m = { .size = SIZE,
			      .logical_sector = 512,
			      .physical_sector = 4096,
			      .identity = "a source disk" };
	uint8_t payload[MSG_OPEN_LEN];

	log_in(f);
	msg_open_encode(&m, payload);
	send_frame(f, (struct frame){ .kind = FRAME_OPEN, .length = MSG_OPEN_LEN }, payload);
	expect(f, FRAME_OPENED);
}

static size_t length_of(uint64_t block)
{
	return block == BLOCKS - 1 ? BLOCK - 1000 : BLOCK;
}

static struct frame data_frame(struct fixture *f, uint64_t block, uint8_t *payload, bool lz4)
{
	struct digest_ctx *d = digest_new();
	struct frame head = { .kind = FRAME_DATA, .gen = 1, .block = block, .seq = ++f->seq };
	static uint8_t plain[BLOCK_SIZE_MIN];
	size_t len = length_of(block), out;

	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)((lz4 ? i / 64 : i * i) + block + 1);
	assert_int_equal(digest_of(d, plain, len, payload), 0);
	digest_free(d);
	struct codec_ctx *codec = codec_new();
	head.codec = (uint8_t)codec_encode(codec, lz4 ? CODEC_LZ4 : CODEC_RAW, 1, plain, len,
					   payload + DIGEST_LEN, len, &out);
	codec_free(codec);
	assert_int_equal(head.codec, lz4 ? CODEC_LZ4 : CODEC_RAW);
	if (!lz4) {
		memcpy(payload + DIGEST_LEN, plain, len);
		out = len;
	}
	head.length = DIGEST_LEN + (uint32_t)out;
	return head;
}

/* ---- writer ---- */

static int writer_next(struct fixture *f, struct ipc_msg *m, int timeout_ms)
{
	struct pollfd p = { .fd = f->k.writer, .events = POLLIN };

	if (poll(&p, 1, timeout_ms) <= 0)
		return 0;
	return ipc_recv(f->k.writer, m, NULL, NULL, NULL);
}

static void writer_says(struct fixture *f, enum ipc_type type, uint64_t a, uint64_t b, uint64_t d,
			uint32_t slot)
{
	struct ipc_msg m = { 0 };

	ipc_init(&m, type);
	m.a = a;
	m.b = b;
	m.d = d;
	m.slot = slot;
	assert_int_equal(ipc_send(f->k.writer, &m, NULL, 0, NULL), 0);
}

static void wait_seen(struct fixture *f, enum ipc_type type)
{
	for (int i = 0; i < 500 && !f->k.seen[type]; i++)
		(void)usleep(10000);
	assert_int_equal(f->k.seen[type], 1);
}

/* ---- before the login ---- */

static void the_handshake_is_signed_far_away_once(void **state)
{
	struct fixture *f = *state;
	struct msg_hello m;

	connect_and_hello(f);
	wait_seen(f, IPC_SIGN);
	assert_int_equal(msg_hello_decode(f->payload, f->head.length, &m, NULL), 0);
	assert_int_equal(m.version_min, WIRE_VERSION);
	assert_int_equal(m.nonce[5], 0x4e);
	assert_int_equal(SSL_version(f->ssl), TLS1_3_VERSION);
}

static void nothing_but_pair_and_login_is_taken_before_the_login(void **state)
{
	static const struct frame frames[] = {
		{ .kind = FRAME_OPEN, .length = MSG_OPEN_LEN },
		{ .kind = FRAME_DATA, .length = DIGEST_LEN + 1, .seq = 1 },
		{ .kind = FRAME_FACTS, .disk = FRAME_NO_DISK, .length = 2 },
		{ .kind = FRAME_FLUSH, .seq = 1 },
		{ .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = MSG_PING_LEN },
		{ .kind = FRAME_HELLO, .disk = FRAME_NO_DISK, .length = MSG_HELLO_LEN },
		{ .kind = FRAME_WELCOME, .disk = FRAME_NO_DISK, .length = MSG_WELCOME_LEN },
		{ .kind = FRAME_SEAL,
		  .disk = FRAME_NO_DISK,
		  .length = 40 + MSG_SEAL_DISK_LEN + SIGNATURE_LEN },
	};
	static const uint8_t zeros[256];
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		connect_and_hello(f);
		send_frame(f, frames[i], zeros);
		expect_error(f, WIRE_PROTOCOL);
		assert_int_equal(f->k.seen[IPC_OPEN] + f->k.seen[IPC_FACTS] + f->k.seen[IPC_SEAL],
				 0);
		(void)tear_down(state);
		(void)set_up(state);
	}
}

static void a_connection_without_our_protocol_gets_no_handshake(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_false(shake_hands(f, NULL, 0));
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
	assert_int_equal(f->k.seen[IPC_SIGN], 0);
	(void)tear_down(state);
	(void)set_up(state);
	start(f);
	assert_false(shake_hands(f, "\x02h2", 3));
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
	assert_int_equal(f->k.seen[IPC_SIGN], 0);
}

static void a_browser_gets_one_fixed_answer(void **state)
{
	static const char get[] = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
	struct fixture *f = *state;
	char answer[1024] = "";
	size_t at = 0, n;

	start(f);
	assert_true(shake_hands(f,
				"\x08"
				"http/1.1",
				9));
	send_bytes(f, get, sizeof get - 1);
	while (SSL_read_ex(f->ssl, answer + at, sizeof answer - 1 - at, &n) == 1)
		at += n;
	close_fdp(&f->sock);
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	assert_non_null(strstr(answer, "\r\n\r\nstatus over HTTP needs a token"));
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
}

static void who_does_not_log_in_is_sent_away_in_time(void **state)
{
	struct fixture *f = *state;
	uint64_t from = clock_ms();

	connect_and_hello(f);
	expect_error(f, WIRE_LIMIT);
	assert_in_range(clock_ms() - from, 2500, 4500);
}

static void a_byte_now_and_then_does_not_move_the_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t from = clock_ms();
	uint8_t head[FRAME_HEADER_LEN];
	size_t n;

	connect_and_hello(f);
	frame_encode(
	    &(struct frame){ .kind = FRAME_LOGIN, .disk = FRAME_NO_DISK, .length = MSG_LOGIN_LEN },
	    head);
	for (size_t i = 0; i < sizeof head; i++) {
		if (SSL_write_ex(f->ssl, head + i, 1, &n) != 1 || clock_ms() - from > 4000)
			break;
		(void)usleep(150000);
	}
	(void)exit_status(f);
	assert_in_range(clock_ms() - from, 2500, 6500);
}

static void a_handshake_that_stalls_ends_in_time(void **state)
{
	struct fixture *f = *state;
	uint64_t from = clock_ms();

	start(f);
	assert_int_equal(write(f->sock, "\x16\x03\x01\x01\x00", 5), 5);
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
	assert_in_range(clock_ms() - from, 1500, 3500);
}

static void garbage_instead_of_a_handshake_ends_the_process(void **state)
{
	static const uint8_t garbage[5000] = { 0x16, 3, 1, 2, 0, 0xff, 0xff };
	struct fixture *f = *state;

	start(f);
	(void)!write(f->sock, garbage, sizeof garbage);
	assert_int_equal(exit_status(f), CONN_END_REFUSED);
}

static void garbage_instead_of_a_frame_is_a_protocol_error(void **state)
{
	static const uint8_t garbage[64] = "this is not a frame and never was";
	struct fixture *f = *state;

	connect_and_hello(f);
	send_bytes(f, garbage, sizeof garbage);
	expect_error(f, WIRE_PROTOCOL);
}

static void pairing_is_carried_and_a_login_may_follow(void **state)
{
	struct fixture *f = *state;
	struct msg_pair m = { .version = WIRE_VERSION };
	uint8_t payload[MSG_PAIR_LEN];

	connect_and_hello(f);
	msg_pair_encode(&m, payload);
	send_frame(
	    f, (struct frame){ .kind = FRAME_PAIR, .disk = FRAME_NO_DISK, .length = MSG_PAIR_LEN },
	    payload);
	expect(f, FRAME_WELCOME);
	/* paired is not logged in */
	send_frame(f, (struct frame){ .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = 8 },
		   payload);
	expect_error(f, WIRE_PROTOCOL);
	(void)tear_down(state);
	(void)set_up(state);
	connect_and_hello(f);
	send_frame(
	    f, (struct frame){ .kind = FRAME_PAIR, .disk = FRAME_NO_DISK, .length = MSG_PAIR_LEN },
	    payload);
	expect(f, FRAME_WELCOME);
	send_login(f);
	expect(f, FRAME_WELCOME);
	wait_seen(f, IPC_PAIR);
	wait_seen(f, IPC_LOGIN);
}

static void nothing_is_read_while_the_login_is_judged(void **state)
{
	struct fixture *f = *state;

	f->k.deaf = true;
	connect_and_hello(f);
	send_login(f);
	send_frame(f, (struct frame){ .kind = FRAME_FLUSH, .seq = 1 }, NULL);
	/* no protocol error for the flush: it is not looked at before the answer */
	expect_error(f, WIRE_LIMIT);
}

/* ---- the end ---- */

static void bye_is_answered_and_the_end_is_clean(void **state)
{
	struct fixture *f = *state;

	log_in(f);
	send_frame(f, (struct frame){ .kind = FRAME_BYE, .disk = FRAME_NO_DISK }, NULL);
	expect(f, FRAME_BYE);
	assert_false(next_frame(f));
	(void)shutdown(f->sock, SHUT_RDWR);
	assert_int_equal(exit_status(f), CONN_END_BYE);
}

static void an_end_without_bye_is_an_interruption(void **state)
{
	struct fixture *f = *state;

	log_in(f);
	(void)SSL_shutdown(f->ssl); /* TLS's own goodbye is not ours */
	close_fdp(&f->sock);
	assert_int_equal(exit_status(f), CONN_END_INTERRUPTED);
}

static void a_silent_sender_is_given_up(void **state)
{
	struct fixture *f = *state;
	uint64_t from;

	log_in(f);
	from = clock_ms();
	assert_int_equal(exit_status(f), CONN_END_INTERRUPTED);
	assert_in_range(clock_ms() - from, 2000, 4500);
}

static void the_keepers_error_reaches_the_sender(void **state)
{
	struct fixture *f = *state;
	struct msg_error e = { .code = WIRE_PAUSED, .text = "paused by the operator" };
	struct ipc_msg m = { 0 };

	log_in(f);
	ipc_init(&m, IPC_SEND);
	m.disk = FRAME_NO_DISK;
	m.a = FRAME_ERROR;
	m.blob_len = (uint32_t)msg_error_encode(&e, m.blob, sizeof m.blob);
	m.b = m.blob_len;
	assert_int_equal(ipc_send(f->k.fd, &m, NULL, 0, NULL), 0);
	expect_error(f, WIRE_PAUSED);
}

static void ping_is_answered_with_the_same_bytes(void **state)
{
	struct fixture *f = *state;

	log_in(f);
	send_frame(f, (struct frame){ .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = 8 },
		   "12345678");
	expect(f, FRAME_PONG);
	assert_memory_equal(f->payload, "12345678", 8);
}

static void facts_arrive_whole_in_pieces(void **state)
{
	struct fixture *f = *state;
	static uint8_t facts[FACTS_MAX];

	for (size_t i = 0; i < sizeof facts; i++)
		facts[i] = (uint8_t)(i * 7);
	log_in(f);
	send_frame(
	    f, (struct frame){ .kind = FRAME_FACTS, .disk = FRAME_NO_DISK, .length = sizeof facts },
	    facts);
	send_frame(f, (struct frame){ .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = 8 },
		   facts);
	expect(f, FRAME_PONG);
	for (int i = 0; i < 300 && f->k.facts_len < FACTS_MAX; i++)
		(void)usleep(10000);
	assert_int_equal(f->k.facts_len, FACTS_MAX);
	assert_memory_equal(f->k.facts, facts, sizeof facts);
}

/* ---- data ---- */

static void put_and_compare(struct fixture *f, uint64_t block, bool lz4)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX];
	struct digest_ctx *d = digest_new();
	struct frame head = data_frame(f, block, payload, lz4);
	uint8_t digest[DIGEST_LEN];
	struct ipc_msg m = { 0 };

	send_frame(f, head, payload);
	assert_int_equal(writer_next(f, &m, 5000), 1);
	assert_int_equal(m.type, IPC_PUT);
	assert_int_equal(m.a, block);
	assert_int_equal(m.c, length_of(block));
	assert_int_equal(m.d, f->seq);
	assert_non_null(ring_slot(&f->k.ring, m.slot));
	assert_int_equal(digest_of(d, ring_slot(&f->k.ring, m.slot), m.c, digest), 0);
	assert_memory_equal(digest, m.digest, DIGEST_LEN);
	assert_memory_equal(digest, payload, DIGEST_LEN);
	digest_free(d);
	writer_says(f, IPC_SLOT_FREE, 0, 0, 0, m.slot);
}

static void blocks_land_in_the_ring_expanded_and_whole(void **state)
{
	struct fixture *f = *state;

	open_disk(f);
	for (uint64_t i = 0; i < 100; i++)
		put_and_compare(f, i, i % 2);
	put_and_compare(f, BLOCKS - 1, false);
	put_and_compare(f, BLOCKS - 1, true);
	writer_says(f, IPC_DURABLE, 101, 12345, f->seq, 0);
	expect(f, FRAME_DURABLE);
	assert_int_equal(f->head.seq, f->seq);
}

static void a_wrong_digest_writes_nothing(void **state)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX];
	struct fixture *f = *state;
	struct frame head;
	struct ipc_msg m = { 0 };

	open_disk(f);
	put_and_compare(f, 1, true);
	head = data_frame(f, 2, payload, true);
	payload[0] ^= 1;
	send_frame(f, head, payload);
	expect_error(f, WIRE_DIGEST);
	assert_int_equal(writer_next(f, &m, 100), -EPIPE);
}

static void a_flipped_bit_of_a_raw_block_writes_nothing(void **state)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX];
	struct fixture *f = *state;
	struct frame head;
	struct ipc_msg m = { 0 };

	open_disk(f);
	head = data_frame(f, 2, payload, false);
	payload[DIGEST_LEN + 777] ^= 0x10;
	send_frame(f, head, payload);
	expect_error(f, WIRE_DIGEST);
	assert_int_equal(writer_next(f, &m, 100), -EPIPE);
}

static void hostile_data_frames_are_refused_before_the_writer(void **state)
{
	struct hostile {
		uint64_t block, seq;
		uint32_t length;
		uint8_t codec, disk;
		enum wire_error code;
	};
	static const struct hostile cases[] = {
		{ BLOCKS, 1, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ UINT64_C(1) << 37, 1, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ 0, 1, DIGEST_LEN + BLOCK_SIZE_MIN - 1, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ 0, 1, DIGEST_LEN + BLOCK_SIZE_MIN + 1, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ BLOCKS - 1, 1, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ 0, 1, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_LZ4, 0, WIRE_PROTOCOL },
		{ 0, 1, DIGEST_LEN + 100, CODEC_LZ4, 0, WIRE_PROTOCOL }, /* not LZ4 */
		{ 0, 2, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ 0, UINT64_MAX, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 0, WIRE_PROTOCOL },
		{ 0, 1, DIGEST_LEN + BLOCK_SIZE_MIN, CODEC_RAW, 1, WIRE_NO_TICKET },
	};
	static const uint8_t zeros[FRAME_PAYLOAD_MAX];
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct frame head = { .kind = FRAME_DATA,
				      .disk = cases[i].disk,
				      .codec = cases[i].codec,
				      .block = cases[i].block,
				      .seq = cases[i].seq,
				      .length = cases[i].length };
		struct ipc_msg m = { 0 };

		open_disk(f);
		send_frame(f, head, zeros);
		expect_error(f, cases[i].code);
		assert_int_equal(writer_next(f, &m, 100), -EPIPE);
		(void)tear_down(state);
		(void)set_up(state);
	}
}

static void runs_past_the_disk_are_refused(void **state)
{
	static const uint64_t runs[][2] = {
		{ BLOCKS - 1, 2 }, { 1, BLOCKS }, { BLOCKS, 1 }, { 1, UINT64_C(1) << 37 }
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < 4; i++) {
		uint8_t payload[MSG_RUN_LEN];
		struct ipc_msg m = { 0 };

		open_disk(f);
		msg_run_encode(runs[i][1], payload);
		send_frame(f,
			   (struct frame){ .kind = i % 2 ? FRAME_ZERO : FRAME_UNCHANGED,
					   .block = runs[i][0],
					   .seq = 1,
					   .length = MSG_RUN_LEN },
			   payload);
		expect_error(f, WIRE_PROTOCOL);
		assert_int_equal(writer_next(f, &m, 100), -EPIPE);
		(void)tear_down(state);
		(void)set_up(state);
	}
}

struct pump {
	struct fixture *f;
	uint64_t n;
};

static void *pump(void *arg)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX];
	struct pump *p = arg;

	for (uint64_t i = 0; i < p->n; i++)
		send_frame(p->f, data_frame(p->f, i % BLOCKS, payload, false), payload);
	return NULL;
}

/* More is under way than ring and sockets hold: the sender waits, and nothing is lost. */
static void a_slow_writer_is_the_brake_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct pump p = { .f = f, .n = 300 };
	pthread_t sender;
	struct ipc_msg m = { 0 };
	uint32_t held = 0;

	open_disk(f);
	assert_int_equal(pthread_create(&sender, NULL, pump, &p), 0);
	/* longer than the idle limit: the disk being slow is not the sender being dead */
	(void)sleep(4);
	while (writer_next(f, &m, 300) == 1)
		held++;
	assert_int_equal(held, RING_BYTES / BLOCK);
	/* while no slot is free, what the writer says is still passed on */
	writer_says(f, IPC_DURABLE, 1, 2, 3, 0);
	expect(f, FRAME_DURABLE);
	assert_int_equal(f->head.seq, 3);
	for (uint32_t i = 0; i < held; i++)
		writer_says(f, IPC_SLOT_FREE, 0, 0, 0, i);
	for (uint64_t i = held; i < p.n; i++) {
		assert_int_equal(writer_next(f, &m, 5000), 1);
		assert_int_equal(m.type, IPC_PUT);
		assert_int_equal(m.d, i + 1);
		writer_says(f, IPC_SLOT_FREE, 0, 0, 0, m.slot);
	}
	assert_int_equal(pthread_join(sender, NULL), 0);
}

static void have_is_asked_again_until_the_last(void **state)
{
	struct fixture *f = *state;
	struct msg_have_ask ask = { .block = 0, .count = BLOCKS };
	struct have_entry entry = { .block = 99, .count = 1, .gen = 3, .kind = HAVE_DATA };
	uint8_t payload[MSG_HAVE_ASK_LEN];
	struct ipc_msg m = { 0 };

	open_disk(f);
	msg_have_ask_encode(&ask, payload);
	send_frame(f, (struct frame){ .kind = FRAME_HAVE_ASK, .length = MSG_HAVE_ASK_LEN },
		   payload);
	assert_int_equal(writer_next(f, &m, 5000), 1);
	assert_int_equal(m.type, IPC_HAVE_ASK);
	assert_int_equal(m.a, 0);
	assert_int_equal(m.b, BLOCKS);
	have_entry_encode(&entry, ring_slot(&f->k.ring, m.slot));
	writer_says(f, IPC_HAVE, HAVE_ENTRY_LEN, 0, 0, m.slot);
	expect(f, FRAME_HAVE);
	assert_int_equal(f->head.flags, 0);
	assert_int_equal(writer_next(f, &m, 5000), 1);
	assert_int_equal(m.type, IPC_HAVE_ASK);
	assert_int_equal(m.a, 100);
	assert_int_equal(m.b, BLOCKS - 100);
	writer_says(f, IPC_HAVE, 0, 1, 0, m.slot);
	expect(f, FRAME_HAVE);
	assert_int_equal(f->head.flags, FRAME_FLAG_LAST);
	assert_int_equal(f->head.length, 0);
}

static void a_manifest_is_cut_to_the_size_of_slots(void **state)
{
	static uint8_t digests[BLOCKS * DIGEST_LEN];
	struct fixture *f = *state;
	struct ipc_msg m = { 0 };

	open_disk(f);
	for (size_t i = 0; i < sizeof digests; i++)
		digests[i] = (uint8_t)(i * 3);
	send_frame(f,
		   (struct frame){ .kind = FRAME_MANIFEST, .block = 0, .length = sizeof digests },
		   digests);
	assert_int_equal(writer_next(f, &m, 5000), 1);
	assert_int_equal(m.type, IPC_LIST);
	assert_int_equal(m.a, 0);
	assert_int_equal(m.b, BLOCKS);
	assert_memory_equal(ring_slot(&f->k.ring, m.slot), digests, sizeof digests);
}

static void a_writers_fault_reaches_the_sender(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m = { 0 };

	open_disk(f);
	ipc_init(&m, IPC_FAULT);
	m.a = WIRE_DISK_FAILED;
	(void)strcpy(m.text, "disk 0 failed at byte 4096");
	assert_int_equal(ipc_send(f->k.writer, &m, NULL, 0, NULL), 0);
	expect_error(f, WIRE_DISK_FAILED);
}

static void a_cut_in_the_middle_of_a_block_never_existed(void **state)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX];
	struct fixture *f = *state;
	uint8_t out[FRAME_HEADER_LEN];
	struct frame head;
	struct ipc_msg m = { 0 };

	open_disk(f);
	head = data_frame(f, 0, payload, false);
	frame_encode(&head, out);
	send_bytes(f, out, sizeof out);
	send_bytes(f, payload, 16000);
	(void)usleep(100000);
	(void)shutdown(f->sock, SHUT_RDWR);
	assert_int_equal(exit_status(f), CONN_END_INTERRUPTED);
	assert_int_equal(writer_next(f, &m, 1000), -EPIPE);
}

static void a_seal_goes_to_the_keeper(void **state)
{
	static uint8_t payload[MSG_SEAL_MAX];
	struct fixture *f = *state;

	log_in(f);
	send_frame(f,
		   (struct frame){ .kind = FRAME_SEAL,
				   .disk = FRAME_NO_DISK,
				   .length = 40 + MSG_SEAL_DISK_LEN + SIGNATURE_LEN },
		   payload);
	wait_seen(f, IPC_SEAL);
}

/* ---- a probe ---- */

static void probe(struct fixture *f, uint32_t len)
{
	static const uint8_t bytes[PROBE_MAX];

	send_frame(f, (struct frame){ .kind = FRAME_PROBE, .disk = FRAME_NO_DISK, .length = len },
		   bytes);
}

static void log_in_to_probe(struct fixture *f)
{
	connect_and_hello(f);
	send_login_as(f, LOGIN_PROBE, 0);
	expect(f, FRAME_WELCOME);
}

/* Reads answers until one says ${bytes}; how many there were. */
static unsigned answers_until(struct fixture *f, uint64_t bytes)
{
	struct msg_probed m = { 0 };
	uint64_t before = 0;
	unsigned n = 0;

	for (; m.bytes != bytes; n++) {
		expect(f, FRAME_PROBED);
		assert_int_equal(msg_probed_decode(f->payload, f->head.length, &m, NULL), 0);
		assert_true(m.bytes >= before && m.bytes <= bytes);
		before = m.bytes;
	}
	return n;
}

static void a_probe_is_counted_and_thrown_away(void **state)
{
	struct fixture *f = *state;

	log_in_to_probe(f);
	probe(f, 0);
	(void)answers_until(f, 0);
	probe(f, PROBE_MAX);
	probe(f, 1);
	probe(f, 100000);
	(void)answers_until(f, PROBE_MAX + 100001);
	send_frame(f, (struct frame){ .kind = FRAME_BYE, .disk = FRAME_NO_DISK }, NULL);
	expect(f, FRAME_BYE);
	assert_int_equal(exit_status(f), CONN_END_BYE);
	/* nobody but the keeper heard of it, and that only at the login */
	for (int i = 0; i < SEEN_MAX; i++)
		assert_int_equal(f->k.seen[i], i == IPC_SIGN || i == IPC_LOGIN ? 1 : 0);
}

static void a_thousand_small_probes_have_few_answers(void **state)
{
	struct fixture *f = *state;
	uint64_t began;

	log_in_to_probe(f);
	began = clock_ms();
	for (int i = 0; i < 1000; i++)
		probe(f, 1);
	/* one at the beginning, and one for each 50 ms that this has taken */
	unsigned n = answers_until(f, 1000);
	assert_true(n <= 2 + (clock_ms() - began) / 50);
}

static void ping_is_answered_on_a_probe_at_once(void **state)
{
	struct fixture *f = *state;
	const uint8_t bytes[MSG_PING_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	log_in_to_probe(f);
	send_frame(
	    f, (struct frame){ .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = sizeof bytes },
	    bytes);
	expect(f, FRAME_PONG);
	assert_memory_equal(f->payload, bytes, sizeof bytes);
}

static void a_probe_opens_no_disk(void **state)
{
	struct fixture *f = *state;
	struct msg_open m = { .size = SIZE,
			      .logical_sector = 512,
			      .physical_sector = 4096,
			      .identity = "a source disk" };
	uint8_t payload[MSG_OPEN_LEN];

	log_in_to_probe(f);
	msg_open_encode(&m, payload);
	send_frame(f, (struct frame){ .kind = FRAME_OPEN, .length = MSG_OPEN_LEN }, payload);
	expect_error(f, WIRE_PROTOCOL);
	assert_int_equal(f->k.seen[IPC_OPEN], 0);
}

static void a_session_may_not_probe(void **state)
{
	struct fixture *f = *state;

	log_in(f);
	probe(f, 1000);
	expect_error(f, WIRE_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(the_handshake_is_signed_far_away_once),
		T(nothing_but_pair_and_login_is_taken_before_the_login),
		T(a_connection_without_our_protocol_gets_no_handshake),
		T(a_browser_gets_one_fixed_answer),
		T(who_does_not_log_in_is_sent_away_in_time),
		T(a_byte_now_and_then_does_not_move_the_limit),
		T(a_handshake_that_stalls_ends_in_time),
		T(garbage_instead_of_a_handshake_ends_the_process),
		T(garbage_instead_of_a_frame_is_a_protocol_error),
		T(pairing_is_carried_and_a_login_may_follow),
		T(nothing_is_read_while_the_login_is_judged),
		T(bye_is_answered_and_the_end_is_clean),
		T(an_end_without_bye_is_an_interruption),
		T(a_silent_sender_is_given_up),
		T(the_keepers_error_reaches_the_sender),
		T(ping_is_answered_with_the_same_bytes),
		T(facts_arrive_whole_in_pieces),
		T(blocks_land_in_the_ring_expanded_and_whole),
		T(a_wrong_digest_writes_nothing),
		T(a_flipped_bit_of_a_raw_block_writes_nothing),
		T(hostile_data_frames_are_refused_before_the_writer),
		T(runs_past_the_disk_are_refused),
		T(a_slow_writer_is_the_brake_and_loses_nothing),
		T(have_is_asked_again_until_the_last),
		T(a_manifest_is_cut_to_the_size_of_slots),
		T(a_writers_fault_reaches_the_sender),
		T(a_cut_in_the_middle_of_a_block_never_existed),
		T(a_probe_is_counted_and_thrown_away),
		T(a_thousand_small_probes_have_few_answers),
		T(ping_is_answered_on_a_probe_at_once),
		T(a_probe_opens_no_disk),
		T(a_session_may_not_probe),
		T(a_seal_goes_to_the_keeper),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	log_open("test_conn", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
