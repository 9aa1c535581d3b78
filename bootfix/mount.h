/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mount.h - the guest's file systems, mounted where only we see them
 *
 * How      a private mount namespace; fsopen with the type that libblkid found and nothing else,
 *          out of a short list; nosuid, nodev, noexec; options of the guest's fstab never reach the
 *          kernel. Mount points inside the guest are O_PATH descriptors found by openat2, so that a
 *          link in the guest cannot lead a mount out of it.
 * Errors   0, or a negative errno with *e filled.
 */
#ifndef BOOTFIX_MOUNT_H
#define BOOTFIX_MOUNT_H

#include "types.h"

enum mount_mode {
	MOUNT_LOOK,   /* read-only, the journal is not replayed: works on a read-only disk */
	MOUNT_REPLAY, /* read-only, after the file system brought itself into order */
	MOUNT_CHANGE, /* read-write */
};

/* Once per process, before the first mount. */
int mount_namespace(struct err *e) __attribute__((warn_unused_result));
/* Mounts ${vol} as the guest's root: g->rootfd. */
int mount_root(struct guest *g, int vol, enum mount_mode mode, struct err *e)
    __attribute__((warn_unused_result));
/* Mounts what the guest's fstab has below the root and boots from: /usr, /boot, /boot/efi, /efi,
 * /var. A volume that is not there or cannot be mounted is left with mounted == false. */
int mount_rest(struct guest *g, enum mount_mode mode, struct err *e)
    __attribute__((warn_unused_result));
/* Unmounts all; after it the file systems are clean on their disks (syncs, and waits until the
 * kernel has let go). */
int mount_none(struct guest *g, struct err *e) __attribute__((warn_unused_result));
/* The folder where the root hangs, for tools that want a mount point; ours, not the guest's. */
const char *mount_place(void);
bool mount_type_allowed(const char *type);

#endif
