/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_xfs.c - free blocks of xfs: in each allocation group the tree of free space by block
 *
 * A tree is believed when each of its blocks carries magic, level and (version 5) checksum,
 * identity and owner, when its ranges rise, and when their sum and the longest of them are what
 * the group's header says. Blocks of the trees themselves and of the group's free list are in no
 * free range.
 */
#include "usage_xfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "usage_crc.h"
#include "usage_internal.h"

#define SUPER_MAGIC 0x58465342u  /* XFSB */
#define AGF_MAGIC 0x58414746u    /* XAGF */
#define TREE_MAGIC_4 0x41425442u /* ABTB */
#define TREE_MAGIC_5 0x41423342u /* AB3B */
#define LEVELS_MAX 9

/* ftype, sparse inodes, own metadata uuid, big timestamps, large extent counters, exchange of
 * ranges, parent pointers: none changes what free space is. A need of repair is not among them. */
#define INCOMPAT_KNOWN (0x1u | 0x2u | 0x4u | 0x8u | 0x20u | 0x40u | 0x80u)
#define INCOMPAT_META_UUID 0x4u
/* Trees of free inodes, of owners, of shared blocks; counts of inode blocks. */
#define RO_COMPAT_KNOWN (0x1u | 0x2u | 0x4u | 0x8u)

/* Little-endian, unlike all the rest, and zero while it is made. */
static bool crc_holds(uint8_t *p, size_t len, size_t at)
{
	uint32_t want = get_le32(p + at);

	memset(p + at, 0, 4);
	return ~crc32c(UINT32_MAX, p, len) == want;
}

static int check_super(struct reading *rd, uint8_t *sb, struct xfs_geometry *g)
{
	unsigned version = get_be16(sb + 100);

	g->v5 = (version & 15u) == 5;
	if (get_be32(sb) != SUPER_MAGIC || (!g->v5 && (version & 15u) != 4) || sb[126])
		return reading_doubt(rd, "no superblock of version 4 or 5");
	memcpy(g->uuid, sb + 32, 16);
	if (!g->v5)
		return 0;
	uint32_t incompat = get_be32(sb + 216), ro = get_be32(sb + 212);
	if (incompat & ~INCOMPAT_KNOWN || ro & ~RO_COMPAT_KNOWN)
		return reading_doubt(rd,
				     "it has features that are not known here, or needs repair");
	if (incompat & INCOMPAT_META_UUID)
		memcpy(g->uuid, sb + 248, 16);
	if (!crc_holds(sb, g->sector, 224))
		return reading_doubt(rd, "the checksum of its superblock is wrong");
	return 0;
}

static bool shape_fits(const struct xfs_geometry *g, const uint8_t *sb, uint64_t size)
{
	unsigned block_log = sb[120], sector_log = sb[121];
	uint64_t bytes, tail;

	if (block_log < 9 || block_log > 16 || g->block != UINT32_C(1) << block_log)
		return false;
	if (sector_log < 9 || sector_log > 15 || g->sector != UINT32_C(1) << sector_log ||
	    g->sector > g->block)
		return false;
	if (!g->ag_count || g->ag_blocks < 16 || g->ag_log > 31 ||
	    g->ag_blocks > UINT32_C(1) << g->ag_log)
		return false;
	tail = (uint64_t)(g->ag_count - 1) * g->ag_blocks;
	return checked_mul(g->blocks, g->block, &bytes) && bytes <= size && g->blocks > tail &&
	       g->blocks - tail <= g->ag_blocks;
}

static int locate_log(struct reading *rd, const uint8_t *sb, struct xfs_geometry *g)
{
	uint64_t start = get_be64(sb + 48), len = get_be32(sb + 96);
	uint64_t group = start >> g->ag_log, in = start & ((UINT64_C(1) << g->ag_log) - 1);
	uint64_t first = group * g->ag_blocks + in;

	if (!start)
		return reading_doubt(rd, "its log is on another device");
	if (group >= g->ag_count || in >= g->ag_blocks || !len || len > g->blocks ||
	    first > g->blocks - len)
		return reading_doubt(rd, "its log lies outside of it");
	g->log_start = first * g->block;
	g->log_len = len * g->block;
	return 0;
}

static int read_super(struct reading *rd, struct xfs_geometry *g)
{
	uint8_t head[512] = { 0 };
	int r = reading_read(rd, head, sizeof head, 0);

	if (r)
		return r;
	g->block = get_be32(head + 4);
	g->blocks = get_be64(head + 8);
	g->ag_blocks = get_be32(head + 84);
	g->ag_count = get_be32(head + 88);
	g->sector = get_be16(head + 102);
	g->ag_log = head[124];
	if (!shape_fits(g, head, view_size(rd->view)))
		return reading_doubt(rd, "its superblock makes no sense, or not in this partition");
	scoped(freep) uint8_t *sb = malloc(g->sector);
	if (!sb)
		return -ENOMEM;
	r = reading_read(rd, sb, g->sector, 0);
	if (!r)
		r = check_super(rd, sb, g);
	return r ? r : locate_log(rd, head, g);
}

/* ---- one allocation group ---- */

struct group {
	struct reading *rd;
	const struct xfs_geometry *g;
	uint32_t n, blocks;
	uint64_t base;         /* byte of the view */
	uint32_t root, levels; /* of the tree by block */
	uint32_t free, longest;
	uint32_t sum, seen_longest; /* of the ranges so far */
	uint32_t last;              /* the end of the last range */
};

static int bad_group(const struct group *a, const char *what)
{
	return reading_doubt(a->rd, "allocation group %u: %s", a->n, what);
}

static int read_header(struct group *a)
{
	scoped(freep) uint8_t *p = malloc(a->g->sector);
	int r;

	if (!p)
		return -ENOMEM;
	r = reading_read(a->rd, p, a->g->sector, a->base + a->g->sector);
	if (r)
		return r;
	if (get_be32(p) != AGF_MAGIC || get_be32(p + 4) != 1 || get_be32(p + 8) != a->n ||
	    get_be32(p + 12) != a->blocks)
		return bad_group(a, "no header of free space");
	a->root = get_be32(p + 16);
	a->levels = get_be32(p + 28);
	a->free = get_be32(p + 52);
	a->longest = get_be32(p + 56);
	if (!a->levels || a->levels > LEVELS_MAX || a->free > a->blocks)
		return bad_group(a, "its header makes no sense");
	if (!a->g->v5)
		return 0;
	if (memcmp(p + 64, a->g->uuid, 16) != 0 || !crc_holds(p, a->g->sector, 216))
		return bad_group(a, "its header has a wrong checksum or identity");
	return 0;
}

/* A block of the tree, checked. */
static int read_node(struct group *a, uint32_t at, unsigned level, uint8_t *p, uint32_t *ret_n)
{
	const struct xfs_geometry *g = a->g;
	size_t head = g->v5 ? 56 : 16;
	uint64_t off = a->base + (uint64_t)at * g->block, most;
	int r;

	if (at < 1 || at >= a->blocks)
		return bad_group(a, "a tree that leads outside");
	r = reading_read(a->rd, p, g->block, off);
	if (r)
		return r;
	if (get_be32(p) != (g->v5 ? TREE_MAGIC_5 : TREE_MAGIC_4) || get_be16(p + 4) != level)
		return bad_group(a, "a tree with a foreign block");
	most = (g->block - head) / (level ? 12 : 8);
	*ret_n = get_be16(p + 6);
	/* Only a root that is a leaf may be empty. */
	if (*ret_n > most || (!*ret_n && (level || a->levels > 1)))
		return bad_group(a, "a tree with a block of a strange size");
	if (!g->v5)
		return 0;
	if (get_be64(p + 16) != off / 512 || memcmp(p + 32, g->uuid, 16) != 0 ||
	    get_be32(p + 48) != a->n || !crc_holds(p, g->block, 52))
		return bad_group(a, "a tree block with a wrong checksum or identity");
	return 0;
}

static int take_range(struct group *a, uint32_t first, uint32_t n)
{
	uint64_t bs = a->g->block;

	if (!n || first < a->last || first >= a->blocks || n > a->blocks - first ||
	    n > a->free - a->sum)
		return bad_group(a, "free ranges that overlap or lie outside");
	/* Neighbours would have been joined. */
	if (first == a->last && a->sum)
		return bad_group(a, "free ranges that touch");
	a->last = first + n;
	a->sum += n;
	if (n > a->seen_longest)
		a->seen_longest = n;
	return reading_free(a->rd, (struct extent){ .off = a->base + first * bs, .len = n * bs });
}

/* Bounded: every leaf has a range, ranges rise, and their sum has an end. */
static int walk(struct group *a, uint32_t at, unsigned level)
{
	scoped(freep) uint8_t *p = malloc(a->g->block);
	size_t head = a->g->v5 ? 56 : 16, most = (a->g->block - head) / 12;
	uint32_t n = 0;
	int r;

	if (!p)
		return -ENOMEM;
	r = read_node(a, at, level, p, &n);
	for (uint32_t i = 0; i < n && !r; i++) {
		const uint8_t *rec = p + head + (size_t)8 * i;

		if (level)
			r = walk(a, get_be32(p + head + 8 * most + (size_t)4 * i), level - 1);
		else
			r = take_range(a, get_be32(rec), get_be32(rec + 4));
	}
	return r;
}

static int one_group(struct reading *rd, const struct xfs_geometry *g, uint32_t n)
{
	uint64_t first = (uint64_t)n * g->ag_blocks, left = g->blocks - first;
	struct group a = { .rd = rd,
			   .g = g,
			   .n = n,
			   .base = first * g->block,
			   .blocks = left < g->ag_blocks ? (uint32_t)left : g->ag_blocks };
	int r = read_header(&a);

	if (!r)
		r = walk(&a, a.root, a.levels - 1);
	if (!r && (a.sum != a.free || a.seen_longest != a.longest))
		r = bad_group(&a, "its free space is not what its header says");
	if (r == -EUCLEAN && rd->still == STILL_NOT) {
		/* It is being changed: all of it counts as used this time. */
		rd->why[0] = 0;
		return reading_used(
		    rd, (struct extent){ .off = a.base, .len = (uint64_t)a.blocks * g->block });
	}
	return r;
}

int usage_xfs_read(struct reading *rd)
{
	struct xfs_geometry g = { 0 };
	int r = read_super(rd, &g);

	if (!r && rd->still != STILL_NOT)
		r = usage_xfs_log_check(rd, &g);
	for (uint32_t n = 0; n < g.ag_count && !r; n++)
		r = one_group(rd, &g, n);
	return r;
}
