/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/fstab.h"

#include <stdio.h>

/* The n-th line (from 0) that names something to mount. */
static struct columns entry(const char *text, unsigned n)
{
	struct lines l = { .text = text, .len = strlen(text) };
	struct columns c;

	for (unsigned i = 0; i <= n; i++)
		assert_true(fstab_next(&l, &c));
	return c;
}

static const char sample[] = "# /etc/fstab\n"
			     "\n"
			     "  /dev/sda1\t/\text4  errors=remount-ro 0\t1 # the root\n"
			     "/dev/sda2 none swap sw 0 0\r\n"
			     "short line\n"
			     "#/dev/sda9 /old ext4 defaults 0 0\n"
			     "/dev/disk/by-label/my\\040disk /mnt/a\\040b ext4 defaults\n"
			     "UUID=x /data xfs";

static void comments_empty_and_short_lines_are_no_entries(void **state)
{
	struct lines l = { .text = sample, .len = strlen(sample) };
	unsigned numbers[8] = { 0 }, n = 0;
	struct columns c;

	(void)state;
	while (fstab_next(&l, &c))
		numbers[n++] = c.number;
	assert_int_equal(n, 4);
	assert_int_equal(numbers[0], 3);
	assert_int_equal(numbers[1], 4);
	assert_int_equal(numbers[2], 7);
	assert_int_equal(numbers[3], 8);
}

static void only_the_spec_of_the_named_line_changes(void **state)
{
	struct columns c = entry(sample, 0);
	struct edits ed = { 0 };
	char *out, *want;

	(void)state;
	assert_int_equal(fstab_set_spec(&ed, &c, "UUID=1234", NULL), 0);
	out = edited(&ed, sample, strlen(sample), NULL);
	assert_true(asprintf(&want, "# /etc/fstab\n\n  UUID=1234%s", strstr(sample, "\t/\text4")) >
		    0);
	assert_string_equal(out, want);
	free(out);
	free(want);
}

static void a_carriage_return_at_the_end_stays_outside_the_last_word(void **state)
{
	struct columns c = entry(sample, 1);

	(void)state;
	assert_int_equal(c.n, 6);
	assert_int_equal(c.field[5].len, 1);
	assert_int_equal(sample[c.field[5].off], '0');
}

static void octal_escapes_are_read_and_written(void **state)
{
	struct columns c = entry(sample, 2);
	struct edits ed = { 0 };
	char word[64], tiny[8], *out;

	(void)state;
	assert_true(fstab_word(sample, c.field[FSTAB_DIR], word, sizeof word));
	assert_string_equal(word, "/mnt/a b");
	assert_false(fstab_word(sample, c.field[FSTAB_DIR], tiny, sizeof tiny));
	assert_int_equal(fstab_set_spec(&ed, &c, "LABEL=a\tb\\c", NULL), 0);
	out = edited(&ed, sample, strlen(sample), NULL);
	assert_non_null(strstr(out, "\nLABEL=a\\011b\\134c /mnt/a\\040b ext4"));
	free(out);
}

static void an_escaped_nul_is_no_word(void **state)
{
	char word[16];

	(void)state;
	assert_false(fstab_word("a\\000b", (struct span){ 0, 6 }, word, sizeof word));
}

static void options_are_added_once_and_made_when_missing(void **state)
{
	static const char *const cases[][2] = {
		{ "/dev/sdc1 /d ext4 defaults 0 2\n",
		  "/dev/sdc1 /d ext4 defaults,nofail,x-systemd.device-timeout=10s 0 2\n" },
		{ "/dev/sdc1 /d ext4\n",
		  "/dev/sdc1 /d ext4\tdefaults,nofail,x-systemd.device-timeout=10s\n" },
		{ "/dev/sdc1 /d ext4 x-systemd.device-timeout=5s,rw\n",
		  "/dev/sdc1 /d ext4 x-systemd.device-timeout=5s,rw,nofail\n" },
		{ "/dev/sdc1 /d ext4 nofail,x-systemd.device-timeout=10s\n",
		  "/dev/sdc1 /d ext4 nofail,x-systemd.device-timeout=10s\n" },
		{ "/dev/sdc1 /d ext4 nofailx\n",
		  "/dev/sdc1 /d ext4 nofailx,nofail,x-systemd.device-timeout=10s\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct columns c = entry(cases[i][0], 0);
		struct edits ed = { 0 };
		char *out;

		assert_int_equal(fstab_let_fail(&ed, cases[i][0], &c, true, NULL), 0);
		out = edited(&ed, cases[i][0], strlen(cases[i][0]), NULL);
		assert_string_equal(out, cases[i][1]);
		free(out);
	}
}

static void without_systemd_only_nofail_is_added(void **state)
{
	const char *text = "/dev/sdc1 /d ext3 rw 0 2\n";
	struct columns c = entry(text, 0);
	struct edits ed = { 0 };
	char *out;

	(void)state;
	assert_int_equal(fstab_let_fail(&ed, text, &c, false, NULL), 0);
	out = edited(&ed, text, strlen(text), NULL);
	assert_string_equal(out, "/dev/sdc1 /d ext3 rw,nofail 0 2\n");
	free(out);
}

static void a_line_past_the_limit_and_one_with_a_nul_pass_through(void **state)
{
	char text[COLUMNS_LINE_MAX + 64];
	struct lines l = { .text = text, .len = sizeof text };
	struct columns c;

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text, "/dev/sda1 / ext4 ", 17);
	assert_false(fstab_next(&l, &c));
	text[COLUMNS_LINE_MAX] = '\n';
	l = (struct lines){ .text = text, .len = COLUMNS_LINE_MAX };
	assert_true(fstab_next(&l, &c));
	text[12] = 0;
	l = (struct lines){ .text = text, .len = COLUMNS_LINE_MAX };
	assert_false(fstab_next(&l, &c));
}

static void noise_never_crashes_and_changes_only_what_was_named(void **state)
{
	uint64_t seed = 1;
	char text[400];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text), out_len;
		struct lines l = { .text = text, .len = len };
		struct edits ed = { 0 };
		struct columns c, picked = { 0 };
		char *out;

		while (fstab_next(&l, &c))
			if (!picked.n || noise(&seed) % 2)
				picked = c;
		if (!picked.n)
			continue;
		assert_int_equal(fstab_set_spec(&ed, &picked, "UUID=1", NULL), 0);
		out = edited(&ed, text, len, &out_len);
		struct span s = picked.field[0];
		assert_int_equal(out_len, len - s.len + 6);
		assert_memory_equal(out, text, s.off);
		assert_memory_equal(out + s.off, "UUID=1", 6);
		assert_memory_equal(out + s.off + 6, text + s.off + s.len, len - s.off - s.len);
		free(out);
	}
}

static void edits_out_of_order_or_past_the_end_are_refused(void **state)
{
	struct edits ed = { 0 };
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(edits_add(&ed, (struct span){ 4, 2 }, "x", NULL), 0);
	assert_true(edits_add(&ed, (struct span){ 5, 1 }, "y", NULL) < 0);
	assert_int_equal(edits_add(&ed, (struct span){ 6, 0 }, "z", NULL), 0);
	assert_true(edits_apply(&ed, "12345", 5, &out, NULL) < 0);
	buf_free(&out);
	assert_int_equal(edits_apply(&ed, "123456789", 9, &out, NULL), 0);
	assert_string_equal((char *)out.data, "1234xz789");
	buf_free(&out);
	edits_free(&ed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_empty_and_short_lines_are_no_entries),
		cmocka_unit_test(only_the_spec_of_the_named_line_changes),
		cmocka_unit_test(a_carriage_return_at_the_end_stays_outside_the_last_word),
		cmocka_unit_test(octal_escapes_are_read_and_written),
		cmocka_unit_test(an_escaped_nul_is_no_word),
		cmocka_unit_test(options_are_added_once_and_made_when_missing),
		cmocka_unit_test(without_systemd_only_nofail_is_added),
		cmocka_unit_test(a_line_past_the_limit_and_one_with_a_nul_pass_through),
		cmocka_unit_test(noise_never_crashes_and_changes_only_what_was_named),
		cmocka_unit_test(edits_out_of_order_or_past_the_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
