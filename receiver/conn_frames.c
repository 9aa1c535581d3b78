/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conn_frames.c - bytes of the stream into frames, without a buffer in between
 *
 * Why     the TLS layer reads ahead 256 KiB at a time, so asking it for exactly the header and then
 *         for exactly the payload costs no system call, and a raw block lands in its slot without
 *         one copy of ours.
 */
#include <errno.h>
#include <stdlib.h>

#include "conn_internal.h"

#define STEPS_PER_TURN 96 /* about four blocks: then the channels get their turn */

int conn_buffer(struct conn *c, size_t len)
{
	uint8_t *p;

	if (c->buf_len >= len)
		return 0;
	p = realloc(c->buf, len);
	if (!p)
		return conn_error(c, WIRE_INTERNAL, "no memory for %zu bytes", len);
	c->buf = p;
	c->buf_len = len;
	return 0;
}

static int read_header(struct conn *c)
{
	uint8_t head[FRAME_HEADER_LEN];
	const uint8_t *p = head;
	enum frame_step step;
	struct err e = { 0 };
	size_t n;
	int r;

	if (c->stage == CONN_LOGIN && BIO_number_read(SSL_get_rbio(c->ssl)) > BEFORE_LOGIN_MAX)
		return conn_error(c, WIRE_LIMIT, "too many bytes before the login");
	r = conn_read(c, head, FRAME_HEADER_LEN - c->decoder.have, &n);
	if (r < 0)
		return r;
	step = frame_decoder_step(&c->decoder, &p, &n, &e);
	if (step == FRAME_BAD)
		return conn_error(c, WIRE_PROTOCOL, "%s", e.text);
	if (step == FRAME_HEAD)
		c->phase = PHASE_PLACE;
	return 0;
}

/* DATA has two places: the digest apart, the block's bytes straight into a slot or the buffer. What
 * a PROBE carries is overwritten by what follows it. */
static uint8_t *payload_at(struct conn *c, size_t *ret_len)
{
	size_t have = c->decoder.have, len = c->decoder.head.length;

	if (c->decoder.head.kind == FRAME_PROBE) {
		*ret_len = len - have < PROBE_CHUNK ? len - have : PROBE_CHUNK;
		return c->buf;
	}
	if (c->decoder.head.kind != FRAME_DATA) {
		*ret_len = len - have;
		return c->buf + have;
	}
	if (have < DIGEST_LEN) {
		*ret_len = DIGEST_LEN - have;
		return c->digest + have;
	}
	*ret_len = len - have;
	return c->into + (have - DIGEST_LEN);
}

static int read_payload(struct conn *c)
{
	size_t want, n = 0;
	uint8_t *p;
	int r = 0;

	if (c->decoder.head.length) {
		p = payload_at(c, &want);
		r = conn_read(c, p, want, &n);
	}
	if (r < 0)
		return r;
	if (frame_decoder_took(&c->decoder, n) == FRAME_END) {
		c->phase = PHASE_DELIVER;
		c->progress = 0;
		c->n_frames++;
	}
	return 0;
}

static int step(struct conn *c)
{
	int r = 0;

	c->wait = WAIT_NOTHING;
	switch (c->phase) {
	case PHASE_HEADER:
		/* answers that the sender does not take hold its questions back */
		if (conn_out_len(c) <= OUT_SOFT)
			return read_header(c);
		c->wait = WAIT_OUT;
		return -EAGAIN;
	case PHASE_PLACE:
		r = conn_place(c);
		if (!r)
			c->phase = PHASE_PAYLOAD;
		return r;
	case PHASE_PAYLOAD:
		return read_payload(c);
	case PHASE_DELIVER:
		r = conn_deliver(c);
		if (!r)
			c->phase = PHASE_HEADER;
		return r;
	}
	return -EINVAL;
}

int conn_frames_go(struct conn *c)
{
	c->more = false;
	for (int i = 0; i < STEPS_PER_TURN && !c->done; i++) {
		int r;

		if (c->stage == CONN_ENDING)
			return 0;
		r = step(c);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	c->more = !c->done;
	return 0;
}
