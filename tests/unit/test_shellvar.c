/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/shellvar.h"

#include <errno.h>

static const char sample[] = "# SELINUX=enforcing\n"
			     "SELINUX=permissive   # for now\n"
			     "  export A='x y'\n"
			     "B=\"a \\\" b\" # c\n"
			     "C=a\"b\"c\n"
			     "D=$(date)\n"
			     "G=\"$(date)\"\n"
			     "H=a # ok\n"
			     "I=a;b\n"
			     "E=\"`id`\"\n"
			     "F=\"open\n"
			     "SELINUX=enforcing\n"
			     "SELINUXTYPE=targeted";

static void the_last_assignment_wins(void **state)
{
	char v[32];

	(void)state;
	assert_true(shellvar_get(sample, strlen(sample), "SELINUX", v, sizeof v));
	assert_string_equal(v, "enforcing");
	assert_true(shellvar_get(sample, strlen(sample), "A", v, sizeof v));
	assert_string_equal(v, "x y");
	assert_true(shellvar_get(sample, strlen(sample), "B", v, sizeof v));
	assert_string_equal(v, "a \\\" b");
	assert_true(shellvar_get(sample, strlen(sample), "SELINUXTYPE", v, sizeof v));
	assert_string_equal(v, "targeted");
	assert_false(shellvar_get(sample, strlen(sample), "SELINUXTYP", v, sizeof v));
}

static void what_a_shell_puts_together_has_no_value(void **state)
{
	static const char *const keys[] = { "C", "D", "E", "F", "G", "I" };
	char v[32];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct buf out = { 0 };

		assert_false(shellvar_get(sample, strlen(sample), keys[i], v, sizeof v));
		assert_int_equal(shellvar_set(sample, strlen(sample), keys[i], "x", &out, NULL),
				 -ENOTSUP);
		assert_int_equal(out.len, 0);
	}
}

static void assert_set(const char *text, const char *key, const char *value, const char *want)
{
	struct buf out = { 0 };

	assert_int_equal(shellvar_set(text, strlen(text), key, value, &out, NULL), 0);
	assert_string_equal((char *)out.data, want);
	buf_free(&out);
}

static void set_changes_the_value_and_nothing_else(void **state)
{
	(void)state;
	assert_set("# c\nA=1 # one\nB=2\n", "A", "3", "# c\nA=3 # one\nB=2\n");
	assert_set("A=1\nA=2\n", "A", "3", "A=1\nA=3\n");
	assert_set("A='x y'\r\nB=1\n", "A", "z", "A='z'\r\nB=1\n");
	assert_set("A=x\n", "A", "y z", "A=\"y z\"\n");
	assert_set("B=1", "A", "2", "B=1\nA=2\n");
	assert_set("", "A", "2 3", "A=\"2 3\"\n");
	assert_set("A=\n", "A", "1", "A=1\n");
}

static void a_value_that_could_leave_its_quotes_is_refused(void **state)
{
	static const char *const bad[] = { "a\"b", "a'b", "$x", "`x`", "a\\b", "a\nb" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buf out = { 0 };

		assert_int_equal(shellvar_set("A=1\n", 4, "A", bad[i], &out, NULL), -EINVAL);
	}
}

static void setting_twice_is_setting_once(void **state)
{
	struct buf one = { 0 }, two = { 0 };

	(void)state;
	assert_int_equal(shellvar_set(sample, strlen(sample), "SELINUX", "disabled", &one, NULL),
			 0);
	assert_int_equal(shellvar_set((char *)one.data, one.len, "SELINUX", "disabled", &two, NULL),
			 0);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	buf_free(&one);
	buf_free(&two);
}

static void noise_keeps_every_byte_outside_the_value(void **state)
{
	uint64_t seed = 3;
	char text[300];

	(void)state;
	for (int round = 0; round < 30000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text);
		struct shellvar v;
		struct buf out = { 0 };

		if (!shellvar_find(text, len, "a", &v) || !v.plain)
			continue;
		assert_true(v.value.off + v.value.len <= len);
		assert_int_equal(shellvar_set(text, len, "a", "zz", &out, NULL), 0);
		assert_int_equal(out.len, len - v.value.len + 2);
		assert_memory_equal(out.data, text, v.value.off);
		assert_memory_equal(out.data + v.value.off + 2, text + v.value.off + v.value.len,
				    len - v.value.off - v.value.len);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_assignment_wins),
		cmocka_unit_test(what_a_shell_puts_together_has_no_value),
		cmocka_unit_test(set_changes_the_value_and_nothing_else),
		cmocka_unit_test(a_value_that_could_leave_its_quotes_is_refused),
		cmocka_unit_test(setting_twice_is_setting_once),
		cmocka_unit_test(noise_keeps_every_byte_outside_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
