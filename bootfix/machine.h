/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * machine.h - bootfix on image files: the same program, inside a QEMU machine without a network
 *
 * Why      nothing received is mounted by this host's kernel, and the host needs no partition
 *          scanning, vfat or xfs. The machine is appliance/'s; its README.md is the contract.
 * State    STATE/state.img, an ext4 image made here and mounted only inside the machine.
 * Trust    what comes out of the machine is bounded and parsed as JSON before it is passed on.
 * Errors   0 with *ret_code the inner exit code, or a negative errno with *e filled.
 */
#ifndef BOOTFIX_MACHINE_H
#define BOOTFIX_MACHINE_H

#include "options.h"

#include <stdio.h>

/* True when any of the disks is a regular file. */
bool machine_needed(const struct options *o);

int machine_run(const struct options *o, FILE *out, int *ret_code, struct err *e)
    __attribute__((warn_unused_result));

#endif
