/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "proxy.h"

enum stage { HTTP_ANSWER, SOCKS_METHOD, SOCKS_PASSWORD, SOCKS_ANSWER, OPEN };

#define SOCKS_VERSION 5
#define SOCKS_NO_AUTH 0
#define SOCKS_BY_PASSWORD 2
#define SOCKS_NO_METHOD 0xff
#define SOCKS_CONNECT 1
#define SOCKS_V4 1
#define SOCKS_NAME 3
#define SOCKS_V6 4

/* ---- failures, each with its name and what to do ---- */

static const char *whose(const struct proxy_talk *t, char buf[static PROXY_TEXT_MAX])
{
	return proxy_text(t->proxy, buf, PROXY_TEXT_MAX);
}

static int bad_words(const struct proxy_talk *t, const char *what, struct err *e)
{
	char text[PROXY_TEXT_MAX];

	return err_named(e, ERR_PEER, "proxy-protocol", EPROTO,
			 "proxy-protocol: %s %s; is it this kind of proxy, on this port?",
			 whose(t, text), what);
}

static int wants_auth(const struct proxy_talk *t, const char *what, struct err *e)
{
	char text[PROXY_TEXT_MAX];

	return err_refuse(e, "proxy-auth", EACCES,
			  "%s %s; give the user in --proxy and the password with "
			  "--proxy-password-file",
			  whose(t, text), what);
}

static int says_no(const struct proxy_talk *t, const char *why, struct err *e)
{
	char text[PROXY_TEXT_MAX], to[ADDRESS_WHOLE_MAX];

	return err_refuse(e, "proxy-refused", EACCES,
			  "%s does not let us connect to %s (%s); ask its operator to allow it, or "
			  "let the receiver listen on port 443",
			  whose(t, text), address_text(&t->target, to, sizeof to), why);
}

static int cannot_reach(const struct proxy_talk *t, const char *why, struct err *e)
{
	char text[PROXY_TEXT_MAX], to[ADDRESS_WHOLE_MAX];

	return err_named(e, ERR_NET, "proxy-target-unreachable", EHOSTUNREACH,
			 "proxy-target-unreachable: %s cannot reach %s (%s); see that the receiver "
			 "runs and the proxy may go there",
			 whose(t, text), address_text(&t->target, to, sizeof to), why);
}

/* ---- HTTP ---- */

static int http_request(struct proxy_talk *t, struct err *e)
{
	char to[ADDRESS_WHOLE_MAX], plain[2 * PROXY_SECRET_MAX];
	unsigned char coded[4 * sizeof plain / 3 + 8] = "";
	const struct proxy *p = t->proxy;
	int n;

	(void)address_text(&t->target, to, sizeof to);
	n = snprintf(plain, sizeof plain, "%s:%s", p->user, p->password);
	if (p->user[0])
		(void)EVP_EncodeBlock(coded, (const unsigned char *)plain, n);
	n = snprintf((char *)t->out, sizeof t->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
		     to, to, p->user[0] ? "Proxy-Authorization: Basic " : "", (const char *)coded,
		     p->user[0] ? "\r\n" : "");
	OPENSSL_cleanse(plain, sizeof plain);
	OPENSSL_cleanse(coded, sizeof coded);
	if (n < 0 || (size_t)n >= sizeof t->out)
		return err_set(e, ERR_SYS, ENOBUFS, "request to the proxy");
	t->out_len = (size_t)n;
	t->stage = HTTP_ANSWER;
	return 0;
}

/* Whether a header line "NAME: ...WORD..." is there. ${head} is text. */
static bool header_has(const char *head, const char *name, const char *word)
{
	size_t len = strlen(name);

	for (const char *p = strstr(head, "\r\n"); p; p = strstr(p, "\r\n")) {
		p += 2;
		if (!strncasecmp(p, name, len) && p[len] == ':') {
			const char *found = strcasestr(p, word), *end = strstr(p, "\r\n");
			if (found && (!end || found < end))
				return true;
		}
	}
	return false;
}

static int three_digits(const char *p)
{
	int v = 0;

	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		v = 10 * v + (p[i] - '0');
	}
	return v;
}

/* ${head} begins with "HTTP/1." and ends with an empty line. */
static int http_status(const struct proxy_talk *t, const char *head, struct err *e)
{
	size_t reason = strcspn(head, "\r\n");
	int code = reason < 12 || head[8] != ' ' ? 0 : three_digits(head + 9);
	char why[80];

	if (code < 200 || code > 599)
		return bad_words(t, "gives no HTTP answer", e);
	(void)log_safe(why, sizeof why, head + 9, reason - 9);
	if (code / 100 == 2)
		return 0;
	if (code == 407 && !header_has(head, "Proxy-Authenticate", "Basic"))
		return wants_auth(t, "wants a kind of authentication other than Basic", e);
	/* tinyproxy says 401 to a wrong password, though it is no origin server */
	if (code == 407 || code == 401)
		return wants_auth(t,
				  t->proxy->user[0] ? "does not take this user and password"
						    : "wants a user and a password",
				  e);
	return code < 500 ? says_no(t, why, e) : cannot_reach(t, why, e);
}

static int http_answer(struct proxy_talk *t, struct err *e)
{
	static const char begin[] = "HTTP/1.";
	char head[PROXY_ANSWER_MAX + 1];
	const uint8_t *end = memmem(t->in, t->in_len, "\r\n\r\n", 4);
	size_t known = t->in_len < sizeof begin - 1 ? t->in_len : sizeof begin - 1;
	size_t len;
	int r;

	if (memcmp(t->in, begin, known) != 0)
		return bad_words(t, "gives no HTTP answer", e);
	if (!end)
		return t->in_len < sizeof t->in
			   ? 0
			   : bad_words(t, "answers with more than 8 KiB of headers", e);
	len = (size_t)(end - t->in) + 4;
	memcpy(head, t->in, len);
	head[len] = 0;
	if (memchr(head, 0, len))
		return bad_words(t, "gives no HTTP answer", e);
	r = http_status(t, head, e);
	if (r)
		return r;
	/* A TLS server says nothing first: what is there already is not from ours. */
	if (len != t->in_len)
		return bad_words(t, "says more than its answer", e);
	t->stage = OPEN;
	return 1;
}

/* ---- SOCKS5 ---- */

static void say(struct proxy_talk *t, const void *p, size_t len)
{
	memcpy(t->out + t->out_len, p, len);
	t->out_len += len;
}

static void say_byte(struct proxy_talk *t, size_t v)
{
	t->out[t->out_len++] = (uint8_t)v;
}

/* ${len} bytes of the answer are understood. */
static void heard(struct proxy_talk *t, size_t len)
{
	memmove(t->in, t->in + len, t->in_len - len);
	t->in_len -= len;
}

static void socks_greeting(struct proxy_talk *t)
{
	bool known = t->proxy->user[0] != 0;

	say_byte(t, SOCKS_VERSION);
	say_byte(t, known ? 2 : 1);
	say_byte(t, SOCKS_NO_AUTH);
	if (known)
		say_byte(t, SOCKS_BY_PASSWORD);
	t->stage = SOCKS_METHOD;
}

static void socks_password(struct proxy_talk *t)
{
	const struct proxy *p = t->proxy;

	say_byte(t, 1);
	say_byte(t, strlen(p->user));
	say(t, p->user, strlen(p->user));
	say_byte(t, strlen(p->password));
	say(t, p->password, strlen(p->password));
	t->stage = SOCKS_PASSWORD;
}

static void socks_request(struct proxy_talk *t)
{
	const char *host = t->target.host;
	uint8_t raw[16], port[2];

	say_byte(t, SOCKS_VERSION);
	say_byte(t, SOCKS_CONNECT);
	say_byte(t, 0);
	if (inet_pton(AF_INET, host, raw) == 1) {
		say_byte(t, SOCKS_V4);
		say(t, raw, 4);
	} else if (inet_pton(AF_INET6, host, raw) == 1) {
		say_byte(t, SOCKS_V6);
		say(t, raw, 16);
	} else {
		say_byte(t, SOCKS_NAME);
		say_byte(t, strlen(host));
		say(t, host, strlen(host));
	}
	put_be16(port, t->target.port);
	say(t, port, sizeof port);
	t->stage = SOCKS_ANSWER;
}

static int socks_method(struct proxy_talk *t, struct err *e)
{
	if (t->in[0] != SOCKS_VERSION)
		return bad_words(t, "does not speak SOCKS5", e);
	if (t->in_len < 2)
		return 0;
	uint8_t method = t->in[1];
	heard(t, 2);
	if (method == SOCKS_NO_AUTH) {
		socks_request(t);
		return 0;
	}
	if (method == SOCKS_BY_PASSWORD && t->proxy->user[0]) {
		socks_password(t);
		return 0;
	}
	if (method != SOCKS_NO_METHOD)
		return bad_words(t, "chose a method that was not offered", e);
	return wants_auth(t,
			  t->proxy->user[0] ? "takes neither a password nor nothing"
					    : "wants a user and a password",
			  e);
}

static int socks_password_answer(struct proxy_talk *t, struct err *e)
{
	if (t->in_len < 2)
		return 0;
	if (t->in[0] != 1)
		return bad_words(t, "breaks the protocol of SOCKS5 passwords", e);
	if (t->in[1])
		return wants_auth(t, "does not take this user and password", e);
	heard(t, 2);
	socks_request(t);
	return 0;
}

static int socks_no(const struct proxy_talk *t, uint8_t code, struct err *e)
{
	static const char *const words[] = {
		"",
		"general failure",
		"not allowed by its rules",
		"network unreachable",
		"host unreachable",
		"connection refused",
		"time to live expired",
		"command not supported",
		"kind of address not supported",
	};

	if (code >= sizeof words / sizeof *words)
		return bad_words(t, "gives a SOCKS5 answer that is not defined", e);
	if (code == 2 || code == 7 || code == 8)
		return says_no(t, words[code], e);
	return cannot_reach(t, words[code], e);
}

static int socks_answer(struct proxy_talk *t, struct err *e)
{
	size_t need = 0;

	if (t->in_len && t->in[0] != SOCKS_VERSION)
		return bad_words(t, "does not speak SOCKS5", e);
	/* A refusal need not be followed by the address that it announces. */
	if (t->in_len >= 2 && t->in[1])
		return socks_no(t, t->in[1], e);
	if (t->in_len < 5)
		return 0;
	if (t->in[3] == SOCKS_V4)
		need = 4 + 4 + 2;
	else if (t->in[3] == SOCKS_V6)
		need = 4 + 16 + 2;
	else if (t->in[3] == SOCKS_NAME)
		need = 4 + 1 + (size_t)t->in[4] + 2;
	else
		return bad_words(t, "gives a SOCKS5 answer that is not defined", e);
	if (t->in_len < need)
		return 0;
	if (t->in_len > need)
		return bad_words(t, "says more than its answer", e);
	t->stage = OPEN;
	return 1;
}

/* ---- both ---- */

int proxy_talk_begin(struct proxy_talk *t, const struct proxy *p, const struct address *target,
		     struct err *e)
{
	t->proxy = p;
	t->target = *target;
	t->out_at = t->out_len = t->in_len = 0;
	if (strchr(target->host, '%'))
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%.80s' is link-local: no proxy can reach it; connect without one",
			       target->host);
	if (p->kind == PROXY_HTTP)
		return http_request(t, e);
	socks_greeting(t);
	return 0;
}

int proxy_talk_step(struct proxy_talk *t, struct err *e)
{
	/* Each stage that ends leaves bytes for the next. */
	for (;;) {
		unsigned before = t->stage;
		int r = 0;

		if (!t->in_len)
			return 0;
		switch ((enum stage)t->stage) {
		case HTTP_ANSWER:
			r = http_answer(t, e);
			break;
		case SOCKS_METHOD:
			r = socks_method(t, e);
			break;
		case SOCKS_PASSWORD:
			r = socks_password_answer(t, e);
			break;
		case SOCKS_ANSWER:
			r = socks_answer(t, e);
			break;
		case OPEN:
			return 1;
		}
		if (r || t->stage == before)
			return r;
	}
}
