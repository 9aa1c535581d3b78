/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "extent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t end_of(struct extent x)
{
	return x.off + x.len;
}

bool extent_within(struct extent x, uint64_t limit)
{
	return x.off <= limit && x.len <= limit - x.off;
}

/* Index of the first range that ends after ${off}; n when none does. */
static size_t first_ending_after(const struct extent_set *s, uint64_t off)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (end_of(s->v[mid]) > off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int make_room(struct extent_set *s)
{
	if (s->n < s->room)
		return 0;
	size_t room = s->room ? s->room * 2 : 16;
	struct extent *v = reallocarray(s->v, room, sizeof *v);
	if (!v)
		return -ENOMEM;
	s->v = v;
	s->room = room;
	return 0;
}

/* Puts ${x} in place of the ranges [from, to). Room for one more must be there. */
static void splice(struct extent_set *s, size_t from, size_t to, struct extent x)
{
	memmove(s->v + from + 1, s->v + to, (s->n - to) * sizeof *s->v);
	s->v[from] = x;
	s->n = s->n - (to - from) + 1;
}

int extent_set_add(struct extent_set *s, struct extent x)
{
	if (!extent_within(x, UINT64_MAX))
		return -ERANGE;
	if (!x.len)
		return 0;
	int r = make_room(s);
	if (r < 0)
		return r;

	/* A range that ends exactly where ${x} begins is touched, and grows. */
	size_t from = x.off ? first_ending_after(s, x.off - 1) : 0;
	size_t to = from;
	uint64_t off = x.off, end = end_of(x);

	while (to < s->n && s->v[to].off <= end) {
		if (s->v[to].off < off)
			off = s->v[to].off;
		if (end_of(s->v[to]) > end)
			end = end_of(s->v[to]);
		to++;
	}
	splice(s, from, to, (struct extent){ .off = off, .len = end - off });
	return 0;
}

int extent_set_subtract(struct extent_set *s, struct extent x)
{
	if (!extent_within(x, UINT64_MAX))
		return -ERANGE;
	if (!x.len)
		return 0;

	size_t i = first_ending_after(s, x.off);
	uint64_t end = end_of(x);

	/* ${x} lies inside one range: two pieces remain. */
	if (i < s->n && s->v[i].off < x.off && end_of(s->v[i]) > end) {
		uint64_t old_end = end_of(s->v[i]);
		int r = make_room(s);
		if (r < 0)
			return r;
		s->v[i].len = x.off - s->v[i].off;
		splice(s, i + 1, i + 1, (struct extent){ .off = end, .len = old_end - end });
		return 0;
	}
	if (i < s->n && s->v[i].off < x.off) {
		s->v[i].len = x.off - s->v[i].off;
		i++;
	}
	size_t to = i;
	while (to < s->n && end_of(s->v[to]) <= end)
		to++;
	if (to < s->n && s->v[to].off < end) {
		s->v[to].len = end_of(s->v[to]) - end;
		s->v[to].off = end;
	}
	if (to == i)
		return 0;
	memmove(s->v + i, s->v + to, (s->n - to) * sizeof *s->v);
	s->n -= to - i;
	return 0;
}

bool extent_set_contains(const struct extent_set *s, struct extent x)
{
	if (!extent_within(x, UINT64_MAX))
		return false;
	if (!x.len)
		return true;
	size_t i = first_ending_after(s, x.off);
	return i < s->n && s->v[i].off <= x.off && end_of(s->v[i]) >= end_of(x);
}

bool extent_set_overlaps(const struct extent_set *s, struct extent x)
{
	if (!x.len || !extent_within(x, UINT64_MAX))
		return false;
	size_t i = first_ending_after(s, x.off);
	return i < s->n && s->v[i].off < end_of(x);
}

uint64_t extent_set_total(const struct extent_set *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->n; i++)
		total += s->v[i].len;
	return total;
}

bool extent_set_next_gap(const struct extent_set *s, uint64_t from, uint64_t limit,
			 struct extent *ret)
{
	size_t i = first_ending_after(s, from);

	if (i < s->n && s->v[i].off <= from)
		from = end_of(s->v[i++]);
	if (from >= limit)
		return false;
	uint64_t end = i < s->n && s->v[i].off < limit ? s->v[i].off : limit;
	*ret = (struct extent){ .off = from, .len = end - from };
	return true;
}

void extent_set_free(struct extent_set *s)
{
	if (!s)
		return;
	free(s->v);
	memset(s, 0, sizeof *s);
}
