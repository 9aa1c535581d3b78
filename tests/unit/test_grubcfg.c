/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/cmdline.h"
#include "edit/grubcfg.h"

static const char grub2[] = "set default=0\n"
			    "menuentry 'Debian, with linux root=/dev/sda1' {\n"
			    "\tsearch --no-floppy --fs-uuid --set=root 1111\n"
			    "\techo\t'Loading Linux ...'\n"
			    "\tlinux\t/boot/vmlinuz-6.1 root=/dev/sda1 ro  quiet\n"
			    "\tinitrd\t/boot/initrd.img-6.1\n"
			    "}\n"
			    "  linux16 /vmlinuz a=\"x y\" root='/dev/sda2'\r\n"
			    "# linux /no root=/dev/sda1\n"
			    "\tlinuxefi /efi/vmlinuz root=/dev/sda3 \\\n"
			    "linux\n";

static struct grubcfg_line nth(const char *text, enum grubcfg_kind kind, unsigned n)
{
	struct lines l = { .text = text, .len = strlen(text) };
	struct grubcfg_line line;

	for (unsigned i = 0; i <= n; i++)
		assert_true(grubcfg_next(&l, kind, &line));
	return line;
}

static void assert_span(const char *text, struct span s, const char *want)
{
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(text + s.off, want, s.len);
}

static void only_kernel_lines_are_found(void **state)
{
	struct lines l = { .text = grub2, .len = strlen(grub2) };
	struct grubcfg_line line;
	unsigned n = 0;

	(void)state;
	while (grubcfg_next(&l, GRUBCFG_GRUB2, &line))
		n++;
	assert_int_equal(n, 3);
	line = nth(grub2, GRUBCFG_GRUB2, 0);
	assert_int_equal(line.number, 5);
	assert_span(grub2, line.kernel, "/boot/vmlinuz-6.1");
	assert_span(grub2, line.args, " root=/dev/sda1 ro  quiet");
	assert_false(line.odd);
	line = nth(grub2, GRUBCFG_GRUB2, 1);
	assert_span(grub2, line.args, " a=\"x y\" root='/dev/sda2'");
	assert_true(nth(grub2, GRUBCFG_GRUB2, 2).odd);
}

static void what_kernelopts_is_set_to_is_a_command_line(void **state)
{
	const char *text = "if [ -z \"${kernelopts}\" ]; then\n"
			   "  set kernelopts=\"root=/dev/sda1 ro \"\nfi\n"
			   "set  default_kernelopts=\"root=/dev/sda2\"\n"
			   "set kernelopts=\"\nset kernelopts=root=/dev/sda3\nset root='hd0'\n"
			   "set kernelopts=\"a\"b\"\n";
	struct lines l = { .text = text, .len = strlen(text) };
	struct grubcfg_line line;
	unsigned n = 0;

	(void)state;
	while (grubcfg_next(&l, GRUBCFG_GRUB2, &line))
		n++;
	assert_int_equal(n, 3);
	assert_span(text, nth(text, GRUBCFG_GRUB2, 0).args, "root=/dev/sda1 ro ");
	assert_int_equal(nth(text, GRUBCFG_GRUB2, 0).kernel.len, 0);
	assert_false(nth(text, GRUBCFG_GRUB2, 0).odd);
	assert_span(text, nth(text, GRUBCFG_GRUB2, 1).args, "root=/dev/sda2");
	assert_true(nth(text, GRUBCFG_GRUB2, 2).odd);
}

static void other_loaders_have_their_own_words(void **state)
{
	const char *legacy = "title x\n\tkernel --type=linux /vmlinuz ro root=/dev/hda1\n"
			     "kernel /xen.gz dom0_mem=1G\nmodule /vmlinuz-xen root=/dev/hda2\n";
	const char *ext = "LABEL l\n  kernel /vmlinuz\n  APPEND root=/dev/sda1 ro\n";
	const char *bls = "title F\nlinux /vmlinuz\noptions root=/dev/sda1 ro\n";

	(void)state;
	assert_span(legacy, nth(legacy, GRUBCFG_LEGACY, 0).kernel, "/vmlinuz");
	assert_span(legacy, nth(legacy, GRUBCFG_LEGACY, 2).args, " root=/dev/hda2");
	assert_span(ext, nth(ext, GRUBCFG_EXTLINUX, 0).args, " root=/dev/sda1 ro");
	assert_span(bls, nth(bls, GRUBCFG_BLS, 0).args, " root=/dev/sda1 ro");
	assert_int_equal(nth(bls, GRUBCFG_BLS, 0).kernel.len, 0);
}

static void the_name_of_a_file_says_its_language(void **state)
{
	(void)state;
	assert_int_equal(grubcfg_kind_of("/boot/grub/grub.cfg"), GRUBCFG_GRUB2);
	assert_int_equal(grubcfg_kind_of("/boot/efi/EFI/centos/grub.cfg"), GRUBCFG_GRUB2);
	assert_int_equal(grubcfg_kind_of("/boot/grub/menu.lst"), GRUBCFG_LEGACY);
	assert_int_equal(grubcfg_kind_of("/boot/extlinux/extlinux.conf"), GRUBCFG_EXTLINUX);
	assert_int_equal(grubcfg_kind_of("/boot/loader/entries/a-6.1.conf"), GRUBCFG_BLS);
}

static void a_config_without_search_goes_by_number(void **state)
{
	const char *number = "set root='hd0,msdos1'\nlinux /vmlinuz\n";

	(void)state;
	assert_true(grubcfg_by_number(number, strlen(number)));
	assert_false(grubcfg_by_number(grub2, strlen(grub2)));
	assert_false(grubcfg_by_number("", 0));
}

static void tokens_keep_quotes_together(void **state)
{
	const char *text = " a=\"x y\"  'b c' d=e\\ f root=LABEL=/ =z \"q\"=1";
	static const char *const all[] = { "a=\"x y\"",    "'b c'", "d=e\\ f",
					   "root=LABEL=/", "=z",    "\"q\"=1" };
	static const char *const values[] = { "x y", "", "e\\ f", "LABEL=/", "", "1" };
	struct span rest = { 0, strlen(text) };
	struct cmdline_token t;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		assert_true(cmdline_next(text, &rest, &t));
		assert_span(text, t.all, all[i]);
		if (i != 4)
			assert_span(text, t.value, values[i]);
	}
	assert_false(cmdline_next(text, &rest, &t));
}

static void the_last_of_two_tokens_is_found(void **state)
{
	const char *text = "root=/dev/sda1 xroot=no root=/dev/sda2 rootwait";
	struct span line = { 0, strlen(text) };
	struct cmdline_token t;

	(void)state;
	assert_true(cmdline_find(text, line, "root", &t));
	assert_span(text, t.value, "/dev/sda2");
	assert_false(cmdline_find(text, line, "roo", &t));
}

static void a_dropped_token_takes_its_blanks_with_it(void **state)
{
	static const char *const cases[][2] = {
		{ "ro resume=x quiet", "ro quiet" },
		{ "ro  \tresume=x", "ro" },
		{ "resume=x ro", " ro" },
		{ "resume=x", "" },
		{ "a=b\\  resume=x c", "a=b\\  c" }, /* the first blank is of a=b */
	};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct span line = { 0, strlen(cases[i][0]) };
		struct cmdline_token t;
		struct edits ed = { 0 };
		char *out;

		assert_true(cmdline_find(cases[i][0], line, "resume", &t));
		assert_int_equal(cmdline_drop(&ed, &t, NULL), 0);
		out = edited(&ed, cases[i][0], line.len, NULL);
		assert_string_equal(out ? out : "", cases[i][1]);
		free(out);
	}
}

static void noise_keeps_every_byte_outside_the_token(void **state)
{
	uint64_t seed = 4;
	char text[300];

	(void)state;
	for (int round = 0; round < 30000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text), out_len, end = 0;
		struct span rest = { 0, len };
		struct cmdline_token t;

		while (cmdline_next(text, &rest, &t)) {
			struct edits ed = { 0 };
			char *out;

			assert_true(t.all.off >= end && t.all.off + t.all.len <= len);
			assert_true(t.value.off >= t.all.off);
			assert_true(t.value.off + t.value.len <= t.all.off + t.all.len);
			end = t.all.off + t.all.len;
			if (!t.has_value)
				continue;
			assert_int_equal(edits_add(&ed, t.value, "NEW", NULL), 0);
			out = edited(&ed, text, len, &out_len);
			assert_int_equal(out_len, len - t.value.len + 3);
			assert_memory_equal(out, text, t.value.off);
			assert_memory_equal(out + t.value.off + 3, text + t.value.off + t.value.len,
					    len - t.value.off - t.value.len);
			free(out);
		}
		for (int kind = GRUBCFG_GRUB2; kind <= GRUBCFG_BLS; kind++) {
			struct lines l = { .text = text, .len = len };
			struct grubcfg_line line;

			while (grubcfg_next(&l, (enum grubcfg_kind)kind, &line))
				assert_true(line.args.off + line.args.len <= len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_kernel_lines_are_found),
		cmocka_unit_test(what_kernelopts_is_set_to_is_a_command_line),
		cmocka_unit_test(other_loaders_have_their_own_words),
		cmocka_unit_test(the_name_of_a_file_says_its_language),
		cmocka_unit_test(a_config_without_search_goes_by_number),
		cmocka_unit_test(tokens_keep_quotes_together),
		cmocka_unit_test(the_last_of_two_tokens_is_found),
		cmocka_unit_test(a_dropped_token_takes_its_blanks_with_it),
		cmocka_unit_test(noise_keeps_every_byte_outside_the_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
