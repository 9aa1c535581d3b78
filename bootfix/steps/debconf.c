/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step debconf: Debian's grub-pc remembers on which disks it installs itself. With the source's
 * names the next upgrade fails, or leaves modules behind that do not fit the boot sector.
 */
#include "edit/debconf.h"
#include "base/cleanup.h"
#include "edit/strlist.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <errno.h>
#include <stdio.h>

#define PATH "/var/cache/debconf/config.dat"
#define QUESTION "grub-pc/install_devices"
#define NAME "debconf"

static bool applies(const struct guest *g)
{
	return g->os.family == OS_DEBIAN;
}

static const struct disk *boot_disk(const struct guest *g)
{
	int n = g->loader.boot_disk;

	if (n < 0 && g->n_disks == 1)
		n = 0;
	return n >= 0 && (size_t)n < g->n_disks && g->disks[n].target_name[0] ? &g->disks[n] : NULL;
}

/* The target's name of the disk that the source called so; NULL when the facts do not say. */
static const char *renamed(const struct guest *g, struct piece name)
{
	for (size_t i = 0; i < g->facts.n_disks; i++) {
		const struct facts_disk *d = &g->facts.disks[i];
		char dev[64];
		bool same;

		(void)snprintf(dev, sizeof dev, "/dev/%s", d->name);
		same = piece_is(name, dev);
		for (size_t j = 0; j < d->n_links; j++)
			same |= piece_is(name, d->links[j]);
		if (same && d->moved && d->n < g->n_disks)
			return g->disks[d->n].target_name;
	}
	return NULL;
}

/* The next name of "a, b, c". */
static bool next_name(struct piece *rest, struct piece *ret)
{
	size_t n = 0;

	while (rest->len && (is_blank(rest->s[0]) || rest->s[0] == ',')) {
		rest->s++;
		rest->len--;
	}
	while (n < rest->len && rest->s[n] != ',')
		n++;
	*ret = (struct piece){ rest->s, n };
	rest->s += n;
	rest->len -= n;
	return n > 0;
}

static bool names_disk(struct piece value, const char *target_name)
{
	struct piece name;
	char dev[64];

	(void)snprintf(dev, sizeof dev, "/dev/%s", target_name);
	while (next_name(&value, &name))
		if (piece_is(name, dev))
			return true;
	return false;
}

/* A mirror has GRUB on each of its disks: names that the facts know are translated one by one,
 * and the boot disk is always among them. */
static int new_value(const struct guest *g, struct piece old, const struct disk *boot, char *ret,
		     size_t size, struct err *e)
{
	struct strlist names = { 0 };
	struct piece name;
	size_t n = 0;
	int r = strlist_add(&names, boot->target_name, e);

	while (!r && next_name(&old, &name)) {
		const char *to = renamed(g, name);

		if (to && *to)
			r = strlist_add_once(&names, to, e);
	}
	for (size_t i = 0; !r && i < names.n && n + 48 < size; i++)
		n += (size_t)snprintf(ret + n, size - n, "%s/dev/%.32s", i ? ", " : "", names.v[i]);
	strlist_free(&names);
	return r;
}

static int edit(struct plan *p, const struct buf *file, struct span at, const char *value,
		struct err *e)
{
	scoped(buf_free) struct buf out = { 0 };
	struct edits ed = { 0 };
	int r = edits_add(&ed, at, value, e);

	if (!r)
		r = edits_apply(&ed, (const char *)file->data, file->len, &out, e);
	edits_free(&ed);
	if (r < 0)
		return r;
	return plan_write(p, NAME, PATH, &out, 0644,
			  "the next upgrade of GRUB writes to the disk that boots", e);
}

static int plan_debconf(const struct guest *g, struct plan *p, struct err *e)
{
	const struct disk *boot = boot_disk(g);
	scoped(buf_free) struct buf file = { 0 };
	char value[1024] = "";
	struct piece old;
	struct span at;
	int r = plan_read(p, PATH, MAX_CONFIG_FILE, &file, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!debconf_find((const char *)file.data, file.len, QUESTION, &at) || !at.len)
		return 0;
	if (!boot) {
		plan_finding(p, NAME, LEVEL_WARN, PATH,
			     QUESTION " is left alone: it is not known which disk boots");
		return 0;
	}
	old = (struct piece){ (const char *)file.data + at.off, at.len };
	if (names_disk(old, boot->target_name)) {
		plan_finding(p, NAME, LEVEL_OK, PATH, QUESTION " names the disk that boots");
		return 0;
	}
	r = new_value(g, old, boot, value, sizeof value, e);
	return r < 0 ? r : edit(p, &file, at, value, e);
}

const struct step step_debconf = {
	.name = NAME, .needs_root = true, .applies = applies, .plan = plan_debconf
};
