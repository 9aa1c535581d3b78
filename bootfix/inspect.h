/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inspect.h - fills struct guest: disks, root, system, mounts, kernels, loader
 *
 * Order    disks_open -> root search -> fstab -> mount_rest -> inspect_files.
 * Errors   0, or a negative errno with *e filled. No root is no error: rootfd stays -1 and
 *          ${why_no_root} says why; steps on disks still work. Two roots that nobody can tell
 *          apart are refused ("root-ambiguous"), a sleeping system too ("hibernated").
 */
#ifndef BOOTFIX_INSPECT_H
#define BOOTFIX_INSPECT_H

#include "mount.h"
#include "types.h"

/* ${g} holds facts and wishes already, the rest is zero. Leaves the guest mounted in ${mode}. */
int inspect(struct guest *g, const char *const *paths, size_t n, enum mount_mode mode,
	    char why_no_root[static 256], struct err *e) __attribute__((warn_unused_result));

/* Reads /etc/fstab into g->mnts. */
int inspect_fstab(struct guest *g, struct err *e) __attribute__((warn_unused_result));
/* os, kernels, loader, nics, firmware: what is known once all is mounted. */
int inspect_files(struct guest *g, struct err *e) __attribute__((warn_unused_result));
/* Both of these, for guest_open_tree(). */
int inspect_tree(struct guest *g, struct err *e) __attribute__((warn_unused_result));

#endif
