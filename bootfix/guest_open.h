/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * guest_open.h - the one place where a path of the guest becomes a descriptor
 *
 * Who     guest.c, guest_edit.c, mount.c, facts' owner guest_free(). No step includes this.
 */
#ifndef BOOTFIX_GUEST_OPEN_H
#define BOOTFIX_GUEST_OPEN_H

#include "types.h"

/* openat2 inside ${dirfd} (-1: the guest's root), which is taken as the top of the tree. Returns a
 * descriptor with O_CLOEXEC, or -1 with errno. */
int guest_openat(const struct guest *g, int dirfd, const char *path, int flags, mode_t mode);

/* Frees what is below ${f} and zeroes it. */
void facts_free(struct facts *f);

#endif
