/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * leftovers.h - the files of the step leftovers, one kind of configuration each
 *
 * Shape   leftovers_edit() reads a file, lets one editor collect edits and plans the result; the
 *         editors say what they leave alone. Findings are the step's own.
 */
#ifndef STEPS_LEFTOVERS_H
#define STEPS_LEFTOVERS_H

#include "edit/edits.h"
#include "guest.h"
#include "plan.h"

#define LEFTOVERS "leftovers"

/* One file while its edits are collected. */
struct leftovers_file {
	const struct guest *g;
	struct plan *p;
	const char *path;
	const char *text;
	size_t len;
	struct edits ed;
};

typedef int leftovers_editor(struct leftovers_file *f, struct err *e);

/* A file that is absent is left so. */
MUST_USE int leftovers_edit(const struct guest *g, struct plan *p, const char *path,
			    leftovers_editor *editor, const char *why, struct err *e);

/* A name that ended with the old hardware: /dev/sda, by-id, by-path, a multipath disk. */
bool leftovers_is_old_name(const char *name);

MUST_USE int leftovers_lvm(const struct guest *g, struct plan *p, struct err *e);
MUST_USE int leftovers_mdadm(const struct guest *g, struct plan *p, struct err *e);
MUST_USE int leftovers_modprobe(const struct guest *g, struct plan *p, struct err *e);

#endif
