/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "listener_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define TLS_HANDSHAKE 0x16

struct source {
	bool used;
	uint8_t family;
	uint8_t prefix[8]; /* the address, or the upper half of an IPv6 one */
	uint32_t waiting;
	uint64_t milli; /* tokens */
	uint64_t seen_ms;
};

struct source_table {
	struct source_limits limits;
	size_t n;
	struct source v[];
};

static bool begins_with_method(const uint8_t *p, size_t n)
{
	static const char *const methods[] = { "GET ",  "HEAD ", "POST ", "PUT ",  "OPTIO",
					       "DELET", "CONNE", "TRACE", "PATCH", "PRI *" };

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		size_t len = strlen(methods[i]);

		if (n >= len && !memcmp(p, methods[i], len))
			return true;
	}
	return false;
}

const char *hello_refusal(const uint8_t *p, size_t n)
{
	if (begins_with_method(p, n))
		return "plain-http";
	if (n < HELLO_LOOK_LEN || p[0] != TLS_HANDSHAKE || p[1] != 3 || (p[2] != 1 && p[2] != 3))
		return "not-tls";
	if (get_be16(p + 3) > HELLO_RECORD_MAX)
		return "hello-too-large";
	return get_be16(p + 3) ? NULL : "not-tls";
}

struct source_table *source_table_new(size_t places, const struct source_limits *limits)
{
	struct source_table *t = calloc(1, sizeof *t + places * sizeof t->v[0]);

	if (!t)
		return NULL;
	t->limits = *limits;
	t->n = places;
	return t;
}

void source_table_free(struct source_table *t)
{
	free(t);
}

static void prefix_of(const struct sockaddr_storage *sa, uint8_t ret[static 8])
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	memset(ret, 0, 8);
	if (sa->ss_family == AF_INET6) {
		memcpy(&in6, sa, sizeof in6);
		memcpy(ret, &in6.sin6_addr, 8);
	} else {
		memcpy(&in, sa, sizeof in);
		memcpy(ret, &in.sin_addr, 4);
	}
}

/* The source's own place, else a free one, else the one not seen for longest; NULL: all wait. */
static struct source *find(struct source_table *t, uint8_t family, const uint8_t prefix[static 8],
			   uint64_t now_ms)
{
	struct source *room = NULL;

	for (size_t i = 0; i < t->n; i++) {
		struct source *s = &t->v[i];

		if (s->used && s->family == family && !memcmp(s->prefix, prefix, 8))
			return s;
		if (s->waiting || (room && !room->used))
			continue;
		if (!room || !s->used || s->seen_ms < room->seen_ms)
			room = s;
	}
	if (!room)
		return NULL;
	*room = (struct source){ .used = true,
				 .family = family,
				 .milli = (uint64_t)t->limits.burst * 1000,
				 .seen_ms = now_ms };
	memcpy(room->prefix, prefix, 8);
	return room;
}

static bool take_token(const struct source_limits *l, struct source *s, uint64_t now_ms)
{
	uint64_t gone = now_ms > s->seen_ms ? now_ms - s->seen_ms : 0;

	s->milli += gone > 3600000 ? (uint64_t)l->burst * 1000 : gone * l->rate_per_s;
	if (s->milli > (uint64_t)l->burst * 1000)
		s->milli = (uint64_t)l->burst * 1000;
	s->seen_ms = now_ms;
	if (s->milli < 1000)
		return false;
	s->milli -= 1000;
	return true;
}

const char *source_take(struct source_table *t, const struct sockaddr_storage *sa, uint64_t now_ms,
			size_t *ret_place)
{
	uint8_t prefix[8];
	struct source *s;

	prefix_of(sa, prefix);
	s = find(t, (uint8_t)sa->ss_family, prefix, now_ms);
	if (!s)
		return "table-full";
	if (!take_token(&t->limits, s, now_ms))
		return "source-rate";
	if (s->waiting >= t->limits.waiting)
		return "source-waiting";
	s->waiting++;
	*ret_place = (size_t)(s - t->v);
	return NULL;
}

void source_release(struct source_table *t, size_t place)
{
	if (place < t->n && t->v[place].waiting)
		t->v[place].waiting--;
}

void source_text(const struct sockaddr_storage *sa, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	memcpy(&in6, sa, sizeof in6);
	memcpy(&in, sa, sizeof in);
	if (sa->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
		(void)snprintf(buf, size, "[%s]:%u", host, ntohs(in6.sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
		(void)snprintf(buf, size, "%s:%u", host, ntohs(in.sin_port));
	}
}
