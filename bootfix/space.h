/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * space.h - whether the guest's file systems have room for what the plan writes
 *
 * Why     a file system that fills up in the middle leaves an initramfs that does not boot. The
 *         plan is complete when this looks at it, so nothing has been written yet.
 * Need    bytes in whole blocks, and a tenth more; a rewritten file counts whole, because the old
 *         one stays until the new one is there. The root's reserve counts as free: we are root.
 * Errors  0, or a negative errno with *e filled.
 */
#ifndef BOOTFIX_SPACE_H
#define BOOTFIX_SPACE_H

#include "types.h"

/* Adds one LEVEL_BLOCKED finding for every file system that is too full, under the step that needs
 * most of it. */
int space_plan(struct plan *p, struct err *e) __attribute__((warn_unused_result));

/* How many of ${planned} bytes and a tenth more do not fit into ${room}; 0: all fit. */
uint64_t space_missing(uint64_t planned, uint64_t room);

#endif
