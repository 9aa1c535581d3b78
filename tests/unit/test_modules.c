/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/modules.h"

#include <errno.h>
#include <time.h>

static const char dep[] =
    "kernel/drivers/virtio/virtio.ko.xz:\n"
    "kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n"
    "kernel/drivers/block/virtio-blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz "
    "kernel/drivers/virtio/virtio.ko.xz\n"
    "/lib/modules/2.6.18/kernel/a/old.ko: /lib/modules/2.6.18/kernel/a/older.ko\n"
    "/lib/modules/2.6.18/kernel/a/older.ko:\n"
    "kernel/x/loop_a.ko: kernel/x/loop_b.ko\n"
    "kernel/x/loop_b.ko: kernel/x/loop_a.ko\n"
    "kernel/x/broken.ko: kernel/x/absent.ko\n"
    "kernel/x/uses_builtin.ko: kernel/fs/inside.ko\n"
    "kernel/../../../etc/evil.ko:\n"
    "no colon here\n";
static const char builtin[] = "kernel/fs/inside.ko\nnonsense\n";

static struct modules parsed(void)
{
	struct modules m;
	struct err e = { 0 };

	assert_int_equal(modules_parse(dep, strlen(dep), builtin, strlen(builtin), &m, &e), 0);
	return m;
}

static void names_lose_folder_ending_and_dashes(void **state)
{
	char name[64];

	(void)state;
	assert_true(modules_name("kernel/a/virtio-blk.ko.xz", 25, name));
	assert_string_equal(name, "virtio_blk");
	assert_true(modules_name("x.ko", 4, name));
	assert_true(modules_name("x.ko.zst", 8, name));
	assert_true(modules_name("x.ko.gz", 7, name));
	assert_false(modules_name("x.ko.txt", 8, name));
	assert_false(modules_name(".ko", 3, name));
	assert_false(modules_name("x.kot", 5, name));
}

static void the_closure_has_dependencies_first(void **state)
{
	struct modules m = parsed();
	struct strlist l = { 0 };

	(void)state;
	assert_int_equal(modules_closure(&m, "virtio_blk", &l, NULL), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0], "virtio");
	assert_string_equal(l.v[1], "virtio_ring");
	assert_string_equal(l.v[2], "virtio_blk");
	assert_string_equal(modules_find(&m, "virtio_blk")->path,
			    "kernel/drivers/block/virtio-blk.ko.xz");
	strlist_free(&l);
	modules_free(&m);
}

static void loops_end_built_in_is_left_out_absent_is_an_error(void **state)
{
	struct modules m = parsed();
	struct strlist l = { 0 };

	(void)state;
	assert_int_equal(modules_closure(&m, "loop_a", &l, NULL), 0);
	assert_int_equal(l.n, 2);
	strlist_free(&l);
	assert_int_equal(modules_closure(&m, "uses_builtin", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	strlist_free(&l);
	assert_int_equal(modules_closure(&m, "broken", &l, NULL), -ENOENT);
	strlist_free(&l);
	modules_free(&m);
}

static void absolute_paths_of_an_old_depmod_are_cut(void **state)
{
	struct modules m = parsed();

	(void)state;
	assert_string_equal(modules_find(&m, "old")->path, "kernel/a/old.ko");
	assert_null(modules_find(&m, "evil"));
	modules_free(&m);
}

static void patterns_match_as_modprobe_does(void **state)
{
	static const struct {
		const char *pattern, *s;
		bool match;
	} cases[] = {
		{ "virtio:d00000002v*", "virtio:d00000002v00001AF4", true },
		{ "virtio:d00000002v*", "virtio:d00000001v00001AF4", false },
		{ "pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001001sv1sd2bc01sc00i00",
		  true },
		{ "*", "", true },
		{ "", "", true },
		{ "", "a", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "[a-c]x", "bx", true },
		{ "[!a-c]x", "bx", false },
		{ "[ab", "a", false },
		{ "*a*b", "xaxxb", true },
		{ "*a*b", "xaxxc", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (modules_glob(cases[i].pattern, strlen(cases[i].pattern), cases[i].s) !=
		    cases[i].match)
			fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].s);
}

static void a_pattern_of_many_stars_takes_no_time(void **state)
{
	char pattern[4096], s[4096];
	clock_t begin = clock();

	(void)state;
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	memset(s, 'a', sizeof s);
	s[2000] = 0;
	assert_false(modules_glob(pattern, sizeof pattern, s));
	assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
}

static void an_alias_gives_each_module_once(void **state)
{
	const char *alias = "# c\nalias virtio:d00000002v* virtio_blk\n"
			    "alias virtio:d00000002v* virtio-blk\nalias virtio:* other\n"
			    "alias virtio:d00000002v*\nx virtio:d00000002v* no\n";
	struct strlist l = { 0 };

	(void)state;
	assert_int_equal(
	    modules_for_alias(alias, strlen(alias), "virtio:d00000002v00001AF4", &l, NULL), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0], "virtio_blk");
	assert_string_equal(l.v[1], "other");
	strlist_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lose_folder_ending_and_dashes),
		cmocka_unit_test(the_closure_has_dependencies_first),
		cmocka_unit_test(loops_end_built_in_is_left_out_absent_is_an_error),
		cmocka_unit_test(absolute_paths_of_an_old_depmod_are_cut),
		cmocka_unit_test(patterns_match_as_modprobe_does),
		cmocka_unit_test(a_pattern_of_many_stars_takes_no_time),
		cmocka_unit_test(an_alias_gives_each_module_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
