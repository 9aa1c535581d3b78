/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A GPT has its backup in the last sector. On a larger disk it is somewhere in the middle: firmware
 * and tools complain, and some "repair" it by losing the space behind. */
#include "plan.h"
#include "steps.h"
#include "table.h"

#include "base/cleanup.h"

static int plan_disk(const struct disk *d, struct plan *p, struct err *e)
{
	scoped(table_changes_free) struct table_changes c = { 0 };
	int r;

	if (d->gpt_backup == d->size - d->logical_sector) {
		plan_finding(p, "gpt", LEVEL_OK, NULL, "disk %u: the GPT's backup is at the end",
			     d->n);
		return 0;
	}
	if (d->hybrid_mbr) {
		plan_finding(
		    p, "gpt", LEVEL_WARN, NULL,
		    "disk %u: hybrid MBR, which libparted would lose: the GPT's backup stays "
		    "where it is",
		    d->n);
		return 0;
	}
	r = table_compute(d, 0, &c, e);
	for (size_t i = 0; !r && i < c.n; i++)
		r = plan_sectors(p, "gpt", d->n, c.v[i].off, &c.v[i].data,
				 i ? "the GPT says where its backup is now"
				   : "the GPT's backup moves to the end of the larger disk",
				 e);
	return r;
}

static int plan(const struct guest *g, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < g->n_disks; i++) {
		const struct disk *d = &g->disks[i];
		int r = 0;

		if (d->gpt_sector && d->gpt_sector != d->logical_sector)
			plan_finding(p, "gpt", LEVEL_BLOCKED, NULL,
				     "disk %u: its GPT was made for %u-byte sectors, the disk has "
				     "%u-byte ones: attach it with the source's sector size",
				     d->n, d->gpt_sector, d->logical_sector);
		/* Growing rewrites the whole table, the backup included. */
		else if (d->table == TABLE_GPT && !p->grown_end[i])
			r = plan_disk(d, p, e);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct step step_gpt = { .name = "gpt", .plan = plan };
