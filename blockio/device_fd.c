/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "device_internal.h"

/* Writeback is started this early, so that a flush finds little left to do. */
#define WRITEBACK_STEP (4 * MIB)

struct device_fd *device_fd_of(struct device *d)
{
	return (struct device_fd *)d; /* base is the first member */
}

int device_error(struct device *d, int sys, const char *what, uint64_t off, struct err *e)
{
	return err_set(e, ERR_DISK, sys, "%s '%s' at byte %llu", what, d->info.path,
		       (unsigned long long)off);
}

/* A second descriptor, because O_DIRECT on the first would forbid unaligned last blocks. */
static int open_direct(int fd, const char *path, uint8_t *probe)
{
	struct stat a, b;
	scoped(close_fdp) int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);

	if (direct < 0 || fstat(fd, &a) < 0 || fstat(direct, &b) < 0)
		return -1;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || a.st_rdev != b.st_rdev)
		return -1;
	/* Some file systems take the flag and refuse the read. */
	if (pread(direct, probe, DEVICE_ALIGN, 0) < 0)
		return -1;
	return take_fd(&direct);
}

int device_fd_new(int fd, const struct device_info *info, const struct device_ops *ops,
		  struct device **ret, struct err *e)
{
	struct device_fd *d = calloc(1, sizeof *d);
	void *bounce = NULL;

	if (!d || posix_memalign(&bounce, DEVICE_ALIGN, DEVICE_BOUNCE)) {
		free(d);
		return err_set(e, ERR_SYS, ENOMEM, "open '%s'", info->path);
	}
	d->base.ops = ops;
	d->base.info = *info;
	d->bounce = bounce;
	d->fd = fd;
	d->direct_fd = open_direct(fd, info->path, d->bounce);
	d->base.info.direct = d->direct_fd >= 0;
	*ret = &d->base;
	return 0;
}

static int check_range(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	if (d->flush_error)
		return device_error(d, d->flush_error, "an earlier flush failed on", off, e);
	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "access past the end of", off, e);
	return 0;
}

static void start_writeback(struct device_fd *d, uint64_t off, uint64_t len)
{
	if (d->dirty && off != d->dirty_from + d->dirty) {
		(void)sync_file_range(d->fd, (off_t)d->dirty_from, (off_t)d->dirty,
				      SYNC_FILE_RANGE_WRITE);
		d->dirty = 0;
	}
	if (!d->dirty)
		d->dirty_from = off;
	d->dirty += len;
	if (d->dirty < WRITEBACK_STEP)
		return;
	/* Its errors are not lost: the flush reports what writeback met. */
	(void)sync_file_range(d->fd, (off_t)d->dirty_from, (off_t)d->dirty, SYNC_FILE_RANGE_WRITE);
	d->dirty = 0;
}

int device_fd_write(struct device *d, const void *data, size_t len, uint64_t off, struct err *e)
{
	const uint8_t *p = data;
	int r = check_range(d, off, len, e);

	if (r < 0)
		return r;
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(device_fd_of(d)->fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return device_error(d, n ? errno : ENOSPC, "write to", off + done, e);
		done += (size_t)n;
	}
	start_writeback(device_fd_of(d), off, len);
	return 0;
}

int device_fd_write_zeros(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	uint8_t *zeros = device_fd_of(d)->bounce;

	memset(zeros, 0, DEVICE_BOUNCE);
	while (len) {
		size_t n = len < DEVICE_BOUNCE ? (size_t)len : (size_t)DEVICE_BOUNCE;
		int r = device_fd_write(d, zeros, n, off, e);

		if (r < 0)
			return r;
		off += n;
		len -= n;
	}
	return 0;
}

int device_fd_flush(struct device *d, struct err *e)
{
	struct device_fd *f = device_fd_of(d);

	f->dirty = 0;
	if (fdatasync(f->fd) < 0)
		return device_error(d, errno, "flush of", 0, e);
	/* What is durable is not needed in memory: the cache stays small and a re-read is honest.
	 */
	(void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* One aligned piece by O_DIRECT through the bounce buffer; returns bytes wanted from it. */
static int reread_bounced(struct device *d, uint8_t *out, size_t len, uint64_t off, struct err *e)
{
	struct device_fd *f = device_fd_of(d);

	while (len) {
		uint64_t from = round_down_to(off, DEVICE_ALIGN);
		size_t skip = (size_t)(off - from);
		size_t n = len < DEVICE_BOUNCE - skip ? len : (size_t)DEVICE_BOUNCE - skip;
		size_t ask = (size_t)div_round_up(skip + n, DEVICE_ALIGN) * DEVICE_ALIGN;
		ssize_t got = pread(f->direct_fd, f->bounce, ask, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || (size_t)got < skip + 1)
			return device_error(d, got < 0 ? errno : EIO, "read back from", off, e);
		if ((size_t)got - skip < n)
			n = (size_t)got - skip;
		memcpy(out, f->bounce + skip, n);
		out += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int reread_fd(struct device *d, int fd, uint8_t *out, size_t len, uint64_t off,
		     struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, out + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return device_error(d, n ? errno : EIO, "read back from", off + done, e);
		done += (size_t)n;
	}
	return 0;
}

int device_fd_reread(struct device *d, void *data, size_t len, uint64_t off, struct err *e)
{
	struct device_fd *f = device_fd_of(d);
	bool aligned =
	    !((uintptr_t)data % DEVICE_ALIGN) && !(off % DEVICE_ALIGN) && !(len % DEVICE_ALIGN);

	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "read back past the end of", off, e);
	if (f->direct_fd >= 0)
		return aligned ? reread_fd(d, f->direct_fd, data, len, off, e)
			       : reread_bounced(d, data, len, off, e);
	/* Clean pages of the range go; dirty ones were never flushed, so nothing claims them. */
	(void)posix_fadvise(f->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
	return reread_fd(d, f->fd, data, len, off, e);
}

void device_fd_close(struct device *d)
{
	struct device_fd *f = device_fd_of(d);

	close_fdp(&f->direct_fd);
	close_fdp(&f->fd);
	free(f->bounce);
	free(f);
}
