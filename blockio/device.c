/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "device_internal.h"

static int find(const char *path, struct stat *st, struct err *e)
{
	if (stat(path, st) < 0)
		return err_refuse(e, "disk-missing", errno, "there is no disk '%s': %s", path,
				  strerror(errno));
	if (!S_ISBLK(st->st_mode) && !S_ISREG(st->st_mode))
		return err_refuse(e, "disk-not-regular", EINVAL,
				  "'%s' is neither a block device nor a regular file", path);
	return 0;
}

static int describe(const char *path, const struct stat *st, struct device_info *ret)
{
	memset(ret, 0, sizeof *ret);
	if (snprintf(ret->path, sizeof ret->path, "%s", path) >= (int)sizeof ret->path)
		return -ENAMETOOLONG;
	if (S_ISBLK(st->st_mode)) {
		ret->kind = DEVICE_BLOCK;
		device_sysfs_describe(&device_facts_live, st->st_rdev, ret);
		return 0;
	}
	ret->kind = DEVICE_FILE;
	ret->size = (uint64_t)st->st_size;
	ret->logical_sector = 512;
	ret->physical_sector = 4096;
	(void)snprintf(ret->serial, sizeof ret->serial, "file-%llx-%llu",
		       (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	(void)snprintf(ret->model, sizeof ret->model, "file");
	return 0;
}

static int size_of_block(int fd, const char *path, uint64_t *ret, struct err *e)
{
	uint64_t size = 0;

	if (ioctl(fd, BLKGETSIZE64, &size) < 0)
		return err_set(e, ERR_DISK, errno, "size of '%s'", path);
	*ret = size;
	return 0;
}

int device_describe(const char *path, struct device_info *ret, struct err *e)
{
	struct device_info info;
	struct stat st;
	int r = find(path, &st, e);

	if (r < 0)
		return r;
	if ((r = describe(path, &st, &info)) < 0)
		return err_set(e, ERR_USAGE, -r, "the path '%s' is too long", path);
	if (info.kind == DEVICE_BLOCK) {
		scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return err_set(e, ERR_DISK, errno, "open '%s'", path);
		if ((r = size_of_block(fd, path, &info.size, e)) < 0)
			return r;
	}
	*ret = info;
	return 0;
}

static int check(const char *path, const struct stat *st, struct err *e)
{
	if (S_ISBLK(st->st_mode))
		return device_check_block(&device_facts_live, path, st->st_rdev, e);
	return device_check_file(&device_facts_live, path, st, e);
}

/* O_EXCL on a block device is the kernel's own word that nothing mounted or stacked uses it; the
 * lock keeps udev from probing half-written content, and a second receiver out. */
static int open_alone(const char *path, const struct stat *st, int mode, int *ret_fd, struct err *e)
{
	bool block = S_ISBLK(st->st_mode);
	struct stat now;
	scoped(close_fdp) int fd = open(path, mode | O_CLOEXEC | O_NOCTTY | (block ? O_EXCL : 0));

	if (fd < 0 && errno == EBUSY)
		return err_refuse(e, "disk-in-use", EBUSY, "'%s' is in use", path);
	if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM))
		return err_refuse(e, "disk-read-only", errno, "'%s' cannot be written: %s", path,
				  strerror(errno));
	if (fd < 0)
		return err_set(e, ERR_DISK, errno, "open '%s'", path);
	if (fstat(fd, &now) < 0 || now.st_dev != st->st_dev || now.st_ino != st->st_ino ||
	    now.st_rdev != st->st_rdev)
		return err_refuse(e, "disk-missing", ENXIO,
				  "'%s' became another disk while it was checked", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_refuse(e, "disk-in-use", EBUSY, "another program has locked '%s'", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

int device_check_usable(const char *path, struct err *e)
{
	scoped(close_fdp) int fd = -1;
	struct stat st;
	int r = find(path, &st, e);

	if (r < 0 || (r = check(path, &st, e)) < 0)
		return r;
	/* Read-only: closing a writable descriptor would make udev probe the disk. */
	return open_alone(path, &st, O_RDONLY, &fd, e);
}

int device_open(const char *path, struct device **ret, struct err *e)
{
	scoped(close_fdp) int fd = -1;
	struct device_info info;
	struct stat st;
	int r = find(path, &st, e), ro = 0;

	if (r < 0 || (r = check(path, &st, e)) < 0)
		return r;
	if ((r = describe(path, &st, &info)) < 0)
		return err_set(e, ERR_USAGE, -r, "the path '%s' is too long", path);
	if ((r = open_alone(path, &st, O_RDWR, &fd, e)) < 0)
		return r;
	if (info.kind == DEVICE_BLOCK) {
		if (ioctl(fd, BLKROGET, &ro) == 0 && ro)
			return err_refuse(e, "disk-read-only", EROFS, "'%s' is read-only", path);
		if ((r = size_of_block(fd, path, &info.size, e)) < 0)
			return r;
		r = device_block_new(fd, &info, ret, e);
	} else {
		r = device_file_new(fd, &info, ret, e);
	}
	if (!r)
		(void)take_fd(&fd);
	return r;
}

void device_close(struct device *d)
{
	if (d)
		d->ops->close(d);
}

int device_flush(struct device *d, struct err *e)
{
	int r;

	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", 0, e);
	r = d->ops->flush(d, e);
	if (r < 0)
		device_set_flush_error(d, -r);
	return r;
}
