/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usage_swap.c - a swap area: its header stays, its pages are nobody's after a move */
#include <string.h>

#include "base/bytes.h"
#include "base/le.h"
#include "usage_internal.h"

/* The header is one page, of the machine that made it; a boot loader may lie before it. */
#define KEEP MIB
#define MAGIC "SWAPSPACE2"
#define MAGIC_LEN 10u
#define LAST_PAGE 0x404u /* after 1024 bytes for a boot sector and a version */

static bool find_page_size(struct reading *rd, uint32_t *ret)
{
	uint8_t magic[MAGIC_LEN] = { 0 };

	for (uint32_t page = 4096; page <= 65536; page *= 2) {
		if (view_read(rd->view, magic, sizeof magic, page - MAGIC_LEN))
			return false;
		if (!memcmp(magic, MAGIC, sizeof magic)) {
			*ret = page;
			return true;
		}
	}
	return false;
}

/* The header is in the byte order of the machine; the last page tells which. */
static bool last_page_fits(uint32_t last, uint32_t page, uint64_t size)
{
	return last > 0 && ((uint64_t)last + 1) * page <= size;
}

int usage_swap_read(struct reading *rd)
{
	uint8_t last[4] = { 0 }, version[4] = { 0 };
	uint32_t page = 0;
	int r;

	/* An image of hibernation carries another signature here. */
	if (!find_page_size(rd, &page))
		return reading_doubt(rd, "its signature is not that of plain swap space");
	r = reading_read(rd, version, sizeof version, 0x400);
	if (!r)
		r = reading_read(rd, last, sizeof last, LAST_PAGE);
	if (r)
		return r;
	uint32_t end = get_le32(last);
	if (get_le32(version) != 1) {
		end = get_be32(last);
		if (get_be32(version) != 1)
			return reading_doubt(rd, "swap space of an unknown version");
	}
	if (!last_page_fits(end, page, view_size(rd->view)))
		return reading_doubt(rd, "swap space that ends past its partition");
	uint64_t size = ((uint64_t)end + 1) * page;
	if (size <= KEEP)
		return 0;
	return reading_free(rd, (struct extent){ .off = KEEP, .len = size - KEEP });
}
