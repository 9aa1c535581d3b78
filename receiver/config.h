/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config.h - what receiverd was told: the command line over the file over the defaults
 *
 * Source  docs/man/receiverd.conf.5 (every key with its range and default), receiverd.8.
 * Shape   parsed once before any role starts, const after.
 * Errors  ERR_USAGE names the file and line (or the option), the value and the range. An unknown
 *         key is refused: a misspelt limit must not silently be the default.
 * Units   bytes, seconds, counts; said in the name where it is not a count.
 */
#ifndef RECEIVER_CONFIG_H
#define RECEIVER_CONFIG_H

#include <stdbool.h>
#include <sys/socket.h>

#include "message.h"

#define LISTEN_MAX 8
#define STATE_DIR_MAX 90 /* STATE/control.sock must fit in a sockaddr_un */
#define OPTION_PATH_MAX 256
#define ADDRESS_TEXT_MAX 64

struct listen_address {
	struct sockaddr_storage sa;
	socklen_t sa_len;
	char text[ADDRESS_TEXT_MAX]; /* "0.0.0.0:443", "[::1]:0": for messages */
};

struct receiver_options {
	char config[OPTION_PATH_MAX];      /* the file read, "" when none was given */
	char state_dir[STATE_DIR_MAX + 1]; /* absolute, no slash at its end */
	struct listen_address listen[LISTEN_MAX];
	size_t n_listen;                       /* at least 1 */
	char disk[DISKS_MAX][OPTION_PATH_MAX]; /* PATH of --disk N=PATH; "" when N was not given */
	uint32_t block_size;                   /* of new tasks; a power of two */
	char bootfix[OPTION_PATH_MAX];         /* the program, absolute */

	/* limits before login, absolute times from accept (docs/threat-model.md) */
	uint32_t waiting_max;         /* accepted, first bytes not yet seen */
	uint32_t conns_max;           /* conn processes, all states */
	uint32_t conns_per_source;    /* open connections of one /32 or /64 */
	uint32_t new_conns_per_s;     /* conn processes started, all sources */
	uint32_t hello_timeout_s;     /* the first bytes are there */
	uint32_t handshake_timeout_s; /* TLS has finished */
	uint32_t login_timeout_s;     /* logged in */
	uint32_t idle_timeout_s;      /* after login: nothing heard for so long */

	uint32_t code_ttl_s; /* of a pairing code when pair gives no --ttl */
	bool verbose;        /* debug lines too */
};

/* Returns 0 to go on. 1: --help or --version was answered on standard output, end with success.
 * Negative: *e says what is wrong; end with err_exit_code(). */
int receiver_options_parse(int argc, char *const argv[], struct receiver_options *ret,
			   struct err *e);

/* The defaults and one file, no command line: what receiver_options_parse() begins with. ${path}
 * may be NULL. */
int receiver_options_read(const char *path, struct receiver_options *ret, struct err *e);

/* "ADDR:PORT" with a numeric address, "[ADDR]:PORT" for IPv6, "[ADDR%eth0]:PORT" where it is
 * link-local. Names are refused: a listener must not depend on a resolver. */
int listen_address_parse(const char *text, struct listen_address *ret, struct err *e);

/* "64K", "256K", "1M" or bytes; a power of two in the wire's range. */
int block_size_parse(const char *text, uint32_t *ret, struct err *e);

#endif
