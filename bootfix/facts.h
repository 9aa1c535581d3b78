/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * facts.h - what the source said about itself, read from JSON
 *
 * Source   docs/bootfix-report.md, "Facts", version 1.
 * Trust    written by a peer: at most 1 MiB, every string and list bounded, control characters
 *          refused, an unknown version refused, unknown keys ignored (a newer sender).
 * Errors   0, or a negative errno with *e filled (ERR_PEER for content); *ret only on success.
 * Owner    facts_free() (guest_open.h) frees what is below the struct.
 */
#ifndef BOOTFIX_FACTS_H
#define BOOTFIX_FACTS_H

#include "types.h"

enum { MAX_FACTS = 1 << 20 };

int facts_parse(const char *json, size_t len, struct facts *ret, struct err *e)
    __attribute__((warn_unused_result));
/* ${path} on this machine. */
int facts_load(const char *path, struct facts *ret, struct err *e)
    __attribute__((warn_unused_result));

#endif
