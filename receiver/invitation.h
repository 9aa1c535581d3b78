/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * invitation.h - what the sender needs to come here: addresses, our pin, the code, the disks
 *
 * Shape   JSON, version 1 (docs/control-socket.md, "pair"). Holds the one-time code: whoever makes
 *         a file of it makes it 0600.
 */
#ifndef RECEIVER_INVITATION_H
#define RECEIVER_INVITATION_H

#include "keeper_parts.h"

#define INVITE_ADDRESSES_MAX 16

/* ${addresses}: the operator's, or NULL: those we listen on, a wildcard as the addresses of this
 * machine. ERR_USAGE for one that is not ADDR:PORT. A new reference in *ret. */
int invitation_make(const struct keeper *k, json_t *addresses, uint64_t expires, json_t **ret,
		    struct err *e);

#endif
