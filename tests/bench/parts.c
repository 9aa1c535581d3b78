/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parts - what each part of a transfer costs by itself: the sum is the floor of sender and receiver
 *
 * Use     parts raw|lz4|zstd SOURCE TARGET CERT KEY CONNECTIONS
 *         TARGET is written; one that exists keeps its pages. CERT, KEY: of the TLS server.
 * Shape   prints one JSON object: bytes, and CPU seconds of each part over the whole source.
 * How     A block goes through all parts one after another, as it would in a transfer, so it lies
 *         in the same cache; each part is timed by the thread's CPU clock, less the clock's own
 *         cost. TLS is timed apart: the same frame lengths go over loopback sockets, as many at
 *         once as the transfer has connections, with a process at each end, records gathered as in
 *         a transfer; each process tells its own CPU time. How many matters: loopback bills the
 *         kernel's work to whichever side is running, and one connection alone makes the receiver
 *         look cheaper than it can be.
 * Left out on purpose: everything that a transfer adds to its parts (hand-over between processes,
 *         journal, window, frames' checks). That is what the ratio to the sum is there to show.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <lz4.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/bytes.h"
#include "tls.h"

#define WIRE_BATCH (256 * KIB)
#define HEAD_LEN 64 /* frame header and digest */
#define ZSTD_LEVEL 1

enum part { READ, ZERO_TEST, FAST, STRONG, PACK, EXPAND, WRITE, PUNCH, REREAD, PARTS };

static const char *const part_words[PARTS] = { "read",          "zero_test", "digest_fast",
					       "digest_strong", "pack",      "expand",
					       "write",         "zero",      "reread" };

struct bench {
	const char *codec;
	int source, target;
	size_t block;
	uint64_t size, data, packed_bytes, zero_from, zero_len;
	uint8_t *plain, *packed, *out;
	size_t packed_room;
	uint32_t *frame_len; /* payload of each frame, in order */
	size_t frames;
	unsigned connections;
	ZSTD_CCtx *zc;
	ZSTD_DCtx *zd;
	double seconds[PARTS], tls_send, tls_receive, clock_cost;
};

static void die(const char *what)
{
	fprintf(stderr, "parts: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- clocks ---- */

static double cpu_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double clock_cost(void)
{
	double from = cpu_now();

	for (int i = 0; i < 10000; i++)
		(void)cpu_now();
	return (cpu_now() - from) / 10001;
}

static double own_cpu(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

#define TIMED(b, part, work)                                                                       \
	do {                                                                                       \
		double from_ = cpu_now();                                                          \
		work;                                                                              \
		(b)->seconds[part] += cpu_now() - from_ - (b)->clock_cost;                         \
	} while (0)

/* ---- one block through every part ---- */

static void read_at(int fd, uint8_t *p, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, p + done, len - done, (off_t)(off + done));

		if (n <= 0)
			die("read");
		done += (size_t)n;
	}
}

static void write_at(int fd, const uint8_t *p, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, p + done, len - done, (off_t)(off + done));

		if (n <= 0)
			die("write");
		done += (size_t)n;
	}
}

static void strong(const uint8_t *p, size_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(p, len, digest, NULL, EVP_sha256(), NULL) != 1)
		die("SHA-256");
}

static uint64_t fast(const uint8_t *p, size_t len)
{
	return XXH3_128bits_withSeed(p, len, 1).low64;
}

/* 0: the block does not shrink by a sixteenth and goes as it is. */
static size_t pack(struct bench *b, size_t len)
{
	size_t most = len - len / 16, n = 0;

	if (b->codec[0] == 'l') {
		int r = LZ4_compress_default((const char *)b->plain, (char *)b->packed, (int)len,
					     (int)most);
		n = r > 0 ? (size_t)r : 0;
	} else if (b->codec[0] == 'z') {
		n = ZSTD_compressCCtx(b->zc, b->packed, b->packed_room, b->plain, len, ZSTD_LEVEL);
		n = ZSTD_isError(n) || n > most ? 0 : n;
	}
	return n;
}

static void expand(struct bench *b, size_t packed_len, size_t len)
{
	bool ok = b->codec[0] == 'l'
		      ? LZ4_decompress_safe((const char *)b->packed, (char *)b->out,
					    (int)packed_len, (int)len) == (int)len
		      : ZSTD_decompressDCtx(b->zd, b->out, len, b->packed, packed_len) == len;

	if (!ok)
		die("expand");
}

static void punch(struct bench *b)
{
	if (!b->zero_len)
		return;
	TIMED(b, PUNCH,
	      if (fallocate(b->target, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)b->zero_from, (off_t)b->zero_len)) die("punch"));
	b->zero_len = 0;
	b->frame_len[b->frames++] = 0;
}

static void zero_piece(struct bench *b, uint64_t off, uint64_t len)
{
	if (b->zero_len && b->zero_from + b->zero_len != off)
		punch(b);
	if (!b->zero_len)
		b->zero_from = off;
	b->zero_len += len;
}

static void one_block(struct bench *b, uint64_t off, size_t len)
{
	volatile uint64_t seen;
	size_t packed = 0;
	bool zero;

	TIMED(b, READ, read_at(b->source, b->plain, len, off));
	TIMED(b, ZERO_TEST, zero = all_zero(b->plain, len));
	if (zero) {
		zero_piece(b, off, len);
		return;
	}
	punch(b);
	TIMED(b, FAST, seen = fast(b->plain, len));
	(void)seen;
	TIMED(b, STRONG, strong(b->plain, len));
	if (b->codec[0] != 'r')
		TIMED(b, PACK, packed = pack(b, len));
	if (packed)
		TIMED(b, EXPAND, expand(b, packed, len));
	TIMED(b, WRITE, write_at(b->target, packed ? b->out : b->plain, len, off));
	b->data += len;
	b->packed_bytes += packed ? packed : len;
	b->frame_len[b->frames++] = (uint32_t)(packed ? packed : len);
}

static void all_blocks(struct bench *b)
{
	for (uint64_t off = 0; off < b->size;) {
		off_t at = lseek(b->source, (off_t)off, SEEK_DATA);
		uint64_t data = at < 0 ? b->size : round_down_to((uint64_t)at, b->block);

		if (data > off)
			zero_piece(b, off, data - off);
		off = data > off ? data : off;
		if (off >= b->size)
			break;
		size_t len = b->size - off < b->block ? (size_t)(b->size - off) : b->block;
		one_block(b, off, len);
		off += len;
	}
	punch(b);
}

/* The verification: what lies on the target is read again; its SHA-256 costs what STRONG says. */
static void reread(struct bench *b)
{
	for (uint64_t off = 0; off < b->size; off += b->block) {
		off_t at = lseek(b->target, (off_t)off, SEEK_DATA);
		size_t len = b->size - off < b->block ? (size_t)(b->size - off) : b->block;

		if (at < 0)
			break;
		if ((uint64_t)at >= off + len)
			continue;
		TIMED(b, REREAD, read_at(b->target, b->plain, len, off));
	}
}

/* ---- TLS over a loopback socket ---- */

static void tls_failed(const char *what)
{
	struct err e = { 0 };

	(void)tls_err(&e, ERR_SYS, what);
	fprintf(stderr, "parts: %s\n", e.text);
	exit(1);
}

static SSL *tls_on(int fd, bool server, const char *cert, const char *key)
{
	struct err e = { 0 };
	SSL_CTX *ctx = tls_context(server, &e);
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	BIO *buffer = BIO_new(BIO_f_buffer()), *sock = BIO_new_socket(fd, BIO_NOCLOSE);

	SSL_CTX_free(ctx); /* the connection keeps it */
	if (!ssl || !buffer || !sock)
		tls_failed("TLS");
	if (server && (SSL_use_certificate_file(ssl, cert, SSL_FILETYPE_PEM) != 1 ||
		       SSL_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1))
		tls_failed(cert);
	/* as in a transfer: one large read for many records, one large write for many records */
	SSL_set_read_ahead(ssl, 0);
	SSL_set_default_read_buffer_len(ssl, 0);
	if (BIO_set_buffer_size(buffer, (long)WIRE_BATCH) != 1)
		tls_failed("TLS buffer");
	BIO_push(buffer, sock);
	(void)BIO_up_ref(buffer);
	SSL_set0_rbio(ssl, buffer);
	SSL_set0_wbio(ssl, buffer);
	return ssl;
}

static void read_tls(SSL *ssl, uint8_t *p, size_t len)
{
	size_t n;

	for (size_t done = 0; done < len; done += n) {
		if (SSL_read_ex(ssl, p + done, len - done, &n) != 1)
			tls_failed("receive");
	}
}

static void write_tls(SSL *ssl, const uint8_t *p, size_t len)
{
	size_t n;

	for (size_t done = 0; done < len; done += n) {
		if (SSL_write_ex(ssl, p + done, len - done, &n) != 1)
			tls_failed("send");
	}
}

/* Connection ${nth} has each frame whose number leaves that as the remainder. */
static double send_frames(const struct bench *b, int fd, unsigned nth)
{
	uint8_t head[HEAD_LEN] = { 0 };
	SSL *ssl = tls_on(fd, false, NULL, NULL);
	double from;

	if (SSL_connect(ssl) != 1)
		tls_failed("handshake");
	from = own_cpu();
	for (size_t i = nth; i < b->frames; i += b->connections) {
		write_tls(ssl, head, sizeof head);
		write_tls(ssl, b->plain, b->frame_len[i]);
	}
	if (BIO_flush(SSL_get_wbio(ssl)) != 1)
		tls_failed("send");
	return own_cpu() - from;
}

static double receive_frames(const struct bench *b, int fd, unsigned nth, const char *cert,
			     const char *key)
{
	uint8_t head[HEAD_LEN];
	SSL *ssl = tls_on(fd, true, cert, key);
	double from;

	if (SSL_accept(ssl) != 1)
		tls_failed("handshake");
	from = own_cpu();
	for (size_t i = nth; i < b->frames; i += b->connections) {
		read_tls(ssl, head, sizeof head);
		read_tls(ssl, b->out, b->frame_len[i]);
	}
	from = own_cpu() - from;
	SSL_free(ssl);
	return from;
}

/* A connected pair over the loopback interface. */
static void loopback(int ret[static 2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l < 0 || ret[0] < 0 || bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &len) ||
	    connect(ret[0], (struct sockaddr *)&a, sizeof a))
		die("loopback");
	ret[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (ret[1] < 0)
		die("loopback");
	(void)setsockopt(ret[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)close(l);
}

struct told {
	bool sender;
	double cpu;
};

/* Both ends of connection ${nth}, each in a process of its own. */
static void one_connection(const struct bench *b, unsigned nth, const char *cert, const char *key,
			   int tell)
{
	int pair[2];

	loopback(pair);
	for (int side = 0; side < 2; side++) {
		struct told t = { .sender = !side };
		pid_t child = fork();

		if (child < 0)
			die("a process for a connection");
		if (child)
			continue;
		(void)close(pair[!side]);
		t.cpu = t.sender ? send_frames(b, pair[0], nth)
				 : receive_frames(b, pair[1], nth, cert, key);
		_exit(write(tell, &t, sizeof t) == (ssize_t)sizeof t ? 0 : 1);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void tls(struct bench *b, const char *cert, const char *key)
{
	int told[2], status;
	struct told t;

	if (pipe2(told, O_CLOEXEC))
		die("pipe");
	for (unsigned i = 0; i < b->connections; i++)
		one_connection(b, i, cert, key, told[1]);
	for (unsigned i = 0; i < 2 * b->connections; i++) {
		if (wait(&status) < 0 || status || read(told[0], &t, sizeof t) != (ssize_t)sizeof t)
			die("a process of a connection");
		*(t.sender ? &b->tls_send : &b->tls_receive) += t.cpu;
	}
}

/* ---- ---- */

static void prepare(struct bench *b, char **argv)
{
	size_t most;

	b->codec = argv[1];
	b->source = open(argv[2], O_RDONLY | O_CLOEXEC);
	b->target = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (b->source < 0 || b->target < 0)
		die(b->source < 0 ? argv[2] : argv[3]);
	b->size = (uint64_t)lseek(b->source, 0, SEEK_END);
	if (ftruncate(b->target, (off_t)b->size))
		die(argv[3]);
	b->packed_room = ZSTD_compressBound(b->block);
	most = (size_t)(2 * (b->size / b->block + 2));
	b->frame_len = calloc(most, sizeof *b->frame_len);
	b->zc = ZSTD_createCCtx();
	b->zd = ZSTD_createDCtx();
	b->plain = aligned_alloc(4096, b->block);
	b->out = aligned_alloc(4096, b->block);
	b->packed = malloc(b->packed_room);
	if (!b->frame_len || !b->zc || !b->zd || !b->plain || !b->out || !b->packed)
		die("memory");
	memset(b->plain, 0x5a, b->block);
	memset(b->out, 0, b->block);
	memset(b->packed, 0, b->packed_room);
	b->clock_cost = clock_cost();
}

static void release(struct bench *b)
{
	(void)close(b->source);
	(void)close(b->target);
	free(b->frame_len);
	free(b->plain);
	free(b->out);
	free(b->packed);
	ZSTD_freeCCtx(b->zc);
	ZSTD_freeDCtx(b->zd);
}

static void print(const struct bench *b)
{
	printf("{\"codec\":\"%s\",\"bytes\":%llu,\"data\":%llu,\"packed\":%llu,\"frames\":%zu,"
	       "\"seconds\":{",
	       b->codec, (unsigned long long)b->size, (unsigned long long)b->data,
	       (unsigned long long)b->packed_bytes, b->frames);
	for (int i = 0; i < PARTS; i++)
		printf("\"%s\":%.6f,", part_words[i], b->seconds[i] > 0 ? b->seconds[i] : 0);
	printf("\"tls_send\":%.6f,\"tls_receive\":%.6f}}\n", b->tls_send, b->tls_receive);
}

static bool is_codec(const char *word)
{
	return !strcmp(word, "raw") || !strcmp(word, "lz4") || !strcmp(word, "zstd");
}

int main(int argc, char **argv)
{
	static struct bench b = { .block = 256 * KIB };

	if (argc == 7)
		b.connections = (unsigned)strtoul(argv[6], NULL, 10);
	if (!b.connections || b.connections > 8 || !is_codec(argv[1])) {
		fprintf(stderr, "usage: parts raw|lz4|zstd SOURCE TARGET CERT KEY CONNECTIONS\n");
		return 2;
	}
	prepare(&b, argv);
	all_blocks(&b);
	reread(&b);
	tls(&b, argv[4], argv[5]);
	print(&b);
	release(&b);
	return 0;
}
