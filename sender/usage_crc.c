/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usage_crc.h"

#include <ext2fs/ext2fs.h>

uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	return ext2fs_crc32c_le(crc, p, len);
}
