/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "clock.h"
#include "sysfs.h"

#define WATCH_TIMED_OUT 3

/* Shared with the watching child: what it must thaw. */
struct shared {
	volatile unsigned char frozen[FREEZE_MAX];
};

struct freeze {
	struct move *m;
	struct shared *shared;
	int fds[FREEZE_MAX];
	dev_t devs[FREEZE_MAX]; /* what lies there; 0 when that was not found at its mount point */
	unsigned n;
	pid_t watcher;
	int pipe_fd; /* closing it tells the watcher to thaw */
	unsigned limit_s;
	bool reaped;
	int status; /* of the watcher, once reaped */
};

static bool on_our_disks(const struct move *m, dev_t dev)
{
	char below[DISKS_MAX][64];
	unsigned n = sysfs_disks_below(dev, below, DISKS_MAX);

	for (unsigned i = 0; i < n; i++) {
		for (unsigned d = 0; d < m->n_disks; d++) {
			if (!strcmp(source_info(m->disks[d].source)->name, below[i]))
				return true;
		}
	}
	return false;
}

/* One line for each file system, however often it is mounted. */
static unsigned find_mounts(const struct move *m, struct mounted *v, unsigned max)
{
	struct mounted one;
	unsigned n = 0;

	for (unsigned at = 0; n < max && sysfs_next_mount(&at, &one);) {
		bool known = false;

		for (unsigned i = 0; i < n; i++)
			known |= v[i].dev == one.dev;
		if (!known && one.writable && on_our_disks(m, one.dev))
			v[n++] = one;
	}
	return n;
}

static void thaw_all(struct freeze *f)
{
	for (unsigned i = f->n; i-- > 0;) {
		if (f->shared->frozen[i])
			(void)ioctl(f->fds[i], FITHAW, 0);
		f->shared->frozen[i] = 0;
	}
}

/* The child. Runs until the pipe closes or the limit is over; touches no file. */
static void watch(struct freeze *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	(void)setsid();
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)mlockall(MCL_CURRENT);
	do
		r = poll(&p, 1, (int)(f->limit_s * 1000));
	while (r < 0 && errno == EINTR);
	thaw_all(f);
	_exit(r == 0 ? WATCH_TIMED_OUT : 0);
}

static int start_watcher(struct freeze *f, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_set(e, ERR_SYS, errno, "pipe to the thawing process");
	f->watcher = fork();
	if (f->watcher < 0) {
		int sys = errno;

		(void)close(fds[0]);
		(void)close(fds[1]);
		return err_set(e, ERR_SYS, sys, "start the thawing process");
	}
	if (!f->watcher) {
		(void)close(fds[1]);
		watch(f, fds[0]);
	}
	(void)close(fds[0]);
	f->pipe_fd = fds[1];
	return 0;
}

static const char *why_not(int sys)
{
	switch (sys) {
	case EOPNOTSUPP:
	case ENOTTY:
	case EINVAL:
		return "this kind of file system cannot be frozen; it was synced";
	case EPERM:
	case EACCES:
		return "not permitted: run as root; it was synced";
	case EBUSY:
		return "frozen by someone else already";
	default:
		return strerror(sys);
	}
}

/* While everything still runs: what is written here is not written in the frozen time. */
static void sync_all(const struct freeze *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		if (f->fds[i] >= 0)
			(void)syncfs(f->fds[i]);
	}
}

static void freeze_one(struct freeze *f, unsigned i, struct freeze_point *p)
{
	/* Said before it is done: killed in between, the child thaws once too often, not too
	 * seldom. */
	f->shared->frozen[i] = 1;
	(void)syncfs(f->fds[i]);
	if (!ioctl(f->fds[i], FIFREEZE, 0)) {
		p->frozen = true;
		return;
	}
	(void)snprintf(p->why, sizeof p->why, "%s", why_not(errno));
	f->shared->frozen[i] = 0;
}

/* Another mount may cover the point; btrfs has device numbers of its own. */
static bool lies_at(int fd, dev_t dev)
{
	struct stat st;
	struct statfs fs;

	if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return false;
	return st.st_dev == dev || fs.f_type == BTRFS_SUPER_MAGIC;
}

static void open_points(struct freeze *f, const struct mounted *v, unsigned n,
			struct freeze_report *report)
{
	for (unsigned i = 0; i < n; i++) {
		const struct mounted *m = &v[n - 1 - i];
		struct freeze_point *p = &report->points[report->n++];

		(void)snprintf(p->point, sizeof p->point, "%s", m->point);
		(void)snprintf(p->type, sizeof p->type, "%s", m->type);
		f->fds[f->n] = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
		f->devs[f->n] = lies_at(f->fds[f->n], m->dev) ? m->dev : 0;
		f->n++;
	}
}

static int detach_tables(struct move *m, bool detach, struct err *e)
{
	int r = 0;

	for (unsigned d = 0; d < m->n_disks && !r; d++) {
		if (!m->disks[d].table)
			continue;
		r = detach ? table_detach(m->disks[d].table, e)
			   : table_attach(m->disks[d].table, e);
	}
	return r;
}

static void freeze_free(struct freeze *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		if (f->fds[i] >= 0)
			(void)close(f->fds[i]);
	}
	if (f->shared)
		(void)munmap(f->shared, sizeof *f->shared);
	free(f);
}

int freeze_begin(struct move *m, struct freeze **ret, struct freeze_report *report, struct err *e)
{
	static struct mounted v[FREEZE_MAX];
	struct freeze *f = calloc(1, sizeof *f);
	int r;

	*report = (struct freeze_report){ 0 };
	if (!f)
		return err_set(e, ERR_SYS, ENOMEM, "freeze");
	f->m = m;
	f->limit_s = m->o->freeze_s;
	f->pipe_fd = -1;
	void *shared = mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		freeze_free(f);
		return err_set(e, ERR_SYS, ENOMEM, "freeze");
	}
	f->shared = shared;
	open_points(f, v, find_mounts(m, v, FREEZE_MAX), report);
	sync_all(f);
	r = detach_tables(m, true, e);
	if (!r)
		r = start_watcher(f, e);
	if (r) {
		(void)detach_tables(m, false, NULL);
		freeze_free(f);
		return r;
	}
	report->began_ms = clock_ms();
	for (unsigned i = 0; i < f->n; i++) {
		if (f->fds[i] < 0)
			(void)snprintf(report->points[i].why, sizeof report->points[i].why,
				       "its folder cannot be opened");
		else
			freeze_one(f, i, &report->points[i]);
	}
	*ret = f;
	return 0;
}

bool freeze_holds(const struct freeze *f, dev_t dev)
{
	for (unsigned i = 0; dev && i < f->n; i++) {
		if (f->devs[i] == dev && f->shared->frozen[i])
			return true;
	}
	return false;
}

bool freeze_is_over(struct freeze *f)
{
	if (!f->reaped && waitpid(f->watcher, &f->status, WNOHANG) == f->watcher)
		f->reaped = true;
	return f->reaped;
}

int freeze_end(struct freeze *f, struct err *e)
{
	int r;

	if (!f)
		return 0;
	(void)close(f->pipe_fd);
	while (!f->reaped && waitpid(f->watcher, &f->status, 0) < 0 && errno == EINTR)
		;
	r = detach_tables(f->m, false, e);
	if (!r && (!WIFEXITED(f->status) || WEXITSTATUS(f->status) == WATCH_TIMED_OUT))
		r = err_set(e, ERR_SYS, 0,
			    "file systems were thawed after %u s, before the round ended: run "
			    "'sync' until little changes, or raise --freeze-limit",
			    f->limit_s);
	freeze_free(f);
	return r;
}
