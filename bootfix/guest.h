/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * guest.h - looking into the guest: its files below rootfd, its volumes by the source's names
 *
 * Paths   absolute inside the guest, at most MAX_PATH. Links are followed inside the guest root
 *         only (openat2, RESOLVE_IN_ROOT, no magic links): "/etc/fstab" that points to "/x" is the
 *         guest's /x, and ".." at the top stays at the top.
 * Errors  0, or a negative errno with *e filled. Exception: -ENOENT (and -ENOTDIR turned into it)
 *         leaves *e alone, because "not there" is an answer. A FIFO, device or folder where a file
 *         should be, and a file longer than ${cap}, are ERR_GUEST (-EINVAL, -EFBIG).
 * Writing is not here: only exec.c changes a guest (guest_edit.h).
 */
#ifndef BOOTFIX_GUEST_H
#define BOOTFIX_GUEST_H

#include "types.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Frees all that inspect put in, unmounts, closes. Takes zeroed structs too. */
void guest_free(struct guest *g);

/* ---- files --------------------------------------------------------------------------------- */

/* The whole of a regular file, at most ${cap} bytes, with an uncounted NUL behind. */
MUST_USE int guest_read(const struct guest *g, const char *path, size_t cap, struct buf *ret,
			struct err *e);
/* An O_RDONLY descriptor of a regular file, for files too large to hold; the caller closes it. */
MUST_USE int guest_open(const struct guest *g, const char *path, struct err *e);
/* Follows a link at the end; guest_lstat does not. */
MUST_USE int guest_stat(const struct guest *g, const char *path, struct stat *ret, struct err *e);
MUST_USE int guest_lstat(const struct guest *g, const char *path, struct stat *ret, struct err *e);
/* The file system that ${path} is on, links followed, and whose stat it is. */
MUST_USE int guest_statvfs(const struct guest *g, const char *path, struct statvfs *ret,
			   struct stat *ret_stat, struct err *e);
/* Something is there, behind links. */
bool guest_has(const struct guest *g, const char *path);
MUST_USE int guest_readlink(const struct guest *g, const char *path, char *ret, size_t size,
			    struct err *e);
/* Calls back for every entry of a folder but "." and "..", sorted by name (bytes), at most 65536.
 * ${type} is DT_REG, DT_DIR, DT_LNK, ... A callback's non-zero ends the walk and is returned. */
typedef int guest_on_name(void *arg, const char *name, unsigned char type);
MUST_USE int guest_list(const struct guest *g, const char *dir, guest_on_name *on_name, void *arg,
			struct err *e);
/* SHA-256 and length of a regular file of any size. */
MUST_USE int guest_digest(const struct guest *g, const char *path, uint8_t sha256[static 32],
			  uint64_t *ret_len, struct err *e);

/* ---- volumes ------------------------------------------------------------------------------- */

enum spec_kind {
	SPEC_OTHER,  /* no block device: proc, tmpfs, server:/path, a bind mount, /dev/VG/LV, mapper
		      */
	SPEC_STABLE, /* UUID=, LABEL=, PARTUUID=, PARTLABEL=, /dev/disk/by-uuid/ ...: never touched
		      */
	SPEC_UNSTABLE, /* /dev/sda1, /dev/disk/by-id/..., /dev/disk/by-path/...: follows hardware */
};
enum spec_kind spec_kind(const char *spec);

enum vol_answer {
	VOL_FOUND,   /* *ret is the volume */
	VOL_ABSENT,  /* the name is understood, its disk or partition did not come along */
	VOL_UNKNOWN, /* nobody can say: keep the text, report it */
};
/* Which volume the source meant by ${spec} ("/dev/sda1", "/dev/disk/by-id/...-part1", "UUID=...",
 * quotes allowed). Kernel names go through the facts (source disk -> target disk -> partition
 * number); without facts sda, vda, hda, xvda and nvme0n1 are taken to be disk 0, and so on by
 * letter, and *ret_guessed (may be NULL) says that it was a guess. ${ret} borrows from ${g}. */
enum vol_answer guest_vol(const struct guest *g, const char *spec, const struct vol **ret,
			  bool *ret_guessed);
/* By UUID, in any case; NULL when it is on no disk here or on two. */
const struct vol *guest_vol_by_uuid(const struct guest *g, const char *uuid);
/* The file system mounted at ${dir} by fstab or as root, or NULL. */
const struct vol *guest_vol_at(const struct guest *g, const char *dir);

/* ---- tests --------------------------------------------------------------------------------- */

/* A folder stands for the guest's root (no disks, no mounts, no root rights needed); ${dirfd} is
 * duplicated. Then call inspect_tree() to fill os, mnts, kernels and loader. Tests only. */
MUST_USE int guest_open_tree(struct guest *g, int dirfd, struct err *e);

#endif
