/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "table.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "disk.h"

#include <parted/parted.h>
#include <string.h>
#include <sys/mman.h>

/* How much of both ends of a disk, and around the old backup, can belong to a table: 128 entries of
 * 128 bytes, rounded up generously. */
enum { EDGE = 1 << 20 };

struct scratch {
	int fd; /* sparse, as long as the disk */
	const struct disk *d;
};

void table_changes_free(struct table_changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		buf_free(&c->v[i].data);
	free(c->v);
	memset(c, 0, sizeof *c);
}

static void scratch_closep(struct scratch *s)
{
	close_fdp(&s->fd);
}

/* The one question with a good answer: the backup is not at the end, or space behind it is unused.
 * Whatever else libparted wants to know, it is not our place to say yes. */
static PedExceptionOption answer(PedException *ex)
{
	return ex->options & PED_EXCEPTION_FIX ? PED_EXCEPTION_FIX : PED_EXCEPTION_UNHANDLED;
}

static int copy_range(const struct scratch *s, uint64_t from, uint64_t to, struct err *e)
{
	static uint8_t data[EDGE];
	int r;

	while (from < to) {
		size_t len = to - from < EDGE ? (size_t)(to - from) : EDGE;

		r = disk_read(s->d, from, data, len, e);
		if (r < 0)
			return r;
		/* Zeros stay holes: the copy of a 2 TiB disk costs 3 MiB at most. */
		if (!all_zero(data, len) && pwrite(s->fd, data, len, (off_t)from) != (ssize_t)len)
			return err_set(e, ERR_SYS, errno, "table of disk %u", s->d->n);
		from += len;
	}
	return 0;
}

static int make_scratch(struct scratch *s, struct err *e)
{
	uint64_t size = s->d->size, backup = s->d->gpt_backup;
	uint64_t edge = size < EDGE ? size : EDGE;
	int r;

	s->fd = memfd_create("bootfix-table", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)size) < 0)
		return err_set(e, ERR_SYS, errno, "table of disk %u", s->d->n);
	r = copy_range(s, 0, edge, e);
	if (!r)
		r = copy_range(s, size - edge, size, e);
	if (!r && backup && backup + edge < size && backup > edge)
		r = copy_range(s, backup - edge, backup + s->d->gpt_sector, e);
	return r;
}

/* ---- libparted ------------------------------------------------------------------------------- */

static void device_destroyp(PedDevice **d)
{
	if (*d)
		ped_device_destroy(*d);
}

static void disk_destroyp(PedDisk **d)
{
	if (*d)
		ped_disk_destroy(*d);
}

static void constraint_destroyp(PedConstraint **c)
{
	if (*c)
		ped_constraint_destroy(*c);
}

static int refused(const struct disk *d, const char *what, struct err *e)
{
	return err_set(e, ERR_GUEST, EINVAL, "disk %u: libparted %s", d->n, what);
}

static void geometry_destroyp(PedGeometry **g)
{
	if (*g)
		ped_geometry_destroy(*g);
}

/* Same start, end as far as the table allows; whole MiB, as the partition probably began. */
static int grow_partition(const struct disk *d, PedDisk *disk, unsigned number, uint64_t *ret_end,
			  struct err *e)
{
	PedPartition *part = ped_disk_get_partition(disk, (int)number);
	PedSector sector = disk->dev->sector_size, align = (PedSector)MIB / sector, end;

	if (!part)
		return refused(d, "does not know the partition", e);
	scoped(geometry_destroyp) PedGeometry *now = ped_geometry_duplicate(&part->geom);
	scoped(constraint_destroyp) PedConstraint *any = ped_constraint_any(disk->dev);
	scoped(geometry_destroyp) PedGeometry *most =
	    any ? ped_disk_get_max_partition_geometry(disk, part, any) : NULL;
	if (!now || !most)
		return refused(d, "finds no room", e);
	end = (most->end + 1) / align * align - 1;
	if (end <= now->end)
		return 0;
	scoped(geometry_destroyp) PedGeometry *want =
	    ped_geometry_new(disk->dev, now->start, end - now->start + 1);
	scoped(constraint_destroyp) PedConstraint *exact = want ? ped_constraint_exact(want) : NULL;
	if (!exact || !ped_disk_set_partition_geom(disk, part, exact, now->start, end) ||
	    part->geom.start != now->start || part->geom.end != end)
		return refused(d, "does not grow the partition", e);
	*ret_end = (uint64_t)(end + 1) * (uint64_t)sector;
	return 0;
}

static int run_parted(const struct scratch *s, unsigned grow, uint64_t *ret_end, struct err *e)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
	ped_exception_set_handler(answer);
	scoped(device_destroyp) PedDevice *dev = ped_device_get(path);
	if (!dev)
		return refused(s->d, "cannot use a copy in memory", e);
	if (dev->sector_size != s->d->logical_sector)
		return refused(s->d, "works with 512-byte sectors in a copy, this disk has others",
			       e);
	scoped(disk_destroyp) PedDisk *disk = ped_disk_new(dev);
	if (!disk)
		return refused(s->d, "does not accept the partition table", e);
	/* Old tools wanted whole cylinders; up to 8 MiB at the end would be lost to them. */
	if (ped_disk_is_flag_available(disk, PED_DISK_CYLINDER_ALIGNMENT) &&
	    !ped_disk_set_flag(disk, PED_DISK_CYLINDER_ALIGNMENT, 0))
		return refused(s->d, "insists on cylinders", e);
	if (grow) {
		int r = grow_partition(s->d, disk, grow, ret_end, e);

		if (r < 0)
			return r;
	}
	if (!ped_disk_commit_to_dev(disk))
		return refused(s->d, "cannot write the new table", e);
	return 0;
}

/* ---- what changed ---------------------------------------------------------------------------- */

static int add_change(struct table_changes *c, uint64_t off, const uint8_t *data, size_t len,
		      struct err *e)
{
	struct table_change *more = realloc(c->v, (c->n + 1) * sizeof *more);

	if (!more)
		return err_set(e, ERR_SYS, ENOMEM, "partition table");
	c->v = more;
	memset(&c->v[c->n], 0, sizeof *more);
	c->v[c->n].off = off;
	return buf_add(&c->v[c->n++].data, data, len, e);
}

static int compare_chunk(const struct scratch *s, uint64_t off, size_t len, struct table_changes *c,
			 struct err *e)
{
	static uint8_t was[EDGE], is[EDGE];
	size_t sector = s->d->logical_sector, start = 0;
	bool differs = false;
	int r;

	if (pread(s->fd, is, len, (off_t)off) != (ssize_t)len)
		return err_set(e, ERR_SYS, errno, "partition table");
	r = disk_read(s->d, off, was, len, e);
	for (size_t i = 0; !r && i <= len; i += sector) {
		bool now = i < len && memcmp(was + i, is + i, sector) != 0;

		if (now && !differs)
			start = i;
		if (!now && differs)
			r = add_change(c, off + start, is + start, i - start, e);
		differs = now;
	}
	return r;
}

/* Only where the copy has data: everything else was neither copied nor written. */
static int collect(const struct scratch *s, struct table_changes *c, struct err *e)
{
	uint64_t at = 0;

	while (at < s->d->size) {
		off_t data = lseek(s->fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(s->fd, data, SEEK_HOLE);
		if (hole < 0)
			return err_set(e, ERR_SYS, errno, "partition table");
		at = (uint64_t)data - (uint64_t)data % s->d->logical_sector;
		while (at < (uint64_t)hole) {
			uint64_t left = (uint64_t)hole - at;
			size_t len = left < EDGE ? (size_t)left : EDGE;
			int r = compare_chunk(s, at, len, c, e);

			if (r < 0)
				return r;
			at += len;
		}
	}
	for (size_t i = 0; i < c->n / 2; i++) {
		struct table_change swap = c->v[i];

		c->v[i] = c->v[c->n - 1 - i];
		c->v[c->n - 1 - i] = swap;
	}
	return 0;
}

/* On an MBR that does not begin with boot code libparted writes its own, and a new disk id with it,
 * which every PARTUUID is made of. Of its sector 0 we take the one entry that was to change. */
static int keep_mbr(const struct scratch *s, unsigned grow, struct err *e)
{
	enum { ENTRIES = 446, ENTRY = 16 };
	uint8_t sector[512], entry[ENTRY];
	off_t at = ENTRIES + ((off_t)grow - 1) * ENTRY;
	int r;

	if (s->d->table != TABLE_MBR || grow < 1 || grow > 4)
		return 0;
	r = disk_read(s->d, 0, sector, sizeof sector, e);
	if (r < 0)
		return r;
	if (pread(s->fd, entry, sizeof entry, at) != ENTRY ||
	    pwrite(s->fd, sector, sizeof sector, 0) != sizeof sector ||
	    pwrite(s->fd, entry, sizeof entry, at) != ENTRY)
		return err_set(e, ERR_SYS, errno, "table of disk %u", s->d->n);
	return 0;
}

int table_compute(const struct disk *d, unsigned grow, struct table_changes *ret, struct err *e)
{
	scoped(scratch_closep) struct scratch s = { .fd = -1, .d = d };
	scoped(table_changes_free) struct table_changes c = { 0 };
	int r = make_scratch(&s, e);

	if (!r)
		r = run_parted(&s, grow, &c.grown_end, e);
	if (!r)
		r = keep_mbr(&s, grow, e);
	if (!r)
		r = collect(&s, &c, e);
	if (r < 0)
		return r;
	*ret = c;
	memset(&c, 0, sizeof c);
	return 0;
}
