/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_internal.h - between usage.c and the readers of each kind of content
 *
 * Shape   a reader gets a view and what is known of those who could write to it. It adds free
 *         ranges to the reading, which maps them to the disk. It answers 0, or a negative errno
 *         with words in ${why}: then all that it added is forgotten.
 * Order   ranges are best given in rising order: the set grows at its end.
 */
#ifndef SENDER_USAGE_INTERNAL_H
#define SENDER_USAGE_INTERNAL_H

#include "usage.h"
#include "view.h"

/* Who can change the content while we look. */
enum stillness {
	STILL_IDLE,      /* nobody has it mounted or claimed */
	STILL_READ_ONLY, /* mounted, and the file system itself is read-only */
	STILL_FROZEN,    /* mounted, and frozen by us */
	STILL_NOT,       /* mounted for writing, synced a moment ago */
};

struct reading {
	struct view *view;
	enum stillness still;
	uint64_t grain;
	struct extent_set *free; /* bytes of the disk */
	char why[USAGE_WHY];
};

/* More ranges than this are thinned out, the shortest first. */
#define FREE_RANGES_MAX ((size_t)1 << 20)

/* ${x}: bytes of the view. Both forget what lies outside the view only by -ERANGE. */
int reading_free(struct reading *rd, struct extent x);
int reading_used(struct reading *rd, struct extent x);
/* -EUCLEAN, with words. */
int reading_doubt(struct reading *rd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* view_read() with words. */
int reading_read(struct reading *rd, void *buf, size_t len, uint64_t off);

int usage_ext_read(struct reading *rd);
int usage_xfs_read(struct reading *rd);
/* The log of a frozen or unmounted file system says that its maps are complete on the disk. */
struct xfs_geometry;
int usage_xfs_log_check(struct reading *rd, const struct xfs_geometry *g);
int usage_btrfs_read(struct reading *rd);
int usage_swap_read(struct reading *rd);

/* ---- usage_probe.c: what lies where, by libblkid over copies of the ends of a view ---- */

struct content {
	char type[24]; /* libblkid's word; empty when nothing was recognised */
	bool mixed;    /* signatures of more than one kind */
	bool table;    /* a partition table */
};

int usage_probe(struct view *v, uint32_t sector, struct content *ret);

struct part_range {
	unsigned number;
	struct extent x;
};

struct part_table {
	struct part_range v[USAGE_PARTS_MAX / 2];
	unsigned n;
	struct extent links[USAGE_PARTS_MAX / 2]; /* links of the chain of logical partitions */
	unsigned n_links;
};

/* The table of the whole disk, sorted. -EUCLEAN with words when it is not one that is understood
 * to its end. */
int usage_table_read(struct reading *rd, uint32_t sector, struct part_table *ret);

/* ---- usage_state.c: what the kernel says of a device ---- */

/* Of the device ${name}, of a partition or a whole disk or a volume. ${type}: what was found on it.
 * Syncs a file system that is mounted for writing in a live round. -EUCLEAN with words in ${why}
 * when others could be writing to it whom we cannot hold. */
int usage_state(const char *name, const char *type, const struct usage_context *c,
		enum stillness *ret, char why[static USAGE_WHY]);
/* The kernel's name of the partition at ${x} of disk ${disk}: 1, or 0 when there is none. */
int usage_state_partition(const char *disk, struct extent x, char ret[static 64]);
/* False, with words: the kernel has partitions of ${disk} that are not in ${t}. */
bool usage_state_agrees(const char *disk, const struct part_table *t, char why[static USAGE_WHY]);
/* A loop device lies over ${disk} or a partition of it, or might. */
bool usage_state_looped(const char *disk);
/* Nothing uses physical volume ${name} but mapped devices whose identities begin with ${prefix}. */
bool usage_state_only_lvm(const char *name, const char *prefix);
/* The mapped device of a logical volume ("LVM-" and both identities): false when not active. */
bool usage_state_mapped(const char *uuid, char ret[static 64]);

/* ---- usage_lvm.c ---- */

#define LVM_VOLUMES_MAX 64

struct lvm_volume {
	char name[128];    /* "group/volume" */
	char uuid[72];     /* as in /sys/block/dm-N/dm/uuid */
	struct view *view; /* NULL: not one plain run of pieces of this disk */
};

struct lvm_group {
	char uuid[40]; /* "LVM-" and its identity: how those of its mapped devices begin */
	struct lvm_volume v[LVM_VOLUMES_MAX];
	unsigned n;
};

/* Free extents of the physical volume go to ${rd}; its plain volumes to ${ret}. */
int usage_lvm_read(struct reading *rd, struct source *s, struct lvm_group *ret);
void usage_lvm_release(struct lvm_group *g);

#endif
