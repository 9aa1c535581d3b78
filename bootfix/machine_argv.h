/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * machine_argv.h - QEMU's command line, and the job file, for one run
 *
 * Shape    files of the run are named relative to the work folder, where QEMU is started; disks and
 *          the machine's kernel are absolute. Commas are doubled, as QEMU wants them.
 * Errors   0, or a negative errno with *e filled. Refusal "no-machine".
 */
#ifndef BOOTFIX_MACHINE_ARGV_H
#define BOOTFIX_MACHINE_ARGV_H

#include "options.h"

enum { MACHINE_ARGS = 256 };

struct machine_argv {
	char *argv[MACHINE_ARGS + 1];
	size_t n;
};

/* Disks are there, the machine is built. */
int machine_argv_check(const struct options *o, struct err *e) __attribute__((warn_unused_result));
/* Also writes "job" and "facts.json" into ${work}; ${state} "" is no state disk. */
int machine_argv_make(struct machine_argv *a, const struct options *o, const struct facts *f,
		      const char *work, const char *state, struct err *e)
    __attribute__((warn_unused_result));
void machine_argv_free(struct machine_argv *a);

#endif
