/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * proxy.h - a way out through an HTTP (CONNECT) or a SOCKS5 proxy
 *
 * Source   RFC 9110 9.3.6 (CONNECT), RFC 7617 (Basic), RFC 1928 (SOCKS5), RFC 1929 (its password).
 * Shape    a parser without sockets: the caller carries bytes, proxy_talk_step() says what they
 *          mean. What the proxy may say is bounded by PROXY_ANSWER_MAX.
 * Names    a target that is a name goes to the proxy as it is, which resolves it (what is called
 *          socks5h elsewhere). The proxy's own name is asked of this machine.
 * Trust    none in the proxy: TLS with the pinned key runs through it, end to end.
 * Secrets  user and password are in no text that this gives.
 * Errors   named: proxy-auth, proxy-refused (ERR_REFUSED: trying again helps nobody),
 *          proxy-unreachable, proxy-target-unreachable, proxy-closed, proxy-silent (ERR_NET),
 *          proxy-protocol (ERR_PEER).
 */
#ifndef SENDER_PROXY_H
#define SENDER_PROXY_H

#include "address.h"

#define PROXY_SECRET_MAX 256 /* with its terminator; RFC 1929 counts to 255 */
#define PROXY_ANSWER_MAX ((size_t)8192)
#define PROXY_TEXT_MAX (ADDRESS_WHOLE_MAX + 16)

enum proxy_kind { PROXY_NONE, PROXY_HTTP, PROXY_SOCKS5 };

struct proxy {
	enum proxy_kind kind;
	struct address at;
	char user[PROXY_SECRET_MAX]; /* empty: without authentication */
	char password[PROXY_SECRET_MAX];
};

/* "http://[USER[:PASSWORD]@]HOST[:PORT]", "socks5://...", and "socks5h://..." for the same; parts
 * of the user may be percent-encoded. ERR_USAGE; its text has no password. */
int proxy_parse(const char *url, struct proxy *ret, struct err *e);
/* The first line of the file, which only its owner may read (ERR_USAGE otherwise). */
int proxy_load_password(const char *path, struct proxy *p, struct err *e);
/* The first of https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY that is set and not empty, by
 * ${get} (getenv). PROXY_NONE when there is none. A scheme that is left out is http. */
int proxy_from_env(char *(*get)(const char *name), struct proxy *ret, struct err *e);
/* Whether ${list}, as in NO_PROXY, names this target: "*", a name or a part of it from a dot on, an
 * address, a network (10.0.0.0/8), each with or without a port. NULL names nobody. */
bool proxy_is_exempt(const char *list, const struct address *target);
/* "socks5://proxy.example.org:1080", "" for none; returns ${buf}. */
const char *proxy_text(const struct proxy *p, char *buf, size_t room);
void proxy_wipe(struct proxy *p);

struct proxy_talk {
	const struct proxy *proxy; /* borrowed */
	struct address target;
	unsigned stage;
	uint8_t out[2048]; /* [out_at, out_len) is to be sent */
	size_t out_at, out_len;
	uint8_t in[PROXY_ANSWER_MAX]; /* what came and is not understood yet */
	size_t in_len;
};

/* Puts the first words into out. */
int proxy_talk_begin(struct proxy_talk *t, const struct proxy *p, const struct address *target,
		     struct err *e);
/* After bytes were added to in: 1: the way is open; 0: send out, read more; negative: named in *e.
 */
int proxy_talk_step(struct proxy_talk *t, struct err *e);

#endif
