/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table.h - new partition tables, computed beside the disk; the only user of libparted
 *
 * How      libparted works on a sparse copy in memory that holds the table's sectors and nothing
 *          else; what it changed there is handed back as runs of whole sectors. The disk itself is
 *          never given to libparted, so that a plan writes nothing and undo has exact old bytes.
 * Why      libparted edits in place: partition ids, attributes and names survive, where delete and
 *          create (sgdisk, growpart) lose them.
 * Errors   0, or a negative errno with *e filled; ERR_GUEST for a table libparted will not take.
 */
#ifndef BOOTFIX_TABLE_H
#define BOOTFIX_TABLE_H

#include "types.h"

struct table_change {
	uint64_t off; /* bytes from the start of the disk */
	struct buf data;
};

struct table_changes {
	struct table_change *v; /* last on the disk first: a GPT's backup before its primary */
	size_t n;
	uint64_t grown_end; /* where the grown partition ends, or 0 */
};

void table_changes_free(struct table_changes *c);

/* Moves the backup header to the end of disk ${d}, when it is not there; and when ${grow} is a
 * partition number, grows that one to the end. Nothing to do: no changes. */
int table_compute(const struct disk *d, unsigned grow, struct table_changes *ret, struct err *e)
    __attribute__((warn_unused_result));

#endif
