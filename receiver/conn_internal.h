/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conn_internal.h - one connection, as the files conn*.c see it
 *
 * Files   conn.c         the poll loop, deadlines, the end
 *         conn_tls.c     greeting, handshake, ALPN, the plain answer to a browser
 *         conn_frames.c  reads frames, one at a time, straight into their place
 *         conn_deliver.c what each kind of frame sets off
 *         conn_relay.c   what keeper and writers say, to the sender
 *         conn_probe.c   a connection that measures the line and nothing else
 *         conn_out.c     bytes for the sender, bounded
 * Rule    nothing here waits but the poll loop. A frame that cannot go on (no slot, a full channel)
 *         stays in hand and the socket is left unread; everything else goes on meanwhile, so that
 *         no circle of processes can wait for each other.
 * Memory  one block buffer, the TLS buffers, OUT_MAX of answers, and the slots of rings that are
 *         in use: at most TOUCHED_MAX of them, however many disks are open.
 */
#ifndef RECEIVER_CONN_INTERNAL_H
#define RECEIVER_CONN_INTERNAL_H

#include <openssl/ssl.h>

#include "frame_decoder.h"
#include "ipc.h"
#include "keymethod.h"
#include "pairing.h"
#include "ring.h"
#include "roles.h"

#define BEFORE_LOGIN_MAX (16 * KIB) /* bytes from the socket, handshake included */
#define HTTP_HEAD_MAX (4 * KIB)
#define OUT_SOFT (64 * KIB) /* above it no frame is read and no channel asked for more */
#define OUT_MAX (1 * MIB)
#define TOUCHED_MAX (8 * MIB)
#define PROBE_CHUNK (64 * KIB) /* of a PROBE, read and forgotten at a time */
#define LINGER_MS 2000
#define LINGER_STRANGER_MS 500 /* for who never logged in */

enum conn_stage {
	CONN_LOGIN,  /* HELLO is out; PAIR and LOGIN only */
	CONN_TASK,   /* logged in */
	CONN_PROBE,  /* logged in to measure the line: counts bytes, opens nothing */
	CONN_HTTP,   /* the peer asked for http/1.1 */
	CONN_ENDING, /* what is in the queue goes out, nothing more is read */
};

/* How far the frame now arriving is. */
enum conn_phase { PHASE_HEADER, PHASE_PLACE, PHASE_PAYLOAD, PHASE_DELIVER };

/* What a frame in hand waits for. */
enum conn_wait {
	WAIT_NOTHING,
	WAIT_OUT,         /* the sender takes its answers too slowly */
	WAIT_KEEPER_ROOM, /* the channel is full */
	WAIT_KEEPER_WORD, /* an answer is due */
	WAIT_WRITER_ROOM,
	WAIT_WRITER, /* a slot, or the end of a question before */
};

struct conn_disk {
	bool opening, open;
	int channel; /* to its writer */
	struct ring ring;
	uint64_t busy, touched; /* slots, as bits: with the writer; holding memory */
	uint64_t size, blocks;
	uint64_t seq; /* of the last frame taken */
	bool durable_due;
	struct msg_durable durable;
	uint64_t durable_seq;
	uint64_t lost_ms; /* the channel ended then; 0: it lives */
};

struct conn_have { /* one question at a time */
	bool asking;
	bool due; /* the next part is to be asked for */
	uint8_t disk;
	uint64_t next, end;
};

struct conn_probe {
	uint64_t bytes; /* of PROBE payloads, complete ones */
	bool due;       /* the sender is to hear of them */
	uint64_t told_ms, end_ms;
};

struct conn {
	const struct conn_options *o;
	int keeper, socket;
	char peer[ADDRESS_TEXT_MAX];
	uint8_t nonce[NONCE_LEN];
	X509 *cert;
	struct keymethod *key;
	SSL_CTX *ctx;
	SSL *ssl;
	struct pairing_channel channel;

	enum conn_stage stage;
	uint64_t login_by_ms, heard_ms, wrote_ms, end_by_ms;
	enum conn_end end;
	bool done;
	const char *why; /* the word of the end, for the log */

	struct frame_decoder decoder;
	enum conn_phase phase;
	enum conn_wait wait;
	uint8_t wait_disk;
	uint64_t progress;   /* of the frame in hand: bytes or digests already passed on */
	bool more;           /* stopped reading for fairness only */
	bool read_wants_out; /* TLS must write before it can read */
	uint8_t digest[DIGEST_LEN];
	uint8_t *into; /* where the block's bytes go */
	uint32_t slot;
	uint32_t plain_len;
	uint8_t *buf;
	size_t buf_len;
	struct digest_ctx *hash;
	struct codec_ctx *codec;
	uint32_t block_size;

	uint8_t *out;
	size_t out_at, out_end, out_room;

	struct conn_disk disk[DISKS_MAX];
	struct conn_have have;
	struct conn_probe probe;
	uint64_t n_frames, n_bytes;
};

/* conn.c: an ERROR is queued and the connection ends when it is out; what came before it stays
 * valid. Always returns -EPROTO. Only the first error counts. */
int conn_error(struct conn *c, enum wire_error code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends after the queue is out. */
void conn_finish(struct conn *c, enum conn_end end, const char *why);
/* Ends now: the peer is gone or not worth a word. Always returns -EPIPE. */
int conn_drop(struct conn *c, enum conn_end end, const char *why);

/* conn_tls.c: blocking until ${deadline_ms}; then c->ssl is up and stage is LOGIN or HTTP. */
int conn_greet(struct conn *c, uint64_t deadline_ms, struct err *e);
int conn_handshake(struct conn *c, uint64_t deadline_ms, struct err *e);
void conn_tls_free(struct conn *c);
/* Up to ${len} bytes. 0 and *${ret}; -EAGAIN; or the connection is dropped. */
int conn_read(struct conn *c, void *buf, size_t len, size_t *ret);
int conn_http_go(struct conn *c);

/* conn_frames.c: reads and passes on until nothing can go on; negative only when it ended. */
int conn_frames_go(struct conn *c);
int conn_buffer(struct conn *c, size_t len);

/* conn_deliver.c: 0: done with the frame; -EAGAIN: c->wait says why; else the connection ends. */
int conn_place(struct conn *c);
int conn_deliver(struct conn *c);
int conn_slot_take(struct conn *c, uint8_t disk, uint32_t *ret);
void conn_slot_free(struct conn *c, uint8_t disk, uint32_t slot);
int conn_have_ask(struct conn *c);

/* conn_relay.c: take what a channel has; negative only when the connection ended. */
int conn_from_keeper(struct conn *c);
int conn_from_writer(struct conn *c, uint8_t disk);
/* Queues what became due while the queue was full. */
int conn_relay_due(struct conn *c);

/* conn_probe.c: the stage begins; a PROBE is complete; when PROBED is to go out (UINT64_MAX:
 * nothing is due), and sending it. */
void conn_probe_begin(struct conn *c);
int conn_probe_deliver(struct conn *c);
uint64_t conn_probe_due_ms(const struct conn *c);
int conn_probe_answer(struct conn *c);

/* conn_out.c */
int conn_out_bytes(struct conn *c, const void *p, size_t len);
int conn_out_frame(struct conn *c, const struct frame *f, const void *payload);
int conn_out_flush(struct conn *c);
static inline size_t conn_out_len(const struct conn *c)
{
	return c->out_end - c->out_at;
}

#endif
