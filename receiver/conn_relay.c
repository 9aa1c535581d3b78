/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/cleanup.h"
#include "clock.h"
#include "conn_internal.h"

#define MESSAGES_PER_TURN 64

/* ---- the keeper's words ---- */

/* The keeper has judged the LOGIN in hand, so its role is what was granted. */
static bool asked_to_probe(const struct conn *c)
{
	return c->decoder.head.kind == FRAME_LOGIN && c->buf[2] == LOGIN_PROBE;
}

static int welcome(struct conn *c, const struct ipc_msg *m)
{
	struct msg_welcome w;
	struct err e = { 0 };

	if (msg_welcome_decode(m->blob, m->blob_len, &w, &e) < 0)
		return conn_error(c, WIRE_INTERNAL, "%s", e.text);
	if (c->wait == WAIT_KEEPER_WORD)
		c->progress = 2; /* the PAIR or LOGIN in hand is answered */
	if (asked_to_probe(c))
		conn_probe_begin(c);
	else if (w.epoch)
		c->stage = CONN_TASK;
	else
		return 0; /* paired; the login follows */
	c->block_size = w.block_size;
	digest_seed(c->hash, w.task);
	return 0;
}

static int send_frame(struct conn *c, const struct ipc_msg *m)
{
	struct frame f = { .kind = (enum frame_kind)m->a,
			   .disk = m->disk < DISKS_MAX ? (uint8_t)m->disk : FRAME_NO_DISK,
			   .length = m->blob_len };
	int r = 0;

	if (m->b != m->blob_len)
		return conn_error(c, WIRE_INTERNAL, "the keeper's message is broken");
	if (f.kind == FRAME_WELCOME)
		r = welcome(c, m);
	if (!r)
		r = conn_out_frame(c, &f, m->blob);
	if (r < 0)
		return r;
	if (f.kind == FRAME_ERROR)
		conn_finish(c, CONN_END_REFUSED, "refused-by-keeper");
	else if (f.kind == FRAME_BYE)
		conn_finish(c, CONN_END_BYE, "receiver-bye");
	return 0;
}

static int opened(struct conn *c, const struct ipc_msg *m, int *fds, size_t n)
{
	struct conn_disk *d = &c->disk[m->disk < DISKS_MAX ? m->disk : 0];
	struct frame f = { .kind = FRAME_OPENED, .disk = (uint8_t)m->disk, .length = m->blob_len };
	struct msg_opened o;
	struct err e = { 0 };

	if (m->disk >= DISKS_MAX || n != 2 || !d->opening ||
	    msg_opened_decode(m->blob, m->blob_len, &o, &e) < 0 || o.block_size != c->block_size)
		return conn_error(c, WIRE_INTERNAL, "the keeper's answer for disk %u is broken",
				  m->disk);
	if (o.blocks != div_round_up(d->size, c->block_size))
		return conn_error(c, WIRE_INTERNAL, "disk %u has %ju blocks, not of its size",
				  m->disk, (uintmax_t)o.blocks);
	if (ring_map(fds[0], c->block_size, true, &d->ring, &e) < 0)
		return conn_error(c, WIRE_INTERNAL, "%s", e.text);
	fds[0] = -1;
	d->channel = take_fd(&fds[1]);
	d->opening = false;
	d->open = true;
	d->blocks = o.blocks;
	return conn_out_frame(c, &f, m->blob);
}

int conn_from_keeper(struct conn *c)
{
	for (int i = 0; i < MESSAGES_PER_TURN && !c->done; i++) {
		int fds[IPC_FDS_MAX] = { -1, -1, -1 }, r;
		struct ipc_msg m;
		size_t n = 0;

		/* the rest waits in the channel while the sender does not take what is here */
		if (conn_out_len(c) > OUT_SOFT)
			return 0;
		r = ipc_recv(c->keeper, &m, fds, &n, NULL);
		if (!r)
			return 0;
		if (r < 0 && c->stage == CONN_ENDING)
			return 0;
		if (r < 0)
			return conn_drop(c, CONN_END_FAILED, "keeper-gone");
		if (c->stage == CONN_ENDING)
			r = 0;
		else if (m.type == IPC_SEND)
			r = send_frame(c, &m);
		else if (m.type == IPC_OPENED)
			r = opened(c, &m, fds, n);
		else
			r = conn_error(c, WIRE_INTERNAL, "message %u from the keeper", m.type);
		ipc_close_fds(fds, IPC_FDS_MAX);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- a writer's words ---- */

/* Entries are passed on as they are; the end of the last one is where the next question begins. */
static int have(struct conn *c, uint8_t disk, const struct ipc_msg *m)
{
	struct conn_disk *d = &c->disk[disk];
	struct conn_have *h = &c->have;
	struct frame f = { .kind = FRAME_HAVE, .disk = disk, .length = (uint32_t)m->a };
	const uint8_t *p = ring_slot(&d->ring, m->slot);
	struct have_entry last;
	int r;

	if (!h->asking || h->disk != disk || h->due || !p || m->a > c->block_size ||
	    m->a > UINT64_C(1) * HAVE_ENTRIES_MAX * HAVE_ENTRY_LEN || m->a % HAVE_ENTRY_LEN)
		return conn_error(c, WIRE_INTERNAL, "the writer's answer is broken");
	f.flags = m->b ? FRAME_FLAG_LAST : 0;
	if (!m->b) {
		if (!m->a || have_entry_decode(p + m->a - HAVE_ENTRY_LEN, &last, NULL) < 0 ||
		    last.block + last.count <= h->next || last.block + last.count >= h->end)
			return conn_error(c, WIRE_INTERNAL, "the writer's answer is broken");
		h->next = last.block + last.count;
		h->due = true;
	}
	r = conn_out_frame(c, &f, p);
	conn_slot_free(c, disk, m->slot);
	if (m->b)
		*h = (struct conn_have){ 0 };
	return r;
}

static int from_writer(struct conn *c, uint8_t disk, const struct ipc_msg *m)
{
	struct conn_disk *d = &c->disk[disk];

	switch (m->type) {
	case IPC_SLOT_FREE:
		conn_slot_free(c, disk, m->slot);
		return 0;
	case IPC_DURABLE:
		d->durable_due = true;
		d->durable_seq = m->d;
		d->durable = (struct msg_durable){ .claimed = m->a, .written = m->b };
		return 0;
	case IPC_HAVE:
		return have(c, disk, m);
	case IPC_FAULT:
		return conn_error(c, (enum wire_error)m->a, "%s", m->text);
	default:
		return conn_error(c, WIRE_INTERNAL, "message %u from the writer", m->type);
	}
}

int conn_from_writer(struct conn *c, uint8_t disk)
{
	struct conn_disk *d = &c->disk[disk];

	for (int i = 0; i < MESSAGES_PER_TURN && !c->done && c->stage != CONN_ENDING; i++) {
		struct ipc_msg m;
		int r = ipc_recv(d->channel, &m, NULL, NULL, NULL);

		if (!r)
			return 0;
		if (r < 0) {
			/* the keeper knows more and is asked first: see WRITER_LOST_MS */
			if (!d->lost_ms)
				d->lost_ms = clock_ms();
			return 0;
		}
		r = from_writer(c, disk, &m);
		if (r < 0)
			return r;
	}
	return 0;
}

static int durable(struct conn *c, uint8_t disk)
{
	struct conn_disk *d = &c->disk[disk];
	struct frame f = { .kind = FRAME_DURABLE,
			   .disk = disk,
			   .length = MSG_DURABLE_LEN,
			   .seq = d->durable_seq };
	uint8_t payload[MSG_DURABLE_LEN];

	d->durable_due = false;
	msg_durable_encode(&d->durable, payload);
	return conn_out_frame(c, &f, payload);
}

int conn_relay_due(struct conn *c)
{
	enum conn_wait wait = c->wait; /* of the frame in hand, which is not what waits here */
	uint8_t wait_disk = c->wait_disk;
	int r = 0;

	for (uint8_t i = 0; i < DISKS_MAX && !r; i++)
		if (c->disk[i].durable_due && conn_out_len(c) <= OUT_SOFT)
			r = durable(c, i);
	if (!r && c->have.due && c->stage == CONN_TASK && conn_out_len(c) <= OUT_SOFT)
		r = conn_have_ask(c);
	c->wait = wait;
	c->wait_disk = wait_disk;
	return r == -EAGAIN ? 0 : r;
}
