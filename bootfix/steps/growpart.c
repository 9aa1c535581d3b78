/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last partition takes the room behind it: only on --grow, only the last one by position, only
 * where a file system that can follow is in it. */
#include "plan.h"
#include "steps.h"
#include "table.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "fs_size.h"

#include <stdio.h>
#include <string.h>

/* Less than this is alignment, not room. */
#define WORTH_IT (4 * MIB)

static const struct vol *last_on(const struct guest *g, unsigned disk)
{
	const struct vol *last = NULL;

	for (size_t i = 0; i < g->n_vols; i++)
		if (g->vols[i].disk == disk && g->vols[i].number &&
		    (!last || g->vols[i].start > last->start))
			last = &g->vols[i];
	return last;
}

/* Why ${v} stays as it is, or NULL. */
static const char *why_not(const struct disk *d, const struct vol *v)
{
	if (d->table == TABLE_GPT && d->hybrid_mbr)
		return "the disk has a hybrid MBR";
	if (d->table == TABLE_MBR && d->has_logical)
		return "the disk has logical partitions";
	if (v->kind != VOL_FS || !(fs_is_ext(v) || !strcmp(v->type, "xfs")))
		return "it holds no ext or xfs file system";
	/* Grown is undone by shrinking, and then the size must be known. */
	return v->fs_size ? NULL : "its file system does not say how large it is";
}

static int grow(const struct disk *d, const struct vol *v, struct plan *p, struct err *e)
{
	scoped(table_changes_free) struct table_changes c = { 0 };
	int r = table_compute(d, v->number, &c, e);

	if (r < 0 || !c.grown_end)
		return r;
	for (size_t i = 0; !r && i < c.n; i++) {
		char why[128];

		(void)snprintf(why, sizeof why,
			       "partition %u of disk %u grows from %llu to %llu MiB", v->number,
			       d->n, (unsigned long long)(v->size / MIB),
			       (unsigned long long)((c.grown_end - v->start) / MIB));
		r = plan_sectors(p, "growpart", d->n, c.v[i].off, &c.v[i].data, why, e);
	}
	if (!r)
		p->grown_end[d->n] = c.grown_end;
	return r;
}

static int plan(const struct guest *g, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < g->n_disks; i++) {
		const struct disk *d = &g->disks[i];
		const struct vol *v = last_on(g, d->n);
		uint64_t end = v ? v->start + v->size : 0;
		const char *why;
		int r;

		if (!v || d->size - end < WORTH_IT + MIB)
			continue;
		if (!g->wishes.grow) {
			plan_finding(
			    p, "growpart", LEVEL_OK, NULL,
			    "disk %u has %llu MiB behind its last partition; --grow uses them",
			    d->n, (unsigned long long)((d->size - end) / MIB));
			continue;
		}
		why = why_not(d, v);
		if (why) {
			plan_finding(p, "growpart", LEVEL_WARN, NULL,
				     "disk %u: partition %u does not grow: %s", d->n, v->number,
				     why);
			continue;
		}
		r = grow(d, v, p, e);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct step step_growpart = { .name = "growpart", .plan = plan };
