/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "invitation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "address.h"
#include "base/cleanup.h"

static void freeifaddrsp(struct ifaddrs **p)
{
	if (*p)
		freeifaddrs(*p);
}

/* The address in words, or false: loopback, link-local, another family, or down. */
static bool usable(const struct ifaddrs *i, int family, char *ret, size_t room)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (!i->ifa_addr || i->ifa_addr->sa_family != family || (i->ifa_flags & IFF_LOOPBACK) ||
	    !(i->ifa_flags & IFF_UP))
		return false;
	if (family == AF_INET) {
		memcpy(&in4, i->ifa_addr, sizeof in4);
		return inet_ntop(AF_INET, &in4.sin_addr, ret, (socklen_t)room) != NULL;
	}
	memcpy(&in6, i->ifa_addr, sizeof in6);
	return !IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) &&
	       inet_ntop(AF_INET6, &in6.sin6_addr, ret, (socklen_t)room) != NULL;
}

static void append(json_t *to, const char *host, bool v6, unsigned port)
{
	char text[ADDRESS_TEXT_MAX];

	(void)snprintf(text, sizeof text, v6 ? "[%s]:%u" : "%s:%u", host, port);
	if (json_array_size(to) < INVITE_ADDRESSES_MAX)
		json_array_append_new(to, json_string(text));
}

/* A sender cannot connect to 0.0.0.0: it is told every address of this machine instead. */
static void append_interfaces(json_t *to, int family, unsigned port)
{
	scoped(freeifaddrsp) struct ifaddrs *all = NULL;
	char host[INET6_ADDRSTRLEN];

	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (usable(i, family, host, sizeof host))
			append(to, host, family == AF_INET6, port);
	}
}

static bool is_wildcard(const struct listen_address *a, unsigned *ret_port)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (a->sa.ss_family == AF_INET) {
		memcpy(&in4, &a->sa, sizeof in4);
		*ret_port = ntohs(in4.sin_port);
		return in4.sin_addr.s_addr == htonl(INADDR_ANY);
	}
	memcpy(&in6, &a->sa, sizeof in6);
	*ret_port = ntohs(in6.sin6_port);
	return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static int own_addresses(const struct keeper *k, json_t *to, struct err *e)
{
	scoped(json_decrefp) json_t *listen = status_listen(k);
	struct listen_address a;
	const json_t *v;
	unsigned port;
	size_t i;

	json_array_foreach(listen, i, v)
	{
		/* the zone of a link-local address is ours: nobody else knows our interfaces */
		if (listen_address_parse(json_string_value(v), &a, NULL) || strchr(a.text, '%'))
			continue;
		if (is_wildcard(&a, &port))
			append_interfaces(to, a.sa.ss_family, port);
		else if (json_array_size(to) < INVITE_ADDRESSES_MAX)
			json_array_append_new(to, json_string(a.text));
	}
	if (!json_array_size(to))
		return err_set(e, ERR_SYS, ENOENT,
			       "no address to invite to: give --address ADDR:PORT");
	return 0;
}

static int given_addresses(const json_t *given, json_t *to, struct err *e)
{
	struct address a;
	const json_t *v;
	size_t i;

	if (json_array_size(given) > INVITE_ADDRESSES_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "at most %d addresses", INVITE_ADDRESSES_MAX);
	json_array_foreach(given, i, v)
	{
		const char *s = json_string_value(v);
		int r = address_parse(s ? s : "", 0, &a, e);

		if (r)
			return r;
		json_array_append_new(to, json_string(s));
	}
	return 0;
}

static json_t *disks(const struct task *t)
{
	json_t *list = json_array();

	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used)
			json_array_append_new(
			    list, json_pack("{s:I, s:I, s:I}", "n", (json_int_t)n, "size",
					    (json_int_t)t->disk[n].size, "logical_sector",
					    (json_int_t)t->disk[n].logical_sector));
	}
	return list;
}

int invitation_make(const struct keeper *k, json_t *addresses, uint64_t expires, json_t **ret,
		    struct err *e)
{
	char spki[2 * DIGEST_LEN + 1], code[CODE_TEXT_LEN], ticket[2 * TICKET_LEN + 1];
	scoped(json_decrefp) json_t *to = json_array();
	int r = json_array_size(addresses) ? given_addresses(addresses, to, e)
					   : own_addresses(k, to, e);

	if (r)
		return r;
	digest_hex(keeper_key_spki(k->key), DIGEST_LEN, spki);
	digest_hex(k->tickets.ticket, TICKET_LEN, ticket);
	pairing_code_text(&k->tickets.code, code);
	*ret =
	    json_pack("{s:i, s:O, s:s, s:s, s:s, s:o, s:I, s:I}", "version", 1, "addresses", to,
		      "spki_sha256", spki, "code", code, "ticket", ticket, "disks", disks(&k->task),
		      "block_size", (json_int_t)k->task.block_size, "expires", (json_int_t)expires);
	OPENSSL_cleanse(code, sizeof code);
	return *ret ? 0 : err_set(e, ERR_SYS, ENOMEM, "make the invite");
}
