/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A filter that accepts the source's disks by name and rejects the rest hides every volume group.
 */
#include "edit/lvmconf.h"
#include "steps/leftovers.h"

#include <ctype.h>
#include <stdio.h>

#define WHY "a filter that lets only the source's disks through accepts the target's, too"

/* "/dev/vd": what the names of the target's disks begin with; "" when there are none. */
static void target_prefix(const struct guest *g, char *ret, size_t size)
{
	size_t n = g->n_disks ? strlen(g->disks[0].target_name) : 0;

	(void)snprintf(ret, size, "%s%.*s", n ? "/dev/" : "", n ? (int)n - 1 : 0,
		       n ? g->disks[0].target_name : "");
}

/* The name that a pattern begins with: "^/dev/(sda|sdb)$" and "sd.*" -> "/dev/sd...". */
static void name_in(struct piece regex, char *ret, size_t size)
{
	if (piece_begins(regex, "^"))
		regex = (struct piece){ regex.s + 1, regex.len - 1 };
	if (piece_begins(regex, "/dev/"))
		regex = (struct piece){ regex.s + 5, regex.len - 5 };
	while (piece_begins(regex, "("))
		regex = (struct piece){ regex.s + 1, regex.len - 1 };
	(void)snprintf(ret, size, "/dev/%.*s", (int)(regex.len < 200 ? regex.len : 200), regex.s);
}

/* Fits every disk of the target, by its beginning or because it fits all. */
static bool fits_target(struct piece regex, const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return piece_is(regex, ".*") || piece_is(regex, ".") ||
	       (n && !strncmp(name, prefix, n) && !isalpha((unsigned char)name[n]));
}

struct verdict {
	bool accepts_old, rejects_old, rejects, fits;
};

static struct verdict judge(const char *text, struct span list, const char *prefix)
{
	struct verdict v = { 0 };
	struct lvmconf_pattern pattern;

	while (lvmconf_pattern_next(text, &list, &pattern)) {
		char name[256];
		bool old;

		name_in(pattern.regex, name, sizeof name);
		old = leftovers_is_old_name(name);
		if (pattern.accept && !v.rejects && fits_target(pattern.regex, name, prefix))
			v.fits = true;
		v.accepts_old |= pattern.accept && old;
		v.rejects_old |= !pattern.accept && old;
		v.rejects |= !pattern.accept;
	}
	return v;
}

static int edit_lvm(struct leftovers_file *f, struct err *e)
{
	struct lvmconf_filter filter;
	char prefix[64], add[96];
	size_t at = 0;
	int r = 0;

	target_prefix(f->g, prefix, sizeof prefix);
	(void)snprintf(add, sizeof add, " \"a|^%s|\",", prefix);
	while (!r && lvmconf_next(f->text, f->len, &at, &filter)) {
		struct verdict v = judge(f->text, filter.list, prefix);

		if (v.fits)
			continue;
		if (v.accepts_old && v.rejects && prefix[0]) {
			plan_finding(f->p, LEFTOVERS, LEVEL_WARN, f->path,
				     "line %u: a filter by names of the source; disks %s* are "
				     "accepted from now "
				     "on",
				     filter.number, prefix);
			r = edits_add(&f->ed, (struct span){ filter.list.off, 0 }, add, e);
		} else if (v.rejects_old) {
			plan_finding(f->p, LEFTOVERS, LEVEL_WARN, f->path,
				     "line %u: a filter rejects disks by names of the source: look "
				     "which disks of the target it is to hide",
				     filter.number);
		}
	}
	return r;
}

int leftovers_lvm(const struct guest *g, struct plan *p, struct err *e)
{
	int r = leftovers_edit(g, p, "/etc/lvm/lvm.conf", edit_lvm, WHY, e);

	return r < 0 ? r : leftovers_edit(g, p, "/etc/lvm/lvmlocal.conf", edit_lvm, WHY, e);
}
