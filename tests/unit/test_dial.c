/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "clock.h"
#include "dial.h"
#include "tcp.h"

/* A listening socket on loopback; its address in ${ret}. */
static int listen_on(bool six, int backlog, struct address *ret)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *sa = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t len = six ? sizeof in6 : sizeof in;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, sa, len)) {
		close_fdp(&fd);
		return -1;
	}
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, sa, &len), 0);
	*ret = (struct address){ .port = ntohs(six ? in6.sin6_port : in.sin_port) };
	(void)snprintf(ret->host, sizeof ret->host, six ? "::1" : "127.0.0.1");
	return fd;
}

/* An address where nobody answers: a listener whose queue is full drops what comes. */
struct dead {
	int fd, waiting[2];
	struct address at;
};

static void make_dead(struct dead *d)
{
	struct sockaddr_storage sa;
	socklen_t len;

	d->fd = listen_on(false, 0, &d->at);
	assert_true(d->fd >= 0);
	assert_int_equal(address_sockaddr(&d->at, &sa, &len, NULL), 0);
	for (int i = 0; i < 2; i++) {
		d->waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(d->waiting[i], (struct sockaddr *)&sa, len);
	}
	(void)usleep(50000); /* the handshakes of loopback are over */
}

static void end_dead(struct dead *d)
{
	close_fdp(&d->fd);
	close_fdp(&d->waiting[0]);
	close_fdp(&d->waiting[1]);
}

static int dial_one(const struct dial_options *o, char where[static DIAL_WHERE_MAX], int *ret_fd,
		    struct err *e)
{
	scoped(dial_closep) struct dial *d = NULL;
	int r = dial_open(o, &d, e);

	return r ? r : dial_next(d, ret_fd, where, e);
}

static void a_dead_address_costs_a_moment_only(void **state)
{
	char where[DIAL_WHERE_MAX], expected[ADDRESS_WHOLE_MAX];
	scoped(close_fdp) int fd = -1;
	struct address a[3];
	struct dead dead;
	struct err e = { 0 };

	(void)state;
	make_dead(&dead);
	scoped(close_fdp) int good = listen_on(false, 8, &a[2]);
	a[0] = a[1] = dead.at;
	const struct dial_options o = { .targets = a, .n_targets = 3, .dead_s = 60 };
	uint64_t began = clock_ms();

	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	/* two moments of a quarter second; ten seconds would be their time limit */
	assert_in_range(clock_ms() - began, 400, 5000);
	assert_string_equal(where, address_text(&a[2], expected, sizeof expected));
	end_dead(&dead);
}

static void one_that_refuses_costs_nothing(void **state)
{
	char where[DIAL_WHERE_MAX];
	scoped(close_fdp) int fd = -1;
	struct address a[2];
	struct err e = { 0 };
	int closed;

	(void)state;
	closed = listen_on(false, 8, &a[0]);
	close_fdp(&closed);
	scoped(close_fdp) int good = listen_on(false, 8, &a[1]);
	const struct dial_options o = { .targets = a, .n_targets = 2, .dead_s = 60 };
	uint64_t began = clock_ms();

	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	assert_true(clock_ms() - began < 200);
}

static void nobody_waits_behind_those_that_refuse(void **state)
{
	char where[DIAL_WHERE_MAX];
	scoped(close_fdp) int fd = -1;
	struct address a[7];
	struct dead dead;
	struct err e = { 0 };

	(void)state;
	make_dead(&dead);
	a[0] = dead.at;
	for (int i = 1; i < 6; i++) {
		int closed = listen_on(false, 8, &a[i]);
		close_fdp(&closed);
	}
	scoped(close_fdp) int good = listen_on(false, 8, &a[6]);
	const struct dial_options o = { .targets = a, .n_targets = 7, .dead_s = 60 };
	uint64_t began = clock_ms();

	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	/* one moment for the dead one; six of them would be 1500 ms */
	assert_true(clock_ms() - began < 1200);
	end_dead(&dead);
}

static void all_dead_is_said_in_words(void **state)
{
	char where[DIAL_WHERE_MAX];
	struct address a[2];
	struct err e = { 0 };
	int fd = -1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int closed = listen_on(false, 8, &a[i]);
		close_fdp(&closed);
	}
	const struct dial_options o = { .targets = a, .n_targets = 2, .dead_s = 60 };
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_int_equal(e.kind, ERR_NET);
	assert_non_null(strstr(e.text, "none of 2 addresses"));
	assert_non_null(strstr(e.text, "refused"));
}

static void families_take_turns(void **state)
{
	char where[DIAL_WHERE_MAX], expected[ADDRESS_WHOLE_MAX];
	scoped(close_fdp) int fd = -1;
	struct address a[4];
	struct dead dead;
	struct err e = { 0 };

	(void)state;
	scoped(close_fdp) int good = listen_on(true, 8, &a[3]);
	if (good < 0)
		skip();
	make_dead(&dead);
	a[0] = a[1] = a[2] = dead.at;
	const struct dial_options o = { .targets = a, .n_targets = 4, .dead_s = 60 };
	uint64_t began = clock_ms();

	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	/* second in the row, not fourth */
	assert_in_range(clock_ms() - began, 200, 700);
	assert_string_equal(where, address_text(&a[3], expected, sizeof expected));
	end_dead(&dead);
}

static void what_was_slower_is_tried_when_the_winner_was_not_the_one(void **state)
{
	char where[DIAL_WHERE_MAX], expected[ADDRESS_WHOLE_MAX];
	scoped(dial_closep) struct dial *d = NULL;
	struct address a[2];
	struct err e = { 0 };
	int fd = -1;

	(void)state;
	scoped(close_fdp) int first = listen_on(false, 8, &a[0]);
	scoped(close_fdp) int second = listen_on(false, 8, &a[1]);
	const struct dial_options o = { .targets = a, .n_targets = 2, .dead_s = 60 };

	assert_int_equal(dial_open(&o, &d, &e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(dial_next(d, &fd, where, &e), 0);
		assert_string_equal(where, address_text(&a[i], expected, sizeof expected));
		close_fdp(&fd);
	}
	assert_true(dial_next(d, &fd, where, &e) < 0);
}

static void what_was_under_way_when_another_won_is_begun_anew(void **state)
{
	char where[DIAL_WHERE_MAX], expected[ADDRESS_WHOLE_MAX];
	scoped(dial_closep) struct dial *d = NULL;
	struct address a[2];
	struct dead dead;
	struct err e = { 0 };
	int fd = -1;

	(void)state;
	make_dead(&dead);
	a[0] = dead.at;
	scoped(close_fdp) int good = listen_on(false, 8, &a[1]);
	const struct dial_options o = { .targets = a, .n_targets = 2, .dead_s = 60 };

	assert_int_equal(dial_open(&o, &d, &e), 0);
	assert_int_equal(dial_next(d, &fd, where, &e), 0);
	assert_string_equal(where, address_text(&a[1], expected, sizeof expected));
	close_fdp(&fd);
	/* now somebody takes from the queue there */
	assert_int_equal(listen(dead.fd, 8), 0);
	assert_int_equal(dial_next(d, &fd, where, &e), 0);
	assert_string_equal(where, address_text(&a[0], expected, sizeof expected));
	close_fdp(&fd);
	end_dead(&dead);
}

static void the_stop_flag_ends_the_wait(void **state)
{
	char where[DIAL_WHERE_MAX];
	atomic_bool stop = true;
	struct dead dead;
	struct err e = { 0 };
	int fd = -1;

	(void)state;
	make_dead(&dead);
	const struct dial_options o = {
		.targets = &dead.at, .n_targets = 1, .dead_s = 60, .stop = &stop
	};
	uint64_t began = clock_ms();
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_true(clock_ms() - began < 1000);
	assert_non_null(strstr(e.text, "stopped"));
	end_dead(&dead);
}

static void a_name_is_asked_of_the_machine(void **state)
{
	char where[DIAL_WHERE_MAX];
	scoped(close_fdp) int fd = -1;
	struct err e = { 0 };
	struct address a;

	(void)state;
	scoped(close_fdp) int good = listen_on(false, 8, &a);
	(void)snprintf(a.host, sizeof a.host, "localhost");
	const struct dial_options o = { .targets = &a, .n_targets = 1, .dead_s = 60 };
	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	assert_non_null(strstr(where, "127.0.0.1:"));

	(void)snprintf(a.host, sizeof a.host, "no-such-host.invalid");
	close_fdp(&fd);
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_string_equal(e.name, "name-not-found");
}

/* ---- through a proxy ---- */

struct fake {
	int fd;
	const char *answer; /* NULL: says nothing until the other side goes */
	char heard[512];
	pthread_t thread;
};

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	scoped(close_fdp) int c = accept(f->fd, NULL, NULL);
	ssize_t n = recv(c, f->heard, sizeof f->heard - 1, 0);

	f->heard[n > 0 ? n : 0] = 0;
	/* byte by byte: an answer may come in any pieces */
	for (const char *p = f->answer; p && *p; p++) {
		(void)send(c, p, 1, MSG_NOSIGNAL);
		(void)usleep(100);
	}
	if (f->answer && f->answer[0])
		(void)recv(c, &(char){ 0 }, 1, 0);
	return NULL;
}

static void start_fake(struct fake *f, const char *answer, struct proxy *ret)
{
	*ret = (struct proxy){ .kind = PROXY_HTTP };
	*f = (struct fake){ .answer = answer, .fd = listen_on(false, 8, &ret->at) };
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static void end_fake(struct fake *f)
{
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	close_fdp(&f->fd);
}

static void a_proxy_that_agrees_is_a_way(void **state)
{
	char where[DIAL_WHERE_MAX];
	struct address a;
	struct err e = { 0 };
	struct proxy p;
	struct fake f;
	int fd = -1;

	(void)state;
	assert_int_equal(address_parse("192.0.2.7:443", 0, &a, NULL), 0);
	start_fake(&f, "HTTP/1.1 200 OK\r\n\r\n", &p);
	const struct dial_options o = { .targets = &a, .n_targets = 1, .proxy = &p, .dead_s = 60 };
	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	assert_non_null(strstr(where, "192.0.2.7:443 through http://127.0.0.1:"));
	assert_true(fd >= 0);
	close_fdp(&fd);
	end_fake(&f);
	assert_non_null(strstr(f.heard, "CONNECT 192.0.2.7:443 "));
}

static void a_proxy_that_says_no_ends_it_by_name(void **state)
{
	char where[DIAL_WHERE_MAX];
	struct address a[2];
	struct err e = { 0 };
	struct proxy p;
	struct fake f;
	int fd = -1;

	(void)state;
	assert_int_equal(address_parse("192.0.2.7:443", 0, &a[0], NULL), 0);
	a[1] = a[0];
	start_fake(&f, "HTTP/1.1 403 No\r\n\r\n", &p);
	const struct dial_options o = { .targets = a, .n_targets = 2, .proxy = &p, .dead_s = 60 };
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_string_equal(e.name, "proxy-refused");
	end_fake(&f);
}

static void a_proxy_that_hangs_up_and_one_that_is_not_there_are_told_apart(void **state)
{
	char where[DIAL_WHERE_MAX];
	struct address a;
	struct err e = { 0 };
	struct proxy p;
	struct fake f;
	int fd = -1;

	(void)state;
	assert_int_equal(address_parse("192.0.2.7:443", 0, &a, NULL), 0);
	start_fake(&f, "", &p);
	const struct dial_options o = { .targets = &a, .n_targets = 1, .proxy = &p, .dead_s = 60 };
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_int_equal(e.kind, ERR_NET);
	assert_string_equal(e.name, "proxy-closed");
	end_fake(&f);
	err_clear(&e);
	assert_true(dial_one(&o, where, &fd, &e) < 0);
	assert_int_equal(e.kind, ERR_NET);
	assert_string_equal(e.name, "proxy-unreachable");
}

static void an_exempt_target_is_reached_straight(void **state)
{
	char where[DIAL_WHERE_MAX], expected[ADDRESS_WHOLE_MAX];
	scoped(close_fdp) int fd = -1;
	struct proxy p = { .kind = PROXY_HTTP, .at = { .host = "127.0.0.1", .port = 1 } };
	struct address a;
	struct err e = { 0 };

	(void)state;
	scoped(close_fdp) int good = listen_on(false, 8, &a);
	const struct dial_options o = {
		.targets = &a, .n_targets = 1, .proxy = &p, .no_proxy = "127.0.0.0/8", .dead_s = 60
	};
	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	assert_string_equal(where, address_text(&a, expected, sizeof expected));
}

/* ---- the socket ---- */

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void the_socket_notices_a_dead_peer_and_tunes_its_own_buffers(void **state)
{
	char where[DIAL_WHERE_MAX], name[TCP_CONGESTION_ROOM];
	scoped(close_fdp) int fd = -1;
	struct err e = { 0 };
	struct address a;

	(void)state;
	scoped(close_fdp) int good = listen_on(false, 8, &a);
	const struct dial_options o = { .targets = &a, .n_targets = 1, .dead_s = 60 };
	assert_int_equal(dial_one(&o, where, &fd, &e), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	int idle = option(fd, IPPROTO_TCP, TCP_KEEPIDLE);
	int interval = option(fd, IPPROTO_TCP, TCP_KEEPINTVL);
	int timeout = option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) / 1000;
	assert_true(idle > 0 && interval > 0 && timeout > 0);
	assert_true(timeout + interval <= 60);
	assert_true(idle + option(fd, IPPROTO_TCP, TCP_KEEPCNT) * interval <= 60);
	/* what the kernel has chosen stands: SO_SNDBUF is what was never asked for */
	scoped(close_fdp) int untouched = socket(AF_INET, SOCK_STREAM, 0);
	scoped(close_fdp) int fresh = socket(AF_INET, SOCK_STREAM, 0);
	tcp_set_up(fresh, 60);
	assert_int_equal(option(fresh, SOL_SOCKET, SO_SNDBUF),
			 option(untouched, SOL_SOCKET, SO_SNDBUF));
	assert_int_equal(option(fresh, SOL_SOCKET, SO_RCVBUF),
			 option(untouched, SOL_SOCKET, SO_RCVBUF));
	assert_true(strlen(tcp_congestion(fd, name)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_address_costs_a_moment_only),
		cmocka_unit_test(one_that_refuses_costs_nothing),
		cmocka_unit_test(nobody_waits_behind_those_that_refuse),
		cmocka_unit_test(all_dead_is_said_in_words),
		cmocka_unit_test(families_take_turns),
		cmocka_unit_test(what_was_slower_is_tried_when_the_winner_was_not_the_one),
		cmocka_unit_test(what_was_under_way_when_another_won_is_begun_anew),
		cmocka_unit_test(the_stop_flag_ends_the_wait),
		cmocka_unit_test(a_name_is_asked_of_the_machine),
		cmocka_unit_test(a_proxy_that_agrees_is_a_way),
		cmocka_unit_test(a_proxy_that_says_no_ends_it_by_name),
		cmocka_unit_test(a_proxy_that_hangs_up_and_one_that_is_not_there_are_told_apart),
		cmocka_unit_test(an_exempt_target_is_reached_straight),
		cmocka_unit_test(the_socket_notices_a_dead_peer_and_tunes_its_own_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
