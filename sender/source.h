/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * source.h - one source disk, read-only by construction
 *
 * Rule    source.c is the only place of the sender that opens a disk. It opens with O_RDONLY, and
 *         no function here or elsewhere in the sender takes its descriptor: there is no way to
 *         write to a source. Block devices are read with O_DIRECT, because pages that an earlier
 *         round left in the device's cache may be older than what a file system wrote since.
 * Units   bytes.
 * Errors  ERR_DISK with the disk, the offset and the cause for a read that fails; nothing is
 *         skipped silently. ERR_REFUSED with a name for what is not a whole disk.
 * Threads the reads from any thread; source_extent() from one at a time.
 */
#ifndef SENDER_SOURCE_H
#define SENDER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "ioq.h"

#define SOURCE_ALIGN 4096 /* of buffers, for O_DIRECT */

struct source;

enum source_kind { SOURCE_BLOCK, SOURCE_FILE };

struct source_info {
	enum source_kind kind;
	uint64_t size;
	uint32_t logical_sector, physical_sector;
	char path[256];
	char name[64]; /* kernel name of a block device ("sda"); empty for a file */
	char serial[96];
	char model[64];
	bool rotational;
};

/* Whole disk or regular file. Refusals: source-is-partition, source-not-a-disk, source-empty,
 * source-size (larger than the wire can say). */
int source_open(const char *path, struct source **ret, struct err *e);
void source_close(struct source *s);
static inline void source_closep(struct source **s)
{
	source_close(*s);
	*s = NULL;
}

const struct source_info *source_info(const struct source *s);

/* Reads exactly ${len} bytes at ${off}, inside the disk, into a buffer aligned to SOURCE_ALIGN. */
int source_read(struct source *s, void *buf, size_t len, uint64_t off, struct err *e);

/* The same, but for the waiting: ${buf} is ${q}'s until the completion with ${tag} is there, and
 * what that says goes to source_read_end(). As ioq_submit(). */
int source_read_begin(struct source *s, struct ioq *q, void *buf, size_t len, uint64_t off,
		      uint64_t tag);
int source_read_end(struct source *s, ssize_t res, size_t len, uint64_t off, struct err *e);
/* It will be read soon: the kernel fetches of a file what it does not have. Advice only. */
void source_will_read(struct source *s, uint64_t off, size_t len);

/* What lies at ${off}: *ret_hole and where that ends (at most the disk's end). A disk that knows
 * no holes is one range of data. */
int source_extent(struct source *s, uint64_t off, bool *ret_hole, uint64_t *ret_end, struct err *e);

/* Does anybody have the image file open for writing, another process or a loop device? 0: nobody,
 * 1: somebody; a negative errno when it cannot be told, always so for a block device. */
int source_has_writer(const struct source *s);
/* Has anybody the block device ${name}, of this number, for himself: a mount in any namespace, a
 * mapping, an array, swap? 0: nobody, 1: somebody, or a negative errno. */
int source_claimed(const char *name, dev_t dev);

/* A mark that changes when the content of an image file does (time of change, size). False for
 * block devices: nothing tells for sure. */
bool source_stamp(const struct source *s, uint64_t ret[static 4]);

/* What other programs wrote to the disk itself and the kernel still holds goes to the disk. Nothing
 * of ours is written. */
int source_flush(struct source *s, struct err *e);

/* The kernel's trace of a block device (trace_disk.h): each call is the ioctl of its name; 0 or a
 * negative errno. They change nothing on the disk. */
struct blk_user_trace_setup;
int source_trace_setup(struct source *s, struct blk_user_trace_setup *setup);
int source_trace_start(struct source *s);
/* Stops it, if it runs, and removes it. */
int source_trace_teardown(struct source *s);

/* "sda", "vdb", "nvme0n1", ...: whole disks of this machine that can be moved, in kernel order;
 * no loop, ram, optical, floppy, mapped or assembled devices. Returns how many, at most ${max};
 * -ENOSPC (in *e too) when there are more. */
int source_list(char names[][64], unsigned max, struct err *e);
/* The kernel name of the whole disk that holds the root file system; false when not found. */
bool source_root_disk(char ret[static 64]);

#endif
