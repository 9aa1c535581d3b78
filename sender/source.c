/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blktrace_api.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "frame.h"
#include "sysfs.h"

struct source {
	struct source_info info;
	int fd;
	bool direct;
};

static int identify_block(struct source *s, dev_t dev, struct err *e)
{
	struct source_info *i = &s->info;
	char path[128];
	int sector = 0;
	unsigned physical = 0;

	i->kind = SOURCE_BLOCK;
	if (!sysfs_name(dev, i->name))
		return err_refuse(e, "source-not-a-disk", ENODEV, "'%s' is not known to the kernel",
				  i->path);
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/partition", i->name);
	if (!access(path, F_OK))
		return err_refuse(e, "source-is-partition", EINVAL,
				  "'%s' is a partition: name the whole disk, a move takes disks",
				  i->path);
	if (ioctl(s->fd, BLKGETSIZE64, &i->size) || ioctl(s->fd, BLKSSZGET, &sector) ||
	    ioctl(s->fd, BLKPBSZGET, &physical))
		return err_set(e, ERR_DISK, errno, "size of '%s'", i->path);
	i->logical_sector = (uint32_t)sector;
	i->physical_sector = physical;
	i->rotational = sysfs_number(i->name, "queue/rotational", 0) != 0;
	(void)sysfs_serial(i->name, i->serial);
	(void)sysfs_text(i->name, "device/model", i->model, sizeof i->model);
	return 0;
}

static void identify_file(struct source *s, const struct stat *st)
{
	s->info.kind = SOURCE_FILE;
	s->info.size = (uint64_t)st->st_size;
	s->info.logical_sector = 512;
	s->info.physical_sector = 512;
	(void)snprintf(s->info.serial, sizeof s->info.serial, "file-%llx-%llu",
		       (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

static int check_size(const struct source_info *i, struct err *e)
{
	if (!i->size)
		return err_refuse(e, "source-empty", EINVAL, "'%s' has no bytes", i->path);
	if (i->size > DISK_SIZE_MAX)
		return err_refuse(e, "source-size", EFBIG, "'%s' has %llu bytes: too large",
				  i->path, (unsigned long long)i->size);
	return 0;
}

/* Only open() can say whether direct reading works; some block drivers refuse it. */
static int open_disk(const char *path, bool *ret_direct)
{
	struct stat st;
	int fd = -1;

	*ret_direct = false;
	if (!stat(path, &st) && S_ISBLK(st.st_mode)) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT | O_NOCTTY);
		*ret_direct = fd >= 0;
	}
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd;
}

int source_open(const char *path, struct source **ret, struct err *e)
{
	struct stat st;
	int r = 0;

	scoped(source_closep) struct source *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_SYS, ENOMEM, "source '%s'", path);
	s->fd = -1;
	if (strlen(path) >= sizeof s->info.path)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "source '%.60s...': path too long",
			       path);
	memcpy(s->info.path, path, strlen(path) + 1);
	s->fd = open_disk(path, &s->direct);
	if (s->fd < 0 || fstat(s->fd, &st))
		return err_set(e, ERR_DISK, errno, "open '%s' for reading", path);
	if (S_ISBLK(st.st_mode))
		r = identify_block(s, st.st_rdev, e);
	else if (S_ISREG(st.st_mode))
		identify_file(s, &st);
	else
		r = err_refuse(e, "source-not-a-disk", EINVAL,
			       "'%s' is neither a disk nor a regular file", path);
	if (!r)
		r = check_size(&s->info, e);
	if (r)
		return r;
	/* Advice only: a refusal changes nothing but speed. */
	(void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret = take_ptr(&s);
	return 0;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s);
}

const struct source_info *source_info(const struct source *s)
{
	return &s->info;
}

static int ended(const struct source *s, uint64_t at, struct err *e)
{
	return err_set(e, ERR_DISK, EIO, "source '%s' ends at byte %ju: it became shorter",
		       s->info.path, (uintmax_t)at);
}

static int failed(const struct source *s, int sys, uint64_t at, struct err *e)
{
	return err_set(e, ERR_DISK, sys, "read source '%s' at byte %ju", s->info.path,
		       (uintmax_t)at);
}

/* Buffered because O_DIRECT was refused: do not keep pages that may grow old. */
static void drop_pages(const struct source *s, size_t len, uint64_t off)
{
	if (s->info.kind == SOURCE_BLOCK && !s->direct)
		(void)posix_fadvise(s->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
}

int source_read(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = off + done;
		ssize_t n = pread(s->fd, (uint8_t *)buf + done, len - done, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(s, errno, at, e);
		if (!n)
			return ended(s, at, e);
		done += (size_t)n;
	}
	drop_pages(s, len, off);
	return 0;
}

int source_read_begin(struct source *s, struct ioq *q, void *buf, size_t len, uint64_t off,
		      uint64_t tag)
{
	struct ioq_op op = {
		.kind = IOQ_READ, .fd = s->fd, .off = off, .len = len, .to = buf, .tag = tag
	};

	return ioq_submit(q, &op);
}

int source_read_end(struct source *s, ssize_t res, size_t len, uint64_t off, struct err *e)
{
	if (res < 0)
		return failed(s, (int)-res, off, e);
	if ((size_t)res < len)
		return ended(s, off + (uint64_t)res, e);
	drop_pages(s, len, off);
	return 0;
}

void source_will_read(struct source *s, uint64_t off, size_t len)
{
	if (s->info.kind == SOURCE_FILE)
		(void)posix_fadvise(s->fd, (off_t)off, (off_t)len, POSIX_FADV_WILLNEED);
}

int source_flush(struct source *s, struct err *e)
{
	if (s->info.kind == SOURCE_BLOCK && fsync(s->fd))
		return err_set(e, ERR_DISK, errno, "flush '%s'", s->info.path);
	return 0;
}

int source_trace_setup(struct source *s, struct blk_user_trace_setup *setup)
{
	return ioctl(s->fd, BLKTRACESETUP, setup) ? -errno : 0;
}

int source_trace_start(struct source *s)
{
	return ioctl(s->fd, BLKTRACESTART) ? -errno : 0;
}

int source_trace_teardown(struct source *s)
{
	(void)ioctl(s->fd, BLKTRACESTOP);
	return ioctl(s->fd, BLKTRACETEARDOWN) ? -errno : 0;
}

int source_extent(struct source *s, uint64_t off, bool *ret_hole, uint64_t *ret_end, struct err *e)
{
	off_t at;
	bool hole;

	*ret_hole = false;
	*ret_end = s->info.size;
	if (s->info.kind != SOURCE_FILE)
		return 0;
	at = lseek(s->fd, (off_t)off, SEEK_DATA);
	if (at < 0 && errno == ENXIO) { /* a hole to the end */
		*ret_hole = true;
		return 0;
	}
	if (at < 0)
		return errno == EINVAL
			   ? 0
			   : err_set(e, ERR_DISK, errno, "look for holes in '%s'", s->info.path);
	hole = (uint64_t)at > off;
	if (!hole) {
		at = lseek(s->fd, (off_t)off, SEEK_HOLE);
		if (at < 0)
			return err_set(e, ERR_DISK, errno, "look for holes in '%s'", s->info.path);
	}
	*ret_hole = hole;
	*ret_end = (uint64_t)at < s->info.size ? (uint64_t)at : s->info.size;
	return 0;
}

/* The kernel grants a lease for reading only while no file is open for writing; it is given back at
 * once, so that nobody waits for it. */
int source_has_writer(const struct source *s)
{
	if (s->info.kind != SOURCE_FILE)
		return -ENOTSUP;
	/* Whoever opens it in that moment makes the kernel tell us, by a signal that would end us.
	 */
	(void)signal(SIGIO, SIG_IGN);
	if (fcntl(s->fd, F_SETLEASE, F_RDLCK))
		return errno == EAGAIN ? 1 : -errno;
	return fcntl(s->fd, F_SETLEASE, F_UNLCK) ? -errno : 0;
}

int source_claimed(const char *name, dev_t dev)
{
	char path[96] = "/dev/";
	struct stat st;

	/* "cciss!c0d0" lies in a folder. */
	(void)snprintf(path + 5, sizeof path - 5, "%s", name);
	for (char *p = path; (p = strchr(p, '!'));)
		*p = '/';
	scoped(close_fdp) int fd =
	    open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == EBUSY ? 1 : -errno;
	return fstat(fd, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != dev ? -ENODEV : 0;
}

bool source_stamp(const struct source *s, uint64_t ret[static 4])
{
	struct stat st;

	if (s->info.kind != SOURCE_FILE || fstat(s->fd, &st))
		return false;
	ret[0] = (uint64_t)st.st_size;
	ret[1] = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	ret[2] = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
	ret[3] = (uint64_t)st.st_ino;
	return true;
}

/* Kernel order: sda before sdaa, nvme0n1 before nvme0n2, by length and then by letters. */
static int by_kernel_order(const void *a, const void *b)
{
	const char *x = a, *y = b;
	size_t nx = strcspn(x, "0123456789"), ny = strcspn(y, "0123456789");

	if (nx == ny && !strncmp(x, y, nx))
		return strverscmp(x, y);
	if (x[0] == y[0] && nx != ny)
		return nx < ny ? -1 : 1;
	return strcmp(x, y);
}

/* A disk with a driver behind it; loop, ram, zram, dm and md have no "device". */
static bool is_movable(const char *name)
{
	static const char *const not_disks[] = { "loop", "ram", "zram", "sr", "fd",
						 "dm-",  "md",  "nbd",  "mtd" };
	char path[128];

	for (size_t i = 0; i < sizeof not_disks / sizeof *not_disks; i++) {
		size_t len = strlen(not_disks[i]);
		bool letters = isalpha((unsigned char)not_disks[i][len - 1]);

		if (!strncmp(name, not_disks[i], len) &&
		    (!letters || isdigit((unsigned char)name[len])))
			return false;
	}
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/partition", name);
	if (!access(path, F_OK))
		return false;
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/device", name);
	return !access(path, F_OK) && sysfs_number(name, "size", 0) > 0 &&
	       !sysfs_number(name, "removable", 0) && !sysfs_number(name, "hidden", 0);
}

int source_list(char names[][64], unsigned max, struct err *e)
{
	unsigned n = 0;

	scoped(closedirp) DIR *d = opendir("/sys/class/block");
	if (!d)
		return err_set(e, ERR_SYS, errno, "list /sys/class/block");
	for (struct dirent *de; (de = readdir(d));) {
		if (de->d_name[0] == '.' || strlen(de->d_name) >= 64 || !is_movable(de->d_name))
			continue;
		if (n == max)
			return err_set(e, ERR_REFUSED, ENOSPC,
				       "more than %u disks: name those to move with --disk", max);
		memcpy(names[n++], de->d_name, strlen(de->d_name) + 1);
	}
	qsort(names, n, 64, by_kernel_order);
	return (int)n;
}

bool source_root_disk(char ret[static 64])
{
	struct stat st;
	char below[DISKS_MAX][64];

	/* The first disk below: a mirrored root has its boot sector on each of them. */
	if (!stat("/", &st) && sysfs_disks_below(st.st_dev, below, DISKS_MAX)) {
		memcpy(ret, below[0], 64);
		return true;
	}
	dev_t dev;
	if (sysfs_mount_device("/", &dev) && sysfs_disks_below(dev, below, DISKS_MAX)) {
		memcpy(ret, below[0], 64);
		return true;
	}
	return false;
}
