/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <string.h>

#include "options.h"

static int parse(const char *line, struct sender_options *o, struct err *e)
{
	static char words[1024];
	char *argv[32], *save = NULL;
	int argc = 0;

	(void)strncpy(words, line, sizeof words - 1);
	for (char *w = strtok_r(words, " ", &save); w && argc < 31; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	*e = (struct err){ 0 };
	return options_parse(argc, argv, o, e);
}

static void a_push_takes_disks_and_defaults(void **state)
{
	struct sender_options o;
	struct err e;

	(void)state;
	assert_int_equal(
	    parse("transit-send push --invite i --disk /dev/sda=0 --disk b.img", &o, &e), 0);
	assert_int_equal(o.command, CMD_PUSH);
	assert_string_equal(o.disks[0].src, "/dev/sda");
	assert_int_equal(o.disks[0].n, 0);
	assert_string_equal(o.disks[1].src, "b.img");
	assert_int_equal(o.disks[1].n, DISK_BY_ORDER);
	assert_int_equal(o.connections, 2);
	assert_true(o.limit == UINT64_MAX);
	assert_int_equal(o.retry_s, 60);
}

static void options_may_stand_before_the_command(void **state)
{
	struct sender_options o;
	struct err e;

	(void)state;
	assert_int_equal(parse("transit-send --json --invite i sync --final", &o, &e), 0);
	assert_true(o.json && o.final && o.command == CMD_SYNC);
}

static void wrong_lines_are_usage_errors(void **state)
{
	static const char *const lines[] = {
		"transit-send",
		"transit-send dance",
		"transit-send push",
		"transit-send push --invite i extra",
		"transit-send push --invite i --final",
		"transit-send sync --invite i --once",
		"transit-send push --invite",
		"transit-send push --invite i --frobnicate",
		"transit-send push --invite i --connections 0",
		"transit-send push --invite i --connections 9",
		"transit-send push --invite i --connections 2x",
		"transit-send push --invite i --digest md5",
		"transit-send push --invite i --codec gzip",
		"transit-send push --invite i --retry -1",
		"transit-send push --invite i --disk =1",
		"transit-send push --invite i --disk a=20",
		"transit-send push --invite i --disk a=1 --disk b=1",
		"transit-send push --invite i --disk a --disk a",
		"transit-send estimate",
		"transit-send estimate --invite i --seconds 0",
		"transit-send estimate --invite i --seconds 61",
		"transit-send estimate --invite i --seed 0",
		"transit-send push --invite i --until-converged",
		"transit-send push --invite i --max-downtime 30s",
		"transit-send sync --invite i --max-downtime 30s",
		"transit-send sync --invite i --final --max-downtime 0",
		"transit-send sync --invite i --final --max-downtime 25h",
		"transit-send sync --invite i --final --max-downtime 1441m",
		"transit-send sync --invite i --final --max-downtime 30d",
		"transit-send sync --invite i --final --max-downtime s",
		"transit-send sync --invite i --final --max-downtime -1",
		"transit-send sync --invite i --final --max-downtime 99999999999999999999h",
		"transit-send sync --invite i --until-converged --max-rounds 0",
		"transit-send sync --invite i --until-converged --max-rounds 1001",
		"transit-send sync --invite i --until-converged --converged-below 1T",
		"transit-send sync --invite i --until-converged --converged-below 1025G",
		"transit-send sync --invite i --until-converged --converged-below M",
	};
	struct sender_options o;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		assert_true(parse(lines[i], &o, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_int_equal(err_exit_code(&e), 2);
	}
}

static void converging_has_its_defaults_and_its_units(void **state)
{
	struct sender_options o;
	struct err e;

	(void)state;
	assert_int_equal(parse("transit-send sync --invite i --until-converged", &o, &e), 0);
	assert_true(o.until_converged && !o.final);
	assert_int_equal(o.max_rounds, 10);
	assert_int_equal(o.pause_s, 0);
	assert_int_equal(o.max_downtime_s, 0);
	assert_int_equal(o.converged_below, 16 * MIB);
	assert_int_equal(parse("transit-send sync --invite i --until-converged --final "
			       "--max-downtime 5m --pause-between 24h --max-rounds 1000 "
			       "--converged-below 1024G",
			       &o, &e),
			 0);
	assert_int_equal(o.max_downtime_s, 300);
	assert_int_equal(o.pause_s, 86400);
	assert_int_equal(o.max_rounds, 1000);
	assert_int_equal(o.converged_below, 1024 * GIB);
	assert_int_equal(parse("transit-send sync --invite i --final --max-downtime 30s", &o, &e),
			 0);
	assert_int_equal(o.max_downtime_s, 30);
	assert_int_equal(parse("transit-send estimate --invite i --seconds 60", &o, &e), 0);
	assert_int_equal(o.probe_s, 60);
}

static void rates_are_bits_or_binary_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t rate;
	} good[] = {
		{ "12Mbit", 1500000 }, { "10M", 10 * MIB },    { "500K", 500 * KIB },
		{ "1G", GIB },         { "1500000", 1500000 }, { "1Gbit", 125000000 },
		{ "16K", 16 * KIB },   { "1000Kbit", 125000 },
	};
	static const char *const bad[] = { "0",   "",     "M",    "-1",          "15K",
					   "10X", "1.5M", "10MB", "99999999999G" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(options_rate(good[i].text, &v, NULL), 0);
		assert_true(v == good[i].rate);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_true(options_rate(bad[i], &v, NULL) < 0);
}

static void an_equals_sign_in_a_path_is_part_of_it(void **state)
{
	struct disk_map m;

	(void)state;
	assert_int_equal(options_disk("/x/a=b", &m, NULL), 0);
	assert_string_equal(m.src, "/x/a=b");
	assert_int_equal(m.n, DISK_BY_ORDER);
	assert_int_equal(options_disk("/x/a=b=3", &m, NULL), 0);
	assert_string_equal(m.src, "/x/a=b");
	assert_int_equal(m.n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_push_takes_disks_and_defaults),
		cmocka_unit_test(options_may_stand_before_the_command),
		cmocka_unit_test(wrong_lines_are_usage_errors),
		cmocka_unit_test(converging_has_its_defaults_and_its_units),
		cmocka_unit_test(rates_are_bits_or_binary_bytes),
		cmocka_unit_test(an_equals_sign_in_a_path_is_part_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
