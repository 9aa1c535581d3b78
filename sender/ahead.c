/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ahead.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ioq.h"

struct chunk {
	unsigned d;
	uint64_t block, count; /* what is left of it */
	uint64_t first;        /* where it began */
	bool queued;           /* in a buffer of its own; else read block by block */
	bool arrived, counted;
	ssize_t res;
	uint8_t *buf; /* of this place in the ring; NULL until it is needed */
};

struct ahead {
	struct move *m;
	uint32_t block_size;
	bool queue_files;
	struct ioq *q; /* NULL until it is needed */
	struct chunk ring[AHEAD_CHUNKS];
	size_t at, n;
	uint8_t *plain; /* one block of a file */
	bool have;      /* ${plain} holds the oldest block */
};

int ahead_new(struct move *m, uint32_t block_size, bool queue_files, struct ahead **ret,
	      struct err *e)
{
	struct ahead *a = calloc(1, sizeof *a);

	if (a)
		a->plain = aligned_alloc(SOURCE_ALIGN, block_size);
	if (!a || !a->plain) {
		ahead_free(a);
		return err_set(e, ERR_SYS, ENOMEM, "buffers of a connection");
	}
	a->m = m;
	a->block_size = block_size;
	a->queue_files = queue_files;
	*ret = a;
	return 0;
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	ioq_free(a->q); /* waits for what is read into the buffers */
	for (size_t i = 0; i < AHEAD_CHUNKS; i++)
		free(a->ring[i].buf);
	free(a->plain);
	free(a);
}

uint64_t ahead_room(const struct ahead *a, const struct piece *p)
{
	uint64_t most = AHEAD_BYTES / a->block_size;

	if (a->n == AHEAD_CHUNKS)
		return 0;
	return p->count < most ? p->count : most;
}

static size_t bytes_of(const struct ahead *a, unsigned d, uint64_t block, uint64_t count)
{
	uint64_t left = source_info(a->m->disks[d].source)->size - block * a->block_size;
	uint64_t len = count * a->block_size;

	return (size_t)(len < left ? len : left);
}

static int begin_read(struct ahead *a, struct chunk *ch, size_t i, struct err *e)
{
	size_t len = bytes_of(a, ch->d, ch->block, ch->count);
	int r = a->q ? 0 : ioq_new(IOQ_AUTO, AHEAD_CHUNKS, &a->q, e);

	if (r)
		return r;
	if (!ch->buf)
		ch->buf = aligned_alloc(SOURCE_ALIGN, AHEAD_BYTES);
	if (!ch->buf)
		return err_set(e, ERR_SYS, ENOMEM, "read buffer of a connection");
	r = source_read_begin(a->m->disks[ch->d].source, a->q, ch->buf, len,
			      ch->block * a->block_size, i);
	return r ? err_set(e, ERR_SYS, -r, "begin a read") : 0;
}

int ahead_ask(struct ahead *a, unsigned d, uint64_t block, uint64_t count, struct err *e)
{
	size_t i = (a->at + a->n) % AHEAD_CHUNKS;
	struct chunk *ch = &a->ring[i];
	struct source *s = a->m->disks[d].source;
	uint8_t *buf = ch->buf;
	int r = 0;

	*ch = (struct chunk){ .d = d, .block = block, .count = count, .first = block, .buf = buf };
	ch->queued = a->queue_files || source_info(s)->kind == SOURCE_BLOCK;
	if (ch->queued)
		r = begin_read(a, ch, i, e);
	else
		source_will_read(s, block * a->block_size, bytes_of(a, d, block, count));
	if (!r)
		a->n++;
	return r;
}

/* Completions come in any order; the chunk at the front is the one that is needed. */
static void wait_for(struct ahead *a, const struct chunk *ch)
{
	struct ioq_done done;

	while (!ch->arrived && ioq_wait(a->q, &done)) {
		a->ring[done.tag].arrived = true;
		a->ring[done.tag].res = done.res;
	}
}

static int read_now(struct ahead *a, const struct chunk *ch, struct err *e)
{
	size_t len = bytes_of(a, ch->d, ch->block, 1);
	int r;

	if (a->have)
		return 0;
	r = source_read(a->m->disks[ch->d].source, a->plain, len, ch->block * a->block_size, e);
	a->have = !r;
	atomic_fetch_add(&a->m->gauge.read, r ? 0 : len);
	return r;
}

static int finish_read(struct ahead *a, struct chunk *ch, struct err *e)
{
	size_t len = bytes_of(a, ch->d, ch->first, ch->block - ch->first + ch->count);
	int r;

	if (ch->counted)
		return 0;
	wait_for(a, ch);
	r = source_read_end(a->m->disks[ch->d].source, ch->res, len, ch->first * a->block_size, e);
	if (r)
		return r;
	atomic_fetch_add(&a->m->gauge.read, len);
	ch->counted = true;
	return 0;
}

int ahead_next(struct ahead *a, struct ahead_block *ret, struct err *e)
{
	struct chunk *ch = &a->ring[a->at];
	int r;

	if (!a->n)
		return 0;
	r = ch->queued ? finish_read(a, ch, e) : read_now(a, ch, e);
	if (r)
		return r;
	*ret = (struct ahead_block){ .d = ch->d,
				     .block = ch->block,
				     .data = ch->queued
						 ? ch->buf + (ch->block - ch->first) * a->block_size
						 : a->plain,
				     .len = bytes_of(a, ch->d, ch->block, 1) };
	return 1;
}

void ahead_done(struct ahead *a)
{
	struct chunk *ch = &a->ring[a->at];

	a->have = false;
	ch->block++;
	if (--ch->count)
		return;
	a->at = (a->at + 1) % AHEAD_CHUNKS;
	a->n--;
}

bool ahead_give_back(struct ahead *a, struct cursor *c)
{
	bool room = true;

	for (; a->n; a->n--, a->at = (a->at + 1) % AHEAD_CHUNKS) {
		struct chunk *ch = &a->ring[a->at];

		if (ch->queued)
			wait_for(a, ch);
		room &= cursor_give_back(c, &(struct piece){ .d = ch->d,
							     .block = ch->block,
							     .count = ch->count,
							     .kind = PIECE_READ });
	}
	a->have = false;
	return room;
}
