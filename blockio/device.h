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

#include "base/err.h"

struct device;

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

/* Fault device for tests: fails, shortens or stops at the N-th call of a kind.
 * Spec "write:7:EIO", "flush:2:EIO", "write:5:kill", "flush:3:kill", "zero:1:ENOSPC"; several with
 * commas between them. Kinds: write, zero, flush, reread. What happens: EIO, ENOSPC, "short" (half
 * is written, then EIO), "kill" (half is written, then SIGKILL; a flush is not begun),
 * "kill-after" (the call is done, then SIGKILL), "flip" (reread gives one wrong bit), "delay=200ms"
 * (the call is done that much later). "*" in place of N is each call of the kind: a slow disk is
 * "write:*:delay=20ms". */
int device_fault_wrap(struct device **d, const char *spec, struct err *e);

#endif
