/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stream.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

/* A receiver that gathers more than the window holds is asked to flush after this time. */
#define STALL_MS 100

void window_init(struct window *w)
{
	memset(w, 0, sizeof *w);
	(void)pthread_mutex_init(&w->lock, NULL);
}

static bool window_take(struct window *w, uint64_t cost)
{
	uint64_t now = atomic_load(&w->in_flight);

	do {
		if (now + cost > WINDOW_BYTES)
			return false;
	} while (!atomic_compare_exchange_weak(&w->in_flight, &now, now + cost));
	return true;
}

static void window_give(struct window *w, uint64_t cost, unsigned own_slot)
{
	atomic_fetch_sub(&w->in_flight, cost);
	if (!atomic_load(&w->waiting))
		return;
	(void)pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (w->links[i] && i != own_slot)
			link_wake(w->links[i]);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static void window_list(struct window *w, unsigned slot, struct link *l)
{
	(void)pthread_mutex_lock(&w->lock);
	w->links[slot] = l;
	(void)pthread_mutex_unlock(&w->lock);
}

void stream_init(struct stream *s, struct move *m, struct link *l, struct window *w,
		 uint32_t block_size, unsigned slot)
{
	memset(s, 0, sizeof *s);
	s->m = m;
	s->link = l;
	s->window = w;
	s->block_size = block_size;
	s->slot = slot;
	window_list(w, slot, l);
}

void stream_drop(struct stream *s)
{
	uint64_t cost = 0;

	for (size_t i = 0; i < s->n; i++)
		cost += s->sent[(s->first + i) % SENT_MAX].cost;
	window_list(s->window, s->slot, NULL);
	window_give(s->window, cost, s->slot);
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

static void release(struct stream *s)
{
	uint64_t cost = 0;

	while (s->n) {
		const struct sent *x = &s->sent[s->first];

		if (x->seq > s->disks[x->disk].durable)
			break;
		cost += x->cost;
		atomic_fetch_add(&s->m->gauge.disk[x->disk].durable, bytes_of(s, x));
		s->first = (s->first + 1) % SENT_MAX;
		s->n--;
	}
	if (cost)
		window_give(s->window, cost, s->slot);
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
	release(s);
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

static int flush_disk(struct stream *s, unsigned d, struct err *e)
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
		r = flush_disk(s, d, e);
	return r ? r : link_flush(s->link, e);
}

static int wait_for_room(struct stream *s, uint64_t cost, struct err *e)
{
	uint64_t since = clock_ms();
	bool asked = false;
	int r = link_flush(s->link, e);

	atomic_fetch_add(&s->window->waiting, 1);
	while (!r && (s->n == SENT_MAX || !window_take(s->window, cost))) {
		r = stream_poll(s, STALL_MS, e);
		if (!r && !asked && clock_ms() - since >= STALL_MS) {
			r = flush_all(s, e);
			asked = true;
		}
	}
	atomic_fetch_sub(&s->window->waiting, 1);
	return r;
}

/* Room in the window and a line in the ring for a frame; fills its sequence number. */
static int note(struct stream *s, unsigned d, struct frame *f, uint64_t count, struct err *e)
{
	uint64_t cost = s->block_size;
	int r = stream_poll(s, 0, e);

	if (!r && (s->n == SENT_MAX || !window_take(s->window, cost)))
		r = wait_for_room(s, cost, e);
	if (r)
		return r;
	f->seq = ++s->disks[d].seq;
	s->sent[(s->first + s->n++) % SENT_MAX] = (struct sent){ .seq = f->seq,
								 .block = f->block,
								 .count = count,
								 .cost = cost,
								 .disk = (uint8_t)d,
								 .kind = (uint8_t)f->kind };
	return 0;
}

/* The frame did not go out whole, so it never existed: the caller still has what was in it. */
static int forget_last(struct stream *s, int r)
{
	if (r) {
		s->n--;
		window_give(s->window, s->sent[(s->first + s->n) % SENT_MAX].cost, s->slot);
	}
	return r;
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
	int r = note(s, d, &f, 1, e);

	if (r)
		return r;
	return forget_last(s, link_put(s->link, &f, digest, DIGEST_LEN, payload, len, e));
}

int stream_run(struct stream *s, unsigned d, enum frame_kind kind, uint64_t block, uint64_t count,
	       uint32_t gen, struct err *e)
{
	struct frame f = {
		.kind = kind, .disk = (uint8_t)s->m->disks[d].n, .gen = gen, .block = block
	};
	uint8_t out[MSG_RUN_LEN];
	int r = note(s, d, &f, count, e);

	msg_run_encode(count, out);
	if (r)
		return r;
	return forget_last(s, link_put(s->link, &f, out, sizeof out, NULL, 0, e));
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
