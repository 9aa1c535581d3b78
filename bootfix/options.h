/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * options.h - the command line, parsed once and const after
 *
 * Errors   ERR_USAGE with *e filled. Strings are borrowed from argv.
 */
#ifndef BOOTFIX_OPTIONS_H
#define BOOTFIX_OPTIONS_H

#include "types.h"

enum command { CMD_INSPECT, CMD_PLAN, CMD_APPLY, CMD_VERIFY, CMD_UNDO };

enum { MAX_SKIPS = 32 };

struct options {
	enum command command;
	const char *disks[MAX_DISKS];
	size_t n_disks;
	const char *facts;   /* or NULL */
	const char *state;   /* or NULL */
	const char *machine; /* or NULL */
	const char *step;    /* undo: only this one, or NULL */
	const char *skip[MAX_SKIPS];
	size_t n_skip;
	struct wishes wishes;
	bool json, help, version;
};

int options_parse(int argc, char **argv, struct options *ret, struct err *e)
    __attribute__((warn_unused_result));
/* That the disks are there, may be used as the command wants to, and are not one disk twice. */
int options_check_disks(const struct options *o, struct err *e) __attribute__((warn_unused_result));
const char *command_word(enum command c);
extern const char options_help[];

#endif
