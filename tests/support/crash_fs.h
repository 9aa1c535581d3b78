/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crash_fs.h - a power cut for the files of one folder, without a machine to cut
 *
 * Use     link with --wrap for the calls below and include this in one file. crash_fs_watch(dir),
 *         crash_fs_arm(n): the n-th call from now on is the last that does anything, and what it
 *         writes is cut short; all later ones fail with EIO, so that the code under test unwinds.
 *         Then close everything and crash_fs_cut(): what was not synced is kept, lost or torn,
 *         by sectors, and a rename that no folder sync covered is undone by chance.
 * Not     the file "table": nothing may depend on it.
 */
#ifndef CRASH_FS_H
#define CRASH_FS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CRASH_SECTOR 512
#define CRASH_FILES 8

struct crash_file {
	ino_t ino;
	uint8_t *durable;
	size_t durable_len;
	bool named; /* its content was ever synced, so its name may survive */
};

static struct {
	char dir[256];
	unsigned long calls, die_at; /* 0: never */
	bool dead;
	int fail_sync; /* this many syncs from now on fail, without a crash */
	struct crash_file files[CRASH_FILES];
	size_t n;
	bool renamed;             /* journal.new became journal, and the folder is not synced yet */
	struct crash_file before; /* what journal was then */
	uint64_t rng;
} crash_fs;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): ld --wrap names them so */
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static inline uint64_t crash_random(void)
{
	/* xorshift64*: a seed gives the same run everywhere */
	crash_fs.rng ^= crash_fs.rng >> 12;
	crash_fs.rng ^= crash_fs.rng << 25;
	crash_fs.rng ^= crash_fs.rng >> 27;
	return crash_fs.rng * UINT64_C(2685821657736338717) >> 16;
}

/* True when the call is to be done; false: the power is gone. */
static inline bool crash_alive(bool *ret_last)
{
	*ret_last = false;
	if (crash_fs.dead)
		return false;
	crash_fs.calls++;
	if (crash_fs.die_at && crash_fs.calls == crash_fs.die_at) {
		crash_fs.dead = true;
		*ret_last = true;
	}
	return true;
}

static inline bool crash_watched(int fd)
{
	static ino_t last_ino;
	static bool last;
	char link[64], path[512];
	struct stat st;

	if (!crash_fs.dir[0] || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	if (st.st_ino == last_ino && crash_fs.n)
		return last;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return false;
	path[n] = 0;
	size_t len = strlen(crash_fs.dir);
	last_ino = st.st_ino;
	last = !strncmp(path, crash_fs.dir, len) && !strncmp(path + len, "/journal", 8);
	return last;
}

static inline struct crash_file *crash_find(ino_t ino)
{
	for (size_t i = 0; i < crash_fs.n; i++) {
		if (crash_fs.files[i].ino == ino)
			return crash_fs.files + i;
	}
	if (crash_fs.n == CRASH_FILES) {
		free(crash_fs.files[0].durable);
		memmove(crash_fs.files, crash_fs.files + 1,
			(CRASH_FILES - 1) * sizeof *crash_fs.files);
		crash_fs.n--;
	}
	struct crash_file *f = crash_fs.files + crash_fs.n++;
	*f = (struct crash_file){ .ino = ino };
	return f;
}

static inline void crash_snapshot(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	struct crash_file *f = crash_find(st.st_ino);
	free(f->durable);
	f->durable_len = (size_t)st.st_size;
	f->durable = malloc(f->durable_len + 1);
	if (!f->durable || pread(fd, f->durable, f->durable_len, 0) != (ssize_t)f->durable_len)
		abort();
	f->named = true;
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off)
{
	bool last;

	if (!crash_watched(fd))
		return __real_pwrite64(fd, p, len, off);
	if (!crash_alive(&last)) {
		errno = EIO;
		return -1;
	}
	if (!last)
		return __real_pwrite64(fd, p, len, off);
	(void)__real_pwrite64(fd, p, crash_random() % (len + 1), off);
	errno = EIO;
	return -1;
}

static inline int crash_sync(int fd, int (*real)(int))
{
	bool last;
	struct stat st;

	if (fstat(fd, &st) < 0 || (!S_ISDIR(st.st_mode) && !crash_watched(fd)))
		return real(fd);
	/* The last call did nothing, or everything, and nobody heard of it. */
	if (!crash_alive(&last) || (last && crash_random() % 2)) {
		errno = EIO;
		return -1;
	}
	if (crash_fs.fail_sync) {
		crash_fs.fail_sync--;
		errno = EIO;
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		crash_fs.renamed = false;
	else
		crash_snapshot(fd);
	if (last)
		errno = EIO;
	return last ? -1 : 0;
}

int __wrap_fdatasync(int fd)
{
	return crash_sync(fd, __real_fdatasync);
}

int __wrap_fsync(int fd)
{
	return crash_sync(fd, __real_fsync);
}

static inline void crash_remember_journal(int dirfd)
{
	int fd = openat(dirfd, "journal", O_RDONLY | O_CLOEXEC);
	struct stat st;

	free(crash_fs.before.durable);
	crash_fs.before = (struct crash_file){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	struct crash_file *f = crash_find(st.st_ino);
	if (f->named) {
		crash_fs.before = *f;
		crash_fs.before.durable = malloc(f->durable_len + 1);
		if (!crash_fs.before.durable)
			abort();
		memcpy(crash_fs.before.durable, f->durable, f->durable_len);
	}
	(void)close(fd);
}

int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	bool last;

	if (!crash_fs.dir[0])
		return __real_renameat(a, from, b, to);
	if (!crash_alive(&last) || (last && crash_random() % 2)) {
		errno = EIO;
		return -1;
	}
	crash_remember_journal(b);
	crash_fs.renamed = true;
	return __real_renameat(a, from, b, to);
}

int __wrap_ftruncate64(int fd, off_t len)
{
	bool last;

	if (!crash_watched(fd))
		return __real_ftruncate64(fd, len);
	if (!crash_alive(&last)) {
		errno = EIO;
		return -1;
	}
	return __real_ftruncate64(fd, len);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (crash_fs.dead) {
		errno = EIO;
		return -1;
	}
	return __real_unlinkat(fd, name, flags);
}

static inline void crash_fs_watch(const char *dir, uint64_t seed)
{
	for (size_t i = 0; i < crash_fs.n; i++)
		free(crash_fs.files[i].durable);
	free(crash_fs.before.durable);
	memset(&crash_fs, 0, sizeof crash_fs);
	if (dir)
		(void)snprintf(crash_fs.dir, sizeof crash_fs.dir, "%s", dir);
	crash_fs.rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	/* Neighbouring seeds begin alike: let them part. */
	for (int i = 0; i < 16; i++)
		(void)crash_random();
}

static inline void crash_fs_arm(unsigned long calls)
{
	crash_fs.calls = 0;
	crash_fs.die_at = calls;
	crash_fs.dead = false;
}

/* What stands on the platter after the cut, for one file. */
static inline void crash_mix(int fd, const struct crash_file *f, bool all_lost)
{
	struct stat st;
	size_t len;

	if (fstat(fd, &st) < 0)
		abort();
	len = (size_t)st.st_size > f->durable_len ? (size_t)st.st_size : f->durable_len;
	uint8_t *mix = calloc(1, len + 1), *now = calloc(1, len + 1);
	if (!mix || !now || pread(fd, now, (size_t)st.st_size, 0) < 0)
		abort();
	if (f->durable)
		memcpy(mix, f->durable, f->durable_len);
	unsigned keep = (unsigned)(crash_random() % 101); /* per cent of unsynced sectors */
	size_t end = f->durable_len;
	for (size_t at = 0; !all_lost && at < len; at += CRASH_SECTOR) {
		size_t n = len - at < CRASH_SECTOR ? len - at : CRASH_SECTOR;

		if (!memcmp(mix + at, now + at, n) || crash_random() % 100 >= keep)
			continue;
		memcpy(mix + at, now + at, n);
		if (at + n > end)
			end = at + n;
	}
	if (__real_ftruncate64(fd, 0) < 0 || __real_pwrite64(fd, mix, end, 0) != (ssize_t)end)
		abort();
	free(mix);
	free(now);
}

static inline void crash_fs_cut(void)
{
	char path[300];
	struct stat st;

	crash_fs.dead = false;
	crash_fs.die_at = 0;
	(void)snprintf(path, sizeof path, "%s/journal", crash_fs.dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (crash_fs.renamed && crash_random() % 2) {
			/* The old name came back, with what it had. */
			if (crash_fs.before.named) {
				crash_mix(fd, &crash_fs.before, true);
				struct crash_file *f = crash_find(st.st_ino);
				free(f->durable);
				f->durable = NULL;
				f->durable_len = 0;
			} else {
				(void)unlink(path);
			}
		} else {
			crash_mix(fd, crash_find(st.st_ino), false);
		}
		/* It is on the platter now, whatever it is. */
		crash_snapshot(fd);
	}
	if (fd >= 0)
		(void)close(fd);
	crash_fs.renamed = false;
}

#endif
