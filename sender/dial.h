/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dial.h - a TCP connection to one of several addresses, straight or through a proxy
 *
 * Order   as the targets are given, but families take turns, so that one that leads nowhere does
 *         not stand before the other. An attempt that has not succeeded after a moment does not
 * hold up the next one: both go on, and the first to be through wins. A dead address costs that
 *         moment, not its time limit.
 * Names   of targets (without a proxy) and of the proxy are asked of this machine's own resolver by
 *         "getent ahosts": a static program has no resolver of its own that would know what
 *         nsswitch.conf says.
 * Errors  ERR_NET for what may be better later, and what proxy.h says. A refusal by the proxy ends
 *         it all: no other address would be treated better.
 * Threads one.
 */
#ifndef SENDER_DIAL_H
#define SENDER_DIAL_H

#include <stdatomic.h>

#include "proxy.h"

#define DIAL_WHERE_MAX (ADDRESS_WHOLE_MAX + PROXY_TEXT_MAX + 8)

struct dial_options {
	const struct address *targets;
	unsigned n_targets;
	const struct proxy *proxy; /* NULL or PROXY_NONE: straight */
	const char *no_proxy;      /* targets that are reached straight all the same, or NULL */
	unsigned dead_s;           /* see tcp_set_up() */
	const atomic_bool *stop;   /* or NULL */
};

struct dial;

/* Borrows what ${o} points at. Resolves names: may take seconds. */
int dial_open(const struct dial_options *o, struct dial **ret, struct err *e);
void dial_close(struct dial *d);
static inline void dial_closep(struct dial **d)
{
	dial_close(*d);
	*d = NULL;
}

/* The next connection that comes about, in the words of ${ret_where}: "192.0.2.7:443 through
 * http://proxy:3128". To be called again when what answers there is not what was wanted: the other
 * ways are tried then. Negative when none is left. */
int dial_next(struct dial *d, int *ret_fd, char ret_where[static DIAL_WHERE_MAX], struct err *e);

#endif
