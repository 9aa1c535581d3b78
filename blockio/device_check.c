/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * device_check.c - never a disk that something uses: mounts, swap, holders, loop devices
 *
 * O_EXCL alone misses what lies on a partition that the kernel reads through another name (btrfs,
 * loop), and tells no person why; so the kernel's own tables are read first, by device number.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "device_internal.h"

#define USERS_MAX 256 /* a disk, its partitions, and what stands on them */
#define DEPTH_MAX 8   /* disk -> partition -> md -> crypt -> lvm -> ... */

struct users {
	dev_t v[USERS_MAX];
	size_t n;
	char holder[64]; /* name of the first holder found, or "" */
	bool overflow;
};

static bool is_user(const struct users *u, dev_t dev)
{
	for (size_t i = 0; i < u->n; i++) {
		if (u->v[i] == dev)
			return true;
	}
	return false;
}

/* "254:1" */
static bool parse_dev(const char *text, dev_t *ret)
{
	char *colon, *end;
	unsigned long maj = strtoul(text, &colon, 10), min;

	if (colon == text || *colon != ':' || maj > UINT_MAX)
		return false;
	min = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || *end || min > UINT_MAX)
		return false;
	*ret = makedev((unsigned)maj, (unsigned)min);
	return true;
}

static bool read_dev(const char *dir, dev_t *ret)
{
	char text[32];

	return device_sysfs_read(dir, "dev", text, sizeof text) && parse_dev(text, ret);
}

static void add_holders(const char *dir, struct users *u, unsigned depth);

/* Adds the device of the sysfs folder ${dir} and all that stands on it. */
static void add_user(const char *dir, struct users *u, unsigned depth)
{
	dev_t dev;

	if (!read_dev(dir, &dev) || is_user(u, dev))
		return;
	if (u->n == USERS_MAX || depth == DEPTH_MAX) {
		u->overflow = true;
		return;
	}
	u->v[u->n++] = dev;
	add_holders(dir, u, depth + 1);
}

static void add_holders(const char *dir, struct users *u, unsigned depth)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/holders", dir);
	scoped(closedirp) DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (de->d_name[0] == '.')
			continue;
		if (!u->holder[0])
			(void)snprintf(u->holder, sizeof u->holder, "%.60s", de->d_name);
		(void)snprintf(path, sizeof path, "%s/holders/%s", dir, de->d_name);
		add_user(path, u, depth);
	}
}

static void find_users(const char *dir, dev_t dev, struct users *u)
{
	char path[PATH_MAX], text[8];

	u->v[u->n++] = dev;
	add_holders(dir, u, 0);
	scoped(closedirp) DIR *d = opendir(dir);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, de->d_name);
		if (device_sysfs_read(path, "partition", text, sizeof text))
			add_user(path, u, 0);
	}
}

/* Octal escapes of the kernel's tables (blank, tab, newline, backslash) back to bytes. */
static void unescape(char *s)
{
	char *o = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*o++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*o++ = *s;
		}
	}
	*o = 0;
}

struct mount {
	dev_t dev;
	char *point;
	char *source;
};

/* "36 35 98:0 /root /point options [tags] - type source super"; cuts ${line} up. */
static bool parse_mount(char *line, struct mount *ret)
{
	char *field[6], *save = NULL, *tail = strstr(line, " - ");

	if (!tail)
		return false;
	*tail = 0;
	for (size_t i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	if (!parse_dev(field[2], &ret->dev))
		return false;
	ret->point = field[4];
	(void)strtok_r(tail + 3, " ", &save);
	ret->source = strtok_r(NULL, " \n", &save);
	unescape(ret->point);
	if (ret->source)
		unescape(ret->source);
	return true;
}

/* btrfs and others show a number of their own: their source's number decides then. */
static bool mount_is_on(const struct mount *m, const struct users *u)
{
	struct stat st;

	if (is_user(u, m->dev))
		return true;
	return m->source && m->source[0] == '/' && !stat(m->source, &st) && S_ISBLK(st.st_mode) &&
	       is_user(u, st.st_rdev);
}

static int check_mounts(const struct device_facts *f, const char *path, const struct users *u,
			struct err *e)
{
	scoped(fclosep) FILE *in = fopen(f->mountinfo, "re");
	scoped(freep) char *line = NULL;
	size_t room = 0;
	struct mount m;

	if (!in)
		return err_set(e, ERR_SYS, errno, "read '%s'", f->mountinfo);
	while (getline(&line, &room, in) > 0) {
		if (!parse_mount(line, &m) || !mount_is_on(&m, u))
			continue;
		if (!strcmp(m.point, "/"))
			return err_refuse(e, "disk-is-own", EBUSY,
					  "'%s' is the disk this system runs from; boot the "
					  "appliance into memory, or choose another disk",
					  path);
		return err_refuse(e, "disk-mounted", EBUSY,
				  "'%s' is mounted on '%s'; unmount it first", path, m.point);
	}
	return 0;
}

/* ${match} says whether a swap area or backing file is the one in question. */
struct wanted {
	const struct users *users; /* NULL: a regular file is looked for */
	const struct stat *file;
};

static bool is_wanted(const struct wanted *w, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (w->users)
		return S_ISBLK(st.st_mode) && is_user(w->users, st.st_rdev);
	return st.st_dev == w->file->st_dev && st.st_ino == w->file->st_ino;
}

static int check_swaps(const struct device_facts *f, const char *path, const struct wanted *w,
		       struct err *e)
{
	scoped(fclosep) FILE *in = fopen(f->swaps, "re");
	scoped(freep) char *line = NULL;
	size_t room = 0;

	/* A kernel without swap has no table. */
	while (in && getline(&line, &room, in) > 0) {
		line[strcspn(line, " \t\n")] = 0;
		unescape(line);
		if (line[0] == '/' && is_wanted(w, line))
			return err_refuse(e, "disk-in-use", EBUSY,
					  "'%s' holds the swap area '%s'; turn it off with swapoff",
					  path, line);
	}
	return 0;
}

static int check_loops(const struct device_facts *f, const char *path, const struct wanted *w,
		       struct err *e)
{
	scoped(closedirp) DIR *d = opendir(f->sys_class);
	char dir[PATH_MAX], file[PATH_MAX];

	for (struct dirent *de; d && (de = readdir(d));) {
		if (strncmp(de->d_name, "loop", 4) != 0)
			continue;
		(void)snprintf(dir, sizeof dir, "%s/%s", f->sys_class, de->d_name);
		if (device_sysfs_read(dir, "loop/backing_file", file, sizeof file) &&
		    is_wanted(w, file))
			return err_refuse(e, "disk-in-use", EBUSY,
					  "'%s' is in use by /dev/%s; detach it with losetup -d",
					  path, de->d_name);
	}
	return 0;
}

int device_check_block(const struct device_facts *f, const char *path, dev_t dev, struct err *e)
{
	scoped(freep) struct users *u = calloc(1, sizeof *u);
	char dir[256], text[8];
	int r;

	if (!u)
		return err_set(e, ERR_SYS, ENOMEM, "check '%s'", path);
	(void)snprintf(dir, sizeof dir, "%s/%u:%u", f->sys_block, major(dev), minor(dev));
	if (device_sysfs_read(dir, "partition", text, sizeof text))
		return err_refuse(e, "disk-is-partition", EINVAL,
				  "'%s' is a partition; name the whole disk", path);
	find_users(dir, dev, u);
	const struct wanted w = { .users = u };
	if ((r = check_mounts(f, path, u, e)) < 0 || (r = check_swaps(f, path, &w, e)) < 0 ||
	    (r = check_loops(f, path, &w, e)) < 0)
		return r;
	if (u->holder[0])
		return err_refuse(e, "disk-in-use", EBUSY,
				  "'%s' is in use by '%s' (LVM, md, multipath or encryption); "
				  "deactivate it first",
				  path, u->holder);
	if (u->overflow)
		return err_refuse(e, "disk-in-use", EBUSY,
				  "more devices stand on '%s' than can be checked", path);
	if (device_sysfs_read(dir, "ro", text, sizeof text) && text[0] == '1')
		return err_refuse(e, "disk-read-only", EROFS, "'%s' is read-only", path);
	return 0;
}

int device_check_file(const struct device_facts *f, const char *path, const struct stat *st,
		      struct err *e)
{
	const struct wanted w = { .file = st };
	int r = check_loops(f, path, &w, e);

	if (r < 0)
		return r;
	if ((r = check_swaps(f, path, &w, e)) < 0)
		return r;
	if (!(st->st_mode & 0222))
		return err_refuse(e, "disk-read-only", EROFS, "'%s' has no write permission", path);
	return 0;
}
