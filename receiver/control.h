/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control.h - the socket that receiverctl speaks to
 *
 * Source  docs/control-socket.md: AF_UNIX stream, one JSON object per line each way.
 * Trust   mode 0600, and SO_PEERCRED must be our own user or root: whoever passes may do all that
 *         the operator may. Lines above 64 KiB, more than 16 clients and silence of a minute end
 *         the connection.
 */
#ifndef RECEIVER_CONTROL_H
#define RECEIVER_CONTROL_H

#include <event2/event.h>
#include <jansson.h>

#include "base/err.h"
#include "keeper_parts.h"

#define CONTROL_LINE_MAX (64 * KIB)
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_IDLE_S 60

/* One request, one answer: a new reference. */
typedef json_t *control_fn(struct keeper *k, json_t *request);

int control_open(struct event_base *base, const char *path, control_fn *fn, struct keeper *k,
		 struct control **ret, struct err *e);
void control_close(struct control *c);

#endif
