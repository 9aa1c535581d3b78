/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy.h"

/* ---- what people write ---- */

static void urls_name_kind_place_and_user(void **state)
{
	static const struct {
		const char *url;
		enum proxy_kind kind;
		const char *host;
		uint16_t port;
		const char *user, *password, *text;
	} good[] = {
		{ "http://10.0.0.1:3128", PROXY_HTTP, "10.0.0.1", 3128, "", "",
		  "http://10.0.0.1:3128" },
		{ "HTTP://proxy.example.org:80/", PROXY_HTTP, "proxy.example.org", 80, "", "",
		  "http://proxy.example.org:80" },
		{ "socks5://[::1]:1080", PROXY_SOCKS5, "::1", 1080, "", "", "socks5://[::1]:1080" },
		{ "socks5h://u@p:1080", PROXY_SOCKS5, "p", 1080, "u", "", "socks5://p:1080" },
		{ "http://u:p:q@h:1", PROXY_HTTP, "h", 1, "u", "p:q", "http://h:1" },
		{ "http://u:p@q@h:1", PROXY_HTTP, "h", 1, "u", "p@q", "http://h:1" },
		{ "http://a%40b:%25%2f@h:1", PROXY_HTTP, "h", 1, "a@b", "%/", "http://h:1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char text[PROXY_TEXT_MAX];
		struct proxy p;

		assert_int_equal(proxy_parse(good[i].url, &p, NULL), 0);
		assert_int_equal(p.kind, good[i].kind);
		assert_string_equal(p.at.host, good[i].host);
		assert_int_equal(p.at.port, good[i].port);
		assert_string_equal(p.user, good[i].user);
		assert_string_equal(p.password, good[i].password);
		assert_string_equal(proxy_text(&p, text, sizeof text), good[i].text);
	}
}

static void wrong_urls_are_refused_without_their_password(void **state)
{
	static const char *const wrong[] = {
		"",
		"proxy:3128",
		"ftp://s3cret:s3cret@h:1",
		"https://u:s3cret@h:1",
		"socks4://u:s3cret@h:1",
		"http://",
		"http://h",
		"http://u:s3cret@h",
		"http://u:s3cret@h:0",
		"http://u:s3cret@h:99999",
		"http://u:s3cret@:1",
		"http://u:s3cret@h:1/path",
		"http://:s3cret@h:1",
		"http://@h:1",
		"http://u:s3cret%4@h:1",
		"http://u:s3cret%zz@h:1",
		"http://u:s3cret%@h:1",
		"http://u:s3cret%0d%0aX@h:1",
		"http://a%3ab:s3cret@h:1",
		"://u:s3cret@h:1",
		"http://u:s3cret@a b:1",
		"http://u:s3cret@::1:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct proxy p = { .kind = PROXY_NONE };
		struct err e = { 0 };

		assert_true(proxy_parse(wrong[i], &p, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_null(strstr(e.text, "s3cret"));
		assert_int_equal(p.kind, PROXY_NONE);
	}
}

static void a_user_too_long_for_the_protocol_is_refused(void **state)
{
	char url[600], user[300];
	struct proxy p;

	(void)state;
	memset(user, 'u', sizeof user);
	(void)snprintf(url, sizeof url, "socks5://%.255s@h:1", user);
	assert_int_equal(proxy_parse(url, &p, NULL), 0);
	(void)snprintf(url, sizeof url, "socks5://%.256s@h:1", user);
	assert_true(proxy_parse(url, &p, NULL) < 0);
}

static char secret[64];

static void put_secret(const char *text, mode_t mode)
{
	FILE *f = fopen(secret, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(secret, mode), 0);
}

static void a_password_comes_from_a_file_of_its_owner_only(void **state)
{
	struct proxy p = { .kind = PROXY_HTTP };
	struct err e = { 0 };

	(void)state;
	(void)snprintf(secret, sizeof secret, "/tmp/transit-proxy.%ld", (long)getpid());
	put_secret("pass word\nsecond line\n", 0600);
	assert_int_equal(proxy_load_password(secret, &p, &e), 0);
	assert_string_equal(p.password, "pass word");
	put_secret("x", 0400);
	assert_int_equal(proxy_load_password(secret, &p, &e), 0);
	assert_string_equal(p.password, "x");
	put_secret("other", 0640);
	assert_true(proxy_load_password(secret, &p, &e) < 0);
	assert_non_null(strstr(e.text, "chmod 600"));
	assert_string_equal(p.password, "x");
	put_secret("other", 0604);
	assert_true(proxy_load_password(secret, &p, NULL) < 0);
	put_secret("\n", 0600);
	assert_true(proxy_load_password(secret, &p, NULL) < 0);
	assert_true(proxy_load_password("/dev/null", &p, NULL) < 0);
	assert_true(proxy_load_password("/nowhere/x", &p, NULL) < 0);
	assert_int_equal(unlink(secret), 0);
}

static const char *env_name, *env_value;

static char *get_env(const char *name)
{
	static char value[64];

	if (!env_name || strcmp(name, env_name) != 0)
		return NULL;
	(void)snprintf(value, sizeof value, "%s", env_value);
	return value;
}

static void the_environment_names_a_proxy_in_four_ways(void **state)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY" };
	struct proxy p;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		env_name = names[i];
		env_value = "socks5://h:7";
		assert_int_equal(proxy_from_env(get_env, &p, NULL), 0);
		assert_int_equal(p.kind, PROXY_SOCKS5);
		env_value = "h:8";
		assert_int_equal(proxy_from_env(get_env, &p, NULL), 0);
		assert_int_equal(p.kind, PROXY_HTTP);
		assert_int_equal(p.at.port, 8);
		env_value = "";
		assert_int_equal(proxy_from_env(get_env, &p, NULL), 0);
		assert_int_equal(p.kind, PROXY_NONE);
		env_value = "ftp://h:8";
		assert_true(proxy_from_env(get_env, &p, NULL) < 0);
	}
	env_name = "http_proxy"; /* for plain HTTP, which this is not */
	env_value = "http://h:8";
	assert_int_equal(proxy_from_env(get_env, &p, NULL), 0);
	assert_int_equal(p.kind, PROXY_NONE);
}

static void no_proxy_exempts_names_addresses_and_networks(void **state)
{
	static const struct {
		const char *list, *target;
		bool exempt;
	} cases[] = {
		{ NULL, "10.0.0.1:443", false },
		{ "", "10.0.0.1:443", false },
		{ "*", "10.0.0.1:443", true },
		{ "10.0.0.1", "10.0.0.1:443", true },
		{ "10.0.0.1", "10.0.0.10:443", false },
		{ "10.0.0.1:443", "10.0.0.1:443", true },
		{ "10.0.0.1:80", "10.0.0.1:443", false },
		{ "a, 10.0.0.0/8 ,b", "10.200.3.4:443", true },
		{ "10.0.0.0/8", "11.0.0.1:443", false },
		{ "10.0.0.0/33", "10.0.0.1:443", false },
		{ "192.168.0.0/23", "192.168.1.9:443", true },
		{ "192.168.0.0/23", "192.168.2.9:443", false },
		{ "0.0.0.0/0", "192.168.2.9:443", true },
		{ "0.0.0.0/0", "[::1]:443", false },
		{ "::1", "[::1]:443", true },
		{ "[::1]", "[::1]:443", true },
		{ "[::1]:80", "[::1]:443", false },
		{ "2001:db8::/32", "[2001:db8:1::5]:443", true },
		{ "2001:db8::/32", "[2001:db9::5]:443", false },
		{ "example.org", "example.org:443", true },
		{ "example.org", "a.example.org:443", true },
		{ ".example.org", "example.org:443", true },
		{ "EXAMPLE.org", "a.Example.ORG:443", true },
		{ "example.org", "badexample.org:443", false },
		{ "a.example.org", "example.org:443", false },
		{ ".", "example.org:443", false },
		{ "0.1", "10.0.0.1:443", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;

		assert_int_equal(address_parse(cases[i].target, ADDRESS_NAME, &a, NULL), 0);
		if (proxy_is_exempt(cases[i].list, &a) != cases[i].exempt)
			fail_msg("NO_PROXY=%s for %s", cases[i].list, cases[i].target);
	}
}

/* ---- the conversation ---- */

struct exchange { /* what we must say, and what the proxy answers */
	const char *said;
	size_t said_len;
	const char *answer;
	size_t answer_len;
};

#define BYTES(s) (s), sizeof(s) - 1
#define EXCHANGES_MAX 4

struct script {
	const char *url, *target;
	struct exchange x[EXCHANGES_MAX];
	int r;            /* 1: open; 0: not finished; -1: failed */
	const char *name; /* of the failure */
	enum err_kind kind;
};

/* Feeds ${step} bytes at a time. */
static void play(const struct script *s, size_t step)
{
	static struct proxy_talk t;
	struct err e = { 0 };
	struct proxy p;
	struct address a;
	int r;

	assert_int_equal(proxy_parse(s->url, &p, NULL), 0);
	assert_int_equal(address_parse(s->target, ADDRESS_NAME, &a, NULL), 0);
	r = proxy_talk_begin(&t, &p, &a, &e);
	assert_int_equal(r, 0);
	for (size_t i = 0; i < EXCHANGES_MAX && s->x[i].said && !r; i++) {
		const struct exchange *x = &s->x[i];

		if (t.out_len != x->said_len || memcmp(t.out, x->said, x->said_len) != 0)
			fail_msg("said \"%.*s\" for %s", (int)t.out_len, (const char *)t.out,
				 s->url);
		t.out_len = 0;
		for (size_t at = 0; at < x->answer_len && !r; at += step) {
			size_t n = x->answer_len - at < step ? x->answer_len - at : step;

			memcpy(t.in + t.in_len, x->answer + at, n);
			t.in_len += n;
			r = proxy_talk_step(&t, &e);
		}
	}
	assert_int_equal(r < 0 ? -1 : r, s->r);
	if (s->r >= 0) {
		assert_int_equal(t.out_len, 0);
		return;
	}
	assert_string_equal(e.name, s->name);
	assert_int_equal(e.kind, s->kind);
	assert_null(strstr(e.text, "s3cret"));
	assert_true(strlen(e.text) < sizeof e.text - 1);
}

#define CONNECT "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n"
#define CONNECT_USER                                                                               \
	"CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n"                        \
	"Proxy-Authorization: Basic QWxhZGRpbjpzM2NyZXQ=\r\n\r\n"

static void http_conversations_end_as_they_should(void **state)
{
	static const char h[] = "http://h:1", v4[] = "192.0.2.7:443";
#define HTTP(answer)                                                                               \
	{                                                                                          \
		{                                                                                  \
			BYTES(CONNECT), BYTES(answer)                                              \
		}                                                                                  \
	}
	static const struct script scripts[] = {
		{ h, v4, HTTP("HTTP/1.1 200 Connection established\r\n\r\n"), 1, NULL, 0 },
		{ h, v4, HTTP("HTTP/1.0 200 OK\r\nVia: x\r\n\r\n"), 1, NULL, 0 },
		{ h, v4, HTTP("HTTP/1.1 299 \r\n\r\n"), 1, NULL, 0 },
		{ h, v4, HTTP("HTTP/1.1 200 OK\r\nVia: x\r\n"), 0, NULL, 0 },
		{ h,
		  "r.example.org:80",
		  { { BYTES("CONNECT r.example.org:80 HTTP/1.1\r\nHost: r.example.org:80\r\n\r\n"),
		      BYTES("HTTP/1.1 200 OK\r\n\r\n") } },
		  1,
		  NULL,
		  0 },
		{ "http://Aladdin:s3cret@h:1",
		  "[2001:db8::7]:443",
		  { { BYTES(CONNECT_USER), BYTES("HTTP/1.1 200 OK\r\n\r\n") } },
		  1,
		  NULL,
		  0 },
		{ "http://Aladdin:s3cret@h:1",
		  "[2001:db8::7]:443",
		  { { BYTES(CONNECT_USER),
		      BYTES("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n") } },
		  -1,
		  "proxy-auth",
		  ERR_REFUSED },
		{ h, v4, HTTP("HTTP/1.1 401 Unauthorized\r\n\r\n"), -1, "proxy-auth", ERR_REFUSED },
		{ h, v4, HTTP("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nX: Basic\r\n\r\n"),
		  -1, "proxy-auth", ERR_REFUSED },
		{ h, v4, HTTP("HTTP/1.1 403 Forbidden by policy\r\n\r\n<html>"), -1,
		  "proxy-refused", ERR_REFUSED },
		{ h, v4, HTTP("HTTP/1.1 301 Moved\r\n\r\n"), -1, "proxy-refused", ERR_REFUSED },
		{ h, v4, HTTP("HTTP/1.1 502 Bad Gateway\r\n\r\n"), -1, "proxy-target-unreachable",
		  ERR_NET },
		{ h, v4, HTTP("HTTP/1.1 100 Continue\r\n\r\n"), -1, "proxy-protocol", ERR_PEER },
		{ h, v4, HTTP("HTTP/2 200\r\n\r\n"), -1, "proxy-protocol", ERR_PEER },
		{ h, v4, HTTP("HTTP/1.1 2x0 OK\r\n\r\n"), -1, "proxy-protocol", ERR_PEER },
		{ h, v4, HTTP("HTTP/1.1 200 O\0K\r\n\r\n"), -1, "proxy-protocol", ERR_PEER },
		{ h, v4, HTTP("SSH-2.0-OpenSSH"), -1, "proxy-protocol", ERR_PEER },
		{ h, v4, HTTP("\5\xff"), -1, "proxy-protocol", ERR_PEER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		play(&scripts[i], 1);
		play(&scripts[i], 7);
		play(&scripts[i], 4096);
	}
}

/* Bytes behind the answer come with it: fed whole only. */
static void words_that_nobody_can_have_said_end_it(void **state)
{
	static const struct script scripts[] = {
		{ "http://h:1", "192.0.2.7:443", HTTP("HTTP/1.1 200 OK\r\n\r\nX"), -1,
		  "proxy-protocol", ERR_PEER },
		{ "socks5://h:1",
		  "192.0.2.7:443",
		  { { BYTES("\5\1\0"), BYTES("\5\0") },
		    { BYTES("\5\1\0\1\xc0\0\2\7\1\xbb"), BYTES("\5\0\0\1\0\0\0\0\0\0X") } },
		  -1,
		  "proxy-protocol",
		  ERR_PEER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		play(&scripts[i], 4096);
}

static void an_answer_without_end_is_cut_at_8_kib(void **state)
{
	static struct proxy_talk t;
	struct err e = { 0 };
	struct proxy p;
	struct address a;

	(void)state;
	assert_int_equal(proxy_parse("http://h:1", &p, NULL), 0);
	assert_int_equal(address_parse("192.0.2.7:443", 0, &a, NULL), 0);
	assert_int_equal(proxy_talk_begin(&t, &p, &a, NULL), 0);
	memset(t.in, 'x', sizeof t.in);
	memcpy(t.in, "HTTP/1.1 200 OK\r\n", 17);
	t.in_len = sizeof t.in - 1;
	assert_int_equal(proxy_talk_step(&t, &e), 0);
	t.in_len++;
	assert_true(proxy_talk_step(&t, &e) < 0);
	assert_string_equal(e.name, "proxy-protocol");
	assert_non_null(strstr(e.text, "8 KiB"));
}

#define GREET                                                                                      \
	{                                                                                          \
		BYTES("\5\1\0"), BYTES("\5\0")                                                     \
	}
#define GREET_USER                                                                                 \
	{                                                                                          \
		BYTES("\5\2\0\2"), BYTES("\5\2")                                                   \
	}
#define ASK_V4 "\5\1\0\1\xc0\0\2\7\1\xbb"
#define LOGIN "\1\7Aladdin\6s3cret"

static void socks_conversations_end_as_they_should(void **state)
{
	static const char s[] = "socks5://h:1", v4[] = "192.0.2.7:443";
	static const char u[] = "socks5://Aladdin:s3cret@h:1";
	static const struct script scripts[] = {
		{ s, v4, { GREET, { BYTES(ASK_V4), BYTES("\5\0\0\1\0\0\0\0\0\0") } }, 1, NULL, 0 },
		{ s,
		  v4,
		  { GREET,
		    { BYTES(ASK_V4), BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1") } },
		  1,
		  NULL,
		  0 },
		{ s, v4, { GREET, { BYTES(ASK_V4), BYTES("\5\0\0\3\3abc\0\1") } }, 1, NULL, 0 },
		{ s, v4, { GREET, { BYTES(ASK_V4), BYTES("\5\0\0\3\3abc\0") } }, 0, NULL, 0 },
		{ s,
		  "[2001:db8::7]:443",
		  { GREET,
		    { BYTES("\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\1\xbb"),
		      BYTES("\5\0\0\1\0\0\0\0\0\0") } },
		  1,
		  NULL,
		  0 },
		/* a name goes to the proxy as it is */
		{ s,
		  "r.example.org:443",
		  { GREET,
		    { BYTES("\5\1\0\3\15r.example.org\1\xbb"), BYTES("\5\0\0\1\0\0\0\0\0\0") } },
		  1,
		  NULL,
		  0 },
		{ u,
		  v4,
		  { GREET_USER,
		    { BYTES(LOGIN), BYTES("\1\0") },
		    { BYTES(ASK_V4), BYTES("\5\0\0\1\0\0\0\0\0\0") } },
		  1,
		  NULL,
		  0 },
		{ u,
		  v4,
		  { { BYTES("\5\2\0\2"), BYTES("\5\0") },
		    { BYTES(ASK_V4), BYTES("\5\0\0\1\0\0\0\0\0\0") } },
		  1,
		  NULL,
		  0 },
		{ u,
		  v4,
		  { GREET_USER, { BYTES(LOGIN), BYTES("\1\1") } },
		  -1,
		  "proxy-auth",
		  ERR_REFUSED },
		{ s, v4, { { BYTES("\5\1\0"), BYTES("\5\xff") } }, -1, "proxy-auth", ERR_REFUSED },
		{ u,
		  v4,
		  { { BYTES("\5\2\0\2"), BYTES("\5\xff") } },
		  -1,
		  "proxy-auth",
		  ERR_REFUSED },
		/* a password that was not offered */
		{ s, v4, { { BYTES("\5\1\0"), BYTES("\5\2") } }, -1, "proxy-protocol", ERR_PEER },
		{ s, v4, { { BYTES("\5\1\0"), BYTES("\5\1") } }, -1, "proxy-protocol", ERR_PEER },
		{ s, v4, { { BYTES("\5\1\0"), BYTES("H") } }, -1, "proxy-protocol", ERR_PEER },
		{ s, v4, { { BYTES("\5\1\0"), BYTES("\4\0") } }, -1, "proxy-protocol", ERR_PEER },
		{ u,
		  v4,
		  { GREET_USER, { BYTES(LOGIN), BYTES("\5\0") } },
		  -1,
		  "proxy-protocol",
		  ERR_PEER },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\1") } },
		  -1,
		  "proxy-target-unreachable",
		  ERR_NET },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\2") } },
		  -1,
		  "proxy-refused",
		  ERR_REFUSED },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\3") } },
		  -1,
		  "proxy-target-unreachable",
		  ERR_NET },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\5") } },
		  -1,
		  "proxy-target-unreachable",
		  ERR_NET },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\x08") } },
		  -1,
		  "proxy-refused",
		  ERR_REFUSED },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\x09") } },
		  -1,
		  "proxy-protocol",
		  ERR_PEER },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\5\0\0\2\0") } },
		  -1,
		  "proxy-protocol",
		  ERR_PEER },
		{ s,
		  v4,
		  { GREET, { BYTES(ASK_V4), BYTES("\4\0\0\1\0") } },
		  -1,
		  "proxy-protocol",
		  ERR_PEER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		play(&scripts[i], 1);
		play(&scripts[i], 3);
		play(&scripts[i], 4096);
	}
}

static void the_longest_user_and_name_fit(void **state)
{
	static struct proxy_talk t;
	struct proxy p = { .kind = PROXY_HTTP };
	struct address a = { .port = 65535 };

	(void)state;
	memset(p.user, 'u', sizeof p.user - 1);
	memset(p.password, 'p', sizeof p.password - 1);
	memset(a.host, 'h', sizeof a.host - 1);
	assert_int_equal(proxy_talk_begin(&t, &p, &a, NULL), 0);
	assert_true(t.out_len > 1000);
	assert_memory_equal(t.out + t.out_len - 4, "\r\n\r\n", 4);
	p.kind = PROXY_SOCKS5;
	assert_int_equal(proxy_talk_begin(&t, &p, &a, NULL), 0);
	t.out_len = 0;
	memcpy(t.in, "\5\2\1\0", 4);
	t.in_len = 4;
	assert_int_equal(proxy_talk_step(&t, NULL), 0);
	assert_int_equal(t.out_len, 3 + 2 * 255 + 4 + 1 + 253 + 2);
}

static void a_link_local_target_is_not_asked_of_a_proxy(void **state)
{
	static struct proxy_talk t;
	struct proxy p = { .kind = PROXY_HTTP };
	struct err e = { 0 };
	struct address a;

	(void)state;
	assert_int_equal(address_parse("[fe80::1%lo]:443", 0, &a, NULL), 0);
	assert_true(proxy_talk_begin(&t, &p, &a, &e) < 0);
	assert_int_equal(e.kind, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_name_kind_place_and_user),
		cmocka_unit_test(wrong_urls_are_refused_without_their_password),
		cmocka_unit_test(a_user_too_long_for_the_protocol_is_refused),
		cmocka_unit_test(a_password_comes_from_a_file_of_its_owner_only),
		cmocka_unit_test(the_environment_names_a_proxy_in_four_ways),
		cmocka_unit_test(no_proxy_exempts_names_addresses_and_networks),
		cmocka_unit_test(http_conversations_end_as_they_should),
		cmocka_unit_test(words_that_nobody_can_have_said_end_it),
		cmocka_unit_test(an_answer_without_end_is_cut_at_8_kib),
		cmocka_unit_test(socks_conversations_end_as_they_should),
		cmocka_unit_test(the_longest_user_and_name_fit),
		cmocka_unit_test(a_link_local_target_is_not_asked_of_a_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
