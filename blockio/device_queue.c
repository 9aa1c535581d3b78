/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * device_queue.c - the calls of a device that go on while the caller does something else
 */
#include <assert.h>
#include <errno.h>

#include "device_internal.h"
#include "ioq.h"

/* Words only; the errno is enough to say them again for the caller. */
static int by_call(void *arg)
{
	const struct device_io *io = arg;
	const struct device_ops *ops = io->device->ops;

	switch (io->call) {
	case DEVICE_WRITE:
		return ops->write(io->device, io->from, (size_t)io->len, io->off, NULL);
	case DEVICE_ZERO:
		return ops->zero(io->device, io->off, io->len, NULL);
	case DEVICE_FLUSH:
		return ops->flush(io->device, NULL);
	case DEVICE_REREAD:
		return ops->reread(io->device, io->to, (size_t)io->len, io->off, NULL);
	}
	return -EINVAL;
}

static enum device_way way_of(const struct device_io *io, struct ioq_op *ret)
{
	struct device *d = io->device;

	return d->ops->way ? d->ops->way(d, io, ret) : DEVICE_BY_CALL;
}

enum device_way device_way(const struct device_io *io)
{
	struct ioq_op op = { 0 };

	return way_of(io, &op);
}

bool device_start(struct ioq *q, struct device_io *io)
{
	struct ioq_op op = { 0 };
	enum device_way way;

	io->res = -device_flush_error(io->device);
	if (io->res && io->call != DEVICE_REREAD)
		return true;
	way = way_of(io, &op);
	if (way == DEVICE_AT_ONCE) {
		io->res = by_call(io);
		return true;
	}
	if (way == DEVICE_BY_CALL)
		op = (struct ioq_op){ .kind = IOQ_CALL, .call = by_call, .arg = io };
	op.tag = (uintptr_t)io;
	io->res = ioq_submit(q, &op);
	assert(!io->res);
	return io->res != 0;
}

int device_finish(struct device_io *io, ssize_t res, struct err *e)
{
	static const char *const words[] = { [DEVICE_WRITE] = "write to",
					     [DEVICE_ZERO] = "zeroing of",
					     [DEVICE_FLUSH] = "flush of",
					     [DEVICE_REREAD] = "read back from" };

	/* The device is as long as the disk: a read that ends early did not reach it. */
	if (io->call == DEVICE_REREAD && res > 0 && (uint64_t)res != io->len)
		res = -EIO;
	if (res >= 0)
		return 0;
	if (io->call == DEVICE_FLUSH)
		device_set_flush_error(io->device, (int)-res);
	return device_error(io->device, (int)-res, words[io->call], io->off, e);
}
