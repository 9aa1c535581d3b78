/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "device_internal.h"
#include "ioq.h"

struct device_fd *device_fd_of(struct device *d)
{
	return (struct device_fd *)d; /* base is the first member */
}

int device_error(struct device *d, int sys, const char *what, uint64_t off, struct err *e)
{
	return err_set(e, ERR_DISK, sys, "%s '%s' at byte %llu", what, d->info.path,
		       (unsigned long long)off);
}

/* The same disk once more, with other flags. */
static int open_again(int fd, const char *path, int flags)
{
	struct stat a, b;
	scoped(close_fdp) int again = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	if (again < 0 || fstat(fd, &a) < 0 || fstat(again, &b) < 0)
		return -1;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || a.st_rdev != b.st_rdev)
		return -1;
	/* Not waiting was for the opening; reads and writes wait. */
	if (fcntl(again, F_SETFL, flags & O_DIRECT) < 0)
		return -1;
	return take_fd(&again);
}

static int open_direct(int fd, const char *path, uint8_t *probe)
{
	scoped(close_fdp) int direct = open_again(fd, path, O_RDONLY | O_DIRECT);

	/* Some file systems take the flag and refuse the read. */
	if (direct < 0 || pread(direct, probe, DEVICE_ALIGN, 0) < 0)
		return -1;
	return take_fd(&direct);
}

/* A file is written through the page cache: file systems may turn a direct write into a slow one
 * (holes, unwritten extents, their own block size), and an image is read again soon. */
static void choose_writes(struct device_fd *d)
{
	struct statfs fs;

	d->page_fd = d->fd;
	if (d->base.info.kind == DEVICE_FILE) {
		d->in_memory = !fstatfs(d->fd, &fs) && fs.f_type == TMPFS_MAGIC;
		return;
	}
	if (d->direct_fd < 0)
		return;
	int page_fd = open_again(d->fd, d->base.info.path, O_RDWR);
	if (page_fd < 0)
		return;
	if (fcntl(d->fd, F_SETFL, O_DIRECT) < 0) {
		(void)close(page_fd);
		return;
	}
	d->page_fd = page_fd;
	d->writes_direct = true;
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
	choose_writes(d);
	*ret = &d->base;
	return 0;
}

static int check_range(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", off, e);
	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "access past the end of", off, e);
	return 0;
}

int device_fd_write(struct device *d, const void *data, size_t len, uint64_t off, struct err *e)
{
	const uint8_t *p = data;
	int r = check_range(d, off, len, e);

	if (r < 0)
		return r;
	for (size_t done = 0; done < len;) {
		ssize_t n =
		    pwrite(device_fd_of(d)->page_fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return device_error(d, n ? errno : ENOSPC, "write to", off + done, e);
		done += (size_t)n;
	}
	return 0;
}

int device_fd_write_zeros(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	static const uint8_t zeros[64 * KIB];

	while (len) {
		size_t n = len < sizeof zeros ? (size_t)len : sizeof zeros;
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

	if (fdatasync(f->fd) < 0)
		return device_error(d, errno, "flush of", 0, e);
	/* What is durable is not needed in memory: the cache stays small and a re-read is honest.
	 */
	(void)posix_fadvise(f->page_fd, 0, 0, POSIX_FADV_DONTNEED);
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

static bool aligned(const void *data, uint64_t len, uint64_t off)
{
	return !(((uintptr_t)data | len | off) % DEVICE_ALIGN);
}

int device_fd_reread(struct device *d, void *data, size_t len, uint64_t off, struct err *e)
{
	struct device_fd *f = device_fd_of(d);

	if (off > d->info.size || len > d->info.size - off)
		return device_error(d, ERANGE, "read back past the end of", off, e);
	if (f->direct_fd >= 0)
		return aligned(data, len, off) ? reread_fd(d, f->direct_fd, data, len, off, e)
					       : reread_bounced(d, data, len, off, e);
	/* Clean pages of the range go; dirty ones were never flushed, so nothing claims them. */
	(void)posix_fadvise(f->page_fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
	return reread_fd(d, f->page_fd, data, len, off, e);
}

enum device_way device_fd_way(struct device *d, const struct device_io *io, struct ioq_op *ret)
{
	const struct device_fd *f = device_fd_of(d);

	if (io->off > d->info.size || io->len > d->info.size - io->off)
		return DEVICE_AT_ONCE; /* only to be refused */
	switch (io->call) {
	case DEVICE_WRITE:
		/* Into the page cache: a copy, which another thread would do no sooner, and where
		 * several threads would wait for one lock of the file. */
		if (!f->writes_direct)
			return DEVICE_AT_ONCE;
		*ret = (struct ioq_op){ .kind = IOQ_WRITE, .fd = f->page_fd, .from = io->from };
		if (aligned(io->from, io->len, io->off))
			ret->fd = f->fd;
		break;
	case DEVICE_FLUSH:
		*ret = (struct ioq_op){ .kind = IOQ_DATASYNC, .fd = f->fd };
		if (!f->writes_direct)
			return f->in_memory ? DEVICE_AT_ONCE : DEVICE_BY_CALL;
		break;
	case DEVICE_REREAD:
		*ret = (struct ioq_op){ .kind = IOQ_READ, .fd = f->direct_fd, .to = io->to };
		if (f->direct_fd < 0 || !aligned(io->to, io->len, io->off))
			return DEVICE_BY_CALL;
		break;
	case DEVICE_ZERO:
		return DEVICE_BY_CALL;
	}
	ret->off = io->off;
	ret->len = (size_t)io->len;
	return DEVICE_BY_OP;
}

void device_fd_close(struct device *d)
{
	struct device_fd *f = device_fd_of(d);

	close_fdp(&f->direct_fd);
	if (f->page_fd != f->fd)
		close_fdp(&f->page_fd);
	close_fdp(&f->fd);
	free(f->bounce);
	free(f);
}
