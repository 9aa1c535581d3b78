/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "progress.h"

static void bytes_have_a_unit_that_fits(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(progress_bytes(buf, sizeof buf, 0), "0 B");
	assert_string_equal(progress_bytes(buf, sizeof buf, 1023), "1023 B");
	assert_string_equal(progress_bytes(buf, sizeof buf, 1536), "1.5 KiB");
	assert_string_equal(progress_bytes(buf, sizeof buf, UINT64_C(1) << 40), "1.0 TiB");
	assert_string_equal(progress_bytes(buf, sizeof buf, UINT64_C(1) << 63), "8192.0 PiB");
}

static void times_show_hours_only_when_there_are_some(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(progress_time(buf, sizeof buf, 5), "0:05");
	assert_string_equal(progress_time(buf, sizeof buf, 600), "10:00");
	assert_string_equal(progress_time(buf, sizeof buf, 3661), "1:01:01");
}

static void a_bar_is_never_longer_than_its_frame(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(progress_bar(buf, sizeof buf, 0, 100), "[------------------------]");
	assert_string_equal(progress_bar(buf, sizeof buf, 50, 100), "[############------------]");
	assert_string_equal(progress_bar(buf, sizeof buf, 200, 100), "[########################]");
	assert_string_equal(progress_bar(buf, sizeof buf, 0, 0), "[########################]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_a_unit_that_fits),
		cmocka_unit_test(times_show_hours_only_when_there_are_some),
		cmocka_unit_test(a_bar_is_never_longer_than_its_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
