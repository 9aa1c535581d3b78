/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "device_internal.h"

/* One ioctl cannot be interrupted: keep each short enough for a pause or a stop to be heard. */
#define ZERO_STEP (128 * MIB)

static int zero_step(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	int fd = device_fd_of(d)->fd;
	uint64_t range[2] = { off, len };

	/* Unmapping keeps thin volumes thin; the kernel does it only where it reads back as zero.
	 */
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
		return 0;
	if (!ioctl(fd, BLKZEROOUT, range))
		return 0;
	if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOTTY)
		return device_fd_write_zeros(d, off, len, e);
	return device_error(d, errno, "zeroing of", off, e);
}

static int block_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", off, e);
	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "access past the end of", off, e);
	while (len) {
		uint64_t n = len < ZERO_STEP ? len : ZERO_STEP;
		int r = zero_step(d, off, n, e);

		if (r < 0)
			return r;
		off += n;
		len -= n;
	}
	return 0;
}

static const struct device_ops ops = {
	.write = device_fd_write,
	.zero = block_zero,
	.flush = device_fd_flush,
	.reread = device_fd_reread,
	.way = device_fd_way,
	.close = device_fd_close,
};

int device_block_new(int fd, const struct device_info *info, struct device **ret, struct err *e)
{
	return device_fd_new(fd, info, &ops, ret, e);
}
