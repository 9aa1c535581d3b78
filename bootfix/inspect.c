/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect.h"

#include "base/cleanup.h"
#include "disk.h"
#include "guest.h"

#include <string.h>

/* How much the mounted file system looks like the root of a system: 0 not at all. */
static int score_mounted(struct guest *g, int vol)
{
	int score = 0;

	if (!guest_has(g, "/etc") ||
	    !(guest_has(g, "/sbin/init") || guest_has(g, "/usr/sbin/init") ||
	      guest_has(g, "/lib/systemd/systemd")))
		return 0;
	score = 1;
	if (guest_has(g, "/etc/os-release") || guest_has(g, "/etc/redhat-release") ||
	    guest_has(g, "/etc/debian_version"))
		score += 1;
	if (inspect_fstab(g, NULL) < 0)
		return score;
	for (size_t i = 0; i < g->n_mnts; i++) {
		if (strcmp(g->mnts[i].dir, "/") != 0)
			continue;
		/* Its own fstab says so, or says that another one is. */
		if (g->mnts[i].vol == vol)
			score += 4;
		else if (g->mnts[i].vol >= 0)
			score -= 1;
		break;
	}
	return score;
}

/* A file system that cannot be mounted scores 0; the first one's reason goes to ${unmountable}. */
static int score(struct guest *g, int vol, enum mount_mode mode, struct err *unmountable,
		 struct err *e)
{
	const struct vol *said = NULL;
	struct err why = { 0 };
	int n, r = mount_root(g, vol, mode, &why);

	if (r < 0) {
		if (why.kind == ERR_SYS && e)
			*e = why;
		else if (unmountable->kind == ERR_NONE)
			*unmountable = why;
		return why.kind == ERR_SYS ? r : 0;
	}
	n = score_mounted(g, vol);
	if (n > 0 && g->facts.root[0] && guest_vol(g, g->facts.root, &said, NULL) == VOL_FOUND &&
	    said == &g->vols[vol])
		n += 16;
	free(g->mnts);
	g->mnts = NULL;
	g->n_mnts = 0;
	g->root_vol = vol;
	r = mount_none(g, e);
	g->root_vol = -1;
	return r < 0 ? r : n;
}

static const char *what_is_there(const struct guest *g)
{
	for (size_t i = 0; i < g->n_vols; i++) {
		if (g->vols[i].kind == VOL_PV)
			return "there are LVM volumes, which this version does not open";
		if (g->vols[i].kind == VOL_LUKS)
			return "there are LUKS volumes, which this version does not open";
		if (g->vols[i].kind == VOL_MD)
			return "there are md arrays, which this version does not assemble";
		if (g->vols[i].kind == VOL_AMBIGUOUS)
			return "a volume looks like two things at once and is not touched";
	}
	return "no file system here looks like the root of a Linux system";
}

static int find_root(struct guest *g, enum mount_mode mode, char why_no_root[static 256],
		     struct err *e)
{
	int best = -1, best_score = 0, second = -1;
	struct err unmountable = { 0 };

	for (size_t i = 0; i < g->n_vols; i++) {
		int n;

		if (g->vols[i].kind != VOL_FS || !mount_type_allowed(g->vols[i].type) ||
		    !strcmp(g->vols[i].type, "vfat"))
			continue;
		n = score(g, (int)i, mode, &unmountable, e);
		if (n < 0)
			return n;
		if (n > best_score) {
			best = (int)i;
			best_score = n;
			second = -1;
		} else if (n == best_score && n) {
			second = (int)i;
		}
	}
	if (second >= 0)
		return err_refuse(e, "root-ambiguous", EEXIST,
				  "two systems: on %s of disk %u and on %s of disk %u; say with "
				  "\"root\" in --facts which one is meant",
				  g->vols[best].target_name, g->vols[best].disk,
				  g->vols[second].target_name, g->vols[second].disk);
	g->root_vol = best;
	(void)snprintf(why_no_root, 256, "%.255s",
		       best >= 0          ? ""
		       : unmountable.kind ? unmountable.text
					  : what_is_there(g));
	return 0;
}

static int refuse_sleeping(const struct guest *g, struct err *e)
{
	for (size_t i = 0; i < g->n_vols; i++)
		if (g->vols[i].kind == VOL_SUSPEND)
			return err_refuse(
			    e, "hibernated", EBUSY,
			    "disk %u partition %u holds a sleeping system: boot the source, "
			    "shut it down properly, send again",
			    g->vols[i].disk, g->vols[i].number);
	return 0;
}

int inspect(struct guest *g, const char *const *paths, size_t n, enum mount_mode mode,
	    char why_no_root[static 256], struct err *e)
{
	int r;

	g->rootfd = g->root_vol = -1;
	g->loader.boot_disk = g->loader.esp = -1;
	if (!g->facts.target_bus[0])
		(void)snprintf(g->facts.target_bus, sizeof g->facts.target_bus, "virtio-blk");
	r = disks_open(g, paths, n, e);
	if (!r)
		r = refuse_sleeping(g, e);
	if (!r)
		r = find_root(g, mode, why_no_root, e);
	if (r < 0)
		return r;
	if (g->root_vol < 0)
		return inspect_files(g, e);
	r = mount_root(g, g->root_vol, mode, e);
	if (!r)
		r = inspect_fstab(g, e);
	if (!r)
		r = mount_rest(g, mode, e);
	return r < 0 ? r : inspect_files(g, e);
}

int inspect_tree(struct guest *g, struct err *e)
{
	int r = inspect_fstab(g, e);

	return r < 0 ? r : inspect_files(g, e);
}
