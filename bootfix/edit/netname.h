/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netname.h - the files that give a network card its name by its MAC
 *
 * Source  systemd.link(5); the udev rule is for systems without systemd's udev (before 197).
 * Errors  -EINVAL with *e filled for a name or MAC that could break out of its line: both come from
 *         a peer.
 */
#ifndef EDIT_NETNAME_H
#define EDIT_NETNAME_H

#include "types.h"

bool netname_ok(const char *name);    /* what the kernel takes: 1 to 15 plain characters */
bool netname_mac_ok(const char *mac); /* "52:54:00:12:34:56", either case */

/* [Match] MACAddress=, [Link] Name=, behind what ${out} holds. */
int netname_link(const char *mac, const char *name, struct buf *out, struct err *e)
    __attribute__((warn_unused_result));
/* One line of 70-persistent-net.rules. */
int netname_rule(const char *mac, const char *name, struct buf *out, struct err *e)
    __attribute__((warn_unused_result));

#endif
