/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * events.h - what happened, kept on disk for the person who comes later
 *
 * Shape   STATE/log, one line an event: time (UTC), level, text. At 256 KiB it becomes STATE/log.1
 *         and a new one begins, so that at most 512 KiB are ever used.
 * Rule    every line goes to standard error too. What a stranger can cause goes through
 *         events_peer(): at most ten lines a second, then one that counts the rest.
 *         A full disk never stops a task because of this file: failures here are forgotten.
 * Secrets no code, key, nonce or digest is ever given to these calls.
 */
#ifndef RECEIVER_EVENTS_H
#define RECEIVER_EVENTS_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct events;

/* ${dir} is copied. */
int events_open(const char *dir, struct events **ret, struct err *e);
void events_close(struct events *v);
void events_add(struct events *v, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void events_peer(struct events *v, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The last ${max} lines, oldest first, as an array of strings. */
json_t *events_tail(const struct events *v, size_t max);

#endif
