/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "config.h"

static char file[80];

static int setup(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(file, sizeof file, "%s/transit-config.XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(file);
	assert_true(fd >= 0);
	(void)close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file);
}

static int read_text(const char *text, struct receiver_options *o, struct err *e)
{
	scoped(close_fdp) int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	memset(e, 0, sizeof *e);
	return receiver_options_read(file, o, e);
}

static int parse(struct receiver_options *o, struct err *e, int argc, const char *const *words)
{
	char *argv[16] = { NULL };

	memset(e, 0, sizeof *e);
	for (int i = 0; i < argc; i++)
		memcpy(&argv[i], &words[i], sizeof argv[i]);
	return receiver_options_parse(argc, argv, o, e);
}
#define PARSE(o, e, ...)                                                                           \
	parse((o), (e), (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),           \
	      (const char *[]){ __VA_ARGS__ })

static void nothing_said_means_the_documented_defaults(void **state)
{
	struct receiver_options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE(&o, &e, "receiverd"), 0);
	assert_string_equal(o.state_dir, "/var/lib/transit");
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(o.n_listen, six < 0 ? 2 : 4);
	if (six >= 0)
		assert_int_equal(close(six), 0);
	assert_string_equal(o.listen[0].text, "0.0.0.0:443");
	assert_string_equal(o.listen[1].text, "0.0.0.0:80");
	if (o.n_listen == 4) {
		assert_string_equal(o.listen[2].text, "[::]:443");
		assert_string_equal(o.listen[3].text, "[::]:80");
	}
	assert_int_equal(o.block_size, 256 * KIB);
	assert_int_equal(o.conns_max, 64);
	assert_int_equal(o.waiting_max, 512);
	assert_int_equal(o.code_ttl_s, 3600);
	assert_int_equal(o.bootfix[0], '/');
}

static void a_file_sets_every_key(void **state)
{
	static const char text[] = "# a comment\n"
				   "[receiver]\n"
				   "state = /run/transit/\n"
				   "listen = 127.0.0.1:8443\n"
				   "listen = [::1]:0\n"
				   "block-size = 1M\n"
				   "bootfix = /opt/bootfix\n"
				   "code-ttl = 60\n"
				   "[disks]\n"
				   "0 = /dev/vdb\n"
				   "19 = /dev/disk/by-id/x=y\n"
				   "[limits]\n"
				   "waiting = 1\nconnections = 2\nper-source = 3\n"
				   "new-per-second = 4\nhello-timeout = 6\nhandshake-timeout = 7\n"
				   "login-timeout = 8\nidle-timeout = 9\n";
	struct receiver_options o;
	struct err e;

	(void)state;
	assert_int_equal(read_text(text, &o, &e), 0);
	assert_string_equal(o.state_dir, "/run/transit");
	assert_int_equal(o.n_listen, 2);
	assert_int_equal(o.listen[1].sa.ss_family, AF_INET6);
	assert_int_equal(o.block_size, MIB);
	assert_string_equal(o.bootfix, "/opt/bootfix");
	assert_string_equal(o.disk[19], "/dev/disk/by-id/x=y");
	assert_int_equal(o.code_ttl_s, 60);
	assert_int_equal(o.waiting_max, 1);
	assert_int_equal(o.conns_max, 2);
	assert_int_equal(o.conns_per_source, 3);
	assert_int_equal(o.new_conns_per_s, 4);
	assert_int_equal(o.hello_timeout_s, 6);
	assert_int_equal(o.handshake_timeout_s, 7);
	assert_int_equal(o.login_timeout_s, 8);
	assert_int_equal(o.idle_timeout_s, 9);
}

static void a_mistake_in_the_file_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *line, *word;
	} cases[] = {
		{ "[limits]\nconections = 5\n", "line 2", "conections" },
		{ "[limit]\nconnections = 5\n", "line 2", "limit" },
		{ "connections = 5\n", "line 1", "connections" },
		{ "[limits]\n\nconnections = 0\n", "line 3", "1 to 256" },
		{ "[limits]\nconnections = 257\n", "line 2", "1 to 256" },
		{ "[limits]\nconnections = -1\n", "line 2", "1 to 256" },
		{ "[limits]\nconnections = 5 s\n", "line 2", "1 to 256" },
		{ "[limits]\nconnections =\n", "line 2", "1 to 256" },
		{ "[receiver]\nstate = here\n", "line 2", "absolute" },
		{ "[receiver]\nlisten = example.org:443\n", "line 2", "numbers" },
		{ "[receiver]\nblock-size = 100K\n", "line 2", "64K" },
		{ "[disks]\n20 = /dev/vda\n", "line 2", "0 to 19" },
		{ "[disks]\n1 = /dev/vda\n1 = /dev/vdb\n", "line 3", "twice" },
		{ "[receiver]\nnonsense\n", "line 2", "not a key" },
	};
	struct receiver_options o;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(read_text(cases[i].text, &o, &e) < 0);
		assert_int_equal(e.kind, ERR_USAGE);
		if (!strstr(e.text, cases[i].line) || !strstr(e.text, cases[i].word))
			fail_msg("'%s' does not name '%s' and '%s'", e.text, cases[i].line,
				 cases[i].word);
	}
}

static void the_command_line_goes_over_the_file(void **state)
{
	struct receiver_options o;
	struct err e;

	(void)state;
	assert_int_equal(read_text("[receiver]\nlisten = 0.0.0.0:1\nlisten = 0.0.0.0:2\n"
				   "block-size = 64K\n[disks]\n0 = /dev/a\n1 = /dev/b\n",
				   &o, &e),
			 0);
	assert_int_equal(PARSE(&o, &e, "receiverd", "--config", file, "--listen", "127.0.0.1:3",
			       "--disk", "1=/dev/c"),
			 0);
	assert_int_equal(o.n_listen, 1);
	assert_string_equal(o.listen[0].text, "127.0.0.1:3");
	assert_string_equal(o.disk[0], "/dev/a");
	assert_string_equal(o.disk[1], "/dev/c");
	assert_int_equal(o.block_size, 64 * KIB);
}

static void a_wrong_command_line_is_a_usage_error(void **state)
{
	struct receiver_options o;
	struct err e;

	(void)state;
#define WRONG(...)                                                                                 \
	assert_true(PARSE(&o, &e, "receiverd", __VA_ARGS__) < 0);                                  \
	assert_int_equal(err_exit_code(&e), 2)
	WRONG("--disk", "/dev/vda");
	WRONG("--disk", "x=/dev/vda");
	WRONG("--disk", "20=/dev/vda");
	WRONG("--disk", "0=vda");
	WRONG("--disk", "0=/dev/a", "--disk", "0=/dev/b");
	WRONG("--listen", "443");
	WRONG("--listen", "127.0.0.1:65536");
	WRONG("--listen", "::1:443");
	WRONG("--block-size", "2M");
	WRONG("--block-size", "-65536");
	WRONG("--state");
	WRONG("--sate", "/x");
	WRONG("spare");
	WRONG("--config", "/nonexistent/transit.conf");
}

static void a_state_folder_too_long_for_a_socket_is_refused(void **state)
{
	struct receiver_options o;
	char path[STATE_DIR_MAX + 3];
	struct err e;

	(void)state;
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = 0;
	assert_true(PARSE(&o, &e, "receiverd", "--state", path) < 0);
	path[STATE_DIR_MAX] = 0;
	assert_int_equal(PARSE(&o, &e, "receiverd", "--state", path), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_said_means_the_documented_defaults),
		TEST(a_file_sets_every_key),
		TEST(a_mistake_in_the_file_is_named_with_its_line),
		TEST(the_command_line_goes_over_the_file),
		TEST(a_wrong_command_line_is_a_usage_error),
		TEST(a_state_folder_too_long_for_a_socket_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
