/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "steps.h"

#include "plan.h"
#include "steps/edit-steps.h"

#include <string.h>

/* Tables before file systems, both before files: an action may rely on all before it, and undo
 * walks the other way. */
const struct step *const steps[] = {
	&step_growpart, &step_gpt,      &step_growfs,    &step_leftovers,
	&step_virtio,   &step_crypttab, &step_fstab,     &step_cmdline,
	&step_esp,      &step_network,  &step_cloudinit, &step_console,
	&step_tools,    &step_debconf,  &step_selinux,   NULL,
};

bool step_known(const char *name)
{
	for (size_t i = 0; steps[i]; i++)
		if (!strcmp(steps[i]->name, name))
			return true;
	return false;
}

static bool skipped(const char *name, const char *const *skip, size_t n_skip)
{
	for (size_t i = 0; i < n_skip; i++)
		if (!strcmp(skip[i], name))
			return true;
	return false;
}

static int plan_one(const struct step *s, const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions, n_findings = p->n_findings;
	struct err why = { 0 };
	int r = s->plan(g, p, &why);

	if (r >= 0)
		return 0;
	if (why.kind != ERR_GUEST) {
		if (e && e->kind == ERR_NONE)
			*e = why;
		return err_under(e, r, "step %s", s->name);
	}
	plan_cut(p, n_actions, n_findings);
	plan_finding(p, s->name, LEVEL_BLOCKED, NULL, "%s", why.text);
	return 0;
}

int steps_plan(const struct guest *g, const char *const *skip, size_t n_skip, struct plan *p,
	       struct err *e)
{
	for (size_t i = 0; steps[i]; i++) {
		const struct step *s = steps[i];
		int r;

		if (skipped(s->name, skip, n_skip)) {
			plan_finding(p, s->name, LEVEL_WARN, NULL, "skipped, as asked for");
			continue;
		}
		if (s->needs_root && g->rootfd < 0)
			continue;
		if (s->applies && !s->applies(g))
			continue;
		r = plan_one(s, g, p, e);
		if (r < 0)
			return r;
	}
	return 0;
}
