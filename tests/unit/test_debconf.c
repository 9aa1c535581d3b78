/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/debconf.h"
#include "edit/netname.h"

#include <errno.h>

static const char sample[] = "Name: grub-pc/install_devices_empty\n"
			     "Template: grub-pc/install_devices_empty\n"
			     "Value: false\n"
			     "Owners: grub-pc\n"
			     "\n"
			     "Name: grub-pc/install_devices\n"
			     "Template: grub-pc/install_devices\n"
			     "Value: /dev/disk/by-id/ata-X\n"
			     "Owners: grub-pc\n"
			     "Variables:\n"
			     " CHOICES = a, b\n"
			     "\n"
			     "Name: grub-pc/unanswered\n"
			     "Owners: grub-pc\n"
			     "\n"
			     "Value: of no question\n"
			     "\n"
			     "Name: other\n"
			     "Value: 1\n";

static void the_value_of_the_named_question_is_found(void **state)
{
	struct span s;

	(void)state;
	assert_true(debconf_find(sample, strlen(sample), "grub-pc/install_devices", &s));
	assert_int_equal(s.len, strlen("/dev/disk/by-id/ata-X"));
	assert_memory_equal(sample + s.off, "/dev/disk/by-id/ata-X", s.len);
}

static void another_question_s_value_is_never_taken(void **state)
{
	struct span s;

	(void)state;
	assert_false(debconf_find(sample, strlen(sample), "grub-pc/unanswered", &s));
	assert_false(debconf_find(sample, strlen(sample), "grub-pc/install", &s));
	assert_false(debconf_find(sample, 0, "other", &s));
}

static void noise_never_leaves_the_text(void **state)
{
	uint64_t seed = 5;
	char text[300];
	struct span s;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text);

		memcpy(text, "Name: a\nValue: ", len < 15 ? len : 15);
		if (debconf_find(text, len, "a", &s))
			assert_true(s.off + s.len <= len);
	}
}

static void a_link_file_names_the_card_by_its_mac(void **state)
{
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(netname_link("52:54:00:AB:00:01", "ens3", &out, NULL), 0);
	assert_non_null(strstr((char *)out.data,
			       "\n[Match]\nMACAddress=52:54:00:AB:00:01\nPath=*\n\n[Link]"
			       "\nName=ens3\n"));
	buf_free(&out);
}

static void a_rule_has_the_mac_in_lower_case(void **state)
{
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(netname_rule("52:54:00:AB:00:01", "eth0", &out, NULL), 0);
	assert_non_null(strstr((char *)out.data, "ATTR{address}==\"52:54:00:ab:00:01\""));
	assert_non_null(strstr((char *)out.data, "NAME=\"eth0\"\n"));
	buf_free(&out);
}

static void names_and_macs_that_could_break_out_are_refused(void **state)
{
	static const char *const names[] = {
		"", "..", "a/b", "a\nb", "a\"b", "a b", "abcdefghijklmnop"
	};
	static const char *const macs[] = { "", "52:54:00:12:34:5", "52:54:00:12:34:5g",
					    "52-54-00-12-34-56", "52:54:00:12:34:56:" };
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(netname_link("52:54:00:12:34:56", names[i], &out, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof macs / sizeof macs[0]; i++)
		assert_int_equal(netname_rule(macs[i], "eth0", &out, NULL), -EINVAL);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_value_of_the_named_question_is_found),
		cmocka_unit_test(another_question_s_value_is_never_taken),
		cmocka_unit_test(noise_never_leaves_the_text),
		cmocka_unit_test(a_link_file_names_the_card_by_its_mac),
		cmocka_unit_test(a_rule_has_the_mac_in_lower_case),
		cmocka_unit_test(names_and_macs_that_could_break_out_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
