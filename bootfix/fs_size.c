/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs_size.h"

#include "base/bytes.h"
#include "base/le.h"
#include "disk.h"

#include <string.h>

static void believe(struct vol *v, uint64_t blocks, uint64_t block)
{
	uint64_t size;

	if (!is_power_of_two(block) || block < 512 || block > 65536)
		return;
	/* Larger than its partition: a shrunk or cut disk. Told by size 0, found by the steps. */
	if (!checked_mul(blocks, block, &size) || size > v->size)
		return;
	v->fs_size = size;
	v->fs_block = block;
}

int fs_size(const struct disk *d, struct vol *v, struct err *e)
{
	enum { EXT_64BIT = 0x80 };
	uint8_t sb[2048];
	int r;

	if (v->size < sizeof sb || (!fs_is_ext(v) && strcmp(v->type, "xfs") != 0))
		return 0;
	r = disk_read(d, v->start, sb, sizeof sb, e);
	if (r < 0)
		return r;
	if (fs_is_ext(v)) {
		const uint8_t *s = sb + 1024;
		uint64_t blocks = get_le32(s + 4);
		uint32_t shift = get_le32(s + 24);

		if (get_le32(s + 96) & EXT_64BIT)
			blocks |= (uint64_t)get_le32(s + 0x150) << 32;
		if (shift <= 6)
			believe(v, blocks, UINT64_C(1024) << shift);
	} else {
		believe(v, get_be64(sb + 8), get_be32(sb + 4));
	}
	return 0;
}
