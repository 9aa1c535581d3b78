/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "invite.h"

#define SPKI "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD                                                                                       \
	"{\"version\":1,\"addresses\":[\"127.0.0.1:8443\",\"[::1]:443\"],\"spki_sha256\":\"" SPKI  \
	"\",\"code\":\"XXXX\",\"ticket\":\"0102030405060708\",\"disks\":[{\"n\":0,\"size\":4096,"  \
	"\"logical_sector\":512},{\"n\":3,\"size\":8192,\"logical_sector\":4096}],"                \
	"\"block_size\":262144,\"expires\":99}"

static int parse(const char *text, struct invite *i, struct err *e)
{
	*e = (struct err){ 0 };
	return invite_parse(text, strlen(text), i, e);
}

/* GOOD with ${from} replaced by ${to}. */
static char *with(const char *from, const char *to)
{
	const char *at = strstr(GOOD, from);
	char *out;

	assert_non_null(at);
	out = malloc(sizeof GOOD + strlen(to) + 1);
	assert_non_null(out);
	(void)sprintf(out, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
	return out;
}

static void a_good_invite_is_read_whole(void **state)
{
	struct invite i;
	struct err e;

	(void)state;
	assert_int_equal(parse(GOOD, &i, &e), 0);
	assert_int_equal(i.n_addresses, 2);
	assert_string_equal(i.addresses[1].host, "::1");
	assert_int_equal(i.addresses[1].port, 443);
	assert_int_equal(i.spki[1], 0x11);
	assert_int_equal(i.ticket[7], 8);
	assert_int_equal(i.n_disks, 2);
	assert_int_equal(invite_disk(&i, 3)->logical_sector, 4096);
	assert_null(invite_disk(&i, 1));
	assert_true(i.expires == 99);
}

static void no_address_is_allowed(void **state)
{
	char *text = with("\"127.0.0.1:8443\",\"[::1]:443\"", "");
	struct invite i;
	struct err e;

	(void)state;
	assert_int_equal(parse(text, &i, &e), 0);
	assert_int_equal(i.n_addresses, 0);
	free(text);
}

static void anything_else_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "\"version\":1", "\"version\":2" },
		{ "\"version\":1", "\"version\":\"1\"" },
		{ "\"version\":1", "\"version\":1,\"extra\":0" },
		{ "\"version\":1", "\"version\":1,\"version\":1" },
		{ "\"version\":1,", "" },
		{ SPKI, "00" },
		{ SPKI, "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" },
		{ "0102030405060708", "01020304050607" },
		{ "127.0.0.1:8443", "example.org:443" },
		{ "127.0.0.1:8443", "127.0.0.1" },
		{ "127.0.0.1:8443", "127.0.0.1:0" },
		{ "127.0.0.1:8443", "127.0.0.1:70000" },
		{ "\"n\":3", "\"n\":0" },
		{ "\"n\":3", "\"n\":20" },
		{ "\"n\":3", "\"n\":-1" },
		{ "\"size\":4096", "\"size\":0" },
		{ "\"size\":4096", "\"size\":-5" },
		{ "\"size\":4096", "\"size\":9223372036854775807" },
		{ "\"logical_sector\":512", "\"logical_sector\":513" },
		{ "\"block_size\":262144", "\"block_size\":262145" },
		{ "\"block_size\":262144", "\"block_size\":4096" },
		{ "\"expires\":99", "\"expires\":-1" },
		{ "\"code\":\"XXXX\"",
		  "\"code\":\"XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\"" },
		{ "}", "" },
	};

	(void)state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		char *text = with(cases[k].from, cases[k].to);
		struct invite i;
		struct err e;

		assert_true(parse(text, &i, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		free(text);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct invite i;
	struct err e = { 0 };

	(void)state;
	assert_true(invite_load("/nowhere/invite", &i, &e) < 0);
	assert_non_null(strstr(e.text, "/nowhere/invite"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_invite_is_read_whole),
		cmocka_unit_test(no_address_is_allowed),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
