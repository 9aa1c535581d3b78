/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "conn_internal.h"

static int make_room(struct conn *c, size_t len)
{
	size_t want = conn_out_len(c) + len, room = 4096;
	uint8_t *p;

	if (c->out_at && c->out_room - c->out_end < len) {
		memmove(c->out, c->out + c->out_at, conn_out_len(c));
		c->out_end -= c->out_at;
		c->out_at = 0;
	}
	if (c->out_room - c->out_end >= len)
		return 0;
	while (room < want)
		room *= 2;
	p = realloc(c->out, room);
	if (!p)
		return -ENOMEM;
	c->out = p;
	c->out_room = room;
	return 0;
}

int conn_out_bytes(struct conn *c, const void *p, size_t len)
{
	/* callers stop at OUT_SOFT; past OUT_MAX is a mistake of ours, not of the peer */
	if (conn_out_len(c) + len > OUT_MAX || make_room(c, len) < 0)
		return conn_drop(c, CONN_END_FAILED, "queue-full");
	if (len)
		memcpy(c->out + c->out_end, p, len);
	c->out_end += len;
	return 0;
}

int conn_out_frame(struct conn *c, const struct frame *f, const void *payload)
{
	uint8_t head[FRAME_HEADER_LEN];
	int r;

	frame_encode(f, head);
	r = conn_out_bytes(c, head, sizeof head);
	return r < 0 ? r : conn_out_bytes(c, payload, f->length);
}

static void emptied(struct conn *c)
{
	c->out_at = c->out_end = 0;
	if (c->out_room <= OUT_SOFT)
		return;
	free(c->out);
	c->out = NULL;
	c->out_room = 0;
}

int conn_out_flush(struct conn *c)
{
	while (c->out_at < c->out_end) {
		size_t n = 0;
		int ok = SSL_write_ex(c->ssl, c->out + c->out_at, conn_out_len(c), &n), why;

		if (ok == 1) {
			c->out_at += n;
			c->wrote_ms = clock_ms();
			continue;
		}
		why = SSL_get_error(c->ssl, ok);
		if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
			return 0;
		return conn_drop(c, c->stage == CONN_ENDING ? c->end : CONN_END_INTERRUPTED,
				 "write-failed");
	}
	emptied(c);
	return 0;
}
