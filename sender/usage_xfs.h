/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usage_xfs.h - the shape of an xfs, as its checked superblock says */
#ifndef SENDER_USAGE_XFS_H
#define SENDER_USAGE_XFS_H

#include <stdbool.h>
#include <stdint.h>

struct xfs_geometry {
	bool v5; /* with checksums */
	uint32_t block, sector;
	uint64_t blocks; /* of the data section */
	uint32_t ag_blocks, ag_count;
	uint8_t ag_log;
	uint64_t log_start; /* byte of the view where the log begins */
	uint64_t log_len;   /* bytes */
	uint8_t uuid[16];   /* in metadata blocks */
};

#endif
