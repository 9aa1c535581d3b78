/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * device.h - a target disk as a struct of functions, so that faults can be put in front of it
 *
 * Units   bytes; offsets and lengths are multiples of the logical sector except at a file's end.
 * Errors  0 or a negative errno, ERR_DISK with the disk, the offset and the cause.
 * Rule    a failed flush is final: the device remembers it, and every later write or flush fails
 *         with the same error until it is opened again (the kernel forgets it after one report).
 * Owner   device_close(NULL) does nothing. A wrapper (fault device) owns what it wraps.
 */
#ifndef BLOCKIO_DEVICE_H
#define BLOCKIO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct device;
struct ioq;
struct ioq_op;

enum device_call { DEVICE_WRITE, DEVICE_ZERO, DEVICE_FLUSH, DEVICE_REREAD };

/* A call that goes through an I/O queue. */
struct device_io {
	struct device *device;
	enum device_call call;
	uint64_t off, len;
	const void *from; /* write */
	void *to;         /* reread */
	int res;          /* when device_start() said that it is over */
};

/* Who does a call that goes through a queue. */
enum device_way {
	DEVICE_BY_CALL, /* a thread of the queue, by the function of struct device_ops */
	DEVICE_BY_OP,   /* the queue, as an operation of its own */
	DEVICE_AT_ONCE, /* the caller: it is memory, and a hand-over would cost more */
};

struct device_ops {
	int (*write)(struct device *d, const void *data, size_t len, uint64_t off, struct err *e);
	/* Zeroes a range: nothing where it is known to be zero, else BLKZEROOUT or a hole, else
	 * written zeros. */
	int (*zero)(struct device *d, uint64_t off, uint64_t len, struct err *e);
	int (*flush)(struct device *d, struct err *e);
	/* Reads what is on the device, past the page cache where there is one to pass. */
	int (*reread)(struct device *d, void *data, size_t len, uint64_t off, struct err *e);
	/* Bytes from ${off} on that are a hole and so read as zero without being read; 0 when there
	 * is none or nobody can know. May be NULL. */
	uint64_t (*hole)(struct device *d, uint64_t off);
	/* May be NULL: DEVICE_BY_CALL, and then the functions above but hole() run on any thread,
	 * several at once for different ranges. */
	enum device_way (*way)(struct device *d, const struct device_io *io, struct ioq_op *ret);
	void (*close)(struct device *d);
};

enum device_kind { DEVICE_BLOCK, DEVICE_FILE, DEVICE_WRAPPER };

struct device_info {
	enum device_kind kind;
	uint64_t size;
	uint32_t logical_sector, physical_sector;
	bool direct; /* reread() uses O_DIRECT; else pages are dropped from the cache first */
	char path[256];
	char serial[96]; /* what --erase names: disk serial or WWN; "file-<device>-<inode>" */
	char model[64];
};

struct device {
	const struct device_ops *ops;
	struct device_info info;
	int flush_error; /* positive errno of the flush that failed, for good */
};

/* Opens for writing after every check of docs/architecture.md "Never the wrong disk": not mounted,
 * not in use (O_EXCL, holders, swap), not read-only, not a partition, flock taken. Each refusal
 * has a name: disk-mounted, disk-in-use, disk-read-only, disk-is-partition, disk-missing,
 * disk-is-own (the system runs from it), disk-not-regular. */
int device_open(const char *path, struct device **ret, struct err *e);
void device_close(struct device *d);
static inline void device_closep(struct device **d)
{
	device_close(*d);
	*d = NULL;
}

/* Facts of a disk without opening it for writing. */
int device_describe(const char *path, struct device_info *ret, struct err *e);

/* First and last MiB are zero (a signature of any kind is a non-zero byte). 1 blank, 0 holds data.
 * ${ret_what}: a word for what seems to be there ("GPT", "MBR", "LVM", "ext4", "data"). */
int device_is_blank(const char *path, const char **ret_what, struct err *e);

/* The checks of device_open() alone; what "receiverctl disks" shows. */
int device_check_usable(const char *path, struct err *e);

static inline int device_write(struct device *d, const void *p, size_t len, uint64_t off,
			       struct err *e)
{
	return d->ops->write(d, p, len, off, e);
}
static inline int device_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	return d->ops->zero(d, off, len, e);
}
static inline int device_reread(struct device *d, void *p, size_t len, uint64_t off, struct err *e)
{
	return d->ops->reread(d, p, len, off, e);
}
static inline uint64_t device_hole(struct device *d, uint64_t off)
{
	return d->ops->hole ? d->ops->hole(d, off) : 0;
}
/* Through here only: it keeps the rule about failed flushes. */
int device_flush(struct device *d, struct err *e);

/* device_queue.c: the same through a queue, which has room. True: it is over, io->res is its
 * result; false: it is over when the queue gives back the address of ${io} as tag, with the result.
 */
bool device_start(struct ioq *q, struct device_io *io);
/* What the result means: 0, or a negative errno with *e filled. Keeps the rule about flushes. */
int device_finish(struct device_io *io, ssize_t res, struct err *e);
/* How device_start() would have it done. */
enum device_way device_way(const struct device_io *io);

/* Fault device for tests: fails, shortens or stops at the N-th call of a kind.
 * Spec "write:7:EIO", "flush:2:EIO", "write:5:kill", "flush:3:kill", "zero:1:ENOSPC"; several with
 * commas between them. Kinds: write, zero, flush, reread. What happens: EIO, ENOSPC, "short" (half
 * is written, then EIO), "kill" (half is written, then SIGKILL; a flush is not begun),
 * "kill-after" (the call is done, then SIGKILL), "flip" (reread gives one wrong bit), "delay=200ms"
 * (the call is done that much later). "*" in place of N is each call of the kind: a slow disk is
 * "write:*:delay=20ms". Calls of one kind wait for each other, those of different kinds do not;
 * calls that come through a queue are counted in the order its threads make them. */
int device_fault_wrap(struct device **d, const char *spec, struct err *e);

#endif
