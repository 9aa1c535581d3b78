/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "clock.h"
#include "launcher_internal.h"

#define BACKLOG 512
#define BIND_WAIT_MS 5000 /* for a listener before us that is still being killed */
#define PREDECESSOR_WAIT_MS 2000

static int bind_one(const struct listen_address *a, int *ret, struct err *e)
{
	struct sockaddr_storage sa = a->sa;
	scoped(close_fdp) int fd = -1;
	const int on = 1;

	fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "socket for %s", a->text);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		return err_set(e, ERR_SYS, errno, "socket for %s", a->text);
	if (sa.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
		return err_set(e, ERR_SYS, errno, "socket for %s", a->text);
	if (bind(fd, (struct sockaddr *)&sa, a->sa_len) || listen(fd, BACKLOG))
		return err_set(e, ERR_SYS, errno, "listen on %s", a->text);
	*ret = take_fd(&fd);
	return 0;
}

/* "127.0.0.1:41234", "[::1]:443": the port the kernel gave, where 0 was asked for. */
static void write_address(FILE *f, int fd, const struct listen_address *a)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	socklen_t len = sizeof sa;
	unsigned port = 0;
	const char *colon = strrchr(a->text, ':');

	if (!getsockname(fd, (struct sockaddr *)&sa, &len)) {
		memcpy(&in, &sa, sizeof in);
		memcpy(&in6, &sa, sizeof in6);
		port = ntohs(sa.ss_family == AF_INET6 ? in6.sin6_port : in.sin_port);
	}
	(void)fprintf(f, "%.*s:%u\n", colon ? (int)(colon - a->text) : 0, a->text, port);
}

/* One receiverd for a state folder. The lock goes with this process, whatever ends it; its children
 * do not inherit it. */
static int claim_state(struct launcher *l, struct err *e)
{
	const char *dir = l->o->receiver->state_dir;
	char path[STATE_DIR_MAX + 16];

	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "make the state directory '%s'", dir);
	(void)snprintf(path, sizeof path, "%s/lock", dir);
	l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock < 0)
		return err_set(e, ERR_SYS, errno, "open '%s'", path);
	if (flock(l->lock, LOCK_EX | LOCK_NB))
		return err_refuse(e, "state-in-use", EBUSY,
				  "another receiverd uses the state folder '%s'; stop it, or give "
				  "this one a folder of its own with --state [state-in-use]",
				  dir);
	return 0;
}

/* Tests and the console read STATE/listen; it appears when every address is bound. */
static int write_listen_file(const struct launcher *l, struct err *e)
{
	const struct receiver_options *o = l->o->receiver;
	char path[STATE_DIR_MAX + 16], tmp[STATE_DIR_MAX + 16];
	scoped(fclosep) FILE *f = NULL;

	(void)snprintf(path, sizeof path, "%s/listen", o->state_dir);
	(void)snprintf(tmp, sizeof tmp, "%s/listen.new", o->state_dir);
	f = fopen(tmp, "we");
	if (!f)
		return err_set(e, ERR_SYS, errno, "write '%s'", tmp);
	for (size_t i = 0; i < o->n_listen; i++)
		write_address(f, l->sockets[i], &o->listen[i]);
	if (fflush(f) || rename(tmp, path))
		return err_set(e, ERR_SYS, errno, "write '%s'", path);
	return 0;
}

/* A receiverd that was killed a moment ago may not have given its sockets back yet. */
static int bind_soon(const struct listen_address *a, int *ret, struct err *e)
{
	uint64_t by = clock_ms() + BIND_WAIT_MS;
	int r;

	for (;;) {
		err_clear(e);
		r = bind_one(a, ret, e);
		if (r != -EADDRINUSE || !clock_left_ms(by))
			return r;
		(void)usleep(20000);
	}
}

static bool answers(const char *state_dir)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%.*s/control.sock", STATE_DIR_MAX,
		       state_dir);
	yes = fd >= 0 && !connect(fd, (struct sockaddr *)&at, sizeof at);
	close_fdp(&fd);
	return yes;
}

/* The roles of a launcher that was killed follow it within moments; until then its keeper has the
 * state folder. One that stays is not ours to end: the new keeper refuses by name. */
static void wait_for_predecessor(const char *state_dir)
{
	uint64_t by = clock_ms() + PREDECESSOR_WAIT_MS;

	while (answers(state_dir) && clock_left_ms(by))
		(void)usleep(20000);
}

int launcher_bind(struct launcher *l, struct err *e)
{
	const struct receiver_options *o = l->o->receiver;
	int claimed = claim_state(l, e);

	if (claimed < 0)
		return claimed;
	wait_for_predecessor(o->state_dir);
	for (size_t i = 0; i < o->n_listen; i++) {
		int r = bind_soon(&o->listen[i], &l->sockets[i], e);

		if (r < 0)
			return r;
	}
	return write_listen_file(l, e);
}
