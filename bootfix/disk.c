/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "fs_size.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void probe_freep(blkid_probe *p)
{
	if (*p)
		blkid_free_probe(*p);
}

int disk_read(const struct disk *d, uint64_t off, void *data, size_t len, struct err *e)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = pread(d->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_DISK, n ? errno : EIO, "disk %u: read at %llu", d->n,
				       (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

void disk_forget(const struct disk *d)
{
	/* A regular file has one cache only, and no such call. */
	(void)ioctl(d->fd, BLKFLSBUF, 0);
}

/* Copies what may be shown: bytes from a disk are no text until they look like it. */
static void take(char *ret, size_t size, const char *s)
{
	size_t o = 0;

	for (; s && *s && o + 1 < size; s++)
		ret[o++] = (char)((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
	ret[o] = 0;
}

/* ---- the disk itself ------------------------------------------------------------------------ */

static int block_limits(struct disk *d, struct err *e)
{
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(d->fd, BLKGETSIZE64, &d->size) < 0 || ioctl(d->fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(d->fd, BLKPBSZGET, &physical) < 0 || logical < 512 || logical > 4096)
		return err_set(e, ERR_DISK, errno, "disk %u '%s': its size", d->n, d->path);
	d->logical_sector = (uint32_t)logical;
	d->physical_sector = physical;
	return 0;
}

/* O_EXCL on a block device fails while it or a partition of it is mounted. It is only asked, not
 * kept: it would also keep us from mounting. */
static int refuse_busy(const struct disk *d, struct err *e)
{
	scoped(close_fdp) int fd = open(d->path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == EBUSY)
		return err_refuse(e, "disk-busy", EBUSY,
				  "'%s' is in use here: unmount it, stop what holds it", d->path);
	return err_set(e, ERR_DISK, errno, "open '%s'", d->path);
}

static int open_one(struct disk *d, const char *path, struct err *e)
{
	struct stat st;
	int r;

	d->fd = -1;
	if (strlen(path) >= sizeof d->path)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "'%s' is too long", path);
	memcpy(d->path, path, strlen(path) + 1);
	d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0)
		return err_set(e, ERR_USAGE, errno, "disk '%s': %s", path, strerror(errno));
	if (fstat(d->fd, &st) < 0)
		return err_set(e, ERR_SYS, errno, "disk '%s'", path);
	if (S_ISREG(st.st_mode)) {
		d->size = (uint64_t)st.st_size;
		d->logical_sector = d->physical_sector = 512;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, EINVAL, "'%s' is neither a disk nor an image", path);
	r = refuse_busy(d, e);
	if (r < 0)
		return r;
	disk_forget(d);
	if (flock(d->fd, LOCK_EX | LOCK_NB) < 0)
		return err_refuse(e, "disk-busy", EBUSY, "'%s' is locked by another program", path);
	return block_limits(d, e);
}

/* ---- the table ------------------------------------------------------------------------------ */

enum { MBR_ENTRY = 446, MBR_ENTRY_LEN = 16, MBR_TYPE = 4 };

static bool extended_type(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* A GPT made for another sector size than the disk has is invisible to the kernel: it is looked
 * for by its signature. */
static int find_gpt(struct disk *d, struct err *e)
{
	uint8_t head[96];

	for (uint32_t size = 512; size <= 4096; size *= 2) {
		int r;

		if (d->size < 4 * (uint64_t)size)
			return 0;
		r = disk_read(d, size, head, sizeof head, e);
		if (r < 0)
			return r;
		if (!memcmp(head, "EFI PART", 8)) {
			uint64_t lba = get_le64(head + 32);

			d->gpt_sector = size;
			d->gpt_backup = lba < d->size / size ? lba * size : 0;
			return 0;
		}
	}
	return 0;
}

static int look_at_sector_0(struct disk *d, struct err *e)
{
	uint8_t s[512];
	int r;

	if (d->size < sizeof s)
		return 0;
	r = disk_read(d, 0, s, sizeof s, e);
	if (r < 0)
		return r;
	d->boot_code = memmem(s, 440, "GRUB", 4) != NULL;
	if (s[510] != 0x55 || s[511] != 0xaa)
		return find_gpt(d, e);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t type = s[MBR_ENTRY + i * MBR_ENTRY_LEN + MBR_TYPE];

		if (type && type != 0xee)
			d->hybrid_mbr = true;
		if (extended_type(type))
			d->has_logical = true;
	}
	return find_gpt(d, e);
}

static struct vol *add_vol(struct guest *g, struct err *e)
{
	struct vol *more;

	if (g->n_vols >= (size_t)MAX_DISKS * MAX_PARTS) {
		(void)err_set(e, ERR_GUEST, E2BIG, "too many partitions");
		return NULL;
	}
	more = realloc(g->vols, (g->n_vols + 1) * sizeof *more);
	if (!more) {
		(void)err_set(e, ERR_SYS, ENOMEM, "partitions");
		return NULL;
	}
	g->vols = more;
	memset(&g->vols[g->n_vols], 0, sizeof *more);
	return &g->vols[g->n_vols++];
}

/* ---- what is inside a partition -------------------------------------------------------------- */

static const char *value(blkid_probe p, const char *name)
{
	const char *v = NULL;

	return blkid_probe_lookup_value(p, name, &v, NULL) ? NULL : v;
}

static enum vol_kind kind_of(const char *type, const char *usage)
{
	if (!strcmp(type, "swap"))
		return VOL_SWAP;
	if (!strcmp(type, "swsuspend"))
		return VOL_SUSPEND;
	if (!strcmp(type, "crypto_LUKS"))
		return VOL_LUKS;
	if (!strcmp(type, "LVM2_member"))
		return VOL_PV;
	if (!strcmp(type, "linux_raid_member"))
		return VOL_MD;
	return usage && !strcmp(usage, "filesystem") ? VOL_FS : VOL_OTHER;
}

static int probe_content(const struct disk *d, struct vol *v, struct err *e)
{
	scoped(probe_freep) blkid_probe p = blkid_new_probe();
	const char *type;
	int r;

	if (!p || blkid_probe_set_device(p, d->fd, (blkid_loff_t)v->start, (blkid_loff_t)v->size) ||
	    blkid_probe_enable_superblocks(p, 1) ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
						     BLKID_SUBLKS_LABEL | BLKID_SUBLKS_USAGE))
		return err_set(e, ERR_SYS, ENOMEM, "probe of disk %u", d->n);
	r = blkid_do_safeprobe(p);
	if (r == -2) {
		v->kind = VOL_AMBIGUOUS;
		return 0;
	}
	if (r < 0)
		return err_set(e, ERR_DISK, errno, "probe of disk %u partition %u", d->n,
			       v->number);
	type = value(p, "TYPE");
	if (r > 0 || !type)
		return 0;
	v->kind = kind_of(type, value(p, "USAGE"));
	take(v->type, sizeof v->type, type);
	take(v->uuid, sizeof v->uuid, value(p, "UUID"));
	take(v->label, sizeof v->label, value(p, "LABEL"));
	return fs_size(d, v, e);
}

/* "/dev/vda1" out of sysfs: the kernel's own name, whatever links there are. */
static void find_node(const struct disk *d, struct vol *v)
{
	char dir[64], file[384], line[128];
	struct stat st;
	unsigned number;

	if (fstat(d->fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return;
	(void)snprintf(dir, sizeof dir, "/sys/dev/block/%u:%u", major(st.st_rdev),
		       minor(st.st_rdev));
	scoped(closedirp) DIR *entries = opendir(dir);
	for (const struct dirent *x; entries && (x = readdir(entries));) {
		(void)snprintf(file, sizeof file, "%s/%s/partition", dir, x->d_name);
		scoped(fclosep) FILE *f = fopen(file, "re");
		if (!f || !fgets(line, sizeof line, f))
			continue;
		number = (unsigned)strtoul(line, NULL, 10);
		if (number == v->number && strlen(x->d_name) < 48)
			(void)snprintf(v->dev, sizeof v->dev, "/dev/%.48s", x->d_name);
	}
}

static void name_on_target(const struct disk *d, struct vol *v)
{
	(void)snprintf(v->target_name, sizeof v->target_name, "%.20s%.0u", d->target_name,
		       v->number);
	if (v->number)
		find_node(d, v);
	else
		(void)snprintf(v->dev, sizeof v->dev, "%.63s", d->path);
}

static int add_partition(struct guest *g, const struct disk *d, blkid_partition part, struct err *e)
{
	int number = blkid_partition_get_partno(part);
	blkid_loff_t start = blkid_partition_get_start(part), size = blkid_partition_get_size(part);
	const char *type = blkid_partition_get_type_string(part);
	struct vol *v;
	int r;

	if (number < 1 || number > MAX_PARTS || start < 0 || size <= 0 ||
	    blkid_partition_is_extended(part))
		return 0;
	if ((uint64_t)start > d->size / 512 || (uint64_t)size > d->size / 512 - (uint64_t)start)
		return err_refuse(e, "disk-too-small", ERANGE,
				  "disk %u: partition %d ends behind the end of the disk", d->n,
				  number);
	v = add_vol(g, e);
	if (!v)
		return -ENOMEM;
	v->disk = d->n;
	v->number = (unsigned)number;
	v->start = (uint64_t)start * 512;
	v->size = (uint64_t)size * 512;
	take(v->partuuid, sizeof v->partuuid, blkid_partition_get_uuid(part));
	take(v->partlabel, sizeof v->partlabel, blkid_partition_get_name(part));
	if (type)
		take(v->parttype, sizeof v->parttype, type);
	else
		(void)snprintf(v->parttype, sizeof v->parttype, "0x%x",
			       (unsigned)blkid_partition_get_type(part));
	for (char *c = v->parttype; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	name_on_target(d, v);
	r = probe_content(d, v, e);
	return r;
}

static int probe_table(struct guest *g, struct disk *d, blkid_partlist list, struct err *e)
{
	blkid_parttable table = blkid_partlist_get_table(list);
	const char *type = table ? blkid_parttable_get_type(table) : NULL;
	int n = blkid_partlist_numof_partitions(list);

	if (!type)
		return 0;
	d->table = !strcmp(type, "gpt")   ? TABLE_GPT
		   : !strcmp(type, "dos") ? TABLE_MBR
					  : TABLE_OTHER;
	if (d->table != TABLE_GPT)
		d->hybrid_mbr = false;
	take(d->table_id, sizeof d->table_id, blkid_parttable_get_id(table));
	for (int i = 0; i < n; i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);
		int r = part ? add_partition(g, d, part, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int probe_disk(struct guest *g, struct disk *d, struct err *e)
{
	scoped(probe_freep) blkid_probe p = blkid_new_probe();
	blkid_partlist list;
	struct vol *v;

	if (!p || blkid_probe_set_device(p, d->fd, 0, (blkid_loff_t)d->size) ||
	    blkid_probe_enable_superblocks(p, 0) || blkid_probe_enable_partitions(p, 1))
		return err_set(e, ERR_SYS, ENOMEM, "probe of disk %u", d->n);
	list = blkid_probe_get_partitions(p);
	if (list && blkid_partlist_get_table(list))
		return probe_table(g, d, list, e);
	v = add_vol(g, e);
	if (!v)
		return -ENOMEM;
	v->disk = d->n;
	v->size = d->size;
	name_on_target(d, v);
	d->hybrid_mbr = d->has_logical = false;
	return probe_content(d, v, e);
}

int disks_open(struct guest *g, const char *const *paths, size_t n, struct err *e)
{
	bool scsi = !strcmp(g->facts.target_bus, "virtio-scsi");
	int r;

	if (n > 26)
		return err_set(e, ERR_USAGE, E2BIG, "more than 26 disks");
	g->disks = calloc(n, sizeof *g->disks);
	if (!g->disks)
		return err_set(e, ERR_SYS, ENOMEM, "disks");
	for (unsigned i = 0; i < n; i++)
		g->disks[i].fd = -1;
	g->n_disks = n;
	for (unsigned i = 0; i < n; i++) {
		struct disk *d = &g->disks[i];

		d->n = i;
		(void)snprintf(d->target_name, sizeof d->target_name, "%s%c", scsi ? "sd" : "vd",
			       (char)('a' + i));
		r = open_one(d, paths[i], e);
		if (!r)
			r = look_at_sector_0(d, e);
		if (!r)
			r = probe_disk(g, d, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void disks_close(struct guest *g)
{
	for (size_t i = 0; i < g->n_disks; i++)
		close_fdp(&g->disks[i].fd);
}

int disk_tell_kernel(const struct disk *d, unsigned number, uint64_t start, uint64_t size,
		     struct err *e)
{
	struct blkpg_partition part = { .start = (long long)start,
					.length = (long long)size,
					.pno = (int)number };
	struct blkpg_ioctl_arg arg = { .op = BLKPG_RESIZE_PARTITION,
				       .datalen = sizeof part,
				       .data = &part };
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return err_set(e, ERR_SYS, errno, "disk %u", d->n);
	if (!S_ISBLK(st.st_mode) || !ioctl(d->fd, BLKPG, &arg) || errno == ENXIO || errno == ENOTTY)
		return 0;
	return err_set(e, ERR_DISK, errno, "disk %u: the kernel keeps the old size of partition %u",
		       d->n, number);
}

static int reread_disk(struct guest *g, const struct disk *d, struct err *e)
{
	scoped(probe_freep) blkid_probe p = blkid_new_probe();
	blkid_partlist list;

	if (!p || blkid_probe_set_device(p, d->fd, 0, (blkid_loff_t)d->size) ||
	    blkid_probe_enable_superblocks(p, 0) || blkid_probe_enable_partitions(p, 1))
		return err_set(e, ERR_SYS, ENOMEM, "probe of disk %u", d->n);
	list = blkid_probe_get_partitions(p);
	for (size_t i = 0; list && i < g->n_vols; i++) {
		struct vol *v = &g->vols[i];
		blkid_partition part;
		uint64_t size;
		int r;

		if (v->disk != d->n || !v->number)
			continue;
		part = blkid_partlist_get_partition_by_partno(list, (int)v->number);
		if (!part)
			continue;
		size = (uint64_t)blkid_partition_get_size(part) * 512;
		if (size == v->size)
			continue;
		r = disk_tell_kernel(d, v->number, v->start, size, e);
		if (r < 0)
			return r;
		v->size = size;
	}
	return 0;
}

int disks_reread(struct guest *g, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < g->n_disks; i++)
		r = reread_disk(g, &g->disks[i], e);
	return r;
}

int disk_write(const struct disk *d, uint64_t off, const void *data, size_t len, struct err *e)
{
	scoped(close_fdp) int fd = open(d->path, O_WRONLY | O_CLOEXEC);
	const uint8_t *p = data;

	if (fd < 0)
		return err_set(e, ERR_DISK, errno, "disk %u '%s': open for writing", d->n, d->path);
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_DISK, n ? errno : EIO, "disk %u: write at %llu", d->n,
				       (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? err_set(e, ERR_DISK, errno, "disk %u: flush", d->n) : 0;
}
