/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report.h - what was found, meant, done and left: JSON for programs, lines for people
 *
 * Source   docs/bootfix-report.md, "Report", version 1: keys are added, never changed.
 * Trust    every string that came from a guest or a disk is cut to 1024 bytes; bytes that are no
 *          text become U+FFFD.
 * Errors   0, or -ENOMEM or -EIO with *e filled.
 */
#ifndef BOOTFIX_REPORT_H
#define BOOTFIX_REPORT_H

#include "journal.h"
#include "types.h"

#include <stdio.h>

/* Members may be NULL when a run did not get that far. */
struct report {
	const char *command; /* "plan" */
	const char *result;  /* "nothing-to-do", "planned", "changed", ... */
	const struct guest *guest;
	const struct plan *plan;
	const struct journal *journal; /* its actions are reported instead of the plan's */
	const struct err *error;
	int left; /* actions that a plan after apply still has; -1: not looked */
};

int report_json(const struct report *r, FILE *out, struct err *e)
    __attribute__((warn_unused_result));
int report_text(const struct report *r, FILE *out, struct err *e)
    __attribute__((warn_unused_result));

/* A report that came as JSON from the machine: parsed (ERR_PEER when it is none), then passed on as
 * JSON or as lines. */
int report_pass_on(const char *text, size_t len, bool json, FILE *out, struct err *e)
    __attribute__((warn_unused_result));

#endif
