/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * device_internal.h - what the device_*.c files share, and nobody else sees
 */
#ifndef BLOCKIO_DEVICE_INTERNAL_H
#define BLOCKIO_DEVICE_INTERNAL_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "device.h"

/*
 * A block device is written past the page cache where offsets and lengths allow it, a regular file
 * through it; both are re-read past it.
 *
 * fd has the lock and the O_EXCL of the disk, and is the one that a queue writes: a writer that was
 * killed keeps the disk locked until its last write in the kernel is over.
 */
struct device_fd {
	struct device base;
	int fd;          /* O_DIRECT when writes_direct */
	int page_fd;     /* writes through the page cache; fd itself unless writes_direct */
	int direct_fd;   /* reads; -1: O_DIRECT does not work here */
	uint8_t *bounce; /* DEVICE_BOUNCE bytes, page-aligned */
	bool writes_direct;
	bool in_memory; /* tmpfs: a flush does nothing */
};

#define DEVICE_BOUNCE (1 * MIB)
#define DEVICE_ALIGN 4096

/* Where the facts about disks are read; tests point it at a made-up tree. */
struct device_facts {
	const char *mountinfo; /* "/proc/self/mountinfo" */
	const char *swaps;     /* "/proc/swaps" */
	const char *sys_block; /* "/sys/dev/block" */
	const char *sys_class; /* "/sys/block" */
};
extern const struct device_facts device_facts_live;

/* device_check.c: all that can be said without opening for writing. ${path} names ${st}. */
int device_check_block(const struct device_facts *f, const char *path, dev_t dev, struct err *e);
int device_check_file(const struct device_facts *f, const char *path, const struct stat *st,
		      struct err *e);

/* device_sysfs.c: serial, model and sectors of a whole disk; fields that are not there stay. */
void device_sysfs_describe(const struct device_facts *f, dev_t dev, struct device_info *info);
/* Reads one small file of a sysfs folder into ${ret} without its newline; false when absent. */
bool device_sysfs_read(const char *dir, const char *name, char *ret, size_t room);

/* device_block.c, device_file.c: take ${fd} when they return 0. */
int device_block_new(int fd, const struct device_info *info, struct device **ret, struct err *e);
int device_file_new(int fd, const struct device_info *info, struct device **ret, struct err *e);

/* device_fd.c: what both have in common. */
int device_fd_new(int fd, const struct device_info *info, const struct device_ops *ops,
		  struct device **ret, struct err *e);
int device_fd_write(struct device *d, const void *data, size_t len, uint64_t off, struct err *e);
int device_fd_write_zeros(struct device *d, uint64_t off, uint64_t len, struct err *e);
int device_fd_flush(struct device *d, struct err *e);
int device_fd_reread(struct device *d, void *data, size_t len, uint64_t off, struct err *e);
enum device_way device_fd_way(struct device *d, const struct device_io *io, struct ioq_op *ret);
void device_fd_close(struct device *d);
struct device_fd *device_fd_of(struct device *d);
/* The threads of a queue look at it while the writer's thread sets it. */
static inline int device_flush_error(const struct device *d)
{
	return __atomic_load_n(&d->flush_error, __ATOMIC_RELAXED);
}

static inline void device_set_flush_error(struct device *d, int sys)
{
	__atomic_store_n(&d->flush_error, sys, __ATOMIC_RELAXED);
}

/* -EIO and kin as ERR_DISK with disk, offset and cause; also for a disk that refused before. */
int device_error(struct device *d, int sys, const char *what, uint64_t off, struct err *e);

#endif
