/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "task.h"

#include <string.h>

void task_init(struct task *t)
{
	memset(t, 0, sizeof *t);
	t->state = TASK_WAITING;
}

uint64_t task_disk_blocks(const struct task *t, uint32_t n)
{
	return t->block_size ? div_round_up(t->disk[n].source_size, t->block_size) : 0;
}

uint32_t task_disks(const struct task *t)
{
	uint32_t mask = 0;

	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used)
			mask |= UINT32_C(1) << n;
	}
	return mask;
}

bool task_complete(const struct task *t)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		const struct task_disk *d = &t->disk[n];

		if (d->used && (!d->source_size || d->claimed < task_disk_blocks(t, n)))
			return false;
	}
	return task_disks(t) != 0;
}
