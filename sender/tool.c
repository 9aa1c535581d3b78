/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "clock.h"

extern char **environ;

static int start(char *const argv[], pid_t *ret_pid, int *ret_fd, struct err *e)
{
	scoped(close_fdp) int in = -1, out = -1;
	posix_spawn_file_actions_t actions;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC))
		return err_set(e, ERR_SYS, errno, "pipe");
	in = fds[0];
	out = fds[1];
	if (posix_spawn_file_actions_init(&actions))
		return err_set(e, ERR_SYS, ENOMEM, "run '%s'", argv[0]);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_set(e, ERR_SYS, r, "run '%s'", argv[0]);
	*ret_fd = take_fd(&in);
	return 0;
}

struct lines {
	char line[TOOL_LINE_MAX];
	size_t len;
	void (*on_line)(const char *line, void *arg);
	void *arg;
};

static void take(struct lines *l, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '\n') {
			if (l->len < sizeof l->line - 1)
				l->line[l->len++] = p[i];
			continue;
		}
		l->line[l->len] = 0;
		l->len = 0;
		l->on_line(l->line, l->arg);
	}
}

/* 0 at the end of the output, -ETIME when it did not come in time. */
static int read_all(int fd, unsigned seconds, struct lines *l)
{
	const uint64_t end = clock_ms() + seconds * UINT64_C(1000);

	for (;;) {
		char buf[4096];
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_ms();
		ssize_t got;

		if (now >= end || !poll(&p, 1, (int)(end - now)))
			return -ETIME;
		got = read(fd, buf, sizeof buf);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		take(l, buf, (size_t)got);
	}
}

int tool_run(char *const argv[], unsigned seconds, void (*on_line)(const char *line, void *arg),
	     void *arg, struct err *e)
{
	struct lines l = { .on_line = on_line, .arg = arg };
	scoped(close_fdp) int fd = -1;
	int status = 0, r;
	pid_t pid = -1;

	r = start(argv, &pid, &fd, e);
	if (r)
		return r;
	r = read_all(fd, seconds, &l);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == -ETIME)
		return err_set(e, ERR_SYS, ETIME, "'%s' took over %u s", argv[0], seconds);
	if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_SYS, EIO, "'%s' failed", argv[0]);
	return 0;
}
