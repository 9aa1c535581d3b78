/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report: always JSON, whatever names a guest has; and never taken from a machine unread. */
#include "test.h"

#include "plan.h"
#include "report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *report_of(const struct report *r)
{
	struct err e = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *o;

	assert_non_null(out);
	assert_int_equal(report_json(r, out, &e), 0);
	assert_int_equal(fclose(out), 0);
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	free(text);
	return o;
}

static void hostile_names_become_harmless_text(void **state)
{
	struct guest g = { .rootfd = -1, .root_vol = -1 };
	struct report r = { .command = "plan", .result = "planned", .guest = &g, .left = -1 };
	const json_t *os;
	struct plan p;
	json_t *o;

	(void)state;
	g.loader.boot_disk = -1;
	memcpy(g.os.name, "a\xff\x1b[2J\xc3\xa9\xed\xa0\x80", 11);
	plan_init(&p, &g);
	plan_finding(&p, "fstab", LEVEL_WARN, "/etc/fst\x80", "%s", "why");
	r.plan = &p;
	o = report_of(&r);
	os = json_object_get(json_object_get(o, "guest"), "os");
	assert_string_equal(
	    json_string_value(json_object_get(os, "name")),
	    "a\xef\xbf\xbd\xef\xbf\xbd[2J\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(json_array_size(json_object_get(o, "findings")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "actions")), 0);
	assert_int_equal(json_integer_value(json_object_get(o, "version")), 1);
	json_decref(o);
	plan_free(&p);
}

static void an_error_is_part_of_the_report(void **state)
{
	struct err why = { .kind = ERR_REFUSED, .name = "hibernated", .text = "asleep" };
	struct report r = { .command = "plan", .result = "refused", .error = &why, .left = -1 };
	json_t *o = report_of(&r);
	const json_t *error = json_object_get(o, "error");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(error, "name")), "hibernated");
	assert_string_equal(json_string_value(json_object_get(error, "kind")), "refused");
	assert_true(json_is_null(json_object_get(o, "guest")));
	json_decref(o);
}

static void a_machine_that_does_not_speak_json_is_refused(void **state)
{
	static const char *const bad[] = { "", "done", "[]", "{\"a\":1,\"a\":2}",
					   "{\"a\":\"\xff\"}" };
	static const char odd[] = "{\"guest\":{\"volumes\":[7]},\"findings\":[{}]}";
	FILE *out = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(out);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };

		assert_true(report_pass_on(bad[i], strlen(bad[i]), true, out, &e) < 0);
		assert_int_equal(e.kind, ERR_PEER);
	}
	/* Right JSON of the wrong shape prints what it can and reads nothing it should not. */
	assert_int_equal(report_pass_on(odd, strlen(odd), false, out, NULL), 0);
	assert_int_equal(fclose(out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_names_become_harmless_text),
		cmocka_unit_test(an_error_is_part_of_the_report),
		cmocka_unit_test(a_machine_that_does_not_speak_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
