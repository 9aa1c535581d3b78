/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/crypttab.h"

#include <stdio.h>

static struct columns first(const char *text)
{
	struct lines l = { .text = text, .len = strlen(text) };
	struct columns c;

	assert_true(crypttab_next(&l, &c));
	return c;
}

static void assert_edited(struct edits *ed, const char *text, const char *want)
{
	char *out = edited(ed, text, strlen(text), NULL);

	assert_string_equal(out, want);
	free(out);
}

static void a_line_with_swap_or_tmp_formats_its_device(void **state)
{
	static const struct {
		const char *text;
		bool formats;
	} cases[] = {
		{ "s /dev/sda3 /dev/urandom swap,cipher=aes-xts-plain64\n", true },
		{ "t /dev/sda3 /dev/urandom cipher=x,tmp=ext4\n", true },
		{ "t /dev/sda3 /dev/urandom tmp\n", true },
		{ "d /dev/sda3 none luks,swapper\n", false },
		{ "d /dev/sda3\n", false },
		{ "swap /dev/sda3 none\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct columns c = first(cases[i].text);

		assert_int_equal(crypttab_formats(cases[i].text, &c), cases[i].formats);
	}
}

static void only_the_device_changes(void **state)
{
	const char *text = "# x\nroot\t/dev/sda2   none\tluks,discard  # note\n";
	struct columns c = first(text);
	struct edits ed = { 0 };

	(void)state;
	assert_int_equal(crypttab_set_device(&ed, &c, "UUID=7", NULL), 0);
	assert_edited(&ed, text, "# x\nroot\tUUID=7   none\tluks,discard  # note\n");
}

static void missing_fields_are_made_before_options_are_added(void **state)
{
	static const char *const cases[][2] = {
		{ "d UUID=1\n", "d UUID=1\tnone\tluks,nofail,x-systemd.device-timeout=10s\n" },
		{ "d UUID=1 none\n", "d UUID=1 none\tluks,nofail,x-systemd.device-timeout=10s\n" },
		{ "d UUID=1 none luks\n",
		  "d UUID=1 none luks,nofail,x-systemd.device-timeout=10s\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct columns c = first(cases[i][0]);
		struct edits ed = { 0 };

		assert_int_equal(crypttab_let_fail(&ed, cases[i][0], &c, NULL), 0);
		assert_edited(&ed, cases[i][0], cases[i][1]);
	}
}

static void tpm_options_go_and_the_others_stay_in_order(void **state)
{
	static const struct {
		const char *text, *want;
		unsigned n;
	} cases[] = {
		{ "d UUID=1 none luks,tpm2-device=auto,discard,tpm2-pcrs=7\n",
		  "d UUID=1 none luks,discard\n", 2 },
		{ "d UUID=1 none tpm2-device=auto\n", "d UUID=1 none luks\n", 1 },
		{ "d UUID=1 none luks,discard\n", "d UUID=1 none luks,discard\n", 0 },
		{ "d UUID=1 none\n", "d UUID=1 none\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct columns c = first(cases[i].text);
		struct edits ed = { 0 };
		unsigned n = 99;

		assert_int_equal(crypttab_drop_options(&ed, cases[i].text, &c, "tpm2-", &n, NULL),
				 0);
		assert_int_equal(n, cases[i].n);
		assert_edited(&ed, cases[i].text, cases[i].want);
	}
}

static void a_line_that_is_commented_out_is_no_entry_any_more(void **state)
{
	const char *text = "a UUID=1\n  s /dev/sda3 /dev/urandom swap\nb UUID=2\n";
	struct lines l = { .text = text, .len = strlen(text) };
	struct edits ed = { 0 };
	struct columns c;
	char *out;

	(void)state;
	assert_true(crypttab_next(&l, &c));
	assert_true(crypttab_next(&l, &c));
	assert_int_equal(crypttab_comment_out(&ed, &c, NULL), 0);
	out = edited(&ed, text, strlen(text), NULL);
	assert_string_equal(out, "a UUID=1\n  # s /dev/sda3 /dev/urandom swap\nb UUID=2\n");
	l = (struct lines){ .text = out, .len = strlen(out) };
	assert_true(crypttab_next(&l, &c));
	assert_true(crypttab_next(&l, &c));
	assert_int_equal(c.number, 3);
	assert_false(crypttab_next(&l, &c));
	free(out);
}

static void noise_never_crashes(void **state)
{
	uint64_t seed = 2;
	char text[400];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text);
		struct lines l = { .text = text, .len = len };
		struct columns c;

		while (crypttab_next(&l, &c)) {
			struct edits ed = { 0 };
			unsigned n;

			(void)crypttab_formats(text, &c);
			assert_int_equal(crypttab_drop_options(&ed, text, &c, "a", &n, NULL), 0);
			free(edited(&ed, text, len, NULL));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_with_swap_or_tmp_formats_its_device),
		cmocka_unit_test(only_the_device_changes),
		cmocka_unit_test(missing_fields_are_made_before_options_are_added),
		cmocka_unit_test(tpm_options_go_and_the_others_stay_in_order),
		cmocka_unit_test(a_line_that_is_commented_out_is_no_entry_any_more),
		cmocka_unit_test(noise_never_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
