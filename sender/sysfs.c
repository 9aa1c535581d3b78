/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sysfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

#define DEPTH_MAX 8 /* partition on mapping on array on ...: deeper is a loop */

bool read_text(const char *path, char *ret, size_t room)
{
	size_t len = 0;

	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	while (len + 1 < room) {
		ssize_t n = read(fd, ret + len, room - 1 - len);
		if (n < 0)
			return false;
		if (!n)
			break;
		len += (size_t)n;
	}
	ret[len] = 0;
	return true;
}

bool sysfs_name(dev_t dev, char ret[static 64])
{
	char path[64], target[512];

	(void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	ssize_t n = readlink(path, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	const char *base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strlen(base) >= 64)
		return false;
	memcpy(ret, base, strlen(base) + 1);
	return true;
}

bool sysfs_text(const char *name, const char *attr, char *ret, size_t room)
{
	char path[256], text[512], *p = text;

	(void)snprintf(path, sizeof path, "/sys/class/block/%s/%s", name, attr);
	if (!read_text(path, text, sizeof text))
		return false;
	text[strcspn(text, "\n")] = 0;
	while (isspace((unsigned char)*p))
		p++;
	size_t len = strlen(p);
	while (len && isspace((unsigned char)p[len - 1]))
		p[--len] = 0;
	if (!len || len >= room)
		return false;
	memcpy(ret, p, len + 1);
	return true;
}

int64_t sysfs_number(const char *name, const char *attr, int64_t otherwise)
{
	char text[64], *end;

	if (!sysfs_text(name, attr, text, sizeof text))
		return otherwise;
	long long v = strtoll(text, &end, 10);
	return *end ? otherwise : v;
}

bool sysfs_serial(const char *name, char ret[static 96])
{
	static const char *const places[] = { "serial", "device/serial", "device/wwid", "wwid" };

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (sysfs_text(name, places[i], ret, 96))
			return true;
	}
	return false;
}

static unsigned add_name(const char *name, char ret[][64], unsigned n, unsigned max)
{
	for (unsigned i = 0; i < n; i++) {
		if (!strcmp(ret[i], name))
			return n;
	}
	if (n < max)
		memcpy(ret[n++], name, strlen(name) + 1);
	return n;
}

static unsigned below(const char *name, char ret[][64], unsigned n, unsigned max, int depth)
{
	char path[512], real[4096];
	bool slaves = false;

	if (depth > DEPTH_MAX)
		return n;
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/partition", name);
	if (!access(path, F_OK)) {
		(void)snprintf(path, sizeof path, "/sys/class/block/%s/..", name);
		char *base = realpath(path, real) ? strrchr(real, '/') : NULL;
		return base && strlen(base + 1) < 64 ? below(base + 1, ret, n, max, depth + 1) : n;
	}
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/slaves", name);
	scoped(closedirp) DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (de->d_name[0] == '.' || strlen(de->d_name) >= 64)
			continue;
		slaves = true;
		n = below(de->d_name, ret, n, max, depth + 1);
	}
	return slaves ? n : add_name(name, ret, n, max);
}

unsigned sysfs_disks_below(dev_t dev, char ret[][64], unsigned max)
{
	char name[64];

	return sysfs_name(dev, name) ? below(name, ret, 0, max, 0) : 0;
}

bool sysfs_next_mount(unsigned *at, struct mounted *ret)
{
	struct mntent m, *got;
	char buf[4096];
	struct stat st;
	unsigned line = 0;

	FILE *f = setmntent("/proc/self/mounts", "re");
	if (!f)
		return false;
	while ((got = getmntent_r(f, &m, buf, (int)sizeof buf))) {
		if (line++ < *at)
			continue;
		*at = line;
		if (m.mnt_fsname[0] != '/' || stat(m.mnt_fsname, &st) || !S_ISBLK(st.st_mode))
			continue;
		*ret = (struct mounted){ .dev = st.st_rdev };
		(void)snprintf(ret->source, sizeof ret->source, "%s", m.mnt_fsname);
		(void)snprintf(ret->point, sizeof ret->point, "%s", m.mnt_dir);
		(void)snprintf(ret->type, sizeof ret->type, "%s", m.mnt_type);
		(void)snprintf(ret->options, sizeof ret->options, "%s", m.mnt_opts);
		ret->writable = !hasmntopt(&m, "ro");
		break;
	}
	(void)endmntent(f);
	return got != NULL;
}

bool sysfs_mount_device(const char *point, dev_t *ret)
{
	struct mounted m;
	bool found = false;

	for (unsigned at = 0; sysfs_next_mount(&at, &m);) {
		if (strcmp(m.point, point) != 0)
			continue;
		*ret = m.dev; /* the last one covers the others */
		found = true;
	}
	return found;
}
