/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"

static char path[64];

static int load(const char *text, struct bounds *ret, struct err *e)
{
	const struct bounds base = { .limit = { .base = 7 }, .nice = 3, .ionice = 1, .cpu = 9 };
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	*e = (struct err){ 0 };
	return bounds_load(path, &base, ret, e);
}

static void a_file_goes_over_the_command_line_key_by_key(void **state)
{
	struct bounds b;
	struct err e;

	(void)state;
	assert_int_equal(load("# night\nlimit = 1M,22:00-06:00=none\nnice = 19\nionice = idle\n"
			      "cpu = 50 ; half\n",
			      &b, &e),
			 0);
	assert_true(b.limit.base == MIB && b.limit.n == 1);
	assert_int_equal(b.nice, 19);
	assert_int_equal(b.ionice, 3 << 13);
	assert_int_equal(b.cpu, 50);

	assert_int_equal(load("ionice=best-effort:7\n", &b, &e), 0);
	assert_true(b.limit.base == 7);
	assert_int_equal(b.nice, 3);
	assert_int_equal(b.ionice, (2 << 13) + 7);
	assert_int_equal(b.cpu, 9);

	assert_int_equal(load("cpu = none\nlimit = none\n", &b, &e), 0);
	assert_int_equal(b.cpu, 0);
	assert_true(b.limit.base == LIMIT_NONE);

	assert_int_equal(load("", &b, &e), 0);
	assert_int_equal(b.nice, 3);
}

static void a_mistake_is_told_by_its_line_and_changes_nothing(void **state)
{
	static const struct {
		const char *text, *line, *why;
	} wrong[] = {
		{ "limit = 1M\nrate = 2M\n", "line 2", "unknown key 'rate'" },
		{ "\n\nlimit = fast\n", "line 3", "12Mbit" },
		{ "nice = 20\n", "line 1", "0 to 19" },
		{ "nice = -1\n", "line 1", "0 to 19" },
		{ "ionice = realtime\n", "line 1", "best-effort:0" },
		{ "ionice = best-effort:\n", "line 1", "best-effort:0" },
		{ "cpu = 801\n", "line 1", "5 to 800" },
		{ "cpu = 4\n", "line 1", "5 to 800" },
		{ "cpu = 5 %\n", "line 1", "5 to 800" },
		{ "limit = 1M\nnice = 1\nlimit = 2M\n", "line 3", "twice" },
		{ "[night]\nlimit = 1M\n", "line 2", "sections" },
		{ "limit = 1M\nwords\n", "line 2", "KEY = VALUE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct bounds b = { .nice = 42 };
		struct err e;

		assert_true(load(wrong[i].text, &b, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		if (!strstr(e.text, wrong[i].line) || !strstr(e.text, wrong[i].why) ||
		    !strstr(e.text, path))
			fail_msg("\"%s\": %s", wrong[i].text, e.text);
		assert_int_equal(b.nice, 42);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	const struct bounds base = BOUNDS_NONE;
	struct err e = { 0 };
	struct bounds b;

	(void)state;
	assert_true(bounds_load("/nowhere/limits", &base, &b, &e) < 0);
	assert_non_null(strstr(e.text, "/nowhere/limits"));
}

static int make_path(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof path, "/tmp/transit-bounds.%ld", (long)getpid());
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_goes_over_the_command_line_key_by_key),
		cmocka_unit_test(a_mistake_is_told_by_its_line_and_changes_nothing),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
