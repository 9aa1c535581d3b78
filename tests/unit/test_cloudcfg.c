/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/cloudcfg.h"

static struct cloudcfg read_text(const char *text)
{
	struct cloudcfg c = { 0 };

	cloudcfg_read(text, strlen(text), &c);
	return c;
}

static void usual_spellings_of_nothing_are_known(void **state)
{
	static const char *const lists[] = {
		"datasource_list: [ None ]\n",
		"datasource_list: ['None']  # nobody\n",
		"a: 1\ndatasource_list:\n  - None\nb: 2\n",
		"datasource_list:\n- \"None\"",
		"datasource_list: [Ec2]\ndatasource_list: [None]\r\n",
	};
	static const char *const networks[] = {
		"network: {config: disabled}\n",
		"network:\n  config: disabled\n",
		"# by hand\nnetwork:\n\n  # none\n  config: \"disabled\"\nusers: []\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		assert_int_equal(read_text(lists[i]).datasources, CLOUDCFG_OFF);
	for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
		assert_int_equal(read_text(networks[i]).network, CLOUDCFG_OFF);
}

static void anything_else_is_another_value(void **state)
{
	static const char *const lists[] = {
		"datasource_list: [ NoCloud, None ]\n",
		"datasource_list:\n - None\n - Ec2\n",
		"datasource_list:\n",
		"datasource_list: [None]\ndatasource_list: [Ec2]\n",
		"datasource_list: [ None, AVeryLongNameOfSomethingThatDoesNotFitIntoTheRoom, b ]\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		assert_int_equal(read_text(lists[i]).datasources, CLOUDCFG_OTHER);
	assert_int_equal(read_text("network:\n  version: 2\n").network, CLOUDCFG_OTHER);
}

static void other_keys_and_deeper_ones_do_not_count(void **state)
{
	struct cloudcfg c = read_text("system_info:\n  network: {config: disabled}\n"
				      "  datasource_list: [None]\n#network: {config: disabled}\n"
				      "my_datasource_list: [None]\nnetworks: {config: disabled}\n");

	(void)state;
	assert_int_equal(c.datasources, CLOUDCFG_UNSET);
	assert_int_equal(c.network, CLOUDCFG_UNSET);
}

static void a_later_file_replaces_only_what_it_has(void **state)
{
	struct cloudcfg c = read_text("datasource_list: [None]\nnetwork: {config: disabled}\n");
	static const char later[] = "datasource_list: [Ec2]\n";

	(void)state;
	cloudcfg_read(later, strlen(later), &c);
	assert_int_equal(c.datasources, CLOUDCFG_OTHER);
	assert_int_equal(c.network, CLOUDCFG_OFF);
}

/* In a block of exactly its size, so that the sanitizer sees a step past the end. */
static void noise_never_leaves_the_text(void **state)
{
	static const char begin[] = "datasource_list:";
	const size_t n = sizeof begin - 1;
	uint64_t seed = 7;
	char text[300];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = noisy_text(&seed, text, sizeof text);
		struct cloudcfg c = { 0 };
		char *exact = malloc(n + len);

		assert_non_null(exact);
		memcpy(exact, begin, n);
		memcpy(exact + n, text, len);
		cloudcfg_read(exact, n + len, &c);
		assert_int_not_equal(c.datasources, CLOUDCFG_UNSET);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_spellings_of_nothing_are_known),
		cmocka_unit_test(anything_else_is_another_value),
		cmocka_unit_test(other_keys_and_deeper_ones_do_not_count),
		cmocka_unit_test(a_later_file_replaces_only_what_it_has),
		cmocka_unit_test(noise_never_leaves_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
