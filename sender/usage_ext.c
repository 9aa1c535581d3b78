/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_ext.c - free blocks of ext2, ext3, ext4, by libext2fs over a view
 *
 * The library gets its bytes from us and has no way to the device. Bitmaps are read group by group,
 * so that memory does not grow with the file system; each is checked against its checksum, where
 * there is one, and against the free count of its group.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "usage_internal.h"

#define SUPER_OFF 1024
#define SUPER_LEN 1024
#define STATE_VALID 1u
#define STATE_ERROR 2u

/* ---- bytes for the library ---- */

/* The library opens by name only; the view is handed over beside it. */
static _Thread_local struct view *opening;
static struct struct_io_manager view_manager;

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	io_channel io;

	if (flags & IO_FLAG_RW)
		return EROFS;
	io = calloc(1, sizeof *io);
	if (!io)
		return ENOMEM;
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = &view_manager;
	io->name = strdup(name);
	io->block_size = SUPER_LEN;
	io->refcount = 1;
	io->private_data = opening;
	if (!io->name) {
		free(io);
		return ENOMEM;
	}
	*ret = io;
	return 0;
}

static errcode_t io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->name);
	free(io);
	return 0;
}

static errcode_t io_set_blksize(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

/* A negative count is in bytes. */
static errcode_t io_read64(io_channel io, unsigned long long block, int count, void *data)
{
	uint64_t off, size = (uint64_t)io->block_size, len;

	len = count < 0 ? (uint64_t)(-(int64_t)count) : (uint64_t)count * size;
	if (!checked_mul(block, size, &off) || view_read(io->private_data, data, len, off))
		return EXT2_ET_SHORT_READ;
	return 0;
}

static errcode_t io_read(io_channel io, unsigned long block, int count, void *data)
{
	return io_read64(io, block, count, data);
}

static errcode_t io_no_write(io_channel io, unsigned long block, int count, const void *data)
{
	(void)io, (void)block, (void)count, (void)data;
	return EROFS;
}

static errcode_t io_no_write64(io_channel io, unsigned long long block, int count, const void *data)
{
	(void)io, (void)block, (void)count, (void)data;
	return EROFS;
}

static errcode_t io_flush(io_channel io)
{
	(void)io;
	return 0;
}

static struct struct_io_manager view_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "view",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_no_write,
	.flush = io_flush,
	.read_blk64 = io_read64,
	.write_blk64 = io_no_write64,
};

/* ---- may it be believed? ---- */

/* What the library would allocate for, before it does. */
static int check_shape(struct reading *rd, const uint8_t sb[static SUPER_LEN])
{
	uint64_t blocks = get_le32(sb + 4), bytes;
	uint32_t log = get_le32(sb + 24), per_group = get_le32(sb + 32);

	if (get_le32(sb + 96) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)get_le32(sb + 0x150) << 32;
	if (get_le16(sb + 56) != EXT2_SUPER_MAGIC || log > 6)
		return reading_doubt(rd, "no superblock where it should be");
	if (!checked_mul(blocks, UINT64_C(1024) << log, &bytes) || bytes > view_size(rd->view))
		return reading_doubt(rd, "the file system is larger than its partition");
	/* A group for each kilobyte would be a table larger than the file system. */
	if (per_group < (UINT32_C(1024) << log))
		return reading_doubt(rd, "block groups of %u blocks", per_group);
	return 0;
}

static int check_state(struct reading *rd, const uint8_t sb[static SUPER_LEN])
{
	unsigned state = get_le16(sb + 58);
	uint32_t incompat = get_le32(sb + 96), ro = get_le32(sb + 100);

	if (state & STATE_ERROR)
		return reading_doubt(rd, "the kernel has found errors in it: run e2fsck");
	if (incompat & EXT4_FEATURE_INCOMPAT_MMP)
		return reading_doubt(rd, "it may be mounted by several machines");
	if (ro & (uint32_t)~EXT2_LIB_FEATURE_RO_COMPAT_SUPP)
		return reading_doubt(rd, "it has features that are not known here");
	if (rd->still == STILL_NOT)
		return 0;
	if (!(state & STATE_VALID))
		return reading_doubt(rd, "it was not left cleanly, or has no journal");
	if (incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
		return reading_doubt(rd, "its journal was not written back");
	return 0;
}

/* ---- the groups ---- */

struct groups {
	struct reading *rd;
	ext2_filsys fs;
	uint32_t ratio;   /* blocks in a cluster */
	uint64_t run;     /* first block of the free run at hand */
	uint64_t run_len; /* in blocks */
	uint64_t total;   /* free clusters */
	uint8_t *bits;
};

static int end_run(struct groups *g)
{
	uint64_t bs = g->fs->blocksize, len = g->run_len;

	g->run_len = 0;
	return len ? reading_free(g->rd, (struct extent){ .off = g->run * bs, .len = len * bs })
		   : 0;
}

/* ${n} clusters from ${block} on, from bit ${at} on. */
static int take_bits(struct groups *g, uint64_t block, uint32_t n, uint64_t last)
{
	int r = 0;

	for (uint32_t i = 0; i < n && !r; i++) {
		uint64_t first = block + (uint64_t)i * g->ratio, len = g->ratio;

		if (len > last + 1 - first)
			len = last + 1 - first;
		if (g->bits[i / 8] & (1u << (i % 8))) {
			r = end_run(g);
			continue;
		}
		if (g->run_len && g->run + g->run_len != first)
			r = end_run(g);
		if (!g->run_len)
			g->run = first;
		g->run_len += len;
	}
	return r;
}

static uint32_t free_bits(const uint8_t *bits, uint32_t n)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < n; i++)
		used += (uint32_t)(bits[i / 8] >> (i % 8)) & 1u;
	return n - used;
}

/* The bitmap of group ${i} into g->bits; false when it is not what its descriptor says. */
static bool load_bitmap(struct groups *g, dgrp_t i, uint32_t n)
{
	ext2_filsys fs = g->fs;
	blk64_t at = ext2fs_block_bitmap_loc(fs, i);

	if (ext2fs_has_group_desc_csum(fs)) {
		if (!ext2fs_group_desc_csum_verify(fs, i))
			return false;
		/* Never written: nothing is used but what the descriptors name. */
		if (ext2fs_bg_flags_test(fs, i, EXT2_BG_BLOCK_UNINIT)) {
			memset(g->bits, 0, fs->blocksize);
			return true;
		}
	}
	if (!at || at >= ext2fs_blocks_count(fs->super) ||
	    io_channel_read_blk64(fs->io, at, 1, g->bits))
		return false;
	if (!ext2fs_block_bitmap_csum_verify(fs, i, (char *)g->bits,
					     (int)(EXT2_CLUSTERS_PER_GROUP(fs->super) / 8)))
		return false;
	return free_bits(g->bits, n) == ext2fs_bg_free_blocks_count(fs, i);
}

static int one_group(struct groups *g, dgrp_t i)
{
	uint64_t first = ext2fs_group_first_block2(g->fs, i);
	uint64_t last = ext2fs_group_last_block2(g->fs, i);
	uint64_t n = div_round_up(last - first + 1, g->ratio);

	if (last < first || n > (uint64_t)g->fs->blocksize * 8)
		return reading_doubt(g->rd, "group %u has a strange size", i);
	if (!load_bitmap(g, i, (uint32_t)n)) {
		if (g->rd->still != STILL_NOT)
			return reading_doubt(g->rd, "the bitmap of group %u is damaged: run e2fsck",
					     i);
		/* It is being changed: all of it counts as used this time. */
		return 0;
	}
	g->total += ext2fs_bg_free_blocks_count(g->fs, i);
	return take_bits(g, first, (uint32_t)n, last);
}

static int used_blocks(struct groups *g, uint64_t block, uint64_t n)
{
	uint64_t bs = g->fs->blocksize, all = ext2fs_blocks_count(g->fs->super);

	if (block >= all || n > all - block)
		return reading_doubt(g->rd, "its own tables lie outside of it");
	uint64_t from = block / g->ratio * g->ratio;
	uint64_t to = div_round_up(block + n, g->ratio) * g->ratio;

	if (to > all)
		to = all;
	return reading_used(g->rd, (struct extent){ .off = from * bs, .len = (to - from) * bs });
}

/* What the descriptors name is used, also where a group was never written. */
static int keep_tables(struct groups *g)
{
	ext2_filsys fs = g->fs;
	int r = 0;

	for (dgrp_t i = 0; i < fs->group_desc_count && !r; i++) {
		blk64_t super = 0, old = 0, new = 0;
		blk_t used = 0;
		uint64_t old_len = ext2fs_has_feature_meta_bg(fs->super)
				       ? fs->super->s_first_meta_bg
				       : fs->desc_blocks + fs->super->s_reserved_gdt_blocks;

		(void)ext2fs_super_and_bgd_loc2(fs, i, &super, &old, &new, &used);
		if (ext2fs_bg_has_super(fs, i))
			r = used_blocks(g, ext2fs_group_first_block2(fs, i), 1);
		if (!r && old)
			r = used_blocks(g, old, old_len);
		if (!r && new)
			r = used_blocks(g, new, 1);
		if (!r)
			r = used_blocks(g, ext2fs_block_bitmap_loc(fs, i), 1);
		if (!r)
			r = used_blocks(g, ext2fs_inode_bitmap_loc(fs, i), 1);
		if (!r)
			r = used_blocks(g, ext2fs_inode_table_loc(fs, i),
					fs->inode_blocks_per_group);
	}
	return r;
}

static int all_groups(struct reading *rd, ext2_filsys fs)
{
	scoped(freep) uint8_t *bits = malloc(fs->blocksize);
	struct groups g = { .rd = rd, .fs = fs, .bits = bits, .ratio = 1 };
	int r = 0;

	if (!bits)
		return -ENOMEM;
	if (ext2fs_has_feature_bigalloc(fs->super))
		g.ratio = (uint32_t)EXT2FS_CLUSTER_RATIO(fs);
	if (g.ratio > 1 && fs->super->s_first_data_block)
		return reading_doubt(rd, "clusters that do not begin at block 0");
	for (dgrp_t i = 0; i < fs->group_desc_count && !r; i++)
		r = one_group(&g, i);
	if (!r)
		r = end_run(&g);
	/* The second witness where bitmaps have no checksums. */
	if (!r && (rd->still == STILL_IDLE || rd->still == STILL_FROZEN) &&
	    g.total * g.ratio != ext2fs_free_blocks_count(fs->super))
		return reading_doubt(rd, "its free blocks are not as many as it says: run e2fsck");
	return r ? r : keep_tables(&g);
}

int usage_ext_read(struct reading *rd)
{
	uint8_t sb[SUPER_LEN] = { 0 };
	ext2_filsys fs = NULL;
	int r = reading_read(rd, sb, sizeof sb, SUPER_OFF);

	if (!r)
		r = check_shape(rd, sb);
	if (!r)
		r = check_state(rd, sb);
	if (r)
		return r;
	opening = rd->view;
	errcode_t sys = ext2fs_open2("view", NULL, EXT2_FLAG_64BITS, 0, 0, &view_manager, &fs);
	opening = NULL;
	if (sys)
		return reading_doubt(rd, "libext2fs does not open it (error %ld): run e2fsck",
				     (long)sys);
	r = all_groups(rd, fs);
	(void)ext2fs_close_free(&fs);
	return r;
}
