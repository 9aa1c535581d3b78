/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fs_size.h - how large a file system says it is, from its superblock
 *
 * Source   ext: struct ext2_super_block (1024 bytes in, little-endian); xfs: sb_blocksize and
 *          sb_dblocks (big-endian). libblkid 2.38 does not tell.
 * Trust    only believed when it makes sense within the partition; else fs_size stays 0.
 */
#ifndef BOOTFIX_FS_SIZE_H
#define BOOTFIX_FS_SIZE_H

#include "types.h"

/* Fills v->fs_size and v->fs_block for the types it knows. */
int fs_size(const struct disk *d, struct vol *v, struct err *e) __attribute__((warn_unused_result));

/* ext2, ext3, ext4 */
static inline bool fs_is_ext(const struct vol *v)
{
	return v->type[0] == 'e' && v->type[1] == 'x' && v->type[2] == 't' && v->type[3];
}

#endif
