/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_state.c - who could write to a device while we look
 *
 * Two witnesses. The mount table of our own namespace names file systems that we can sync and
 * freeze. The kernel's exclusive claim covers everybody else: mounts in other namespaces, mappings,
 * arrays, swap. A device that is claimed, and not by a mount of ours, is never believed.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sysfs.h"
#include "usage_internal.h"

/* ---- mounts ---- */

struct mount_line {
	dev_t dev;
	char point[512], type[32], source[256];
	bool writable; /* the file system; a mount point may be read-only over it */
};

/* "\040" and kin, as the kernel writes blanks in paths. */
static void unescape(const char *from, char *to, size_t room)
{
	size_t n = 0;

	while (*from && n + 1 < room) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && isdigit(from[2]) &&
		    isdigit(from[3])) {
			to[n++] =
			    (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			to[n++] = *from++;
		}
	}
	to[n] = 0;
}

/* "98:0" */
static bool parse_device(const char *text, dev_t *ret)
{
	char *end = NULL;
	unsigned long a = strtoul(text, &end, 10), b;

	if (end == text || *end != ':')
		return false;
	text = end + 1;
	b = strtoul(text, &end, 10);
	if (end == text || *end || a > UINT32_MAX || b > UINT32_MAX)
		return false;
	*ret = makedev((unsigned)a, (unsigned)b);
	return true;
}

/* "36 35 98:0 /root /point opts [optional]... - type source superopts" */
static bool parse_mount(const char *line, struct mount_line *ret)
{
	char device[32], point[1024], source[512], super[64];
	const char *rest = strstr(line, " - ");

	*ret = (struct mount_line){ 0 };
	if (!rest || sscanf(line, "%*s %*s %31s %*s %1023s", device, point) != 2 ||
	    sscanf(rest, " - %31s %511s %63s", ret->type, source, super) != 3 ||
	    !parse_device(device, &ret->dev))
		return false;
	unescape(point, ret->point, sizeof ret->point);
	unescape(source, ret->source, sizeof ret->source);
	/* The first word of the file system's own options. */
	ret->writable = strncmp(super, "ro", 2) != 0 || (super[2] && super[2] != ',');
	return true;
}

/* btrfs hides its device behind a number of its own. */
static bool is_of(const struct mount_line *m, dev_t dev)
{
	struct stat st;

	if (m->dev == dev)
		return true;
	return major(m->dev) == 0 && m->source[0] == '/' && !stat(m->source, &st) &&
	       S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

/* The first mount of ${dev} in our namespace: 1, 0 when there is none, or a negative errno. */
static int find_mount(dev_t dev, struct mount_line *ret)
{
	scoped(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	scoped(freep) char *line = NULL;
	size_t room = 0;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		if (parse_mount(line, ret) && is_of(ret, dev))
			return 1;
	}
	return ferror(f) ? -EIO : 0;
}

/* ---- claims ---- */

static bool is_swap(dev_t dev)
{
	char line[512], path[512];
	struct stat st;
	scoped(fclosep) FILE *f = fopen("/proc/swaps", "re");

	while (f && fgets(line, sizeof line, f)) {
		char *end = strchr(line, ' ');

		if (line[0] != '/' || !end)
			continue;
		*end = 0;
		unescape(line, path, sizeof path);
		if (!stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev)
			return true;
	}
	return false;
}

static bool device_number(const char *name, dev_t *ret)
{
	char text[64];

	return sysfs_text(name, "dev", text, sizeof text) && parse_device(text, ret);
}

static int says(char why[static USAGE_WHY], const char *text)
{
	(void)snprintf(why, USAGE_WHY, "%s", text);
	return -EUCLEAN;
}

/* Everything that was written before now is on its way to the disk when this returns. */
static bool sync_mount(const struct mount_line *m, dev_t dev)
{
	struct stat st;
	scoped(close_fdp) int fd = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);

	if (fd < 0 || fstat(fd, &st) || (major(m->dev) && st.st_dev != dev))
		return false;
	return !syncfs(fd);
}

static int mounted_state(const struct mount_line *m, dev_t dev, const struct usage_context *c,
			 enum stillness *ret, char why[static USAGE_WHY])
{
	if (!m->writable) {
		*ret = STILL_READ_ONLY;
		return 0;
	}
	if (c->frozen && freeze_holds(c->frozen, dev)) {
		*ret = STILL_FROZEN;
		return 0;
	}
	if (c->phase != USAGE_LIVE)
		return says(why, "it is mounted for writing and not frozen");
	if (!sync_mount(m, dev))
		return says(why, "it is mounted for writing and could not be synced");
	*ret = STILL_NOT;
	return 0;
}

int usage_state(const char *name, const char *type, const struct usage_context *c,
		enum stillness *ret, char why[static USAGE_WHY])
{
	struct mount_line m = { 0 };
	dev_t dev = 0;
	int r;

	if (!device_number(name, &dev))
		return says(why, "the kernel does not say what it is");
	r = find_mount(dev, &m);
	if (r < 0)
		return says(why, "the list of mounts cannot be read");
	if (r)
		return mounted_state(&m, dev, c, ret, why);
	*ret = STILL_IDLE;
	if (!strcmp(type, "swap") && is_swap(dev))
		return 0;
	r = source_claimed(name, dev);
	if (r > 0)
		return says(why, "something uses it that is not a mount of ours");
	return r ? says(why, "whether it is in use cannot be told") : 0;
}

/* ---- what lies over a disk ---- */

/* 1: name, begin and length of a partition of ${disk}; 0: ${name} is none. */
static bool is_partition_of(const char *disk, const char *name, struct extent *ret)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof path, "/sys/class/block/%.63s/%.63s", disk, name);
	if (stat(path, &st) || sysfs_number(name, "partition", 0) <= 0)
		return false;
	int64_t start = sysfs_number(name, "start", -1), size = sysfs_number(name, "size", -1);
	/* Nonsense makes a range that fits nothing, so that nothing agrees with it. */
	*ret = (struct extent){ .off = start < 0 ? UINT64_MAX : (uint64_t)start * 512,
				.len = size < 0 ? UINT64_MAX : (uint64_t)size * 512 };
	return true;
}

static bool next_name(DIR *d, const char **ret)
{
	for (struct dirent *de; (de = readdir(d));) {
		if (de->d_name[0] == '.' || strlen(de->d_name) >= 64)
			continue;
		*ret = de->d_name;
		return true;
	}
	return false;
}

int usage_state_partition(const char *disk, struct extent x, char ret[static 64])
{
	const char *name;
	struct extent have;
	scoped(closedirp) DIR *d = opendir("/sys/class/block");

	while (d && next_name(d, &name)) {
		if (!is_partition_of(disk, name, &have) || have.off != x.off || have.len != x.len)
			continue;
		memcpy(ret, name, strlen(name) + 1);
		return 1;
	}
	return 0;
}

static bool in_table(const struct part_table *t, struct extent x)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (t->v[i].x.off == x.off && t->v[i].x.len == x.len)
			return true;
	}
	/* The kernel shows an extended partition as its first sectors. */
	for (unsigned i = 0; i < t->n_links; i++) {
		if (t->links[i].off == x.off && x.len <= 1024)
			return true;
	}
	return false;
}

bool usage_state_agrees(const char *disk, const struct part_table *t, char why[static USAGE_WHY])
{
	const char *name;
	struct extent have;
	scoped(closedirp) DIR *d = opendir("/sys/class/block");

	while (d && next_name(d, &name)) {
		if (!is_partition_of(disk, name, &have) || in_table(t, have))
			continue;
		(void)snprintf(why, USAGE_WHY,
			       "the kernel has a partition %.40s that its table has not", name);
		return false;
	}
	return d || says(why, "the kernel's partitions cannot be read") == 0;
}

/* Of a loop device: what it lies over is on ${disk}, or cannot be told. */
static bool lies_over(const char *loop, const char *disk)
{
	char path[512], below[DISKS_MAX][64];
	struct stat st;
	unsigned n;

	if (!sysfs_text(loop, "loop/backing_file", path, sizeof path))
		return false; /* not in use */
	if (stat(path, &st))
		return !strncmp(path, "/dev/", 5);
	n = S_ISBLK(st.st_mode) ? sysfs_disks_below(st.st_rdev, below, DISKS_MAX) : 0;
	for (unsigned i = 0; i < n; i++) {
		if (!strcmp(below[i], disk))
			return true;
	}
	return false;
}

bool usage_state_looped(const char *disk)
{
	const char *name;
	scoped(closedirp) DIR *d = opendir("/sys/class/block");

	while (d && next_name(d, &name)) {
		if (!strncmp(name, "loop", 4) && isdigit((unsigned char)name[4]) &&
		    strcmp(name, disk) != 0 && lies_over(name, disk))
			return true;
	}
	return !d;
}

bool usage_state_only_lvm(const char *name, const char *prefix)
{
	char path[256], uuid[160];
	const char *holder;
	dev_t dev;
	bool held = false;

	(void)snprintf(path, sizeof path, "/sys/class/block/%.63s/holders", name);
	scoped(closedirp) DIR *d = opendir(path);
	while (d && next_name(d, &holder)) {
		held = true;
		if (!sysfs_text(holder, "dm/uuid", uuid, sizeof uuid) ||
		    strncmp(uuid, prefix, strlen(prefix)) != 0)
			return false;
	}
	return held || (device_number(name, &dev) && !source_claimed(name, dev));
}

bool usage_state_mapped(const char *uuid, char ret[static 64])
{
	const char *name;
	char have[160];
	scoped(closedirp) DIR *d = opendir("/sys/class/block");

	while (d && next_name(d, &name)) {
		if (strncmp(name, "dm-", 3) != 0 ||
		    !sysfs_text(name, "dm/uuid", have, sizeof have) || strcmp(have, uuid) != 0)
			continue;
		memcpy(ret, name, strlen(name) + 1);
		return true;
	}
	return false;
}
