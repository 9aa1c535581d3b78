/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_btrfs.c - space of a btrfs device that no chunk was made of
 *
 * Inside a chunk everything counts as used. Chunks alone are enough to prove the rest: the tree of
 * chunks is copied on write, the superblock names its root, and what no chunk covers has no logical
 * address. What is free inside chunks would need the whole tree of extents, which is large, changes
 * all the time, and refers to space that an older superblock may still use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "usage_crc.h"
#include "usage_internal.h"

#define SUPER_OFF (64 * KIB)
#define SUPER_LEN 4096u
#define SUPER_KEEP (64 * KIB) /* around each copy of the superblock */
#define RESERVED MIB          /* the beginning of a device is never allocated */
#define NODE_HEAD 101u
#define ITEM_LEN 25u
#define POINTER_LEN 33u
#define KEY_LEN 17u
#define CHUNK_HEAD 48u
#define STRIPE_LEN 32u
#define NODE_MAX 65536u
#define KEY_CHUNK 228u
#define TREE_OF_CHUNKS 3u
#define LEVELS_MAX 8u
#define CHUNKS_MAX (1u << 20)
#define SYSTEM_MAX 64u
#define NODES_MAX 65536u

#define PROFILES (0x8u | 0x10u | 0x20u | 0x40u | 0x80u | 0x100u | 0x200u | 0x400u)
#define PROFILE_DUP 0x20u
#define FLAG_SEEDING (UINT64_C(1) << 32)
#define FLAG_DUMP ((UINT64_C(1) << 33) | (UINT64_C(1) << 34))
/* References, default subvolume, mixed groups, compression, large nodes and names, skinny extents,
 * no holes: none changes what a chunk is. */
#define INCOMPAT_KNOWN UINT64_C(0x37f)

struct chunk {
	uint64_t logical, len;
	uint64_t at[2]; /* on the device */
	unsigned stripes;
};

struct tree {
	struct reading *rd;
	uint8_t fsid[16];
	uint64_t size; /* of the device */
	uint64_t devid;
	uint32_t node;
	struct chunk system[SYSTEM_MAX];
	unsigned n_system;
	unsigned nodes, chunks;
	uint64_t covered;            /* bytes of all stripes */
	uint64_t last_key;           /* logical address of the last chunk, plus one */
	struct extent_set allocated; /* bytes of the view */
};

static bool crc_holds(const uint8_t *p, size_t len)
{
	return ~crc32c(UINT32_MAX, p + 32, len - 32) == get_le32(p);
}

/* ---- chunks ---- */

/* ${p}: a chunk item of ${len} bytes whose key has ${logical} as offset. */
static int parse_chunk(struct tree *t, const uint8_t *p, size_t len, uint64_t logical,
		       struct chunk *ret, size_t *ret_len)
{
	if (len < CHUNK_HEAD + STRIPE_LEN)
		return reading_doubt(t->rd, "a chunk that is cut off");
	unsigned n = get_le16(p + 44);
	uint64_t type = get_le64(p + 24), end;
	*ret = (struct chunk){ .logical = logical, .len = get_le64(p), .stripes = n };

	if (type & PROFILES & ~(uint64_t)PROFILE_DUP)
		return reading_doubt(t->rd, "it is spread over devices");
	if (n != (type & PROFILE_DUP ? 2u : 1u) || len < CHUNK_HEAD + n * STRIPE_LEN)
		return reading_doubt(t->rd, "a chunk with %u stripes", n);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *s = p + CHUNK_HEAD + (size_t)i * STRIPE_LEN;

		ret->at[i] = get_le64(s + 8);
		if (get_le64(s) != t->devid)
			return reading_doubt(t->rd, "it lies on more than one device");
		if (!extent_within((struct extent){ .off = ret->at[i], .len = ret->len }, t->size))
			return reading_doubt(t->rd, "a chunk outside of its device");
	}
	if (!ret->len || !checked_add(logical, ret->len, &end))
		return reading_doubt(t->rd, "a chunk without an end");
	*ret_len = CHUNK_HEAD + (size_t)n * STRIPE_LEN;
	return 0;
}

static int parse_system(struct tree *t, const uint8_t *sb)
{
	uint32_t len = get_le32(sb + 160);
	const uint8_t *p = sb + 811;

	if (len > 2048)
		return reading_doubt(t->rd, "its list of system chunks is too long");
	while (len) {
		size_t used = 0;
		int r;

		if (len < KEY_LEN || p[8] != KEY_CHUNK || t->n_system == SYSTEM_MAX)
			return reading_doubt(t->rd, "its list of system chunks makes no sense");
		r = parse_chunk(t, p + KEY_LEN, len - KEY_LEN, get_le64(p + 9),
				&t->system[t->n_system++], &used);
		if (r)
			return r;
		p += KEY_LEN + used;
		len -= (uint32_t)(KEY_LEN + used);
	}
	return 0;
}

static int add_chunk(struct tree *t, const struct chunk *c)
{
	int r = 0;

	for (unsigned i = 0; i < c->stripes && !r; i++) {
		struct extent x = { .off = c->at[i], .len = c->len };

		if (extent_set_overlaps(&t->allocated, x))
			return reading_doubt(t->rd, "chunks that overlap");
		t->covered += x.len;
		r = extent_set_add(&t->allocated, x);
	}
	return r;
}

/* ---- the tree ---- */

static int read_node(struct tree *t, uint64_t logical, uint64_t generation, unsigned level,
		     uint8_t *p)
{
	for (unsigned i = 0; i < t->n_system; i++) {
		const struct chunk *c = &t->system[i];

		if (logical < c->logical || logical - c->logical >= c->len)
			continue;
		uint64_t in = logical - c->logical;
		if (c->len - in < t->node)
			break;
		int r = reading_read(t->rd, p, t->node, c->at[0] + in);
		if (r)
			return r;
		if (!crc_holds(p, t->node) || get_le64(p + 48) != logical ||
		    memcmp(p + 32, t->fsid, 16) != 0 || get_le64(p + 80) != generation ||
		    get_le64(p + 88) != TREE_OF_CHUNKS || p[100] != level)
			return reading_doubt(t->rd, "a block of its chunk tree is damaged");
		return 0;
	}
	return reading_doubt(t->rd, "its chunk tree leads outside");
}

static int take_leaf(struct tree *t, const uint8_t *p, uint32_t n)
{
	if (n > (t->node - NODE_HEAD) / ITEM_LEN)
		return reading_doubt(t->rd, "a leaf with %u items", n);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *item = p + NODE_HEAD + (size_t)i * ITEM_LEN;
		uint64_t off = (uint64_t)get_le32(item + 17) + NODE_HEAD,
			 logical = get_le64(item + 9);
		uint32_t len = get_le32(item + 21);
		struct chunk c;
		size_t used;

		if (item[8] != KEY_CHUNK)
			continue;
		if (off > t->node || len > t->node - off)
			return reading_doubt(t->rd, "an item outside of its leaf");
		if (logical < t->last_key || ++t->chunks > CHUNKS_MAX)
			return reading_doubt(t->rd, "chunks out of order");
		int r = parse_chunk(t, p + off, len, logical, &c, &used);
		if (!r)
			r = add_chunk(t, &c);
		if (r)
			return r;
		t->last_key = logical + 1;
	}
	return 0;
}

static int walk(struct tree *t, uint64_t logical, uint64_t generation, unsigned level)
{
	scoped(freep) uint8_t *p = calloc(1, NODE_MAX);
	int r;

	if (!p)
		return -ENOMEM;
	if (++t->nodes > NODES_MAX)
		return reading_doubt(t->rd, "its chunk tree has no end");
	r = read_node(t, logical, generation, level, p);
	uint32_t n = r ? 0 : get_le32(p + 96);

	if (!r && !level)
		return take_leaf(t, p, n);
	if (n > (t->node - NODE_HEAD) / POINTER_LEN)
		return reading_doubt(t->rd, "a node with %u pointers", n);
	for (uint32_t i = 0; i < n && !r; i++) {
		const uint8_t *ptr = p + NODE_HEAD + (size_t)i * POINTER_LEN + KEY_LEN;

		r = walk(t, get_le64(ptr), get_le64(ptr + 8), level - 1);
	}
	return r;
}

/* ---- the superblock ---- */

static int check_super(struct tree *t, const uint8_t *sb)
{
	uint64_t flags = get_le64(sb + 56);

	if (memcmp(sb + 64, "_BHRfS_M", 8) != 0 || get_le64(sb + 48) != SUPER_OFF)
		return reading_doubt(t->rd, "no superblock where it should be");
	if (get_le16(sb + 196) != 0)
		return reading_doubt(t->rd, "its checksums are not CRC-32C");
	if (!crc_holds(sb, SUPER_LEN))
		return reading_doubt(t->rd, "the checksum of its superblock is wrong");
	if (flags & (FLAG_SEEDING | FLAG_DUMP) || get_le64(sb + 188) & ~INCOMPAT_KNOWN)
		return reading_doubt(t->rd, "it has features that are not known here");
	if (get_le64(sb + 136) != 1)
		return reading_doubt(t->rd, "it lies on more than one device");
	if (t->rd->still != STILL_NOT && get_le64(sb + 96))
		return reading_doubt(t->rd, "it was not left cleanly: it has a log tree");
	memcpy(t->fsid, sb + 32, 16);
	t->node = get_le32(sb + 148);
	t->devid = get_le64(sb + 201);
	t->size = get_le64(sb + 209);
	if (!is_power_of_two(t->node) || t->node < 4096 || t->node > NODE_MAX ||
	    t->size > view_size(t->rd->view) || sb[199] >= LEVELS_MAX)
		return reading_doubt(t->rd,
				     "its superblock makes no sense, or not in this partition");
	return 0;
}

static int give_rest(struct tree *t)
{
	static const uint64_t supers[] = { 64 * KIB, 64 * MIB, 256 * GIB };
	struct extent gap;
	int r = extent_set_add(&t->allocated, (struct extent){ .off = 0, .len = RESERVED });

	for (size_t i = 0; i < sizeof supers / sizeof *supers && !r; i++)
		r = extent_set_add(&t->allocated,
				   (struct extent){ .off = supers[i], .len = SUPER_KEEP });
	for (uint64_t at = 0; !r && extent_set_next_gap(&t->allocated, at, t->size, &gap);
	     at = gap.off + gap.len)
		r = reading_free(t->rd, gap);
	return r;
}

static int read_tree(struct tree *t)
{
	uint8_t sb[SUPER_LEN] = { 0 };
	int r = reading_read(t->rd, sb, sizeof sb, SUPER_OFF);

	if (!r)
		r = check_super(t, sb);
	if (!r)
		r = parse_system(t, sb);
	if (!r)
		r = walk(t, get_le64(sb + 88), get_le64(sb + 164), sb[199]);
	/* The device's own count is the second witness. */
	if (!r && t->covered != get_le64(sb + 217))
		r = reading_doubt(t->rd, "its chunks are not as large as it says");
	return r ? r : give_rest(t);
}

int usage_btrfs_read(struct reading *rd)
{
	scoped(freep) struct tree *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return -ENOMEM;
	t->rd = rd;
	r = read_tree(t);
	extent_set_free(&t->allocated);
	return r;
}
