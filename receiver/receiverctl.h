/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * receiverctl.h - what the files of receiverctl share
 *
 * Flow    argv -> struct ctl -> one request over the control socket -> answer -> words or JSON.
 *         Long work is begun by a request and followed by asking for the status (wait).
 * Exit    0 done, 1 failed, 2 usage, 3 interrupted, 4 refused by a check.
 */
#ifndef RECEIVERCTL_H
#define RECEIVERCTL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "frame.h"

struct ctl {
	const char *socket;
	bool json, watch, no_wait;
	int argc; /* of the command, argv[0] being its name */
	char **argv;
	int fd; /* -1 until connected */
};

/* receiverctl_client.c: sends ${request} (given away) and waits for its answer. A refusal of
 * receiverd comes back as its error; ${ret_exit} then has the exit status it asks for. */
int ctl_request(struct ctl *c, json_t *request, json_t **ret, int *ret_exit, struct err *e);
/* {"command": NAME} */
json_t *ctl_simple(const char *name);

/* receiverctl_show.c */
void show_status(const json_t *status);
void show_disks(const json_t *disks);
void show_pair(const json_t *answer, const char *out_file);
void show_plan(const json_t *report);
void show_bad_blocks(const json_t *status);
/* "1.5 GiB" into ${ret}. */
const char *show_size(char ret[static 24], long long bytes);
/* One line a disk, redrawn in place; ${lines} is how many the last call drew. ${rates}: bytes a
 * second of each disk, DISKS_MAX of them. */
int show_bars(const json_t *status, const double *rates, int lines);

/* receiverctl_wait.c: polls until the state is not ${state} any more; draws on a terminal. */
int wait_while(struct ctl *c, const char *state, json_t **ret_status, struct err *e);
int wait_while_fix(struct ctl *c, json_t **ret_status, struct err *e);
int wait_while_ending(struct ctl *c, struct err *e);
int watch_status(struct ctl *c, struct err *e);

#endif
