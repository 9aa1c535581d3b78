/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * console.h - terminals that a paravirtual host gave the guest, and who opens them
 *
 * Names   hvc0, xvc0 and their kin: Xen's consoles. QEMU has an hvc0 only with a virtio console
 *         device, which the target is not given.
 */
#ifndef EDIT_CONSOLE_H
#define EDIT_CONSOLE_H

#include "edit/lines.h"

/* "hvc0", "/dev/xvc0", "hvc0,38400n8". */
bool console_is_xen(struct piece tty);

/* A line of inittab that keeps a login on such a terminal; a comment is none. */
bool console_inittab(struct piece line);

#endif
