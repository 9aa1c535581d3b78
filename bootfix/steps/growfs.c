/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file system that is smaller than its partition, now or once growpart is done, grows into it. */
#include "plan.h"
#include "steps.h"

#include "base/bytes.h"
#include "fs_size.h"

#include <stdio.h>
#include <string.h>

/* File systems are whole blocks and, for ext, leave a group out that would be too short. */
#define SLACK (4 * MIB)

static uint64_t size_to_be(const struct plan *p, const struct vol *v)
{
	uint64_t end = p->grown_end[v->disk];

	for (size_t i = 0; i < p->guest->n_vols; i++)
		if (p->guest->vols[i].disk == v->disk && p->guest->vols[i].start > v->start)
			return v->size;
	return end > v->start + v->size ? end - v->start : v->size;
}

static int plan(const struct guest *g, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < g->n_vols; i++) {
		const struct vol *v = &g->vols[i];
		bool ext = fs_is_ext(v);
		uint64_t to_be;
		char why[160];
		int r;

		if (v->kind != VOL_FS || !v->fs_size || !(ext || !strcmp(v->type, "xfs")))
			continue;
		to_be = size_to_be(p, v);
		if (to_be < v->fs_size + SLACK)
			continue;
		(void)snprintf(why, sizeof why, "%s of %s grows from %llu to %llu MiB%s", v->type,
			       v->target_name, (unsigned long long)(v->fs_size / MIB),
			       (unsigned long long)(to_be / MIB),
			       ext ? "" : "; this cannot be undone");
		r = plan_tool(p, "growfs", ext ? TOOL_GROW_EXT : TOOL_GROW_XFS, (unsigned)i, to_be,
			      why, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool applies(const struct guest *g)
{
	return g->wishes.grow;
}

const struct step step_growfs = { .name = "growfs", .applies = applies, .plan = plan };
