/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facts.h"

static char path[] = "/tmp/transit-facts.XXXXXX";

static int set_up(void **state)
{
	int fd;

	(void)state;
	memcpy(path + sizeof path - 7, "XXXXXX", 7);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 3 << 20), 0);
	(void)close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void an_image_has_no_name_and_tells_nothing_of_a_machine(void **state)
{
	static struct move m;
	char *text = NULL;

	(void)state;
	m.n_disks = 1;
	m.disks[0].n = 4;
	assert_int_equal(source_open(path, &m.disks[0].source, NULL), 0);
	assert_int_equal(facts_make(&m, &text, NULL), 0);
	json_t *j = json_loads(text, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "version")), 1);
	json_t *d = json_array_get(json_object_get(j, "disks"), 0);
	assert_int_equal(json_integer_value(json_object_get(d, "n")), 4);
	assert_int_equal(json_integer_value(json_object_get(d, "size")), 3 << 20);
	assert_true(json_is_null(json_object_get(d, "name")));
	assert_null(json_object_get(j, "nics"));
	assert_null(json_object_get(j, "firmware"));
	json_decref(j);
	free(text);
	source_close(m.disks[0].source);
}

static void a_persons_facts_are_taken_as_they_are(void **state)
{
	char *text = NULL;

	(void)state;
	write_file("{ \"version\": 1, \"firmware\": \"uefi\" }");
	assert_int_equal(facts_load(path, &text, NULL), 0);
	assert_string_equal(text, "{\"version\":1,\"firmware\":\"uefi\"}");
	free(text);
}

static void facts_that_are_no_facts_are_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "{}", "{\"version\":2}", "{\"version\":1" };
	struct err e;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e = (struct err){ 0 };
		write_file(bad[i]);
		assert_true(facts_load(path, &text, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_image_has_no_name_and_tells_nothing_of_a_machine),
		TEST(a_persons_facts_are_taken_as_they_are),
		TEST(facts_that_are_no_facts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
