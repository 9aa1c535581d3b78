/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stream.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

/* A receiver that gathers more than the window holds is asked to flush after this time. */
#define STALL_MS 100

void stream_init(struct stream *s, struct move *m, struct link *l, struct window *w,
		 uint32_t block_size, unsigned slot)
{
	memset(s, 0, sizeof *s);
	s->m = m;
	s->link = l;
	s->window = w;
	s->block_size = block_size;
	s->slot = slot;
	for (unsigned d = 0; d < DISKS_MAX; d++)
		s->disks[d].first = s->disks[d].last = SENT_NONE;
	for (unsigned i = 0; i < SENT_MAX; i++)
		s->sent[i].next = i + 1 < SENT_MAX ? (uint16_t)(i + 1) : SENT_NONE;
	window_list(w, slot, l);
}

void stream_drop(struct stream *s)
{
	window_list(s->window, s->slot, NULL);
	for (unsigned d = 0; d < s->m->n_disks; d++) {
		uint64_t cost = 0;

		for (uint16_t i = s->disks[d].first; i != SENT_NONE; i = s->sent[i].next)
			cost += s->sent[i].cost;
		window_give(s->window, d, cost, s->slot);
	}
}

void stream_goes_on(struct stream *s, unsigned d, uint64_t seq)
{
	struct stream_disk *sd = &s->disks[d];

	sd->open = true;
	sd->seq = sd->durable = sd->flushed = seq;
}

int stream_open_disk(struct stream *s, unsigned d, struct err *e)
{
	struct msg_opened opened;
	int r;

	if (s->disks[d].open)
		return 0;
	r = session_open_disk(s->link, &s->m->disks[d], &opened, e);
	if (!r)
		s->disks[d].open = true;
	return r;
}

/* ---- what the receiver says ---- */

static uint64_t bytes_of(const struct stream *s, const struct sent *x)
{
	uint64_t size = source_info(s->m->disks[x->disk].source)->size;
	uint64_t from = x->block * s->block_size, to = from + x->count * s->block_size;

	return (to < size ? to : size) - from;
}

uint64_t stream_in_doubt(const struct stream *s)
{
	uint64_t sum = 0;

	for (unsigned d = 0; d < s->m->n_disks; d++) {
		for (uint16_t i = s->disks[d].first; i != SENT_NONE; i = s->sent[i].next)
			sum += bytes_of(s, &s->sent[i]);
	}
	return sum;
}

/* What became durable of disk ${d}. */
static void release(struct stream *s, unsigned d)
{
	struct stream_disk *sd = &s->disks[d];
	uint64_t cost = 0;

	while (sd->first != SENT_NONE && s->sent[sd->first].seq <= sd->durable) {
		uint16_t i = sd->first;
		struct sent *x = &s->sent[i];

		cost += x->cost;
		atomic_fetch_add(&s->m->gauge.disk[d].durable, bytes_of(s, x));
		sd->first = x->next;
		if (sd->first == SENT_NONE)
			sd->last = SENT_NONE;
		x->next = s->free;
		s->free = i;
	}
	if (cost)
		window_give(s->window, d, cost, s->slot);
}

static int on_durable(struct stream *s, const struct frame *f, const uint8_t *p, struct err *e)
{
	struct msg_durable m;
	unsigned d;
	int r = msg_durable_decode(p, f->length, &m, e);

	if (r)
		return r;
	for (d = 0; d < s->m->n_disks && s->m->disks[d].n != f->disk; d++)
		;
	if (d == s->m->n_disks || f->seq > s->disks[d].seq)
		return err_set(e, ERR_PEER, EPROTO,
			       "disk %u is called durable up to frame %llu, which was not sent",
			       f->disk, (unsigned long long)f->seq);
	if (f->seq > s->disks[d].durable)
		s->disks[d].durable = f->seq;
	release(s, d);
	return 0;
}

int stream_poll(struct stream *s, int timeout_ms, struct err *e)
{
	struct frame f;
	const uint8_t *p;
	int r;

	while ((r = link_next(s->link, timeout_ms, &f, &p, e)) > 0) {
		timeout_ms = 0; /* the wait is over; take what else is there */
		if (f.kind == FRAME_STATE)
			continue;
		if (f.kind != FRAME_DURABLE)
			return err_set(e, ERR_PEER, EPROTO, "%s came during a copy",
				       frame_kind_word(f.kind));
		r = on_durable(s, &f, p, e);
		if (r)
			return r;
	}
	return r;
}

/* ---- frames out ---- */

int stream_flush(struct stream *s, unsigned d, struct err *e)
{
	struct stream_disk *sd = &s->disks[d];
	struct frame f = { .kind = FRAME_FLUSH, .disk = (uint8_t)s->m->disks[d].n };

	if (sd->seq == sd->durable || sd->flushed == sd->seq)
		return 0;
	f.seq = ++sd->seq;
	sd->flushed = sd->seq;
	return link_put(s->link, &f, NULL, 0, NULL, 0, e);
}

static int flush_all(struct stream *s, struct err *e)
{
	int r = 0;

	for (unsigned d = 0; !r && d < s->m->n_disks; d++)
		r = stream_flush(s, d, e);
	return r ? r : link_flush(s->link, e);
}

static bool take_room(struct stream *s, unsigned d, uint64_t cost)
{
	return s->free != SENT_NONE && window_take(s->window, d, cost);
}

static int wait_for_room(struct stream *s, unsigned d, uint64_t cost, struct err *e)
{
	uint64_t since = clock_ms();
	bool asked = false;
	int r = link_flush(s->link, e);

	window_wait(s->window, true);
	while (!r && !take_room(s, d, cost)) {
		r = stream_poll(s, STALL_MS, e);
		if (!r && !asked && clock_ms() - since >= STALL_MS) {
			r = flush_all(s, e);
			asked = true;
		}
	}
	window_wait(s->window, false);
	return r;
}

static void list(struct stream *s, unsigned d, const struct frame *f, uint64_t count, uint64_t cost)
{
	struct stream_disk *sd = &s->disks[d];
	uint16_t i = s->free;

	s->free = s->sent[i].next;
	s->sent[i] = (struct sent){ .seq = f->seq,
				    .block = f->block,
				    .count = count,
				    .cost = cost,
				    .disk = (uint8_t)d,
				    .kind = (uint8_t)f->kind,
				    .next = SENT_NONE };
	if (sd->last == SENT_NONE)
		sd->first = i;
	else
		s->sent[sd->last].next = i;
	sd->last = i;
}

/* ${count} blocks from f->block on; fills the sequence number. What did not go out whole never
 * existed: the caller still has what was in it. */
static int put_blocks(struct stream *s, unsigned d, struct frame *f, uint64_t count, const void *a,
		      size_t a_len, const void *b, size_t b_len, struct err *e)
{
	uint64_t cost = f->kind == FRAME_UNCHANGED ? 0 : s->block_size;
	int r = stream_poll(s, 0, e);

	if (!r && window_wants_flush(s->window, d))
		r = stream_flush(s, d, e);
	if (!r && !take_room(s, d, cost))
		r = wait_for_room(s, d, cost, e);
	if (r)
		return r;
	f->seq = ++s->disks[d].seq;
	r = link_put(s->link, f, a, a_len, b, b_len, e);
	if (r) {
		window_give(s->window, d, cost, s->slot);
		return r;
	}
	list(s, d, f, count, cost);
	return 0;
}

int stream_data(struct stream *s, unsigned d, uint64_t block, uint32_t gen, enum codec codec,
		const uint8_t digest[static DIGEST_LEN], const void *payload, size_t len,
		struct err *e)
{
	struct frame f = { .kind = FRAME_DATA,
			   .disk = (uint8_t)s->m->disks[d].n,
			   .codec = (uint8_t)codec,
			   .gen = gen,
			   .block = block };

	return put_blocks(s, d, &f, 1, digest, DIGEST_LEN, payload, len, e);
}

int stream_run(struct stream *s, unsigned d, enum frame_kind kind, uint64_t block, uint64_t count,
	       uint32_t gen, struct err *e)
{
	struct frame f = {
		.kind = kind, .disk = (uint8_t)s->m->disks[d].n, .gen = gen, .block = block
	};
	uint8_t out[MSG_RUN_LEN];

	msg_run_encode(count, out);
	return put_blocks(s, d, &f, count, out, sizeof out, NULL, 0, e);
}

/* Flushes too: no answer may come late, into the next conversation on this connection. */
static bool all_durable(const struct stream *s)
{
	for (unsigned d = 0; d < s->m->n_disks; d++) {
		if (s->disks[d].durable != s->disks[d].seq)
			return false;
	}
	return true;
}

int stream_settle(struct stream *s, struct err *e)
{
	uint64_t began = clock_ms(), took, longest = atomic_load(&s->m->gauge.settle_ms);
	int r = flush_all(s, e);

	while (!r && !all_durable(s))
		r = stream_poll(s, 1000, e);
	took = clock_ms() - began;
	while (longest < took &&
	       !atomic_compare_exchange_weak(&s->m->gauge.settle_ms, &longest, took))
		;
	return r;
}
