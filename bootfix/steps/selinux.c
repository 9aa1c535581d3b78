/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step selinux: what --selinux asked for. Files that bootfix rewrites keep their labels; new ones
 * have none until the guest labels them, which is why "keep" says so.
 */
#include "base/cleanup.h"
#include "edit/shellvar.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <errno.h>

#define PATH "/etc/selinux/config"
#define NAME "selinux"

static bool applies(const struct guest *g)
{
	return g->os.selinux != SELINUX_ABSENT;
}

static int plan_selinux(const struct guest *g, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	const char *want = g->wishes.selinux == SELINUX_WANT_PERMISSIVE ? "permissive" : "disabled";
	char now[32];
	int r;

	if (g->wishes.selinux == SELINUX_KEEP) {
		plan_finding(p, NAME, g->os.selinux == SELINUX_ENFORCING ? LEVEL_WARN : LEVEL_OK,
			     PATH,
			     "kept as it is; files new to the guest have no label until "
			     "restorecon has run on them");
		return 0;
	}
	r = plan_read(p, PATH, MAX_TEXT_FILE, &file, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (shellvar_get((const char *)file.data, file.len, "SELINUX", now, sizeof now) &&
	    (!strcmp(now, want) || !strcmp(now, "disabled"))) {
		plan_finding(p, NAME, LEVEL_OK, PATH, "is %s", now);
		return 0;
	}
	r = shellvar_set((const char *)file.data, file.len, "SELINUX", want, &out, e);
	if (r < 0)
		return r;
	return plan_write(p, NAME, PATH, &out, 0644,
			  g->wishes.selinux == SELINUX_WANT_PERMISSIVE
			      ? "SELinux reports instead of refusing, as asked for"
			      : "SELinux is off, so that no label can stop the first boot",
			  e);
}

const struct step step_selinux = {
	.name = NAME, .needs_root = true, .applies = applies, .plan = plan_selinux
};
