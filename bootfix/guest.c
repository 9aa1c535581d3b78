/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest.h"

#include "base/cleanup.h"
#include "digest.h"
#include "guest_open.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

enum { MAX_ENTRIES = 65536 };

int guest_openat(const struct guest *g, int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	if (g->rootfd < 0) {
		errno = ENOENT;
		return -1;
	}
	/* EAGAIN: something was renamed while the kernel walked; nothing here should, so a few
	 * tries are plenty. */
	for (int i = 0; i < 16; i++) {
		long fd =
		    syscall(SYS_openat2, dirfd < 0 ? g->rootfd : dirfd, path, &how, sizeof how);

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -1;
	}
	return -1;
}

/* Words for a failed open of ${path}; "not there" has no words, the caller asked. */
static int open_failed(const char *path, struct err *e)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return -ENOENT;
	if (errno == ELOOP)
		return err_set(e, ERR_GUEST, ELOOP, "'%s': links in a circle", path);
	return err_set(e, ERR_DISK, errno, "open '%s'", path);
}

int guest_open(const struct guest *g, const char *path, struct err *e)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO must not stop us before we know that it is one. */
	scoped(close_fdp) int fd = guest_openat(g, -1, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return open_failed(path, e);
	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_DISK, errno, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_GUEST, EINVAL, "'%s' is not a regular file", path);
	return take_fd(&fd);
}

int guest_read(const struct guest *g, const char *path, size_t cap, struct buf *ret, struct err *e)
{
	scoped(buf_free) struct buf got = { 0 };
	struct stat st;
	int r = guest_open(g, path, e);

	if (r < 0)
		return r;
	scoped(close_fdp) int fd = r;
	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_DISK, errno, "'%s'", path);
	if ((uint64_t)st.st_size > cap)
		return err_set(e, ERR_GUEST, EFBIG, "'%s' has %lld bytes, more than %zu", path,
			       (long long)st.st_size, cap);
	got.room = (size_t)st.st_size + 1;
	got.data = malloc(got.room);
	if (!got.data)
		return err_set(e, ERR_SYS, ENOMEM, "'%s'", path);
	while (got.len < (size_t)st.st_size) {
		ssize_t n = read(fd, got.data + got.len, (size_t)st.st_size - got.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, ERR_DISK, errno, "read '%s'", path);
		if (!n)
			break;
		got.len += (size_t)n;
	}
	got.data[got.len] = 0;
	*ret = got;
	memset(&got, 0, sizeof got);
	return 0;
}

static int stat_flags(const struct guest *g, const char *path, int flags, struct stat *ret,
		      struct err *e)
{
	scoped(close_fdp) int fd = guest_openat(g, -1, path, O_PATH | flags, 0);

	if (fd < 0)
		return open_failed(path, e);
	if (fstat(fd, ret) < 0)
		return err_set(e, ERR_DISK, errno, "'%s'", path);
	return 0;
}

int guest_stat(const struct guest *g, const char *path, struct stat *ret, struct err *e)
{
	return stat_flags(g, path, 0, ret, e);
}

int guest_lstat(const struct guest *g, const char *path, struct stat *ret, struct err *e)
{
	return stat_flags(g, path, O_NOFOLLOW, ret, e);
}

int guest_statvfs(const struct guest *g, const char *path, struct statvfs *ret,
		  struct stat *ret_stat, struct err *e)
{
	scoped(close_fdp) int fd = guest_openat(g, -1, path, O_PATH, 0);

	if (fd < 0)
		return open_failed(path, e);
	if (fstatvfs(fd, ret) < 0 || fstat(fd, ret_stat) < 0)
		return err_set(e, ERR_DISK, errno, "'%s'", path);
	return 0;
}

bool guest_has(const struct guest *g, const char *path)
{
	struct stat st;

	return !guest_stat(g, path, &st, NULL);
}

int guest_readlink(const struct guest *g, const char *path, char *ret, size_t size, struct err *e)
{
	scoped(close_fdp) int fd = guest_openat(g, -1, path, O_PATH | O_NOFOLLOW, 0);
	ssize_t n;

	if (fd < 0)
		return open_failed(path, e);
	n = readlinkat(fd, "", ret, size);
	if (n < 0)
		return err_set(e, ERR_GUEST, errno, "'%s' is not a link", path);
	if ((size_t)n >= size)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "'%s': its text is too long", path);
	ret[n] = 0;
	return 0;
}

/* ---- folders ------------------------------------------------------------------------------- */

struct entry {
	char *name;
	unsigned char type;
};

struct listing {
	struct entry *entries;
	size_t n, room;
};

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->entries[i].name);
	free(l->entries);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int listing_add(struct listing *l, const struct dirent *d, const char *dir, struct err *e)
{
	if (l->n >= MAX_ENTRIES)
		return err_set(e, ERR_GUEST, E2BIG, "'%s' has more than %d entries", dir,
			       MAX_ENTRIES);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct entry *more = realloc(l->entries, room * sizeof *more);

		if (!more)
			return err_set(e, ERR_SYS, ENOMEM, "'%s'", dir);
		l->entries = more;
		l->room = room;
	}
	l->entries[l->n].name = strdup(d->d_name);
	l->entries[l->n].type = d->d_type;
	if (!l->entries[l->n].name)
		return err_set(e, ERR_SYS, ENOMEM, "'%s'", dir);
	l->n++;
	return 0;
}

static int listing_fill(struct listing *l, DIR *d, const char *dir, struct err *e)
{
	for (;;) {
		struct dirent *entry;
		int r;

		errno = 0;
		entry = readdir(d); /* NOLINT(concurrency-mt-unsafe): one thread, own stream */
		if (!entry && errno)
			return err_set(e, ERR_DISK, errno, "list '%s'", dir);
		if (!entry)
			return 0;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = listing_add(l, entry, dir, e);
		if (r < 0)
			return r;
	}
}

int guest_list(const struct guest *g, const char *dir, guest_on_name *on_name, void *arg,
	       struct err *e)
{
	scoped(close_fdp) int fd = guest_openat(g, -1, dir, O_RDONLY | O_DIRECTORY, 0);
	scoped(listing_free) struct listing l = { 0 };
	scoped(closedirp) DIR *d = NULL;
	int r;

	if (fd < 0)
		return open_failed(dir, e);
	d = fdopendir(fd);
	if (!d)
		return err_set(e, ERR_SYS, errno, "list '%s'", dir);
	(void)take_fd(&fd);
	r = listing_fill(&l, d, dir, e);
	if (r < 0)
		return r;
	if (l.n)
		qsort(l.entries, l.n, sizeof *l.entries, by_name);
	for (size_t i = 0; i < l.n; i++) {
		r = on_name(arg, l.entries[i].name, l.entries[i].type);
		if (r)
			return r;
	}
	return 0;
}

int guest_digest(const struct guest *g, const char *path, uint8_t sha256[static 32],
		 uint64_t *ret_len, struct err *e)
{
	int r = guest_open(g, path, e);

	if (r < 0)
		return r;
	scoped(close_fdp) int fd = r;
	r = digest_fd(fd, sha256, ret_len, e);
	return r < 0 ? err_under(e, r, "'%s'", path) : 0;
}

int guest_open_tree(struct guest *g, int dirfd, struct err *e)
{
	memset(g, 0, sizeof *g);
	g->root_vol = -1;
	g->loader.boot_disk = g->loader.esp = -1;
	g->rootfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (g->rootfd < 0)
		return err_set(e, ERR_SYS, errno, "the folder that stands for a guest");
	g->tree = true;
	g->writable = true;
	return 0;
}

void guest_free(struct guest *g)
{
	facts_free(&g->facts);
	for (size_t i = 0; i < g->n_disks; i++)
		if (g->disks[i].fd > 0)
			(void)close(g->disks[i].fd);
	for (size_t i = 0; i < g->loader.n_configs; i++)
		free(g->loader.configs[i]);
	free(g->disks);
	free(g->vols);
	free(g->mnts);
	free(g->kernels);
	free(g->nics);
	if (g->rootfd > 0)
		(void)close(g->rootfd);
	memset(g, 0, sizeof *g);
	g->rootfd = -1;
	g->root_vol = -1;
}
