/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The programs of this machine (never of the guest) that grow file systems. */
#include "act.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "disk.h"
#include "fs_size.h"
#include "mount.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { TOOL_SECONDS = 1800 };

static void child(const char *const *argv, int out)
{
	static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };
	static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
	static char *const env[] = { search, locale, NULL };
	int null = open("/dev/null", O_RDONLY);
	char path[128];

	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folders[i], argv[0]);
		/* execve takes char *const for historical reasons and changes nothing. */
		(void)execve(path, (char *const *)(uintptr_t)argv, env);
	}
	_exit(127);
}

/* Keeps the last bytes of what the tool says; returns when it has closed its output. */
static void listen_to(int fd, char *tail, size_t size, time_t deadline)
{
	char chunk[1024];
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		time_t left = deadline - time(NULL);
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left * 1000) <= 0)
			break;
		n = read(fd, chunk, sizeof chunk);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (len + 1 == size) {
				memmove(tail, tail + size / 2, len - size / 2);
				len -= size / 2;
			}
			tail[len++] = chunk[i] == '\n' || chunk[i] == '\r' ? ' ' : chunk[i];
		}
	}
	tail[len] = 0;
}

/* Runs ${argv}; its exit code goes to *ret_code. */
static int run(const char *const *argv, int *ret_code, struct err *e)
{
	time_t deadline = time(NULL) + TOOL_SECONDS;
	char tail[256], safe[512];
	int pipefd[2], status;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_set(e, ERR_SYS, errno, "%s", argv[0]);
	pid = fork();
	if (!pid)
		child(argv, pipefd[1]);
	(void)close(pipefd[1]);
	scoped(close_fdp) int out = pipefd[0];
	if (pid < 0)
		return err_set(e, ERR_SYS, errno, "%s", argv[0]);
	listen_to(out, tail, sizeof tail, deadline);
	if (time(NULL) >= deadline)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, ERR_SYS, errno, "%s", argv[0]);
	*ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	log_debug("tool", "%s: exit %d: %s", argv[0], *ret_code,
		  log_safe(safe, sizeof safe, tail, strlen(tail)));
	if (*ret_code == 127)
		return err_set(e, ERR_SYS, ENOENT, "%s is not installed here", argv[0]);
	return 0;
}

static int check_ext(const struct vol *v, struct err *e)
{
	const char *const argv[] = { "e2fsck", "-f", "-p", v->dev, NULL };
	int code, r = run(argv, &code, e);

	/* 1: errors corrected, as after any journal replay. */
	if (!r && code > 1)
		r = err_set(e, ERR_GUEST, EUCLEAN, "e2fsck of %s wants a person (exit %d)",
			    v->target_name, code);
	return r;
}

/* ${size} bytes; 0: all of the partition. */
static int resize_ext(const struct vol *v, uint64_t size, struct err *e)
{
	char sectors[32] = "";
	const char *const argv[] = { "resize2fs", v->dev, size ? sectors : NULL, NULL };
	int code, r;

	(void)snprintf(sectors, sizeof sectors, "%llus", (unsigned long long)(size / 512));
	r = check_ext(v, e);
	if (!r)
		r = run(argv, &code, e);
	if (!r && code)
		r = err_set(e, ERR_GUEST, EIO, "resize2fs of %s: exit %d", v->target_name, code);
	return r < 0 ? r : check_ext(v, e);
}

/* xfs grows only while mounted: it takes the guest's place for that moment. */
static int grow_xfs(struct guest *g, unsigned vol, struct err *e)
{
	char place[64];
	const char *const argv[] = { "xfs_growfs", "-d", place, NULL };
	int root = g->root_vol, code = 0, r, r2;

	g->root_vol = (int)vol;
	r = mount_root(g, (int)vol, MOUNT_CHANGE, e);
	if (!r) {
		(void)snprintf(place, sizeof place, "%s", mount_place());
		r = run(argv, &code, e);
		r2 = mount_none(g, e);
		r = r < 0 ? r : r2;
	}
	g->root_vol = root;
	if (!r && code)
		r = err_set(e, ERR_GUEST, EIO, "xfs_growfs of %s: exit %d",
			    g->vols[vol].target_name, code);
	return r;
}

static int look_again(struct guest *g, unsigned vol, uint64_t at_least, struct err *e)
{
	struct vol *v = &g->vols[vol];
	int r;

	v->fs_size = 0;
	disk_forget(&g->disks[v->disk]);
	r = fs_size(&g->disks[v->disk], v, e);
	if (!r && v->fs_size < at_least)
		r = err_set(e, ERR_GUEST, EIO, "the file system of %s has not grown",
			    v->target_name);
	return r;
}

int tool_do(struct guest *g, enum tool tool, unsigned vol, struct err *e)
{
	struct vol *v = &g->vols[vol];
	uint64_t before = v->fs_size;
	int r;

	if (!v->dev[0])
		return err_set(e, ERR_SYS, ENODEV, "the kernel shows no partition for %s",
			       v->target_name);
	r = tool == TOOL_GROW_EXT ? resize_ext(v, 0, e) : grow_xfs(g, vol, e);
	return r < 0 ? r : look_again(g, vol, before + 1, e);
}

int tool_undoable(enum tool tool, struct err *e)
{
	if (tool == TOOL_GROW_EXT)
		return 0;
	return err_refuse(
	    e, "not-undoable", EOPNOTSUPP,
	    "an xfs file system cannot shrink: its growth and that of its partition stay");
}

int tool_undo(struct guest *g, enum tool tool, unsigned vol, uint64_t size, struct err *e)
{
	if (tool != TOOL_GROW_EXT)
		return err_refuse(
		    e, "not-undoable", EOPNOTSUPP,
		    "%s has an xfs file system, which cannot shrink: the growth of this "
		    "partition stays",
		    g->vols[vol].target_name);
	return resize_ext(&g->vols[vol], size, e);
}
