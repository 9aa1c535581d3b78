/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cursor.h"

#include <string.h>

#define PIECE_BYTES (4 * MIB)
#define RUN_BYTES (128 * MIB) /* of what needs no reading */
#define SLOW_FACTOR 2

void cursor_init(struct cursor *c, struct move *m, uint32_t block_size)
{
	memset(c, 0, sizeof *c);
	(void)pthread_mutex_init(&c->lock, NULL);
	c->m = m;
	c->block_size = block_size;
}

/* ---- what lies at a place of a disk ---- */

/* Whether bytes from some place on are in a map, and where that ends. */
struct span {
	bool in;
	uint64_t end;
};

static struct span look(const struct extent_set *s, size_t *at, uint64_t off, uint64_t size)
{
	uint64_t end = size;
	bool in = false;

	while (s && *at < s->n && s->v[*at].off + s->v[*at].len <= off)
		(*at)++;
	if (s && *at < s->n) {
		in = s->v[*at].off <= off;
		end = s->v[*at].off + (in ? s->v[*at].len : 0);
	}
	return (struct span){ .in = in, .end = end < size ? end : size };
}

static int look_hole(struct lane *l, const struct move_disk *d, uint64_t off, struct span *ret,
		     struct err *e)
{
	if (off >= l->hole_end) {
		int r = source_extent(d->source, off, &l->hole, &l->hole_end, e);
		if (r)
			return r;
	}
	*ret = (struct span){ .in = l->hole, .end = l->hole_end };
	return 0;
}

/* The block after the last one that lies in ${s} as a whole. */
static uint64_t whole_blocks(const struct cursor *c, struct span s, uint64_t size)
{
	return s.end == size ? div_round_up(size, c->block_size) : s.end / c->block_size;
}

/* Up to where the receiver claims all blocks from ${block} on, or none. */
static uint64_t claims_end(const struct table *t, uint64_t block, uint64_t end, bool *ret_claimed)
{
	struct table_entry entry;

	table_get(t, block, &entry);
	*ret_claimed = entry.kind != ENTRY_NONE;
	while (++block < end) {
		table_get(t, block, &entry);
		if ((entry.kind != ENTRY_NONE) != *ret_claimed)
			break;
	}
	return block;
}

/* Not known as a whole: to be read up to the first block that may be. */
static uint64_t unknown_end(const struct cursor *c, uint64_t block, struct span s)
{
	return s.in ? block + 1 : div_round_up(s.end, c->block_size);
}

static int ask_range(struct cursor *c, unsigned n, struct err *e)
{
	const struct move_disk *d = &c->m->disks[n];
	struct lane *l = &c->lanes[n];
	uint64_t size = source_info(d->source)->size, off = l->block * c->block_size, end;
	struct span hole, s[2]; /* free, same */
	int r = look_hole(l, d, off, &hole, e);

	if (r)
		return r;
	s[0] = look(d->free_map, &l->free_at, off, size);
	s[1] = look(d->same_map, &l->same_at, off, size);
	if (hole.in && whole_blocks(c, hole, size) > l->block) {
		l->range_kind = PIECE_ZERO;
		l->range_free = false;
		l->range_end = whole_blocks(c, hole, size);
		return 0;
	}
	if (s[0].in && whole_blocks(c, s[0], size) > l->block) {
		l->range_kind = PIECE_ZERO;
		l->range_free = true;
		l->range_end = whole_blocks(c, s[0], size);
		return 0;
	}
	end = unknown_end(c, l->block, hole);
	if (unknown_end(c, l->block, s[0]) < end)
		end = unknown_end(c, l->block, s[0]);
	l->range_kind = PIECE_READ;
	if (s[1].in && whole_blocks(c, s[1], size) > l->block) {
		uint64_t last = whole_blocks(c, s[1], size),
			 run = l->block + RUN_BYTES / c->block_size;
		bool claimed;

		/* Free space that begins inside is still free. */
		last = last < end ? last : end;
		l->range_end = claims_end(d->table, l->block, last < run ? last : run, &claimed);
		l->range_kind = claimed ? PIECE_SAME : PIECE_READ;
		return 0;
	}
	l->range_end = unknown_end(c, l->block, s[1]) < end ? unknown_end(c, l->block, s[1]) : end;
	return 0;
}

static void count_unread(struct cursor *c, unsigned n, const struct piece *p)
{
	struct disk_gauge *g = &c->m->gauge.disk[n];
	uint64_t off = p->block * c->block_size, len = p->count * c->block_size;
	uint64_t size = source_info(c->m->disks[n].source)->size;

	if (len > size - off)
		len = size - off;
	if (p->kind == PIECE_ZERO)
		atomic_fetch_add(c->lanes[n].range_free ? &g->free_bytes : &g->hole_bytes, len);
}

/* The next piece of lane ${n}; there is one. */
static int cut_piece(struct cursor *c, unsigned n, struct piece *ret, struct err *e)
{
	struct lane *l = &c->lanes[n];
	uint64_t most, count;
	int r = l->block >= l->range_end ? ask_range(c, n, e) : 0;

	if (r)
		return r;
	most = (l->range_kind == PIECE_READ ? PIECE_BYTES : RUN_BYTES) / c->block_size;
	count = l->range_end - l->block;
	*ret = (struct piece){ .d = n,
			       .block = l->block,
			       .count = count < most ? count : most,
			       .kind = l->range_kind };
	count_unread(c, n, ret);
	l->block += ret->count;
	return 0;
}

static int take_back(struct cursor *c, unsigned n, struct piece *ret)
{
	size_t i = c->n_back;

	while (i-- && c->back[i].d != n)
		continue;
	*ret = c->back[i];
	c->back[i] = c->back[--c->n_back];
	c->lanes[n].n_back--;
	return 0;
}

/* ---- which disk ---- */

static bool has_work(const struct cursor *c, unsigned n)
{
	const struct lane *l = &c->lanes[n];

	return l->n_back || l->block < table_blocks(c->m->disks[n].table);
}

static bool is_slow(const struct cursor *c, unsigned n)
{
	for (unsigned o = 0; o < c->m->n_disks; o++) {
		if (o != n && c->lanes[n].rate && has_work(c, o) &&
		    c->lanes[o].rate > SLOW_FACTOR * c->lanes[n].rate)
			return true;
	}
	return false;
}

/* The disk that wants a connection most; n_disks when none has work. */
static unsigned neediest(const struct cursor *c)
{
	unsigned best = c->m->n_disks;
	uint64_t best_cost = UINT64_MAX;

	for (unsigned n = 0; n < c->m->n_disks; n++) {
		uint64_t cost = c->lanes[n].seats;

		if (!has_work(c, n))
			continue;
		if (cost && is_slow(c, n))
			cost += CONNECTIONS_MAX;
		if (cost < best_cost) {
			best = n;
			best_cost = cost;
		}
	}
	return best;
}

/* Whether a connection leaves disk ${n}, which has work, for ${best}. */
static bool better(const struct cursor *c, unsigned n, unsigned best)
{
	return best != n && c->lanes[n].seats && (!c->lanes[best].seats || is_slow(c, n)) &&
	       !(c->lanes[best].seats && is_slow(c, best));
}

static void measure(struct cursor *c, struct seat *seat, uint64_t now_ms)
{
	struct lane *l = &c->lanes[seat->d];
	uint64_t ms = now_ms - seat->began_ms, rate;

	if (!seat->taken || !seat->bytes)
		return;
	rate = seat->bytes / (ms ? ms : 1);
	l->rate = l->rate ? (3 * l->rate + rate) / 4 : rate;
	if (!l->rate)
		l->rate = 1;
}

static void stand_up(struct cursor *c, struct seat *seat)
{
	if (seat->taken)
		c->lanes[seat->d].seats--;
	seat->taken = false;
}

/* Sits down where it is needed; false when no disk has work. */
static bool sit_down(struct cursor *c, struct seat *seat)
{
	bool stays = seat->taken && has_work(c, seat->d);
	unsigned best;

	stand_up(c, seat);
	best = neediest(c);
	if (best == c->m->n_disks)
		return false;
	if (!stays || better(c, seat->d, best))
		seat->d = best;
	seat->taken = true;
	c->lanes[seat->d].seats++;
	return true;
}

static int next_locked(struct cursor *c, struct seat *seat, uint64_t now_ms, struct piece *ret,
		       struct err *e)
{
	int r;

	measure(c, seat, now_ms);
	if (!sit_down(c, seat))
		return 0;
	r = c->lanes[seat->d].n_back ? take_back(c, seat->d, ret) : cut_piece(c, seat->d, ret, e);
	if (r)
		return r;
	seat->began_ms = now_ms;
	seat->bytes = ret->kind == PIECE_READ ? ret->count * c->block_size : 0;
	return 1;
}

int cursor_next(struct cursor *c, struct seat *seat, uint64_t now_ms, struct piece *ret,
		struct err *e)
{
	(void)pthread_mutex_lock(&c->lock);
	int r = next_locked(c, seat, now_ms, ret, e);
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

void cursor_leave(struct cursor *c, struct seat *seat)
{
	(void)pthread_mutex_lock(&c->lock);
	stand_up(c, seat);
	(void)pthread_mutex_unlock(&c->lock);
}

bool cursor_give_back(struct cursor *c, const struct piece *p)
{
	bool room = true;

	if (!p->count)
		return true;
	(void)pthread_mutex_lock(&c->lock);
	room = c->n_back < GIVEN_BACK_MAX;
	if (room) {
		c->back[c->n_back++] = *p;
		c->lanes[p->d].n_back++;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return room;
}

bool cursor_has_more(struct cursor *c)
{
	bool more = false;

	(void)pthread_mutex_lock(&c->lock);
	for (unsigned n = 0; n < c->m->n_disks; n++)
		more |= has_work(c, n);
	(void)pthread_mutex_unlock(&c->lock);
	return more;
}

unsigned cursor_crowd(struct cursor *c)
{
	unsigned seated = 0, waiting = 0;

	(void)pthread_mutex_lock(&c->lock);
	for (unsigned n = 0; n < c->m->n_disks; n++) {
		seated += c->lanes[n].seats != 0;
		waiting |= !c->lanes[n].seats && has_work(c, n);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return seated + waiting ? seated + waiting : 1;
}
