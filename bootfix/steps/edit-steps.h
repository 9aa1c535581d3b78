/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edit-steps.h - the steps that edit the guest's files; steps.c puts them into the table
 */
#ifndef STEPS_EDIT_STEPS_H
#define STEPS_EDIT_STEPS_H

#include "types.h"

extern const struct step step_leftovers; /* lists and filters by names of the source */
extern const struct step step_virtio;    /* drivers into the initramfs of every kernel */
extern const struct step step_fstab;
extern const struct step step_crypttab;
extern const struct step step_cmdline;   /* root=, resume= and kin, where loaders keep them */
extern const struct step step_network;   /* names of network cards by MAC */
extern const struct step step_cloudinit; /* no cloud is asked any more */
extern const struct step step_console;   /* logins on Xen's consoles */
extern const struct step step_tools;     /* services of the source's hypervisor */
extern const struct step step_debconf;   /* where grub-pc installs itself */
extern const struct step step_selinux;

#endif
