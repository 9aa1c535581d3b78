/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * facts.h - what the repair of the received system must know of the source, as JSON
 *
 * Shape   {"version":1, "hostname", "firmware", "arch", "kernel", "disks":[...], "nics":[...],
 *         "root", "memory", "cpus"}; sizes and starts are bytes. Documented in transit-send(1).
 * Rule    an image file tells nothing of its machine: its disk has no name there; --facts FILE
 *         gives the facts of the machine that the image came from instead.
 */
#ifndef SENDER_FACTS_H
#define SENDER_FACTS_H

#include <jansson.h>

#include "move.h"

/* JSON text of at most FACTS_MAX bytes, to be freed. */
int facts_make(const struct move *m, char **ret, struct err *e);
/* A person's file: an object with "version": 1. */
int facts_load(const char *path, char **ret, struct err *e);

/* "bios" or "uefi". */
const char *facts_firmware(void);

#endif
