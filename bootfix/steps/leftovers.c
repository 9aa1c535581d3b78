/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step leftovers: what the source wrote down about its own disks and drivers and would now take for
 * the truth. Lists that the guest makes again by itself are moved aside; configuration that would
 * hide the target's disks is opened for them, one word in each place.
 */
#include "steps/leftovers.h"

#include "base/cleanup.h"
#include "edit/lines.h"
#include "steps/edit-steps.h"

#include <errno.h>
#include <stdio.h>

#define SAVED ".bootfix-saved"
#define MULTIPATH "/etc/multipath.conf"

bool leftovers_is_old_name(const char *name)
{
	return spec_kind(name) == SPEC_UNSTABLE || strstr(name, "/by-path/") ||
	       strstr(name, "/mpath");
}

int leftovers_edit(const struct guest *g, struct plan *p, const char *path,
		   leftovers_editor *editor, const char *why, struct err *e)
{
	struct leftovers_file f = { .g = g, .p = p, .path = path };
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	int r = plan_read(p, path, MAX_TEXT_FILE, &file, e);

	if (r == -ENOENT || (!r && !file.len))
		return 0;
	if (r < 0)
		return r;
	f.text = (const char *)file.data;
	f.len = file.len;
	r = editor(&f, e);
	if (!r && f.ed.n)
		r = edits_apply(&f.ed, f.text, f.len, &out, e);
	edits_free(&f.ed);
	if (r < 0)
		return err_under(e, r, "%s", path);
	return out.len ? plan_write(p, LEFTOVERS, path, &out, 0644, why, e) : 0;
}

/* ---- lists that are made again -------------------------------------------------------------- */

static int move_aside(const struct guest *g, struct plan *p, const char *path, const char *why,
		      struct err *e)
{
	char saved[MAX_PATH];
	struct stat st;
	int r = guest_lstat(g, path, &st, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	(void)snprintf(saved, sizeof saved, "%s" SAVED, path);
	r = guest_lstat(g, saved, &st, e);
	if (r == -ENOENT)
		return plan_rename(p, LEFTOVERS, path, saved, why, e);
	if (!r)
		plan_finding(p, LEFTOVERS, LEVEL_WARN, path,
			     "'%s' is there from an earlier run: remove it or this file", saved);
	return r;
}

static int old_lists(const struct guest *g, struct plan *p, struct err *e)
{
	static const struct {
		const char *path, *why;
	} lists[] = {
		{ "/etc/lvm/devices/system.devices",
		  "LVM would use the source's disks only, which it knows by serial number" },
		{ "/etc/lvm/cache/.cache", "names that LVM saw on the source" },
		{ "/etc/blkid.tab", "device names of the source" },
		{ "/etc/blkid/blkid.tab", "device names of the source" },
		{ "/etc/udev/rules.d/70-persistent-cd.rules", "names the source's CD drives" },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof lists / sizeof lists[0]; i++)
		r = move_aside(g, p, lists[i].path, lists[i].why, e);
	return r;
}

/* ---- multipath ------------------------------------------------------------------------------ */

/* Reported only: which of them the target has as well, nobody knows here. */
static int multipath(struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	int r = plan_read(p, MULTIPATH, MAX_TEXT_FILE, &file, e);
	struct lines l = { .text = (const char *)file.data, .len = file.len };
	unsigned n = 0;

	while (!r && lines_next(&l)) {
		struct piece rest = lines_piece(&l), word;

		n += piece_word(&rest, &word) && piece_is(word, "wwid");
	}
	if (n)
		plan_finding(p, LEFTOVERS, LEVEL_WARN, MULTIPATH,
			     "%u lines name disks of the source by wwid: when these disks have no "
			     "paths left, switch multipathd off in the guest",
			     n);
	return r == -ENOENT ? 0 : r;
}

static int plan_leftovers(const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions;
	int r = old_lists(g, p, e);

	if (!r)
		r = leftovers_lvm(g, p, e);
	if (!r)
		r = leftovers_mdadm(g, p, e);
	if (!r)
		r = multipath(p, e);
	if (!r)
		r = leftovers_modprobe(g, p, e);
	if (!r && p->n_actions == n_actions)
		plan_finding(p, LEFTOVERS, LEVEL_OK, NULL, "nothing to move or to change");
	return r;
}

const struct step step_leftovers = { .name = LEFTOVERS,
				     .needs_root = true,
				     .plan = plan_leftovers };
