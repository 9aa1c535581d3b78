/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "ipc.h"
#include "listener_table.h"
#include "roles.h"

/* ---- the first bytes ---- */

static void only_a_client_hello_passes_the_gate(void **state)
{
	struct look {
		const char *bytes;
		size_t n;
		const char *refusal;
	};
	static const struct look looks[] = {
		{ "\x16\x03\x01\x02\x00", 5, NULL },
		{ "\x16\x03\x03\x00\x01", 5, NULL },
		{ "\x16\x03\x01\x20\x00", 5, NULL },
		{ "\x16\x03\x01\x20\x01", 5, "hello-too-large" },
		{ "\x16\x03\x01\xff\xff", 5, "hello-too-large" },
		{ "\x16\x03\x01\x00\x00", 5, "not-tls" },
		{ "\x16\x03\x02\x02\x00", 5, "not-tls" },
		{ "\x16\x02\x01\x02\x00", 5, "not-tls" },
		{ "\x17\x03\x03\x02\x00", 5, "not-tls" },
		{ "\x16\x03\x01\x02", 4, "not-tls" },
		{ "SSH-2", 5, "not-tls" },
		{ "\0\0\0\0\0", 5, "not-tls" },
		{ "GET /", 5, "plain-http" },
		{ "GET ", 4, "plain-http" },
		{ "POST ", 5, "plain-http" },
		{ "HEAD ", 5, "plain-http" },
		{ "OPTIO", 5, "plain-http" },
		{ "PRI *", 5, "plain-http" },
		{ "GETX/", 5, "not-tls" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		const char *is = hello_refusal((const uint8_t *)looks[i].bytes, looks[i].n);

		if (!looks[i].refusal)
			assert_null(is);
		else
			assert_string_equal(is, looks[i].refusal);
	}
}

/* ---- sources ---- */

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		memcpy(&sa, &in6, sizeof in6);
	} else {
		assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
		memcpy(&sa, &in, sizeof in);
	}
	return sa;
}

static const struct source_limits limits = { .rate_per_s = 4, .burst = 16, .waiting = 32 };

static void a_source_has_a_burst_and_then_a_rate(void **state)
{
	struct source_table *t = source_table_new(8, &limits);
	struct sockaddr_storage sa = address("192.0.2.1"), other = address("192.0.2.2");
	size_t place;

	(void)state;
	for (int i = 0; i < 16; i++) {
		assert_null(source_take(t, &sa, 1000, &place));
		source_release(t, place);
	}
	assert_string_equal(source_take(t, &sa, 1000, &place), "source-rate");
	assert_null(source_take(t, &other, 1000, &place));
	assert_string_equal(source_take(t, &sa, 1100, &place), "source-rate");
	assert_null(source_take(t, &sa, 1260, &place));
	assert_string_equal(source_take(t, &sa, 1260, &place), "source-rate");
	/* an hour of rest does not make more than the burst */
	for (int i = 0; i < 16; i++)
		assert_null(source_take(t, &sa, 90000000, &place));
	assert_string_equal(source_take(t, &sa, 90000000, &place), "source-rate");
	source_table_free(t);
}

static void one_source_cannot_hold_all_places(void **state)
{
	const struct source_limits few = { .rate_per_s = 1000, .burst = 1000, .waiting = 3 };
	struct source_table *t = source_table_new(8, &few);
	struct sockaddr_storage sa = address("192.0.2.1");
	size_t place;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_null(source_take(t, &sa, 1, &place));
	assert_string_equal(source_take(t, &sa, 1, &place), "source-waiting");
	source_release(t, place);
	assert_null(source_take(t, &sa, 1, &place));
	source_table_free(t);
}

static void an_ipv6_source_is_its_64_prefix(void **state)
{
	const struct source_limits one = { .rate_per_s = 1, .burst = 1, .waiting = 8 };
	struct source_table *t = source_table_new(8, &one);
	struct sockaddr_storage a = address("2001:db8:1:2::1"), b = address("2001:db8:1:2:ffff::2"),
				c = address("2001:db8:1:3::1");
	size_t place;

	(void)state;
	assert_null(source_take(t, &a, 1, &place));
	assert_string_equal(source_take(t, &b, 1, &place), "source-rate");
	assert_null(source_take(t, &c, 1, &place));
	source_table_free(t);
}

static void a_full_table_forgets_who_was_quiet_longest_but_nobody_who_waits(void **state)
{
	struct source_table *t = source_table_new(2, &limits);
	struct sockaddr_storage a = address("192.0.2.1"), b = address("192.0.2.2"),
				c = address("192.0.2.3");
	size_t at_a, at_b, at_c;

	(void)state;
	assert_null(source_take(t, &a, 1, &at_a));
	assert_null(source_take(t, &b, 2, &at_b));
	assert_string_equal(source_take(t, &c, 3, &at_c), "table-full");
	source_release(t, at_b);
	assert_null(source_take(t, &c, 3, &at_c));
	assert_int_equal(at_c, at_b);
	source_table_free(t);
}

/* ---- the listener itself ---- */

struct fixture {
	struct receiver_options o;
	pid_t pid;
	int launcher;
	struct sockaddr_in at;
};

static int set_up(void **state)
{
	static struct fixture f;
	socklen_t len = sizeof f.at;
	int channel[2], sock;

	f = (struct fixture){ .o = { .waiting_max = 16,
				     .conns_per_source = 64,
				     .hello_timeout_s = 1,
				     .handshake_timeout_s = 2 } };
	sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	f.at = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(sock, (struct sockaddr *)&f.at, sizeof f.at), 0);
	assert_int_equal(listen(sock, 64), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&f.at, &len), 0);
	assert_int_equal(ipc_pair(channel, NULL), 0);
	f.pid = fork();
	assert_true(f.pid >= 0);
	if (!f.pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(channel[0]);
		_exit(listener_main(channel[1], &sock, 1, &f.o));
	}
	(void)close(sock);
	(void)close(channel[1]);
	f.launcher = channel[0];
	*state = &f;
	return 0;
}

/* It ends with its launcher's channel, and well: sanitizers have looked at what it left. */
static int tear_down(void **state)
{
	struct fixture *f = *state;
	int status;

	(void)close(f->launcher);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static int dial(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&f->at, sizeof f->at), 0);
	return fd;
}

/* Milliseconds until the listener closed it, without having sent one byte. */
static uint64_t closed_after(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t from = clock_ms();
	char c;

	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(read(fd, &c, 1) <= 0);
	(void)close(fd);
	return clock_ms() - from;
}

static int handed_on(struct fixture *f, struct ipc_msg *m, int timeout_ms)
{
	struct pollfd p = { .fd = f->launcher, .events = POLLIN };
	int fds[IPC_FDS_MAX];
	size_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return -1;
	assert_int_equal(ipc_recv(f->launcher, m, fds, &n, NULL), 1);
	assert_int_equal(n, 1);
	return fds[0];
}

static void plain_http_is_closed_without_a_byte(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m;
	int fd = dial(f);

	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_in_range(closed_after(fd), 0, 700);
	assert_int_equal(handed_on(f, &m, 100), -1);
}

static void who_says_nothing_is_closed_after_the_limit(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	assert_in_range(closed_after(fd), 800, 2500);
}

static void four_bytes_do_not_move_the_limit(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m;
	int fd = dial(f);

	assert_int_equal(write(fd, "\x16\x03", 2), 2);
	(void)usleep(700000);
	assert_int_equal(write(fd, "\x01\x01", 2), 2);
	assert_in_range(closed_after(fd), 100, 1500);
	assert_int_equal(handed_on(f, &m, 100), -1);
}

static void a_client_hello_is_handed_on_with_every_byte_unread(void **state)
{
	static const char hello[] = "\x16\x03\x01\x00\x05hello";
	struct fixture *f = *state;
	char got[16] = "";
	struct ipc_msg m = { 0 };
	uint64_t now;
	int fd = dial(f), theirs;

	assert_int_equal(write(fd, hello, 10), 10);
	theirs = handed_on(f, &m, 3000);
	now = clock_ms();
	assert_true(theirs >= 0);
	assert_int_equal(m.type, IPC_ACCEPTED);
	assert_int_equal(strncmp(m.text, "127.0.0.1:", 10), 0);
	assert_true(m.a <= now && now - m.a < 3000);
	assert_int_equal(recv(theirs, got, sizeof got, 0), 10);
	assert_memory_equal(got, hello, 10);
	/* a single byte is news again for who reads it next */
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = theirs, .events = POLLIN }, 1, 1000), 1);
	(void)close(theirs);
	(void)close(fd);
}

static void who_hangs_up_early_frees_the_place(void **state)
{
	static const char hello[] = "\x16\x03\x01\x00\x05hello";
	struct fixture *f = *state;
	struct ipc_msg m;
	int fd, theirs;

	for (int i = 0; i < 64; i++) {
		fd = dial(f);
		(void)close(fd);
		(void)usleep(2000);
	}
	fd = dial(f);
	assert_int_equal(write(fd, hello, 10), 10);
	theirs = handed_on(f, &m, 3000);
	assert_true(theirs >= 0);
	(void)close(theirs);
	(void)close(fd);
}

static void a_crowd_of_silent_ones_is_bounded_and_goes_away(void **state)
{
	static const char hello[] = "\x16\x03\x01\x00\x05hello";
	struct fixture *f = *state;
	struct ipc_msg m;
	int silent[60], fd, theirs;

	for (size_t i = 0; i < 60; i++)
		silent[i] = dial(f);
	for (size_t i = 0; i < 60; i++)
		assert_in_range(closed_after(silent[i]), 0, 3000);
	fd = dial(f);
	assert_int_equal(write(fd, hello, 10), 10);
	theirs = handed_on(f, &m, 3000);
	assert_true(theirs >= 0);
	(void)close(theirs);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		cmocka_unit_test(only_a_client_hello_passes_the_gate),
		cmocka_unit_test(a_source_has_a_burst_and_then_a_rate),
		cmocka_unit_test(one_source_cannot_hold_all_places),
		cmocka_unit_test(an_ipv6_source_is_its_64_prefix),
		cmocka_unit_test(a_full_table_forgets_who_was_quiet_longest_but_nobody_who_waits),
		T(plain_http_is_closed_without_a_byte),
		T(who_says_nothing_is_closed_after_the_limit),
		T(four_bytes_do_not_move_the_limit),
		T(a_client_hello_is_handed_on_with_every_byte_unread),
		T(who_hangs_up_early_frees_the_place),
		T(a_crowd_of_silent_ones_is_bounded_and_goes_away),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	log_open("test_listener", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
