/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conn_probe.c - a connection that measures the line: bytes are counted and thrown away
 *
 * Rule    the count goes back as state, not as a queue: at most one PROBED in PROBED_MS, however
 *         many PROBE frames come, and none while an answer is still on its way out.
 */
#include "clock.h"
#include "conn_internal.h"

#define PROBED_MS 50
/* Longer than any measurement, so that a forgotten one does not hold the line for ever. */
#define PROBE_MAX_MS 90000

void conn_probe_begin(struct conn *c)
{
	c->stage = CONN_PROBE;
	c->probe = (struct conn_probe){ .end_ms = clock_ms() + PROBE_MAX_MS };
}

int conn_probe_deliver(struct conn *c)
{
	c->probe.bytes += c->decoder.head.length;
	c->probe.due = true;
	return 0;
}

uint64_t conn_probe_due_ms(const struct conn *c)
{
	return c->probe.due && c->stage == CONN_PROBE && !conn_out_len(c)
		   ? c->probe.told_ms + PROBED_MS
		   : UINT64_MAX;
}

int conn_probe_answer(struct conn *c)
{
	struct frame f = { .kind = FRAME_PROBED, .disk = FRAME_NO_DISK, .length = MSG_PROBED_LEN };
	struct msg_probed m = { .bytes = c->probe.bytes };
	uint8_t payload[MSG_PROBED_LEN];
	uint64_t now = clock_ms();

	if (now < conn_probe_due_ms(c))
		return 0;
	c->probe.due = false;
	c->probe.told_ms = now;
	msg_probed_encode(&m, payload);
	return conn_out_frame(c, &f, payload);
}
