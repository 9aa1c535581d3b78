/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "device_internal.h"

/* A hole is zero already, and asking is cheaper than punching it again. */
static bool is_hole(int fd, uint64_t off, uint64_t len)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO;
	return (uint64_t)data >= off + len;
}

static int file_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	int fd = device_fd_of(d)->fd;

	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", off, e);
	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "access past the end of", off, e);
	if (!len || is_hole(fd, off, len))
		return 0;
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return device_fd_write_zeros(d, off, len, e);
	return device_error(d, errno, "zeroing of", off, e);
}

/* Says how far a hole at ${off} goes, so that a verification need not read it. */
static uint64_t file_hole(struct device *d, uint64_t off)
{
	off_t data = lseek(device_fd_of(d)->fd, (off_t)off, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? d->info.size - off : 0;
	return (uint64_t)data - off;
}

static const struct device_ops ops = {
	.write = device_fd_write,
	.zero = file_zero,
	.flush = device_fd_flush,
	.reread = device_fd_reread,
	.hole = file_hole,
	.way = device_fd_way,
	.close = device_fd_close,
};

int device_file_new(int fd, const struct device_info *info, struct device **ret, struct err *e)
{
	return device_fd_new(fd, info, &ops, ret, e);
}
