/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *text, const char *why, struct err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "address '%.80s': %s", text, why);
}

static bool is_v4(const char *host)
{
	struct in_addr raw;

	return inet_pton(AF_INET, host, &raw) == 1;
}

/* The address before the zone; ${ret_zone} points at the zone, or is NULL. */
static bool is_v6(const char *host, struct in6_addr *ret, const char **ret_zone)
{
	char bare[INET6_ADDRSTRLEN];
	const char *sign = strchr(host, '%');
	size_t len = sign ? (size_t)(sign - host) : strlen(host);

	if (len >= sizeof bare)
		return false;
	memcpy(bare, host, len);
	bare[len] = 0;
	*ret_zone = sign ? sign + 1 : NULL;
	return inet_pton(AF_INET6, bare, ret) == 1;
}

static bool is_zone(const char *zone)
{
	size_t len = strlen(zone);

	return len && len < IF_NAMESIZE && !strpbrk(zone, "/% \t\n[]");
}

/* Letters, digits, dots and dashes; the last label is no number, which a mistyped address is. */
static bool is_name(const char *host)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *last = strrchr(host, '.');

	last = last && last[1] ? last + 1 : host;
	return strspn(host, letters) == strlen(host) && host[0] != '-' && host[0] != '.' &&
	       strspn(last, "0123456789") != strlen(last);
}

static int check_v6(const char *text, const struct address *a, struct err *e)
{
	struct in6_addr raw;
	const char *zone;

	if (!is_v6(a->host, &raw, &zone))
		return bad(text, "what is in brackets is no IPv6 address", e);
	if (!IN6_IS_ADDR_LINKLOCAL(&raw))
		return zone ? bad(text, "only a link-local address has a zone", e) : 0;
	if (!zone)
		return bad(text, "a link-local address needs its interface: [fe80::1%eth0]:443", e);
	return is_zone(zone) ? 0 : bad(text, "the zone is no name of an interface", e);
}

static int check_host(const char *text, const struct address *a, bool brackets, unsigned allowed,
		      struct err *e)
{
	if (brackets)
		return check_v6(text, a, e);
	if (strchr(a->host, ':'))
		return bad(text, "IPv6 goes in brackets: [2001:db8::7]:443", e);
	if (is_v4(a->host))
		return 0;
	if (!(allowed & ADDRESS_NAME))
		return bad(text, "write it in numbers, IPv6 in brackets", e);
	return is_name(a->host) ? 0 : bad(text, "neither an address nor a name", e);
}

/* ":443" or "", behind the host. */
static int parse_port(const char *text, const char *p, unsigned allowed, uint16_t *ret,
		      struct err *e)
{
	unsigned long v;
	char *end;

	if (!*p && (allowed & ADDRESS_SOME_PORT))
		return 0;
	if (*p != ':')
		return bad(text, "HOST:PORT is needed", e);
	p++;
	v = strtoul(p, &end, 10);
	if (*p < '0' || *p > '9' || *end || v > 65535 || (!v && !(allowed & ADDRESS_ANY_PORT)))
		return bad(text, "the port is no number from 1 to 65535", e);
	*ret = (uint16_t)v;
	return 0;
}

int address_parse(const char *text, unsigned allowed, struct address *ret, struct err *e)
{
	bool brackets = text[0] == '[';
	const char *host = text + brackets, *end;
	struct address a = { 0 };
	size_t len;
	int r;

	end = brackets ? strchr(host, ']') : strrchr(host, ':');
	if (!end)
		end = host + strlen(host);
	len = (size_t)(end - host);
	if (!len || len >= sizeof a.host)
		return bad(text, "no host, or one too long", e);
	memcpy(a.host, host, len);
	r = check_host(text, &a, brackets, allowed, e);
	if (!r)
		r = parse_port(text, end + (brackets && *end == ']'), allowed, &a.port, e);
	if (!r)
		*ret = a;
	return r;
}

bool address_is_v6(const struct address *a)
{
	return strchr(a->host, ':') != NULL;
}

bool address_is_name(const struct address *a)
{
	return !address_is_v6(a) && !is_v4(a->host);
}

const char *address_text(const struct address *a, char *buf, size_t room)
{
	(void)snprintf(buf, room, address_is_v6(a) ? "[%s]:%u" : "%s:%u", a->host, a->port);
	return buf;
}

static int fill_v6(const struct address *a, struct sockaddr_in6 *ret, struct err *e)
{
	const char *zone;

	*ret = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
	if (!is_v6(a->host, &ret->sin6_addr, &zone))
		return bad(a->host, "no IPv6 address", e);
	if (!zone)
		return 0;
	ret->sin6_scope_id = if_nametoindex(zone);
	if (!ret->sin6_scope_id && strspn(zone, "0123456789") == strlen(zone))
		ret->sin6_scope_id = (uint32_t)strtoul(zone, NULL, 10);
	if (ret->sin6_scope_id)
		return 0;
	return err_set(e, ERR_NET, ENODEV, "address '%.80s': interface '%.16s'", a->host, zone);
}

int address_sockaddr(const struct address *a, struct sockaddr_storage *ret, socklen_t *ret_len,
		     struct err *e)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 in6;
	bool six = address_is_v6(a);
	int r = 0;

	memset(ret, 0, sizeof *ret);
	if (six)
		r = fill_v6(a, &in6, e);
	else if (inet_pton(AF_INET, a->host, &in.sin_addr) != 1)
		r = bad(a->host, "a name, where an address in numbers is needed", e);
	if (r)
		return r;
	*ret_len = six ? sizeof in6 : sizeof in;
	memcpy(ret, six ? (const void *)&in6 : (const void *)&in, *ret_len);
	return 0;
}
