/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * grubcfg.h - where a boot loader's file keeps kernel command lines
 *
 * Shape   one iterator over four languages, by their keywords: grub.cfg (linux, linux16,
 *         linuxefi, set kernelopts), grub.conf and menu.lst (kernel, module), extlinux.conf
 *         (append), boot loader specification entries and systemd-boot (options). Everything else
 *         in the file is none of our business and stays byte for byte.
 * Owner   spans are places in the caller's text.
 */
#ifndef EDIT_GRUBCFG_H
#define EDIT_GRUBCFG_H

#include "edit/edits.h"
#include "edit/lines.h"

enum grubcfg_kind { GRUBCFG_GRUB2, GRUBCFG_LEGACY, GRUBCFG_EXTLINUX, GRUBCFG_BLS };

struct grubcfg_line {
	struct span kernel; /* path of the kernel; length 0 where the keyword has none */
	struct span args;   /* the command line, with the blanks in front of it */
	bool odd; /* goes on on the next line, too long or oddly quoted: look, do not edit */
	unsigned number;
};

/* By the name of the file: ".../grub.cfg" -> GRUBCFG_GRUB2, ".../loader/entries/x.conf" -> BLS. */
enum grubcfg_kind grubcfg_kind_of(const char *path);

bool grubcfg_next(struct lines *l, enum grubcfg_kind kind, struct grubcfg_line *ret);

/* A grub.cfg that finds its files by disk number alone: no "search" line at all. */
bool grubcfg_by_number(const char *text, size_t len);

#endif
