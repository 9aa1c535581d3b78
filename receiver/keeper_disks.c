/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_disks.c - looks at the configured disks without ever holding one
 *
 * A child of the moment opens each disk for reading, describes it over a pipe and exits; it has ten
 * seconds. So no descriptor of a disk is ever in the process that holds the key, and a disk that
 * hangs takes the child, not the keeper.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "clock.h"
#include "device.h"
#include "keeper_parts.h"

#define LOOK_LIMIT_MS 10000

/* Two names of one disk have one identity: the device number, or the file's place. */
static void identify(struct disk_fact *f)
{
	struct stat st;

	if (stat(f->path, &st))
		return;
	f->id_major = S_ISBLK(st.st_mode) ? UINT64_MAX : st.st_dev;
	f->id_minor = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_ino;
}

static void look_at(struct disk_fact *f)
{
	struct device_info info;
	struct err e = { 0 };
	const char *what = "";

	f->blank = -1;
	identify(f);
	if (!device_describe(f->path, &info, &e)) {
		f->described = true;
		f->size = info.size;
		f->logical_sector = info.logical_sector;
		f->physical_sector = info.physical_sector;
		(void)snprintf(f->serial, sizeof f->serial, "%s", info.serial);
		(void)snprintf(f->model, sizeof f->model, "%s", info.model);
		f->usable = !device_check_usable(f->path, &e);
	}
	if (f->usable) {
		f->blank = device_is_blank(f->path, &what, &e);
		f->usable = f->blank >= 0;
		(void)snprintf(f->holds, sizeof f->holds, "%s", f->blank ? "" : what);
	}
	if (!f->usable) {
		(void)snprintf(f->refusal, sizeof f->refusal, "%s",
			       e.name ? e.name : "disk-failed");
		(void)snprintf(f->text, sizeof f->text, "%.239s", e.text);
	}
}

static void child(const struct receiver_options *o, uint32_t mask, int out)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		struct disk_fact f;
		const char *p = (const char *)&f;
		size_t left = sizeof f;

		if (!(mask >> n & 1) || !o->disk[n][0])
			continue;
		memset(&f, 0, sizeof f); /* no stale memory crosses the pipe */
		f.n = n;
		(void)snprintf(f.path, sizeof f.path, "%s", o->disk[n]);
		look_at(&f);
		while (left) {
			ssize_t w = write(out, p, left);

			if (w <= 0)
				_exit(1);
			p += w;
			left -= (size_t)w;
		}
	}
	_exit(0);
}

/* 1: a whole fact; 0: the child has ended; else it has failed or is late. */
static int read_fact(int fd, uint64_t deadline_ms, struct disk_fact *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *to = (char *)ret;
	size_t got = 0;

	while (got < sizeof *ret) {
		ssize_t n;

		if (poll(&p, 1, clock_left_ms(deadline_ms)) <= 0)
			return -ETIMEDOUT;
		n = read(fd, to + got, sizeof *ret - got);
		if (n < 0)
			return -errno;
		if (!n)
			return got ? -EIO : 0;
		got += (size_t)n;
	}
	return 1;
}

static int collect(int fd, struct disk_fact ret[static DISKS_MAX], struct err *e)
{
	uint64_t deadline = clock_ms() + LOOK_LIMIT_MS;
	struct disk_fact f;
	int r;

	while ((r = read_fact(fd, deadline, &f)) > 0) {
		if (f.n < DISKS_MAX)
			ret[f.n] = f;
	}
	if (r)
		return err_set(e, ERR_DISK, -r, "a disk did not answer within %d s",
			       LOOK_LIMIT_MS / 1000);
	return 0;
}

int keeper_disks_look(const struct receiver_options *o, uint32_t mask,
		      struct disk_fact ret[static DISKS_MAX], struct err *e)
{
	int fds[2], r;
	pid_t pid;

	memset(ret, 0, DISKS_MAX * sizeof ret[0]);
	if (pipe2(fds, O_CLOEXEC))
		return err_set(e, ERR_SYS, errno, "look at the disks");
	pid = fork();
	if (!pid)
		child(o, mask, fds[1]);
	close_fdp(&fds[1]);
	if (pid < 0) {
		r = err_set(e, ERR_SYS, errno, "look at the disks");
	} else {
		r = collect(fds[0], ret, e);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	close_fdp(&fds[0]);
	return r;
}
