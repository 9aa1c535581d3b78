/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_probe.c - what lies on a view, by libblkid
 *
 * libblkid wants a descriptor and would read through the kernel's cache. It gets a sparse file in
 * memory as large as the view, with copies of the places where signatures and tables are: both
 * ends, and each link of a chain of logical partitions. A signature that it does not see there
 * leaves the content unknown, and what is unknown is copied whole.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "usage_internal.h"

#define HEAD_BYTES (4 * MIB) /* the last second header of LUKS begins here */
#define TAIL_BYTES (2 * MIB)
#define COPY_BYTES (64 * KIB)

static void probe_freep(blkid_probe *p)
{
	if (*p)
		blkid_free_probe(*p);
	*p = NULL;
}

static int copy(struct view *v, int fd, uint64_t off, uint64_t len)
{
	scoped(freep) uint8_t *buf = malloc(COPY_BYTES);

	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < len;) {
		size_t n = len - at < COPY_BYTES ? (size_t)(len - at) : COPY_BYTES;
		int r = view_read(v, buf, n, off + at);

		if (r)
			return r;
		if (!all_zero(buf, n) && pwrite(fd, buf, n, (off_t)(off + at)) != (ssize_t)n)
			return -EIO;
		at += n;
	}
	return 0;
}

/* A sparse copy with both ends of the view. */
static int copy_ends(struct view *v, int *ret)
{
	uint64_t size = view_size(v), head = size < HEAD_BYTES ? size : HEAD_BYTES;
	uint64_t tail = size - head < TAIL_BYTES ? size - head : TAIL_BYTES;
	scoped(close_fdp) int fd = memfd_create("probe", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		return -errno;
	int r = copy(v, fd, 0, head);
	if (!r)
		r = copy(v, fd, size - tail, tail);
	if (!r)
		*ret = take_fd(&fd);
	return r;
}

static int open_probe(int fd, uint32_t sector, blkid_probe *ret)
{
	scoped(probe_freep) blkid_probe p = blkid_new_probe();

	if (!p)
		return -ENOMEM;
	if (blkid_probe_set_sectorsize(p, sector) || blkid_probe_set_device(p, fd, 0, 0))
		return -EIO;
	*ret = take_ptr(&p);
	return 0;
}

/* ---- superblocks ---- */

static int probe_fd(int fd, uint32_t sector, struct content *ret)
{
	const char *word = NULL;
	scoped(probe_freep) blkid_probe p = NULL;
	int r = open_probe(fd, sector, &p);

	if (r)
		return r;
	*ret = (struct content){ 0 };
	(void)blkid_probe_enable_superblocks(p, 1);
	(void)blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE);
	(void)blkid_probe_enable_partitions(p, 0);
	r = blkid_do_safeprobe(p);
	if (r == -2)
		ret->mixed = true;
	else if (r < 0)
		return -EIO;
	else if (!r && !blkid_probe_lookup_value(p, "TYPE", &word, NULL))
		(void)snprintf(ret->type, sizeof ret->type, "%s", word);

	scoped(probe_freep) blkid_probe q = NULL;
	r = open_probe(fd, sector, &q);
	if (r)
		return r;
	(void)blkid_probe_enable_superblocks(q, 0);
	(void)blkid_probe_enable_partitions(q, 1);
	r = blkid_do_safeprobe(q);
	if (r < 0 && r != -2)
		return -EIO;
	ret->table = r != 1;
	return 0;
}

int usage_probe(struct view *v, uint32_t sector, struct content *ret)
{
	scoped(close_fdp) int fd = -1;
	int r = copy_ends(v, &fd);

	return r ? r : probe_fd(fd, sector, ret);
}

/* ---- the table ---- */

#define ENTRY_AT 446u
#define ENTRY_SIZE 16u

static bool is_extended(unsigned type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* The first entry of ${sector} that is an extended partition; NULL when there is none. */
static const uint8_t *extended_entry(const uint8_t *sector)
{
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = sector + ENTRY_AT + (size_t)i * ENTRY_SIZE;

		if (is_extended(p[4]) && get_le32(p + 12))
			return p;
	}
	return NULL;
}

/* libblkid walks the chain of logical partitions: its links are brought into the copy first. */
static int copy_links(struct reading *rd, int fd, uint32_t size, struct part_table *t)
{
	uint8_t sector[512] = { 0 };
	int r = reading_read(rd, sector, sizeof sector, 0);
	const uint8_t *entry =
	    r || get_le16(sector + 510) != 0xaa55 ? NULL : extended_entry(sector);
	uint64_t base = entry ? (uint64_t)get_le32(entry + 8) * size : 0, at = base;

	while (!r && entry) {
		if (t->n_links == sizeof t->links / sizeof *t->links)
			return reading_doubt(rd, "a chain of more logical partitions than 90");
		t->links[t->n_links++] = (struct extent){ .off = at, .len = size };
		r = reading_read(rd, sector, sizeof sector, at);
		if (!r && pwrite(fd, sector, sizeof sector, (off_t)at) != (ssize_t)sizeof sector)
			r = -EIO;
		entry = r || get_le16(sector + 510) != 0xaa55 ? NULL : extended_entry(sector);
		if (entry)
			at = base + (uint64_t)get_le32(entry + 8) * size;
	}
	return r;
}

static int by_begin(const void *a, const void *b)
{
	const struct part_range *x = a, *y = b;

	return x->x.off < y->x.off ? -1 : x->x.off > y->x.off;
}

static int take_partition(struct reading *rd, blkid_partition p, struct part_table *t)
{
	/* libblkid counts in 512 bytes, whatever the sectors are. */
	uint64_t start = (uint64_t)blkid_partition_get_start(p), off;
	uint64_t size = (uint64_t)blkid_partition_get_size(p), len;

	if (blkid_partition_is_extended(p) || !size)
		return 0;
	if (t->n == sizeof t->v / sizeof *t->v)
		return reading_doubt(rd, "more partitions than are looked at");
	if (!checked_mul(start, 512, &off) || !checked_mul(size, 512, &len) ||
	    !extent_within((struct extent){ .off = off, .len = len }, view_size(rd->view)))
		return reading_doubt(rd, "a partition outside of its disk");
	t->v[t->n++] = (struct part_range){ .number = (unsigned)blkid_partition_get_partno(p),
					    .x = { .off = off, .len = len } };
	return 0;
}

/* Entries beside the one that protects a GPT: another table over the same space. */
static bool is_hybrid(const uint8_t sector[static 512])
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned type = sector[ENTRY_AT + i * ENTRY_SIZE + 4];

		if (type && type != 0xee)
			return true;
	}
	return false;
}

/* Two tables on one disk: either could be the one that a system reads. */
static int check_kind(struct reading *rd, const char *kind, uint32_t size)
{
	uint8_t mbr[512] = { 0 }, next[8] = { 0 };
	int r = reading_read(rd, mbr, sizeof mbr, 0);

	if (!r)
		r = reading_read(rd, next, sizeof next, size);
	if (r)
		return r;
	if (!strcmp(kind, "gpt"))
		return is_hybrid(mbr) ? reading_doubt(rd, "a GPT and an MBR beside it") : 0;
	if (strcmp(kind, "dos") != 0)
		return reading_doubt(rd, "a partition table of kind '%.20s'", kind);
	if (!memcmp(next, "EFI PART", 8))
		return reading_doubt(rd, "an MBR and a GPT beside it");
	return 0;
}

static int take_list(struct reading *rd, blkid_probe p, uint32_t size, struct part_table *t)
{
	blkid_partlist list = blkid_probe_get_partitions(p);
	blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
	int n = list ? blkid_partlist_numof_partitions(list) : 0;
	int r;

	if (!table || n < 0)
		return reading_doubt(rd, "no partition table that is understood");
	r = check_kind(rd, blkid_parttable_get_type(table), size);
	for (int i = 0; i < n && !r; i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);

		r = part ? take_partition(rd, part, t)
			 : reading_doubt(rd, "a partition that cannot be read");
	}
	if (r)
		return r;
	qsort(t->v, t->n, sizeof *t->v, by_begin);
	for (unsigned i = 1; i < t->n; i++) {
		if (t->v[i].x.off < t->v[i - 1].x.off + t->v[i - 1].x.len)
			return reading_doubt(rd, "partitions %u and %u overlap", t->v[i - 1].number,
					     t->v[i].number);
	}
	return 0;
}

int usage_table_read(struct reading *rd, uint32_t sector, struct part_table *ret)
{
	scoped(close_fdp) int fd = -1;
	scoped(probe_freep) blkid_probe p = NULL;
	int r = copy_ends(rd->view, &fd);

	*ret = (struct part_table){ 0 };
	if (!r)
		r = copy_links(rd, fd, sector, ret);
	if (!r)
		r = open_probe(fd, sector, &p);
	if (r)
		return r;
	(void)blkid_probe_enable_superblocks(p, 0);
	(void)blkid_probe_enable_partitions(p, 1);
	return take_list(rd, p, sector, ret);
}
