/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * machine_claim.h - the disks are ours while the machine runs
 *
 * Why      two machines on one image would each keep a cache of it. QEMU's own locks say so only in
 *          QEMU's words, and know nothing of receiverd.
 * Locks    flock as everywhere in Transit, shared for looking; O_EXCL on block devices; the bytes
 *          that a running QEMU locks are asked for.
 * Errors   0, or a negative errno with *e filled ("disk-busy").
 */
#ifndef BOOTFIX_MACHINE_CLAIM_H
#define BOOTFIX_MACHINE_CLAIM_H

#include "options.h"

struct machine_claim {
	int fds[MAX_DISKS];
	size_t n;
};

int machine_claim(const struct options *o, struct machine_claim *c, struct err *e)
    __attribute__((warn_unused_result));
void machine_unclaim(struct machine_claim *c);

#endif
