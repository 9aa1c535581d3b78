/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "address.h"

static void what_is_written_comes_back(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned allowed;
		uint16_t port;
		bool name, v6;
	} good[] = {
		{ "192.0.2.7:443", "192.0.2.7", 0, 443, false, false },
		{ "[::1]:65535", "::1", 0, 65535, false, true },
		{ "[2001:db8::7]:80", "2001:db8::7", 0, 80, false, true },
		{ "[fe80::1%eth0]:443", "fe80::1%eth0", 0, 443, false, true },
		{ "[fe80::1%3]:443", "fe80::1%3", 0, 443, false, true },
		{ "[::ffff:192.0.2.7]:1", "::ffff:192.0.2.7", 0, 1, false, true },
		{ "0.0.0.0:0", "0.0.0.0", ADDRESS_ANY_PORT, 0, false, false },
		{ "localhost:443", "localhost", ADDRESS_NAME, 443, true, false },
		{ "a-b.example.org:443", "a-b.example.org", ADDRESS_NAME, 443, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char text[ADDRESS_WHOLE_MAX];
		struct address a;

		assert_int_equal(address_parse(good[i].text, good[i].allowed, &a, NULL), 0);
		assert_string_equal(a.host, good[i].host);
		assert_int_equal(a.port, good[i].port);
		assert_int_equal(address_is_name(&a), good[i].name);
		assert_int_equal(address_is_v6(&a), good[i].v6);
		assert_string_equal(address_text(&a, text, sizeof text), good[i].text);
	}
}

static void a_port_may_be_left_out_where_that_is_allowed(void **state)
{
	struct address a;

	(void)state;
	assert_int_equal(address_parse("[2001:db8::7]", ADDRESS_SOME_PORT, &a, NULL), 0);
	assert_string_equal(a.host, "2001:db8::7");
	assert_int_equal(a.port, 0);
	assert_int_equal(address_parse("10.0.0.1", ADDRESS_SOME_PORT, &a, NULL), 0);
	assert_string_equal(a.host, "10.0.0.1");
	assert_true(address_parse("10.0.0.1", 0, &a, NULL) < 0);
}

static void anything_else_is_refused_with_its_text(void **state)
{
	static const struct {
		const char *text;
		unsigned allowed;
		const char *why;
	} wrong[] = {
		{ "", 0, "no host" },
		{ ":443", 0, "no host" },
		{ "[]:443", 0, "no host" },
		{ "127.0.0.1", 0, "HOST:PORT" },
		{ "127.0.0.1:", 0, "port" },
		{ "127.0.0.1:0", 0, "port" },
		{ "127.0.0.1:65536", 0, "port" },
		{ "127.0.0.1:+1", 0, "port" },
		{ "127.0.0.1:44x", 0, "port" },
		{ "[::1]", 0, "HOST:PORT" },
		{ "[::1]443", 0, "HOST:PORT" },
		{ "[::1:443", 0, "HOST:PORT" },
		{ "::1:443", ADDRESS_NAME, "brackets" },
		{ "2001:db8::7", ADDRESS_NAME, "brackets" },
		{ "[127.0.0.1]:443", 0, "in brackets" },
		{ "[localhost]:443", ADDRESS_NAME, "in brackets" },
		{ "localhost:443", 0, "numbers" },
		{ "127.0.0.256:443", ADDRESS_NAME, "neither" },
		{ "127.1:443", ADDRESS_NAME, "neither" },
		{ "-x.example.org:443", ADDRESS_NAME, "neither" },
		{ "a b:443", ADDRESS_NAME, "neither" },
		{ "a%eth0:443", ADDRESS_NAME, "neither" },
		{ "[fe80::1]:443", 0, "interface" },
		{ "[fe80::1%]:443", 0, "zone" },
		{ "[fe80::1%../../etc]:443", 0, "zone" },
		{ "[fe80::1%a-name-that-is-too-long]:443", 0, "zone" },
		{ "[2001:db8::7%eth0]:443", 0, "only a link-local" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct address a = { .port = 7 };
		struct err e = { 0 };

		assert_int_equal(address_parse(wrong[i].text, wrong[i].allowed, &a, &e), -EINVAL);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_non_null(strstr(e.text, wrong[i].why));
		assert_int_equal(a.port, 7);
	}
}

static void a_host_longer_than_any_name_is_refused(void **state)
{
	char text[ADDRESS_HOST_MAX + 8];
	struct address a;

	(void)state;
	memset(text, 'a', ADDRESS_HOST_MAX - 1);
	memcpy(text + ADDRESS_HOST_MAX - 1, ":443", 5);
	assert_int_equal(address_parse(text, ADDRESS_NAME, &a, NULL), 0);
	memset(text, 'a', ADDRESS_HOST_MAX);
	memcpy(text + ADDRESS_HOST_MAX, ":443", 5);
	assert_int_equal(address_parse(text, ADDRESS_NAME, &a, NULL), -EINVAL);
}

static void the_kernel_gets_family_port_and_zone(void **state)
{
	struct sockaddr_storage sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct address a;
	socklen_t len;

	(void)state;
	assert_int_equal(address_parse("127.0.0.1:258", 0, &a, NULL), 0);
	assert_int_equal(address_sockaddr(&a, &sa, &len, NULL), 0);
	assert_int_equal(len, sizeof in);
	memcpy(&in, &sa, sizeof in);
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(in.sin_port, htons(258));
	assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));

	assert_int_equal(address_parse("[fe80::1%lo]:258", 0, &a, NULL), 0);
	assert_int_equal(address_sockaddr(&a, &sa, &len, NULL), 0);
	assert_int_equal(len, sizeof in6);
	memcpy(&in6, &sa, sizeof in6);
	assert_int_equal(in6.sin6_port, htons(258));
	assert_int_equal(in6.sin6_scope_id, if_nametoindex("lo"));
	assert_int_equal(in6.sin6_addr.s6_addr[15], 1);

	assert_int_equal(address_parse("[fe80::1%77]:258", 0, &a, NULL), 0);
	assert_int_equal(address_sockaddr(&a, &sa, &len, NULL), 0);
	memcpy(&in6, &sa, sizeof in6);
	assert_int_equal(in6.sin6_scope_id, 77);
}

static void an_interface_that_is_not_there_may_come_back(void **state)
{
	struct sockaddr_storage sa;
	struct err e = { 0 };
	struct address a;
	socklen_t len;

	(void)state;
	assert_int_equal(address_parse("[fe80::1%nosuch0]:443", 0, &a, NULL), 0);
	assert_int_equal(address_sockaddr(&a, &sa, &len, &e), -ENODEV);
	assert_int_equal(e.kind, ERR_NET);
	assert_non_null(strstr(e.text, "nosuch0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_comes_back),
		cmocka_unit_test(a_port_may_be_left_out_where_that_is_allowed),
		cmocka_unit_test(anything_else_is_refused_with_its_text),
		cmocka_unit_test(a_host_longer_than_any_name_is_refused),
		cmocka_unit_test(the_kernel_gets_family_port_and_zone),
		cmocka_unit_test(an_interface_that_is_not_there_may_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
