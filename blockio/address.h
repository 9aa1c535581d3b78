/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * address.h - HOST:PORT as people write it, and as the kernel wants it
 *
 * Shape   "192.0.2.7:443", "[2001:db8::7]:443", "[fe80::1%eth0]:443"; where it is allowed, a name:
 *         "receiver.example.org:443". IPv6 always in brackets: without them nobody can tell where
 *         the port begins. A zone (interface name or number) belongs to link-local addresses, which
 *         mean nothing without one, and to no others.
 * Trust   nothing here resolves a name.
 */
#ifndef BLOCKIO_ADDRESS_H
#define BLOCKIO_ADDRESS_H

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"

#define ADDRESS_HOST_MAX 254
#define ADDRESS_WHOLE_MAX (ADDRESS_HOST_MAX + 8) /* brackets, colon, port */

struct address {
	char host[ADDRESS_HOST_MAX]; /* without brackets, with its zone */
	uint16_t port;
};

#define ADDRESS_NAME 1u      /* a name will do */
#define ADDRESS_ANY_PORT 2u  /* port 0 will do */
#define ADDRESS_SOME_PORT 4u /* no port will do: it is 0 then */

/* ERR_USAGE with ${text} and what is wrong with it. */
int address_parse(const char *text, unsigned allowed, struct address *ret, struct err *e);
bool address_is_name(const struct address *a);
bool address_is_v6(const struct address *a);
/* As it is written; returns ${buf}. */
const char *address_text(const struct address *a, char *buf, size_t room);
/* Not for names. -ENODEV: this machine has no such interface. */
int address_sockaddr(const struct address *a, struct sockaddr_storage *ret, socklen_t *ret_len,
		     struct err *e);

#endif
