/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

extern char **environ;

static long long now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The first lister that is installed, with its standard output on ${ret_fd}. */
static int start_lister(const char *image, pid_t *ret_pid, int *ret_fd, struct err *e)
{
	static const char *const listers[] = { "lsinitramfs", "lsinitrd" };
	posix_spawn_file_actions_t actions;
	int fds[2], r = ENOENT;

	if (pipe2(fds, O_CLOEXEC))
		return err_set(e, ERR_SYS, errno, "pipe");
	if (posix_spawn_file_actions_init(&actions)) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return err_set(e, ERR_SYS, ENOMEM, "start a lister");
	}
	(void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; i < sizeof listers / sizeof *listers && r == ENOENT; i++) {
		char name[16], path[256];
		char *argv[] = { name, path, NULL };

		(void)snprintf(name, sizeof name, "%s", listers[i]);
		(void)snprintf(path, sizeof path, "%s", image);
		r = posix_spawnp(ret_pid, name, &actions, NULL, argv, environ);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	if (r) {
		(void)close(fds[0]);
		return err_set(e, ERR_SYS, r, "neither lsinitramfs nor lsinitrd can be run");
	}
	*ret_fd = fds[0];
	return 0;
}

/* ".../virtio_blk.ko", ".ko.xz", ".ko.zst": the name, then .ko. Dashes and underscores are one. */
static bool line_has(const char *line, const char *name)
{
	const char *base = strrchr(line, '/');
	size_t n = strlen(name);

	base = base ? base + 1 : line;
	for (size_t i = 0; i < n; i++) {
		if (base[i] != name[i] && !(base[i] == '-' && name[i] == '_'))
			return false;
	}
	return !strncmp(base + n, ".ko", 3);
}

struct listing {
	char line[512];
	size_t len;
	size_t lines;
};

static void take(struct listing *l, const char *p, size_t len, const char *const *names, size_t n,
		 bool *found)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '\n') {
			if (l->len < sizeof l->line - 1)
				l->line[l->len++] = p[i];
			continue;
		}
		l->line[l->len] = 0;
		l->len = 0;
		l->lines++;
		for (size_t k = 0; k < n; k++)
			found[k] = found[k] || line_has(l->line, names[k]);
	}
}

/* 0 at the end of the listing, -ETIME when it did not come in time. */
static int read_listing(int fd, struct listing *l, const char *const *names, size_t n, bool *found)
{
	const long long end = now_ms() + INITRAMFS_SECONDS * 1000LL;

	for (;;) {
		char buf[4096];
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long long left = end - now_ms();
		ssize_t got;

		if (left <= 0 || !poll(&p, 1, (int)left))
			return -ETIME;
		got = read(fd, buf, sizeof buf);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		take(l, buf, (size_t)got, names, n, found);
	}
}

int initramfs_has(const char *image, const char *const *names, size_t n, bool *ret_found,
		  struct err *e)
{
	scoped(close_fdp) int fd = -1;
	struct listing l = { .len = 0 };
	pid_t pid = -1;
	int status = 0, r;

	memset(ret_found, 0, n * sizeof *ret_found);
	r = start_lister(image, &pid, &fd, e);
	if (r < 0)
		return r;
	r = read_listing(fd, &l, names, n, ret_found);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == -ETIME)
		return err_set(e, ERR_SYS, ETIME, "the lister of '%s' took over %d s", image,
			       INITRAMFS_SECONDS);
	if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) || !l.lines)
		return err_set(e, ERR_SYS, EIO, "'%s' could not be listed", image);
	return 0;
}
