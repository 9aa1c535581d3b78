/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dirty.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define WORD_BITS 64u

struct dirty {
	pthread_mutex_t lock; /* of live and live_all; old belongs to the thread that turns */
	uint64_t size, granules;
	size_t words;
	uint64_t *live, *old;
	bool live_all, old_all;
};

void dirty_free(struct dirty *d)
{
	if (!d)
		return;
	free(d->live);
	free(d->old);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

int dirty_new(uint64_t size, struct dirty **ret, struct err *e)
{
	struct dirty *d = calloc(1, sizeof *d);

	if (!d)
		return err_set(e, ERR_SYS, ENOMEM, "map of what is written");
	(void)pthread_mutex_init(&d->lock, NULL);
	d->size = size;
	d->granules = div_round_up(size, DIRTY_GRANULE);
	d->words = (size_t)div_round_up(d->granules, WORD_BITS);
	d->live = calloc(d->words + 1, sizeof *d->live);
	d->old = calloc(d->words + 1, sizeof *d->old);
	d->old_all = true;
	if (!d->live || !d->old) {
		dirty_free(d);
		return err_set(e, ERR_SYS, ENOMEM, "map of what is written");
	}
	*ret = d;
	return 0;
}

bool dirty_mark(struct dirty *d, uint64_t off, uint64_t len)
{
	if (!extent_within((struct extent){ .off = off, .len = len }, d->size))
		return false;
	if (!len)
		return true;
	uint64_t last = (off + len - 1) / DIRTY_GRANULE;
	(void)pthread_mutex_lock(&d->lock);
	for (uint64_t g = off / DIRTY_GRANULE; g <= last; g++)
		d->live[g / WORD_BITS] |= UINT64_C(1) << g % WORD_BITS;
	(void)pthread_mutex_unlock(&d->lock);
	return true;
}

void dirty_lose(struct dirty *d)
{
	(void)pthread_mutex_lock(&d->lock);
	d->live_all = true;
	(void)pthread_mutex_unlock(&d->lock);
}

void dirty_turn(struct dirty *d)
{
	(void)pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->words; i++) {
		d->old[i] |= d->live[i];
		d->live[i] = 0;
	}
	d->old_all |= d->live_all;
	d->live_all = false;
	(void)pthread_mutex_unlock(&d->lock);
}

void dirty_settled(struct dirty *d)
{
	memset(d->old, 0, d->words * sizeof *d->old);
	d->old_all = false;
}

void dirty_unread(struct dirty *d, struct extent x)
{
	uint64_t end = x.off + x.len;

	if (!extent_within(x, d->size))
		return;
	/* The last granule of the disk may be short. */
	end = end == d->size ? d->granules : end / DIRTY_GRANULE;
	for (uint64_t g = div_round_up(x.off, DIRTY_GRANULE); g < end; g++)
		d->old[g / WORD_BITS] |= UINT64_C(1) << g % WORD_BITS;
}

/* Where the run of granules ends that begins at ${from}. */
static uint64_t run_end(const struct dirty *d, uint64_t from, bool is_dirty)
{
	uint64_t g = from;

	while (g < d->granules) {
		/* Bits that end the run, from ${g} on, are ones here. */
		uint64_t w = d->old[g / WORD_BITS];

		w = (is_dirty ? ~w : w) >> g % WORD_BITS;
		if (w) {
			g += (unsigned)__builtin_ctzll(w);
			break;
		}
		g += WORD_BITS - g % WORD_BITS;
	}
	return g < d->granules ? g : d->granules;
}

/* The next run of at least ${least} clean granules from *at on; false when there is none. */
static bool next_clean(const struct dirty *d, uint64_t least, uint64_t *at, struct extent *ret)
{
	while (*at < d->granules) {
		uint64_t first = run_end(d, *at, true), end = run_end(d, first, false);

		*at = end;
		if (end - first >= least && end > first) {
			uint64_t off = first * DIRTY_GRANULE, stop = end * DIRTY_GRANULE;

			*ret = (struct extent){ .off = off,
						.len = (stop < d->size ? stop : d->size) - off };
			return true;
		}
	}
	return false;
}

static size_t count_clean(const struct dirty *d, uint64_t least)
{
	struct extent x;
	size_t n = 0;

	for (uint64_t at = 0; next_clean(d, least, &at, &x);)
		n++;
	return n;
}

int dirty_same(const struct dirty *d, struct extent_set *ret, struct err *e)
{
	uint64_t least = 1;
	struct extent x;
	size_t n = 0;

	*ret = (struct extent_set){ 0 };
	if (d->old_all)
		return 0;
	/* To read a little too much is always right. */
	while ((n = count_clean(d, least)) > DIRTY_EXTENTS_MAX)
		least *= 2;
	if (!n)
		return 0;
	ret->v = calloc(n, sizeof *ret->v);
	if (!ret->v)
		return err_set(e, ERR_SYS, ENOMEM, "map of what is the same");
	ret->room = n;
	for (uint64_t at = 0; ret->n < n && next_clean(d, least, &at, &x);)
		ret->v[ret->n++] = x;
	return 0;
}

uint64_t dirty_bytes(const struct dirty *d)
{
	uint64_t same = 0;
	struct extent x;

	if (d->old_all)
		return d->size;
	for (uint64_t at = 0; next_clean(d, 1, &at, &x);)
		same += x.len;
	return d->size - same;
}
