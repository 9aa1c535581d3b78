/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/console.h"

static struct piece piece_of(const char *s)
{
	return (struct piece){ s, strlen(s) };
}

static void consoles_of_xen_are_told_from_others(void **state)
{
	static const char *const xen[] = { "hvc0", "xvc0", "/dev/hvc1", "hvc0,38400n8", "hvc12" };
	static const char *const other[] = { "tty0", "ttyS0,115200", "hvc", "hvcs0", "hvc0x",
					     "",     "/dev/",        "0",   "xhvc0", "hvsi0" };

	(void)state;
	for (size_t i = 0; i < sizeof xen / sizeof xen[0]; i++)
		assert_true(console_is_xen(piece_of(xen[i])));
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		assert_false(console_is_xen(piece_of(other[i])));
}

static void only_a_login_that_comes_back_counts(void **state)
{
	static const char *const logins[] = {
		"co:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav",
		"h0:2345:respawn:/sbin/mingetty hvc0",
		"::respawn:/sbin/getty -L 9600 /dev/hvc0",
		"x:45:ondemand:/sbin/getty hvc0",
	};
	static const char *const others[] = {
		"#co:2345:respawn:/sbin/agetty xvc0 9600",
		"1:2345:respawn:/sbin/mingetty tty1",
		"h1:2345:once:/usr/bin/logger hvc0",
		"hvc0",
		"hvc0:2345:respawn:/sbin/mingetty ttyS0",
		"a:b:respawn",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++)
		assert_true(console_inittab(piece_of(logins[i])));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(console_inittab(piece_of(others[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(consoles_of_xen_are_told_from_others),
		cmocka_unit_test(only_a_login_that_comes_back_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
