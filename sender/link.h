/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * link.h - one TLS connection to the receiver, in frames
 *
 * Shape   non-blocking underneath. What is put is encrypted into a buffer and goes out in large
 *         writes; link_flush() sends the rest. Nothing raises SIGPIPE.
 * Trust   link_open() returns only after the receiver's SPKI digest equals the one that is wanted
 *         (ERR_AUTH "wrong-pin"); there is no CA.
 * Life    a peer that is silent for dead_s is lost (ERR_NET), be it gone or stuck; PING goes out
 *         after a quarter of that without a word from us. PING of the peer is answered here.
 * Errors  ERR_NET lost, ERR_PEER contract broken, and what an ERROR frame of the peer means.
 * Threads one link belongs to one thread; wire_bytes and limit are shared.
 */
#ifndef SENDER_LINK_H
#define SENDER_LINK_H

#include <stdatomic.h>

#include "dial.h"
#include "limit.h"
#include "pairing.h"
#include "tcp.h"

struct link;

struct link_options {
	const struct address *addresses; /* dial.h says in which order */
	unsigned n_addresses;
	const struct proxy *proxy; /* borrowed, as in dial_options */
	const char *no_proxy;
	unsigned dead_s;
	uint8_t spki[DIGEST_LEN];
	struct limit *limit;          /* borrowed for the link's life */
	_Atomic uint64_t *wire_bytes; /* TLS bytes sent; borrowed */
	const atomic_bool *stop;      /* gives up with ERR_NET when true; borrowed */
};

/* Connects, and reads the HELLO of the receiver. */
int link_open(const struct link_options *o, struct link **ret, struct err *e);
/* Without a word: the receiver sees an interruption. Say BYE first where that is meant. */
void link_close(struct link *l);
static inline void link_closep(struct link **l)
{
	link_close(*l);
	*l = NULL;
}

const struct pairing_channel *link_channel(const struct link *l);
const struct msg_hello *link_hello(const struct link *l);
/* "127.0.0.1:8443", "127.0.0.1:8443 through http://10.0.0.1:3128": for words. */
const char *link_where(const struct link *l);

/* The kernel's word for how it fills the line: "bbr"; returns ${buf}. */
const char *link_congestion(const struct link *l, char buf[static TCP_CONGESTION_ROOM]);

/* Queues one frame: header, ${a}, ${b}; f->length is filled here. Blocks while the buffer is full.
 */
int link_put(struct link *l, struct frame *f, const void *a, size_t a_len, const void *b,
	     size_t b_len, struct err *e);
int link_flush(struct link *l, struct err *e);
int link_bye(struct link *l, struct err *e);

/* The next frame: 1 and *ret with *ret_payload (valid until the next call); 0 after ${timeout_ms}
 * or when woken; negative on failure. Answers PING, swallows PONG, turns ERROR into *e. */
int link_next(struct link *l, int timeout_ms, struct frame *ret, const uint8_t **ret_payload,
	      struct err *e);
/* As link_next(), but waits up to ${timeout_ms} for a frame of this kind; another kind is
 * ERR_PEER, except STATE and DURABLE, which are passed over. */
int link_expect(struct link *l, enum frame_kind kind, int timeout_ms, struct frame *ret,
		const uint8_t **ret_payload, struct err *e);

/* Ends a link_next() that waits, from any thread. */
void link_wake(struct link *l);

struct link_load {
	uint64_t wire;    /* bytes sent on this link */
	uint64_t wait_ns; /* spent waiting for the socket to take more, or for the rate limit */
};
struct link_load link_load(const struct link *l);
struct link_path {
	struct tcp_path tcp;
	bool sole;  /* one connection can keep the line full */
	bool cubic; /* chosen for it (congestion.h) */
};
/* A look at its path, which may bring it another congestion control. False: nothing is known. */
bool link_path(struct link *l, struct link_path *ret);

/* An ERROR frame of the receiver as our kinds of error: what may be tried again is ERR_NET, with
 * the word of its code as the name. */
int link_error(const struct msg_error *m, struct err *e);

#endif
