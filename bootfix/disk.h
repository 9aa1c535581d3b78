/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disk.h - what is on the disks: sizes, sectors, tables, partitions, file systems
 *
 * How      libblkid's low probe by descriptor: no cache, no udev, and two answers are an answer of
 *          their own (VOL_AMBIGUOUS). A disk is a block device or, for looking only and for tests,
 *          a regular file.
 * Locks    a block device must not be mounted or claimed (refusal "disk-busy"); it is then held by
 *          flock so that udev keeps its hands off.
 * Errors   0, or a negative errno with *e filled.
 */
#ifndef BOOTFIX_DISK_H
#define BOOTFIX_DISK_H

#include "types.h"

/* Opens ${paths}, in the order of the source's disks, and fills g->disks and g->vols. */
int disks_open(struct guest *g, const char *const *paths, size_t n, struct err *e)
    __attribute__((warn_unused_result));

/* Closes and unlocks them; what is known of them stays. */
void disks_close(struct guest *g);

/* The kernel's idea of partition ${number}'s size is brought to what the table on the disk says,
 * without touching its neighbours. Nothing happens where the kernel has no such partition. */
int disk_tell_kernel(const struct disk *d, unsigned number, uint64_t start, uint64_t size,
		     struct err *e) __attribute__((warn_unused_result));

/* Brings the kernel and g->vols to what the tables on the disks say now, where a partition's size
 * has changed. */
int disks_reread(struct guest *g, struct err *e) __attribute__((warn_unused_result));

/* Writes and makes durable. The disk must be a multiple of its sectors, as plan_sectors() checks.
 */
int disk_write(const struct disk *d, uint64_t off, const void *data, size_t len, struct err *e)
    __attribute__((warn_unused_result));

/* What a mounted file system or a tool wrote through the partition's device is not seen by reads of
 * the whole disk until those have forgotten what they knew. */
void disk_forget(const struct disk *d);

/* All of ${len} at ${off}: -EIO for a short read. */
int disk_read(const struct disk *d, uint64_t off, void *data, size_t len, struct err *e)
    __attribute__((warn_unused_result));

#endif
