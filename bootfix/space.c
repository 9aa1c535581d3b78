/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "space.h"

#include "guest.h"
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* /, /usr, /var, /boot, /boot/efi and /efi are all that is ever mounted. */
enum { MAX_FS = 8 };

/* One file system of the guest, and what the plan wants from it. */
struct fs {
	dev_t dev;
	uint64_t block, room, planned, new_files;
	uint64_t inodes; /* free ones; UINT64_MAX where they are made as needed */
	uint64_t most;   /* what the largest action needs */
	const struct action *largest;
};

uint64_t space_missing(uint64_t planned, uint64_t room)
{
	uint64_t need = planned + planned / 10;

	return need > room ? need - room : 0;
}

/* What growfs adds before the first file is written; a tenth of it may become tables. */
static uint64_t room_to_come(const struct plan *p, dev_t dev)
{
	uint64_t room = 0;

	for (size_t i = 0; i < p->n_actions; i++) {
		const struct action *a = &p->actions[i];
		const struct vol *v;
		struct stat st;

		if (a->kind != A_TOOL)
			continue;
		v = &p->guest->vols[a->vol];
		if (v->dev[0] && !stat(v->dev, &st) && st.st_rdev == dev &&
		    a->tool_size > v->fs_size)
			room += (a->tool_size - v->fs_size) / 10 * 9;
	}
	return room;
}

/* Of ${path}, or of the nearest folder above it that is there. */
static int statvfs_near(const struct guest *g, const char *path, struct statvfs *ret,
			struct stat *ret_stat, struct err *e)
{
	char at[MAX_PATH];
	int r;

	(void)snprintf(at, sizeof at, "%s", path);
	for (;;) {
		char *slash = strrchr(at, '/');

		r = guest_statvfs(g, slash ? at : "/", ret, ret_stat, e);
		if (r != -ENOENT || !slash)
			return r;
		*slash = 0;
	}
}

/* The file system on which ${path} is or will be; NULL with *ret_r 0 when that is one too many. */
static struct fs *fs_of(const struct plan *p, const char *path, struct fs all[static MAX_FS],
			int *ret_r, struct err *e)
{
	struct statvfs s;
	struct stat st;

	*ret_r = statvfs_near(p->guest, path, &s, &st, e);
	for (size_t i = 0; !*ret_r && i < MAX_FS; i++) {
		struct fs *fs = &all[i];

		if (fs->block && fs->dev != st.st_dev)
			continue;
		if (!fs->block) {
			fs->dev = st.st_dev;
			fs->block = s.f_frsize ? s.f_frsize : 512;
			fs->room = s.f_bfree * fs->block + room_to_come(p, st.st_dev);
			fs->inodes = s.f_files ? s.f_ffree : UINT64_MAX;
		}
		return fs;
	}
	return NULL;
}

static int bytes_of(const struct plan *p, const struct action *a, uint64_t *ret, struct err *e)
{
	struct stat st;
	int r;

	*ret = a->data.len;
	if (a->kind != A_COPY)
		return 0;
	r = guest_stat(p->guest, a->from, &st, e);
	if (!r)
		*ret = (uint64_t)st.st_size;
	return r == -ENOENT ? 0 : r;
}

static int count(const struct plan *p, const struct action *a, struct fs all[static MAX_FS],
		 struct err *e)
{
	uint64_t bytes;
	struct fs *fs;
	int r = bytes_of(p, a, &bytes, e);

	if (r < 0)
		return r;
	fs = fs_of(p, a->path, all, &r, e);
	if (!fs)
		return r;
	bytes = (bytes + fs->block - 1) / fs->block * fs->block;
	fs->planned += bytes;
	fs->new_files += !a->seen;
	if (!fs->largest || bytes > fs->most) {
		fs->most = bytes;
		fs->largest = a;
	}
	return 0;
}

static void tell(struct plan *p, const struct fs *fs)
{
	const struct action *a = fs->largest;
	uint64_t missing = space_missing(fs->planned, fs->room);

	if (missing)
		plan_finding(p, a->step, LEVEL_BLOCKED, a->path,
			     "no room: the plan writes %llu bytes to this file system and wants a "
			     "tenth more to spare, %llu are free: %llu bytes are missing; remove "
			     "files there in the source and sync, or give it a larger disk",
			     (unsigned long long)fs->planned, (unsigned long long)fs->room,
			     (unsigned long long)missing);
	/* One more than it makes: a rewritten file is beside the old one for a moment. */
	else if (fs->inodes < fs->new_files + 1)
		plan_finding(p, a->step, LEVEL_BLOCKED, a->path,
			     "no room: this file system has %llu inodes left, the plan needs %llu; "
			     "remove files there in the source and sync",
			     (unsigned long long)fs->inodes, (unsigned long long)fs->new_files + 1);
}

int space_plan(struct plan *p, struct err *e)
{
	struct fs all[MAX_FS] = { 0 };

	for (size_t i = 0; i < p->n_actions; i++) {
		const struct action *a = &p->actions[i];
		int r = 0;

		if (a->kind == A_WRITE || a->kind == A_APPEND || a->kind == A_COPY)
			r = count(p, a, all, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < MAX_FS; i++)
		if (all[i].largest)
			tell(p, &all[i]);
	return 0;
}
