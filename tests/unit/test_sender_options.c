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
	assert_int_equal(o.connections, 0);
	assert_true(o.bounds.limit.base == LIMIT_NONE);
	assert_int_equal(o.bounds.nice, NICE_KEEP);
	assert_int_equal(o.bounds.ionice, IONICE_KEEP);
	assert_int_equal(o.bounds.cpu, 0);
	assert_int_equal(o.dead_s, 60);
	assert_int_equal(o.proxy.kind, PROXY_NONE);
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
		"transit-send push --invite i --limit 15K",
		"transit-send push --invite i --limit 1M,25:00-26:00=2M",
		"transit-send push --invite i --nice 20",
		"transit-send push --invite i --nice -5",
		"transit-send push --invite i --ionice realtime",
		"transit-send push --invite i --ionice best-effort:8",
		"transit-send push --invite i --cpu 4",
		"transit-send push --invite i --cpu 801",
		"transit-send push --invite i --proxy proxy:3128",
		"transit-send push --invite i --proxy https://p:1",
		"transit-send push --invite i --proxy-password-file f",
		"transit-send push --invite i --dead-after 4",
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

static void bounds_and_a_proxy_may_be_named(void **state)
{
	struct sender_options o;
	struct err e;

	(void)state;
	assert_int_equal(parse("transit-send push --invite i --limit 1M,08:00-09:00=none --nice 7 "
			       "--ionice idle --cpu 50 --limits f --proxy socks5://u@p:1 "
			       "--proxy-password-file w --dead-after 5",
			       &o, &e),
			 0);
	assert_true(o.bounds.limit.base == MIB);
	assert_int_equal(o.bounds.limit.n, 1);
	assert_int_equal(o.bounds.nice, 7);
	assert_int_equal(o.bounds.ionice, 3 << 13);
	assert_int_equal(o.bounds.cpu, 50);
	assert_string_equal(o.limits_file, "f");
	assert_int_equal(o.proxy.kind, PROXY_SOCKS5);
	assert_string_equal(o.proxy_password_file, "w");
	assert_false(o.proxy_env);
	assert_int_equal(o.dead_s, 5);
	assert_int_equal(parse("transit-send check --proxy env", &o, &e), 0);
	assert_true(o.proxy_env);
}

static void a_password_does_not_stay_on_the_command_line(void **state)
{
	char program[] = "transit-send", command[] = "check", option[] = "--proxy";
	char url[] = "http://user:p:w@host:1";
	char *argv[] = { program, command, option, url, NULL };
	struct sender_options o;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(options_parse(4, argv, &o, &e), 0);
	assert_string_equal(o.proxy.password, "p:w");
	assert_string_equal(url, "http://user:***@host:1");
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
		cmocka_unit_test(bounds_and_a_proxy_may_be_named),
		cmocka_unit_test(a_password_does_not_stay_on_the_command_line),
		cmocka_unit_test(an_equals_sign_in_a_path_is_part_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
