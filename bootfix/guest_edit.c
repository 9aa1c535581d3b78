/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest_edit.h"

#include "base/cleanup.h"
#include "guest.h"
#include "guest_open.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

/* One fixed name: an edit that was killed leaves at most this, and the next one finds it. */
#define BESIDE ".bootfix.new"

enum { MAX_LINK_STEPS = 40 };

/* A file by its folder and its name in there. */
struct place {
	int dirfd; /* readable, so that it can be synced */
	char name[256];
};

static void place_closep(struct place *p)
{
	close_fdp(&p->dirfd);
}

static int failed(const char *what, const char *path, struct err *e)
{
	return err_set(e, ERR_DISK, errno, "%s '%s'", what, path);
}

static int split(const struct guest *g, const char *path, struct place *ret, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[MAX_PATH];

	ret->dirfd = -1;
	if (!slash || !slash[1] || !strcmp(slash, "/.") || !strcmp(slash, "/..") ||
	    strlen(slash + 1) >= sizeof ret->name || strlen(path) >= sizeof dir)
		return err_set(e, ERR_GUEST, EINVAL, "'%.200s' does not name a file", path);
	memcpy(dir, path, (size_t)(slash - path) + 1);
	dir[slash - path + 1] = 0;
	memcpy(ret->name, slash + 1, strlen(slash + 1) + 1);
	ret->dirfd = guest_openat(g, -1, dir, O_RDONLY | O_DIRECTORY, 0);
	if (ret->dirfd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	return ret->dirfd < 0 ? failed("open folder of", path, e) : 0;
}

/* Walks links at the end of the path by hand: what is edited is the file behind them, in its own
 * folder. Each step begins at the guest's root again, so none can leave it. */
static int find(const struct guest *g, const char *path, struct place *ret, struct err *e)
{
	char at[MAX_PATH], text[MAX_PATH], next[MAX_PATH];

	if (strlen(path) >= sizeof at)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "'%.200s'", path);
	memcpy(at, path, strlen(path) + 1);
	for (int i = 0; i < MAX_LINK_STEPS; i++) {
		struct place p;
		ssize_t n;
		int r = split(g, at, &p, e), len;

		if (r < 0)
			return r;
		n = readlinkat(p.dirfd, p.name, text, sizeof text - 1);
		if (n < 0) {
			*ret = p;
			return 0;
		}
		close_fdp(&p.dirfd);
		text[n] = 0;
		if (text[0] == '/')
			len = snprintf(next, sizeof next, "%s", text);
		else
			len = snprintf(next, sizeof next, "%.*s/%s", (int)(strrchr(at, '/') - at),
				       at, text);
		if (len < 0 || (size_t)len >= sizeof next)
			return err_set(e, ERR_GUEST, ENAMETOOLONG, "'%.200s'", path);
		memcpy(at, next, sizeof at);
	}
	return err_set(e, ERR_GUEST, ELOOP, "'%s': links in a circle", path);
}

static int write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- replace --------------------------------------------------------------------------------- */

/* Labels, ACLs, capabilities. vfat has none and says so. */
static int copy_xattrs(int from, int to)
{
	char names[4096], value[8192];
	ssize_t len = flistxattr(from, names, sizeof names);

	if (len < 0)
		return errno == ENOTSUP ? 0 : -1;
	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t n = fgetxattr(from, names + i, value, sizeof value);

		if (n < 0 || fsetxattr(to, names + i, value, (size_t)n, 0) < 0)
			return -1;
	}
	return 0;
}

static int copy_meta(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	struct stat now;

	if (fstat(to, &now) < 0)
		return -1;
	/* vfat refuses even a chown that changes nothing. */
	if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
	    fchown(to, st->st_uid, st->st_gid) < 0)
		return -1;
	if (now.st_mode != st->st_mode && fchmod(to, st->st_mode & 07777) < 0)
		return -1;
	return copy_xattrs(from, to) < 0 ? -1 : futimens(to, times);
}

/* A file that did not exist gets its folder's label, as a program of the guest would have made it:
 * then nothing has to be relabelled. */
static void label_as_folder(int dirfd, int fd)
{
	char label[512];
	ssize_t n = fgetxattr(dirfd, "security.selinux", label, sizeof label);

	if (n > 0)
		(void)!fsetxattr(fd, "security.selinux", label, (size_t)n, 0);
}

static int beside(const struct place *p, int old, const struct stat *st, const void *data,
		  size_t len, mode_t mode)
{
	scoped(close_fdp) int fd = -1;

	if (unlinkat(p->dirfd, BESIDE, 0) < 0 && errno != ENOENT)
		return -1;
	fd = openat(p->dirfd, BESIDE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, data, len) < 0)
		return -1;
	if (old >= 0 ? copy_meta(old, fd, st) < 0 : fchmod(fd, mode & 07777) < 0)
		return -1;
	if (old < 0)
		label_as_folder(p->dirfd, fd);
	if (fsync(fd) < 0 || renameat(p->dirfd, BESIDE, p->dirfd, p->name) < 0)
		return -1;
	return fsync(p->dirfd);
}

static int in_place(int old, const void *data, size_t len, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (lseek(old, 0, SEEK_SET) < 0 || write_all(old, data, len) < 0 ||
	    ftruncate(old, (off_t)len) < 0 || futimens(old, times) < 0)
		return -1;
	return fsync(old);
}

/* The immutable and append-only flags, to be put back; 0 where there are none. */
static int take_flags(int fd)
{
	int flags = 0, without;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return 0;
	without = flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	return ioctl(fd, FS_IOC_SETFLAGS, &without) < 0 ? 0 : flags;
}

static int replace_existing(const struct place *p, const char *path, const void *data, size_t len,
			    struct err *e)
{
	scoped(close_fdp) int old =
	    openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int flags, r;

	if (old < 0 || fstat(old, &st) < 0)
		return failed("open", path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_GUEST, EINVAL, "'%s' is not a regular file", path);
	flags = take_flags(old);
	if (st.st_nlink == 1 && !flags) {
		r = beside(p, old, &st, data, len, 0);
	} else {
		scoped(close_fdp) int fd =
		    openat(p->dirfd, p->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

		r = fd < 0 ? -1 : in_place(fd, data, len, &st);
		if (flags && !r)
			r = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	return r < 0 ? failed("write", path, e) : 0;
}

int edit_replace(const struct guest *g, const char *path, const void *data, size_t len, mode_t mode,
		 struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	struct stat st;
	int r = find(g, path, &p, e);

	if (r < 0)
		return r;
	if (!fstatat(p.dirfd, p.name, &st, AT_SYMLINK_NOFOLLOW))
		return replace_existing(&p, path, data, len, e);
	if (errno != ENOENT)
		return failed("look at", path, e);
	return beside(&p, -1, NULL, data, len, mode) < 0 ? failed("write", path, e) : 0;
}

/* ---- the others ------------------------------------------------------------------------------ */

static int open_file(const struct guest *g, const char *path, int flags, struct err *e)
{
	struct stat st;
	scoped(close_fdp) int fd = guest_openat(g, -1, path, flags | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : failed("open", path, e);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_GUEST, EINVAL, "'%s' is not a regular file", path);
	return take_fd(&fd);
}

int edit_append(const struct guest *g, const char *path, const void *data, size_t len,
		struct err *e)
{
	scoped(close_fdp) int fd = open_file(g, path, O_WRONLY | O_APPEND, e);

	if (fd < 0)
		return fd;
	return write_all(fd, data, len) < 0 || fsync(fd) < 0 ? failed("append to", path, e) : 0;
}

int edit_truncate(const struct guest *g, const char *path, uint64_t len, struct err *e)
{
	scoped(close_fdp) int fd = open_file(g, path, O_WRONLY, e);

	if (fd < 0)
		return fd;
	return ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0 ? failed("cut", path, e) : 0;
}

static int remove_at(const struct place *p, const char *path, struct err *e)
{
	if (unlinkat(p->dirfd, p->name, 0) < 0)
		return errno == ENOENT ? -ENOENT : failed("remove", path, e);
	return fsync(p->dirfd) < 0 ? failed("remove", path, e) : 0;
}

int edit_remove(const struct guest *g, const char *path, struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	int r = split(g, path, &p, e);

	return r < 0 ? r : remove_at(&p, path, e);
}

int edit_remove_file(const struct guest *g, const char *path, struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	int r = find(g, path, &p, e);

	return r < 0 ? r : remove_at(&p, path, e);
}

int edit_rename(const struct guest *g, const char *from, const char *path, struct err *e)
{
	scoped(place_closep) struct place a = { .dirfd = -1 }, b = { .dirfd = -1 };
	int r = split(g, from, &a, e);

	if (!r)
		r = split(g, path, &b, e);
	if (r < 0)
		return r;
	if (renameat2(a.dirfd, a.name, b.dirfd, b.name, RENAME_NOREPLACE) < 0)
		return errno == ENOENT ? -ENOENT : failed("rename to", path, e);
	return fsync(a.dirfd) < 0 || fsync(b.dirfd) < 0 ? failed("rename to", path, e) : 0;
}

int edit_link(const struct guest *g, const char *text, const char *path, struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	int r = split(g, path, &p, e);

	if (r < 0)
		return r;
	if ((unlinkat(p.dirfd, BESIDE, 0) < 0 && errno != ENOENT) ||
	    symlinkat(text, p.dirfd, BESIDE) < 0 ||
	    renameat(p.dirfd, BESIDE, p.dirfd, p.name) < 0 || fsync(p.dirfd) < 0)
		return failed("link", path, e);
	return 0;
}

int edit_sweep(const struct guest *g, const char *path, struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	int r = find(g, path, &p, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (unlinkat(p.dirfd, BESIDE, 0) < 0 && errno != ENOENT)
		return failed("clean up beside", path, e);
	return 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

/* Calls for every folder above ${path}, from the top; ${at} is its path. */
static int each_folder(const struct guest *g, const char *path,
		       int (*on_folder)(const struct guest *g, const char *at, void *arg,
					struct err *e),
		       void *arg, struct err *e)
{
	char at[MAX_PATH];
	int r = 0;

	if (path[0] != '/' || strlen(path) >= sizeof at)
		return err_set(e, ERR_GUEST, EINVAL, "'%.200s' does not name a file", path);
	for (const char *p = strchr(path + 1, '/'); p && !r; p = strchr(p + 1, '/')) {
		memcpy(at, path, (size_t)(p - path));
		at[p - path] = 0;
		r = on_folder(g, at, arg, e);
	}
	return r;
}

static int first_missing(const struct guest *g, const char *at, void *arg, struct err *e)
{
	struct stat st;
	int r = guest_stat(g, at, &st, e);

	if (r != -ENOENT)
		return r;
	memcpy(arg, at, strlen(at) + 1);
	return 1;
}

int edit_missing_folder(const struct guest *g, const char *path, char ret[static MAX_PATH],
			struct err *e)
{
	int r;

	ret[0] = 0;
	r = each_folder(g, path, first_missing, ret, e);
	return r < 0 ? r : 0;
}

static int make_one(const struct guest *g, const char *at, void *arg, struct err *e)
{
	scoped(place_closep) struct place p = { .dirfd = -1 };
	scoped(close_fdp) int made = -1;
	int r;

	(void)arg;
	if (guest_has(g, at))
		return 0;
	r = split(g, at, &p, e);
	if (r < 0)
		return r;
	if (mkdirat(p.dirfd, p.name, 0755) < 0)
		return failed("make folder", at, e);
	made = openat(p.dirfd, p.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (made < 0 || fchmod(made, 0755) < 0)
		return failed("make folder", at, e);
	label_as_folder(p.dirfd, made);
	return fsync(p.dirfd) < 0 ? failed("make folder", at, e) : 0;
}

int edit_make_folders(const struct guest *g, const char *path, struct err *e)
{
	return each_folder(g, path, make_one, NULL, e);
}

int edit_remove_folders(const struct guest *g, const char *path, const char *first, struct err *e)
{
	char at[MAX_PATH];

	if (strlen(path) >= sizeof at || strncmp(path, first, strlen(first)) != 0)
		return err_set(e, ERR_GUEST, EINVAL, "folders of '%.200s'", path);
	memcpy(at, path, strlen(path) + 1);
	for (char *slash = strrchr(at, '/'); slash > at; slash = strrchr(at, '/')) {
		scoped(place_closep) struct place p = { .dirfd = -1 };
		int r;

		*slash = 0;
		if (strlen(at) < strlen(first))
			break;
		r = split(g, at, &p, e);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		/* Something else has moved in: not ours to remove. */
		if (unlinkat(p.dirfd, p.name, AT_REMOVEDIR) < 0)
			return errno == ENOTEMPTY || errno == ENOENT ? 0 : failed("remove", at, e);
		if (fsync(p.dirfd) < 0)
			return failed("remove", at, e);
	}
	return 0;
}
