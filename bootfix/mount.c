/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mount.h"

#include "base/cleanup.h"
#include "guest_open.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

/* Where the root hangs in our namespace: made once, empty for everybody else. */
static char root_dir[] = "/tmp/bootfix.XXXXXX";
static bool root_made;

static const char *const allowed[] = { "ext2", "ext3", "ext4", "xfs", "btrfs", "vfat" };

const char *mount_place(void)
{
	return root_dir;
}

bool mount_type_allowed(const char *type)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (!strcmp(type, allowed[i]))
			return true;
	return false;
}

static void remove_place(void)
{
	(void)rmdir(root_dir);
}

int mount_namespace(struct err *e)
{
	if (root_made)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(e, ERR_SYS, errno, "private mount namespace (bootfix needs root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, ERR_SYS, errno, "private mount namespace");
	if (!mkdtemp(root_dir))
		return err_set(e, ERR_SYS, errno, "folder for the guest");
	root_made = true;
	return atexit(remove_place) ? err_set(e, ERR_SYS, ENOMEM, "folder for the guest") : 0;
}

/* The option that keeps a file system from replaying its journal, or NULL. */
static const char *no_replay(const char *type)
{
	if (!strcmp(type, "ext3") || !strcmp(type, "ext4"))
		return "noload";
	if (!strcmp(type, "xfs"))
		return "norecovery";
	return NULL;
}

/* A detached mount of ${v}; the caller closes it or moves it somewhere. */
static int detached(const struct vol *v, enum mount_mode mode, struct err *e)
{
	/* The type is ours, not the guest's: it points into the list above. */
	unsigned attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	const char *log_option = mode == MOUNT_LOOK ? no_replay(v->type) : NULL;

	if (!v->dev[0])
		return err_set(
		    e, ERR_SYS, ENODEV,
		    "the kernel shows no partition %u of disk %u: no partition scanning?",
		    v->number, v->disk);
	scoped(close_fdp) int fs = fsopen(v->type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_set(e, ERR_SYS, errno, "file system type %s", v->type);
	if (mode != MOUNT_CHANGE) {
		attr |= MOUNT_ATTR_RDONLY;
		if (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
			return err_set(e, ERR_SYS, errno, "mount %s read-only", v->dev);
	}
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", v->dev, 0) < 0 ||
	    (log_option && fsconfig(fs, FSCONFIG_SET_FLAG, log_option, NULL, 0) < 0) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_set(e, ERR_DISK, errno, "mount %s (%s)", v->dev, v->type);
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	if (fd < 0)
		return err_set(e, ERR_DISK, errno, "mount %s (%s)", v->dev, v->type);
	return fd;
}

int mount_root(struct guest *g, int vol, enum mount_mode mode, struct err *e)
{
	int r = detached(&g->vols[vol], mode, e);

	if (r < 0)
		return r;
	scoped(close_fdp) int fd = r;
	if (move_mount(fd, "", AT_FDCWD, root_dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, ERR_SYS, errno, "attach the guest's root");
	g->rootfd = take_fd(&fd);
	g->writable = mode == MOUNT_CHANGE;
	return 0;
}

static bool wanted(const char *dir)
{
	static const char *const dirs[] = { "/usr", "/var", "/boot", "/boot/efi", "/efi" };

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		if (!strcmp(dir, dirs[i]))
			return true;
	return false;
}

static int mount_one(struct guest *g, struct mnt *m, enum mount_mode mode, struct err *e)
{
	scoped(close_fdp) int place = guest_openat(g, -1, m->dir, O_PATH | O_DIRECTORY, 0);
	int r;

	if (place < 0)
		return err_set(e, ERR_GUEST, errno, "mount point '%s'", m->dir);
	r = detached(&g->vols[m->vol], mode, e);
	if (r < 0)
		return r;
	scoped(close_fdp) int fd = r;
	if (move_mount(fd, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(e, ERR_SYS, errno, "attach '%s'", m->dir);
	m->mounted = true;
	return 0;
}

int mount_rest(struct guest *g, enum mount_mode mode, struct err *e)
{
	for (size_t i = 0; i < g->n_mnts; i++) {
		struct mnt *m = &g->mnts[i];
		struct err why = { 0 };
		int r;

		if (m->mounted || m->vol < 0 || m->vol == g->root_vol || !wanted(m->dir) ||
		    g->vols[m->vol].kind != VOL_FS || !mount_type_allowed(g->vols[m->vol].type))
			continue;
		r = mount_one(g, m, mode, &why);
		/* When changing, half a guest is worse than none. */
		if (r < 0 && mode == MOUNT_CHANGE) {
			if (e)
				*e = why;
			return err_under(e, r, "'%s'", m->dir);
		}
	}
	return 0;
}

/* True when nobody holds the block device any more. */
static bool let_go(const struct vol *v)
{
	scoped(close_fdp) int fd = open(v->dev, O_RDONLY | O_EXCL | O_CLOEXEC);

	return fd >= 0 || errno != EBUSY;
}

static int wait_until_free(const struct guest *g, const struct vol *v, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 20000000L };

	for (int i = 0; i < 500; i++) {
		if (let_go(v))
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return err_set(e, ERR_DISK, EBUSY, "disk %u: '%s' cannot be unmounted", g->disks[v->disk].n,
		       v->dev);
}

/* Unmounting writes everything, but tells nobody when it could not. */
static int sync_root(const struct guest *g, struct err *e)
{
	scoped(close_fdp) int fd = guest_openat(g, -1, "/", O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 || syncfs(fd) < 0 ? err_set(e, ERR_DISK, errno, "sync of the guest") : 0;
}

int mount_none(struct guest *g, struct err *e)
{
	int r = 0;

	if (g->tree || g->rootfd < 0)
		return 0;
	if (g->writable)
		r = sync_root(g, e);
	(void)close(g->rootfd);
	g->rootfd = -1;
	g->writable = false;
	if (umount2(root_dir, MNT_DETACH) < 0)
		return err_set(e, ERR_SYS, errno, "unmount the guest");
	if (!r && g->root_vol >= 0)
		r = wait_until_free(g, &g->vols[g->root_vol], e);
	for (size_t i = 0; i < g->n_mnts; i++) {
		if (g->mnts[i].mounted && !r)
			r = wait_until_free(g, &g->vols[g->mnts[i].vol], e);
		g->mnts[i].mounted = false;
	}
	return r;
}
