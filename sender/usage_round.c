/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usage_round.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"

/* A busy file system takes new blocks all the time: what is left is the next round's. */
#define CATCH_UPS 2u

struct disk_usage {
	struct usage look;
	struct extent_set *kept_same; /* the disk's own, while a catching up has another */
	bool catching;
	struct extent_set left_out; /* by rounds of this run, and not read since */
};

static void free_set(struct extent_set **s)
{
	extent_set_free(*s);
	free(*s);
	*s = NULL;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS, ENOMEM, "maps of free space");
}

void usage_round_free(struct move_disk *d)
{
	free_set(&d->free_map);
	if (!d->usage)
		return;
	usage_release(&d->usage->look);
	extent_set_free(&d->usage->left_out);
	free(d->usage);
	d->usage = NULL;
}

const struct usage *usage_round_look(const struct move_disk *d)
{
	return d->usage ? &d->usage->look : NULL;
}

/* ---- before ---- */

/* *${ret} = ${a} without ${b}, in one walk. */
static int minus(const struct extent_set *a, const struct extent_set *b, struct extent_set *ret)
{
	size_t k = 0;
	int r = 0;

	for (size_t i = 0; i < a->n && !r; i++) {
		uint64_t at = a->v[i].off, end = at + a->v[i].len;

		while (k < b->n && b->v[k].off + b->v[k].len <= at)
			k++;
		for (size_t j = k; j < b->n && b->v[j].off < end && !r; j++) {
			if (b->v[j].off > at)
				r = extent_set_add(
				    ret, (struct extent){ .off = at, .len = b->v[j].off - at });
			at = b->v[j].off + b->v[j].len;
		}
		if (at < end && !r)
			r = extent_set_add(ret, (struct extent){ .off = at, .len = end - at });
	}
	return r;
}

/* What was left out was not read: that nobody wrote to it since says nothing of its content. It is
 * left out again or read, and then it is as good as any other. */
static int distrust_same(struct move_disk *d)
{
	struct extent_set read = { 0 }, same = { 0 };
	int r = minus(&d->usage->left_out, d->free_map, &read);

	if (!r && d->same_map && read.n)
		r = minus(d->same_map, &read, &same);
	if (!r && d->same_map && read.n) {
		extent_set_free(d->same_map);
		*d->same_map = same;
		same = (struct extent_set){ 0 };
	}
	for (size_t i = 0; i < d->free_map->n && !r; i++)
		r = extent_set_add(&d->usage->left_out, d->free_map->v[i]);
	extent_set_free(&read);
	extent_set_free(&same);
	return r;
}

int usage_round_disk(struct move_disk *d, const struct usage_context *c, struct err *e)
{
	if (!d->usage)
		d->usage = calloc(1, sizeof *d->usage);
	if (!d->free_map)
		d->free_map = calloc(1, sizeof *d->free_map);
	if (!d->usage || !d->free_map)
		return no_memory(e);
	usage_release(&d->usage->look);
	extent_set_free(d->free_map);
	d->provisional = false;
	if (usage_look(d->source, c, &d->usage->look))
		return no_memory(e);
	/* The set moves; the report keeps the parts. */
	*d->free_map = d->usage->look.free;
	d->usage->look.free = (struct extent_set){ 0 };
	d->provisional = d->usage->look.provisional;
	return distrust_same(d) ? no_memory(e) : 0;
}

int usage_round_begin(struct move *m, const struct usage_context *c, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < m->n_disks && !m->o->all_blocks && !r; i++)
		r = usage_round_disk(&m->disks[i], c, e);
	return r;
}

/* ---- after ---- */

/* Reads ${fresh} and nothing else: all other blocks are as they were sent. */
static int catch_up(struct move_disk *d, const struct extent_set *fresh)
{
	struct extent_set all = { 0 }, still = { 0 }, *same = calloc(1, sizeof *same);
	int r = same ? extent_set_add(&all, (struct extent){ .len = source_info(d->source)->size })
		     : -ENOMEM;

	if (!r)
		r = minus(&all, fresh, same);
	if (!r)
		r = minus(d->free_map, fresh, &still);
	extent_set_free(&all);
	if (r) {
		extent_set_free(&still);
		free_set(&same);
		return r;
	}
	extent_set_free(d->free_map);
	*d->free_map = still;
	if (d->usage->catching)
		free_set(&d->same_map);
	else
		d->usage->kept_same = d->same_map;
	d->usage->catching = true;
	d->same_map = same;
	return 0;
}

/* Something writes to what should stand still: its maps are not believed any more. */
static void read_all(struct move_disk *d)
{
	extent_set_free(d->free_map);
	if (d->same_map)
		extent_set_free(d->same_map);
}

/* 1: some of what was left out is in use by now. */
static int look_again(struct move_disk *d, const struct usage_context *c)
{
	struct extent_set fresh = { 0 };
	struct usage *now;
	int r;

	if (!d->free_map || !d->free_map->n)
		return 0;
	now = calloc(1, sizeof *now);
	r = now ? usage_look(d->source, c, now) : -ENOMEM;
	if (!r)
		r = minus(d->free_map, &now->free, &fresh);
	if (now)
		usage_release(now);
	free(now);
	if (!r && fresh.n) {
		if (c->phase == USAGE_LIVE)
			r = catch_up(d, &fresh);
		else
			read_all(d);
		r = r ? r : 1;
	}
	extent_set_free(&fresh);
	return r;
}

int usage_round_again(struct move *m, const struct usage_context *c, unsigned tries, struct err *e)
{
	bool any = false;

	if (c->phase == USAGE_LIVE && tries == CATCH_UPS)
		return 0;
	for (unsigned i = 0; i < m->n_disks && !m->o->all_blocks; i++) {
		int r = look_again(&m->disks[i], c);

		if (r < 0)
			return no_memory(e);
		any |= r > 0;
	}
	return any;
}

/* Once a round is through, all that it did not leave out was read. */
static void settle(struct disk_usage *u, const struct extent_set *free_map)
{
	struct extent_set now = { 0 };

	for (size_t i = 0; i < free_map->n; i++) {
		if (extent_set_add(&now, free_map->v[i])) {
			extent_set_free(
			    &now); /* the longer list stays: more is read than need be */
			return;
		}
	}
	extent_set_free(&u->left_out);
	u->left_out = now;
}

void usage_round_end(struct move *m, bool done)
{
	for (unsigned i = 0; i < m->n_disks; i++) {
		struct move_disk *d = &m->disks[i];

		if (done && d->usage && d->free_map)
			settle(d->usage, d->free_map);

		/* Not a round that another may be compared with. */
		if (d->provisional)
			d->stamped = false;
		if (!d->usage || !d->usage->catching)
			continue;
		free_set(&d->same_map);
		d->same_map = d->usage->kept_same;
		d->usage->kept_same = NULL;
		d->usage->catching = false;
	}
}

const struct usage_part *usage_round_doubt(const struct move_disk *d, unsigned *at)
{
	while (d->usage && *at < d->usage->look.n_parts) {
		const struct usage_part *p = &d->usage->look.parts[(*at)++];

		if (p->verdict == USAGE_DOUBTED)
			return p;
	}
	return NULL;
}

void usage_round_warn(const struct move *m)
{
	const struct usage_part *p;

	for (unsigned i = 0; i < m->n_disks; i++) {
		for (unsigned at = 0; (p = usage_round_doubt(&m->disks[i], &at));)
			log_warn("disk %u, %s%s%s: copied whole: %s", m->disks[i].n, p->name,
				 p->type[0] ? ", " : "", p->type, p->why);
	}
}
