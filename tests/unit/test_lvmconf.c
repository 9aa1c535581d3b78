/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/lvmconf.h"

static void assert_piece(struct piece p, const char *want)
{
	assert_int_equal(p.len, strlen(want));
	assert_memory_equal(p.s, want, p.len);
}

static void filters_are_found_over_lines_and_comments(void **state)
{
	const char *text = "devices {\n\t# filter = [ \"no\" ]\n\tfilter = [ \"a|x|\", # [\n"
			   "\t  'r|.*|' ]\n\tfilter_x = [ 1 ]\n}\n"
			   "devices/global_filter=[\"r/a]b/\"]\n";
	struct lvmconf_filter f;
	struct lvmconf_pattern pattern;
	size_t at = 0;

	(void)state;
	assert_true(lvmconf_next(text, strlen(text), &at, &f));
	assert_piece((struct piece){ text + f.key.off, f.key.len }, "filter");
	assert_int_equal(f.number, 3);
	assert_true(lvmconf_pattern_next(text, &f.list, &pattern));
	assert_true(pattern.accept);
	assert_piece(pattern.regex, "x");
	assert_true(lvmconf_pattern_next(text, &f.list, &pattern));
	assert_false(pattern.accept);
	assert_piece(pattern.regex, ".*");
	assert_false(lvmconf_pattern_next(text, &f.list, &pattern));

	assert_true(lvmconf_next(text, strlen(text), &at, &f));
	assert_piece((struct piece){ text + f.key.off, f.key.len }, "devices/global_filter");
	assert_int_equal(f.number, 7);
	assert_true(lvmconf_pattern_next(text, &f.list, &pattern));
	assert_piece(pattern.regex, "a]b");
	assert_false(lvmconf_next(text, strlen(text), &at, &f));
}

static void a_list_that_is_none_is_passed_over(void **state)
{
	static const char *const texts[] = { "filter = \"a|x|\"\n",      "filter = [ \"a|x|\"",
					     "filter [ \"a|x|\" ]",      "filter = [ \"a|x| ]\n",
					     "filter = [ a|x| ]\n",      "filter",
					     "\"filter\" = [ \"a|x|\" ]" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct lvmconf_filter f;
		size_t at = 0;

		assert_false(lvmconf_next(texts[i], strlen(texts[i]), &at, &f));
	}
}

static void a_pattern_has_the_delimiters_it_begins_with(void **state)
{
	const char *text = "\"a(x)\", \"r{y}\", \"a|z\", \"x|z|\", \"a\", \"r#w#\"";
	struct span list = { 0, strlen(text) };
	struct lvmconf_pattern pattern;

	(void)state;
	assert_true(lvmconf_pattern_next(text, &list, &pattern));
	assert_piece(pattern.regex, "x");
	assert_true(lvmconf_pattern_next(text, &list, &pattern));
	assert_piece(pattern.regex, "y");
	assert_true(lvmconf_pattern_next(text, &list, &pattern));
	assert_piece(pattern.regex, "w");
	assert_false(lvmconf_pattern_next(text, &list, &pattern));
}

/* NUL is no delimiter that pairs with the byte behind the table of pairs. */
static void a_pattern_between_nul_bytes_pairs_them(void **state)
{
	static const char text[] = "filter=[\"a\0x\0\"]";
	struct lvmconf_pattern pattern;
	struct lvmconf_filter f;
	size_t at = 0;

	(void)state;
	assert_true(lvmconf_next(text, sizeof text - 1, &at, &f));
	assert_true(lvmconf_pattern_next(text, &f.list, &pattern));
	assert_piece(pattern.regex, "x");
}

/* Whatever the bytes are: inside the text, and it comes to an end. */
static void noise_stays_inside_its_bounds(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char text[128] = "filter=[\"";
		size_t len = 9 + noisy_text(&seed, text + 9, sizeof text - 9), at = 0;
		struct lvmconf_filter f;
		char *exact = malloc(len);

		memcpy(exact, text, len);
		while (lvmconf_next(exact, len, &at, &f)) {
			struct lvmconf_pattern pattern;

			assert_true(at <= len && f.list.off + f.list.len < len);
			while (lvmconf_pattern_next(exact, &f.list, &pattern))
				assert_true(pattern.regex.s + pattern.regex.len < exact + len);
		}
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_are_found_over_lines_and_comments),
		cmocka_unit_test(a_list_that_is_none_is_passed_over),
		cmocka_unit_test(a_pattern_has_the_delimiters_it_begins_with),
		cmocka_unit_test(a_pattern_between_nul_bytes_pairs_them),
		cmocka_unit_test(noise_stays_inside_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
