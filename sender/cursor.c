/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cursor.h"

#include <string.h>

#define PIECE_BYTES (4 * MIB)
#define HOLE_BYTES (128 * MIB)

void cursor_init(struct cursor *c, struct move *m, uint32_t block_size)
{
	memset(c, 0, sizeof *c);
	(void)pthread_mutex_init(&c->lock, NULL);
	c->m = m;
	c->block_size = block_size;
}

/* A hole counts only in whole blocks; what is left of it belongs to the data around it. */
static int ask_range(struct cursor *c, struct err *e)
{
	const struct move_disk *d = &c->m->disks[c->d];
	uint64_t blocks = table_blocks(d->table), size = source_info(d->source)->size, end, last;
	bool hole;
	int r = source_extent(d->source, c->block * c->block_size, &hole, &end, e);

	if (r)
		return r;
	last = hole && end < size ? end / c->block_size : div_round_up(end, c->block_size);
	if (last <= c->block) {
		hole = false;
		last = c->block + 1;
	}
	c->range_hole = hole;
	c->range_end = last < blocks ? last : blocks;
	return 0;
}

/* The next piece of disk c->d; there is one. */
static int cut_piece(struct cursor *c, struct piece *ret, struct err *e)
{
	uint64_t most, count;
	int r = c->block >= c->range_end ? ask_range(c, e) : 0;

	if (r)
		return r;
	most = (c->range_hole ? HOLE_BYTES : PIECE_BYTES) / c->block_size;
	count = c->range_end - c->block;
	*ret = (struct piece){ .d = c->d,
			       .block = c->block,
			       .count = count < most ? count : most,
			       .hole = c->range_hole };
	c->block += ret->count;
	return 0;
}

static int next_locked(struct cursor *c, struct piece *ret, struct err *e)
{
	if (c->n_back) {
		*ret = c->back[--c->n_back];
		return 1;
	}
	while (c->d < c->m->n_disks && c->block == table_blocks(c->m->disks[c->d].table)) {
		c->d++;
		c->block = c->range_end = 0;
	}
	if (c->d == c->m->n_disks)
		return 0;
	int r = cut_piece(c, ret, e);
	return r ? r : 1;
}

int cursor_next(struct cursor *c, struct piece *ret, struct err *e)
{
	(void)pthread_mutex_lock(&c->lock);
	int r = next_locked(c, ret, e);
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

bool cursor_give_back(struct cursor *c, const struct piece *p)
{
	bool room = true;

	if (!p->count)
		return true;
	(void)pthread_mutex_lock(&c->lock);
	room = c->n_back < GIVEN_BACK_MAX;
	if (room)
		c->back[c->n_back++] = *p;
	(void)pthread_mutex_unlock(&c->lock);
	return room;
}

bool cursor_has_more(struct cursor *c)
{
	(void)pthread_mutex_lock(&c->lock);
	bool more = c->n_back || c->d < c->m->n_disks;
	(void)pthread_mutex_unlock(&c->lock);
	return more;
}
