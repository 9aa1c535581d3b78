/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine_claim.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

void machine_unclaim(struct machine_claim *c)
{
	while (c->n)
		close_fdp(&c->fds[--c->n]);
}

/* QEMU locks one byte for each thing it does to an image: from 100 on what it does, from 200 on
 * what others must not do; the second of the first is "writes". */
static bool qemu_has(int fd, bool we_write)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	l.l_start = we_write ? 100 : 101;
	l.l_len = we_write ? 200 : 1;
	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

static int busy(const char *path, struct err *e)
{
	return err_refuse(e, "disk-busy", EBUSY,
			  "'%s' is in use here, by another bootfix, a receiver, a virtual machine "
			  "or a mount: end that first",
			  path);
}

static int claim_one(const char *path, bool we_write, int *ret, struct err *e)
{
	scoped(close_fdp) int fd = -1;
	struct stat st;
	int excl;

	if (stat(path, &st) < 0)
		return err_set(e, ERR_SYS, errno, "disk '%s'", path);
	excl = S_ISBLK(st.st_mode) ? O_EXCL : 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | excl);
	if (fd < 0 && errno == EBUSY)
		return busy(path, e);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "disk '%s'", path);
	if (flock(fd, (we_write ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0 || qemu_has(fd, we_write))
		return busy(path, e);
	*ret = take_fd(&fd);
	return 0;
}

int machine_claim(const struct options *o, struct machine_claim *c, struct err *e)
{
	bool we_write = o->command == CMD_APPLY || o->command == CMD_UNDO;

	for (size_t i = 0; i < o->n_disks; i++) {
		int r = claim_one(o->disks[i], we_write, &c->fds[c->n], e);

		if (r < 0)
			return r;
		c->n++;
	}
	return 0;
}
