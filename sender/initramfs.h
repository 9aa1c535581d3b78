/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * initramfs.h - which drivers are in an initramfs of this machine, by its own lister
 *
 * Source  lsinitramfs (Debian) or lsinitrd (dracut): the sender reads no archive itself; the
 * machine is the operator's own. At most INITRAMFS_SECONDS, then the lister is ended.
 */
#ifndef SENDER_INITRAMFS_H
#define SENDER_INITRAMFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define INITRAMFS_SECONDS 90

/* ret_found[i]: module names[i] is listed. -ENOENT: no lister is installed; -ETIME: it took too
 * long; -EIO: it failed or listed nothing. */
int initramfs_has(const char *image, const char *const *names, size_t n, bool *ret_found,
		  struct err *e);

#endif
