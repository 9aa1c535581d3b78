/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sysfs.h - what the kernel says about block devices and mounts, read from its text files
 *
 * Errors  absent or strange text gives false, 0 or the default: these are facts for people and for
 *         choosing, never for trust.
 */
#ifndef SENDER_SYSFS_H
#define SENDER_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "sda1" of 8:1. */
bool sysfs_name(dev_t dev, char ret[static 64]);
/* First line of /sys/class/block/NAME/ATTR, without spaces at its ends. */
bool sysfs_text(const char *name, const char *attr, char *ret, size_t room);
int64_t sysfs_number(const char *name, const char *attr, int64_t otherwise);
/* Serial number or WWN, from the places where drivers put it. */
bool sysfs_serial(const char *name, char ret[static 96]);

/* Whole disks that ${dev} lies on: through partitions, mappings and arrays. */
unsigned sysfs_disks_below(dev_t dev, char ret[][64], unsigned max);

struct mounted {
	char source[256], point[256], type[32], options[256];
	dev_t dev; /* of the block device below, also where the file system hides it (btrfs) */
	bool writable;
};
/* The next block-backed mount: call with *${at} = 0 first. The list is that of our namespace. */
bool sysfs_next_mount(unsigned *at, struct mounted *ret);
bool sysfs_mount_device(const char *point, dev_t *ret);

/* A whole small file of any kind as text; false when it cannot be read. */
bool read_text(const char *path, char *ret, size_t room);

#endif
