/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proxy.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static const struct {
	const char *scheme;
	enum proxy_kind kind;
} schemes[] = {
	{ "http", PROXY_HTTP },
	{ "socks5", PROXY_SOCKS5 },
	{ "socks5h", PROXY_SOCKS5 },
};

static int usage(const char *why, struct err *e)
{
	return err_set(e, ERR_USAGE, EINVAL,
		       "proxy: %s; write http://[USER@]HOST:PORT or socks5://[USER@]HOST:PORT",
		       why);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ${len} characters of a URL, "%40" as "@". False: too long, a bad escape, or a control byte. */
static bool unescape(const char *from, size_t len, char ret[static PROXY_SECRET_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			if (i + 2 >= len || hex_digit(from[i + 1]) < 0 ||
			    hex_digit(from[i + 2]) < 0)
				return false;
			c = hex_digit(from[i + 1]) << 4 | hex_digit(from[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n + 1 >= PROXY_SECRET_MAX)
			return false;
		ret[n++] = (char)c;
	}
	ret[n] = 0;
	return true;
}

/* "USER" or "USER:PASSWORD". */
static int take_user(const char *p, size_t len, struct proxy *ret, struct err *e)
{
	const char *colon = memchr(p, ':', len);
	size_t user = colon ? (size_t)(colon - p) : len;

	if (!user || !unescape(p, user, ret->user) ||
	    (colon && !unescape(colon + 1, len - user - 1, ret->password)))
		return usage("user or password cannot be read (as %XX where they are not plain)",
			     e);
	if (strchr(ret->user, ':'))
		return usage("a user has no colon", e);
	return 0;
}

/* What stands between "://" and the end. */
static int take_place(const char *p, struct proxy *ret, struct err *e)
{
	char host[ADDRESS_WHOLE_MAX] = "";
	size_t len = strcspn(p, "/?#");
	const char *at = memrchr(p, '@', len);
	int r = 0;

	if (p[len] && strcmp(p + len, "/") != 0)
		return usage("there is a path behind the port", e);
	if (at) {
		r = take_user(p, (size_t)(at - p), ret, e);
		len -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	if (r)
		return r;
	if (len >= sizeof host)
		return usage("the host is too long", e);
	memcpy(host, p, len);
	r = address_parse(host, ADDRESS_NAME, &ret->at, e);
	return r ? err_under(e, r, "proxy") : 0;
}

int proxy_parse(const char *url, struct proxy *ret, struct err *e)
{
	const char *rest = strstr(url, "://");
	size_t len = rest ? (size_t)(rest - url) : 0;
	struct proxy p = { 0 };
	int r;

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		if (strlen(schemes[i].scheme) == len && !strncasecmp(url, schemes[i].scheme, len))
			p.kind = schemes[i].kind;
	}
	if (!rest)
		return usage("no scheme", e);
	if (p.kind == PROXY_NONE)
		return usage("only http and socks5 are spoken", e);
	r = take_place(rest + 3, &p, e);
	if (!r)
		*ret = p;
	proxy_wipe(&p);
	return r;
}

void proxy_wipe(struct proxy *p)
{
	OPENSSL_cleanse(p->password, sizeof p->password);
}

const char *proxy_text(const struct proxy *p, char *buf, size_t room)
{
	char at[ADDRESS_WHOLE_MAX];

	buf[0] = 0;
	if (p->kind != PROXY_NONE)
		(void)snprintf(buf, room, "%s://%s", p->kind == PROXY_HTTP ? "http" : "socks5",
			       address_text(&p->at, at, sizeof at));
	return buf;
}

/* ---- the password's file ---- */

static int open_secret(const char *path, int *ret, struct err *e)
{
	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, ERR_USAGE, errno, "--proxy-password-file '%s': %s", path,
			       strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, EINVAL, "--proxy-password-file '%s' is no file", path);
	if (st.st_mode & 077)
		return err_set(e, ERR_USAGE, EPERM,
			       "--proxy-password-file '%s' may be read by others (mode %03o): "
			       "chmod 600 it",
			       path, st.st_mode & 0777u);
	*ret = take_fd(&fd);
	return 0;
}

int proxy_load_password(const char *path, struct proxy *p, struct err *e)
{
	char text[PROXY_SECRET_MAX + 2];
	scoped(close_fdp) int fd = -1;
	size_t len;
	ssize_t n;
	int r = open_secret(path, &fd, e);

	if (r)
		return r;
	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return err_set(e, ERR_SYS, errno, "read '%s'", path);
	text[n] = 0;
	len = strcspn(text, "\r\n");
	if (!len || len >= PROXY_SECRET_MAX || memchr(text, 0, len))
		r = err_set(e, ERR_USAGE, EINVAL,
			    "--proxy-password-file '%s': a password of 1 to %d bytes is needed in "
			    "its first line",
			    path, PROXY_SECRET_MAX - 1);
	else
		(void)snprintf(p->password, sizeof p->password, "%.*s", (int)len, text);
	OPENSSL_cleanse(text, sizeof text);
	return r;
}

/* ---- the environment ---- */

int proxy_from_env(char *(*get)(const char *name), struct proxy *ret, struct err *e)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY" };
	char url[1024];

	*ret = (struct proxy){ .kind = PROXY_NONE };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = get(names[i]);
		int r;

		if (!value || !value[0])
			continue;
		if (snprintf(url, sizeof url, "%s%s", strstr(value, "://") ? "" : "http://",
			     value) >= (int)sizeof url)
			r = usage("too long", e);
		else
			r = proxy_parse(url, ret, e);
		OPENSSL_cleanse(url, sizeof url);
		return r ? err_under(e, r, "%s", names[i]) : 0;
	}
	return 0;
}

/* ${bits} leading bits are equal. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return !memcmp(a, b, whole) && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* "10.0.0.0/8", "2001:db8::/32", or one address. */
static bool in_network(const char *network, const char *host)
{
	char text[64];
	const char *slash = strchr(network, '/');
	size_t len = slash ? (size_t)(slash - network) : strlen(network);
	uint8_t a[16], b[16];
	unsigned long bits;

	if (len >= sizeof text)
		return false;
	memcpy(text, network, len);
	text[len] = 0;
	for (int six = 0; six <= 1; six++) {
		int family = six ? AF_INET6 : AF_INET;

		if (inet_pton(family, text, a) != 1 || inet_pton(family, host, b) != 1)
			continue;
		bits = slash ? strtoul(slash + 1, NULL, 10) : (six ? 128 : 32);
		return bits <= (six ? 128 : 32) && same_bits(a, b, (unsigned)bits);
	}
	return false;
}

/* "example.org" and ".example.org" are both for it and for all below it. */
static bool is_part_of(const char *host, const char *domain)
{
	size_t n = strlen(host), d;

	domain += domain[0] == '.';
	d = strlen(domain);
	if (!d || d > n || strcasecmp(host + n - d, domain) != 0)
		return false;
	return d == n || host[n - d - 1] == '.';
}

/* One entry of the list, without blanks. Bare IPv6 is common there, so brackets are left to choice.
 */
static bool entry_fits(const char *entry, const struct address *target)
{
	struct address a;

	if (!strcmp(entry, "*"))
		return true;
	if (!address_parse(entry, ADDRESS_NAME | ADDRESS_SOME_PORT, &a, NULL)) {
		if (a.port && a.port != target->port)
			return false;
		entry = a.host;
	}
	return in_network(entry, target->host) ||
	       (address_is_name(target) && is_part_of(target->host, entry));
}

bool proxy_is_exempt(const char *list, const struct address *target)
{
	while (list && *list) {
		char entry[ADDRESS_WHOLE_MAX];
		size_t len;

		list += strspn(list, ", \t");
		len = strcspn(list, ", \t");
		if (len && len < sizeof entry) {
			memcpy(entry, list, len);
			entry[len] = 0;
			if (entry_fits(entry, target))
				return true;
		}
		list += len;
	}
	return false;
}
