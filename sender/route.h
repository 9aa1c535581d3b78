/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * route.h - which way all connections of a run take: addresses, proxy, time limits
 */
#ifndef SENDER_ROUTE_H
#define SENDER_ROUTE_H

#include "move.h"

/* Reads --to, --proxy, --proxy-password-file and, when it was asked for, the environment. */
int route_find(struct move *m, struct err *e);
/* What every connection of the run is opened with; the pin is the caller's. */
struct link_options route_link(struct move *m);

#endif
