/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * run.h - one command on disks that this kernel may open: look, plan, act, look again, report
 *
 * Errors   0, or a negative errno with *e filled; the report is written to ${out} in both cases.
 */
#ifndef BOOTFIX_RUN_H
#define BOOTFIX_RUN_H

#include "options.h"

#include <stdio.h>

/* The report of a command that failed before it looked at any disk. */
void run_tell_failure(const struct options *o, FILE *out, struct err *e);

int run_command(const struct options *o, FILE *out, struct err *e)
    __attribute__((warn_unused_result));

#endif
