/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * listener_table.h - what the listener decides by: who connects how often, and what the first five
 *                    bytes say
 *
 * Shape   a fixed table of sources (an IPv4 address, or an IPv6 /64), searched in full: its size
 *         bounds the work of one accept. The least recently seen source without a waiting
 *         connection makes room.
 * Units   milliseconds of clock.h.
 * Owner   source_table_free(NULL) does nothing.
 */
#ifndef RECEIVER_LISTENER_TABLE_H
#define RECEIVER_LISTENER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HELLO_LOOK_LEN 5
#define HELLO_RECORD_MAX 8192

/* NULL when the bytes can begin a TLS ClientHello, else the name of the refusal: "plain-http",
 * "not-tls", "hello-too-large". ${n} may be less than HELLO_LOOK_LEN: "silent" or "closed-early"
 * is for the caller to say, who knows why no more came. */
const char *hello_refusal(const uint8_t *p, size_t n);

struct source_limits {
	uint32_t rate_per_s;
	uint32_t burst;
	uint32_t waiting; /* of one source at a time */
};

struct source_table;

/* NULL when memory is missing. */
struct source_table *source_table_new(size_t places, const struct source_limits *limits);
void source_table_free(struct source_table *t);

/* Counts one more connection of this source. NULL and *${ret_place}, to be given back with
 * source_release(); or the name of the refusal ("source-rate", "source-waiting", "table-full"). */
const char *source_take(struct source_table *t, const struct sockaddr_storage *sa, uint64_t now_ms,
			size_t *ret_place);
void source_release(struct source_table *t, size_t place);

/* "10.0.0.1:4711", "[2001:db8::1]:4711" */
void source_text(const struct sockaddr_storage *sa, char *buf, size_t size);

#endif
