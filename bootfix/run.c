/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run.h"

#include "base/cleanup.h"
#include "disk.h"
#include "exec.h"
#include "facts.h"
#include "guest.h"
#include "inspect.h"
#include "plan.h"
#include "report.h"
#include "space.h"
#include "steps.h"

#include <string.h>
#include <sys/stat.h>

/* One look at the disks and the plan that follows from it. */
struct view {
	struct guest guest;
	struct plan plan;
	char why_no_root[256];
};

static void view_clear(struct view *v)
{
	struct err ignored = { 0 };

	plan_free(&v->plan);
	if (v->guest.rootfd > 0 && mount_none(&v->guest, &ignored) < 0)
		v->guest.rootfd = -1;
	guest_free(&v->guest);
	memset(v, 0, sizeof *v);
}

static int view_open(const struct options *o, enum mount_mode mode, struct view *v, struct err *e)
{
	int r;

	memset(v, 0, sizeof *v);
	v->guest.wishes = o->wishes;
	r = o->facts ? facts_load(o->facts, &v->guest.facts, e) : 0;
	if (!r)
		r = inspect(&v->guest, o->disks, o->n_disks, mode, v->why_no_root, e);
	plan_init(&v->plan, &v->guest);
	return r;
}

static int refuse_firmware(const struct options *o, const struct guest *g, struct err *e)
{
	enum firmware want = o->wishes.firmware == FIRMWARE_WANT_BIOS   ? FIRMWARE_BIOS
			     : o->wishes.firmware == FIRMWARE_WANT_UEFI ? FIRMWARE_UEFI
									: g->firmware;

	if (want == g->firmware)
		return 0;
	return err_refuse(
	    e, "firmware-conversion", EOPNOTSUPP,
	    "the source booted with %s: this version does not convert, choose a target "
	    "with that firmware",
	    g->firmware == FIRMWARE_UEFI ? "uefi" : "bios");
}

static int view_plan(const struct options *o, struct view *v, struct err *e)
{
	int r = refuse_firmware(o, &v->guest, e);

	if (r < 0)
		return r;
	if (!v->guest.facts.given)
		plan_finding(&v->plan, "inspect", LEVEL_WARN, NULL,
			     "no --facts: the source's disk names and firmware are guessed (%s)",
			     v->guest.firmware == FIRMWARE_UEFI ? "uefi" : "bios");
	if (v->guest.root_vol < 0)
		plan_finding(&v->plan, "inspect", LEVEL_BLOCKED, NULL, "no root: %s",
			     v->why_no_root);
	r = steps_plan(&v->guest, o->skip, o->n_skip, &v->plan, e);
	return r < 0 ? r : space_plan(&v->plan, e);
}

static const struct finding *blocked(const struct plan *p)
{
	for (size_t i = 0; i < p->n_findings; i++)
		if (p->findings[i].level == LEVEL_BLOCKED)
			return &p->findings[i];
	return NULL;
}

static int tell(const struct options *o, const struct report *r, FILE *out, struct err *e)
{
	return o->json ? report_json(r, out, e) : report_text(r, out, e);
}

/* ---- looking --------------------------------------------------------------------------------- */

static int left_to_do(const struct plan *p, struct err *e)
{
	const struct finding *f = blocked(p);

	if (f)
		return err_set(e, ERR_GUEST, EUCLEAN, "step %s is blocked: %.300s", f->step,
			       f->why);
	return p->n_actions
		   ? err_set(e, ERR_GUEST, EUCLEAN, "%zu actions are left to do", p->n_actions)
		   : 0;
}

static int run_look(const struct options *o, FILE *out, struct err *e)
{
	struct report report = { .command = command_word(o->command), .left = -1 };
	scoped(view_clear) struct view v;
	int r = view_open(o, MOUNT_LOOK, &v, e), told;

	if (!r && o->command != CMD_INSPECT)
		r = view_plan(o, &v, e);
	report.guest = v.guest.n_disks && !r ? &v.guest : NULL;
	report.plan = o->command == CMD_INSPECT || r < 0 ? NULL : &v.plan;
	report.error = e;
	if (r < 0)
		report.result = e->kind == ERR_REFUSED ? "refused" : "failed";
	else if (o->command == CMD_INSPECT)
		report.result = "inspected";
	else if (blocked(&v.plan))
		report.result = "blocked";
	else
		report.result = v.plan.n_actions ? "planned" : "nothing-to-do";
	if (!r && o->command == CMD_VERIFY) {
		report.left = (int)v.plan.n_actions;
		r = left_to_do(&v.plan, e);
	}
	told = tell(o, &report, out, e);
	return r < 0 ? r : told;
}

/* ---- apply ----------------------------------------------------------------------------------- */

/* What is left to do when everything is looked at anew: success is what this says, not that no
 * action failed. */
static int look_again(const struct options *o, int *ret_left, struct err *e)
{
	scoped(view_clear) struct view v;
	int r = view_open(o, MOUNT_LOOK, &v, e);

	if (!r)
		r = view_plan(o, &v, e);
	if (r < 0)
		return err_under(e, r, "looking again");
	*ret_left = (int)v.plan.n_actions;
	if (v.plan.n_actions)
		return err_set(e, ERR_GUEST, EUCLEAN,
			       "looking again finds %zu actions to do, the first in step %s",
			       v.plan.n_actions, v.plan.actions[0].step);
	return 0;
}

static int recover_first(const struct options *o, struct journal *j, struct err *e)
{
	scoped(view_clear) struct view v;
	struct exec x = { .j = j, .g = &v.guest };
	int r = view_open(o, MOUNT_REPLAY, &v, e);

	if (!r)
		r = journal_claim(j, &v.guest, e);
	if (!r)
		r = exec_recover(&x, e);
	return r < 0 ? r : mount_none(&v.guest, e);
}

static int refuse_blocked(const struct finding *f, struct err *e)
{
	/* "inspect" is no step: without a root there is nothing to go on with. */
	if (!step_known(f->step))
		return err_refuse(e, "blocked", EPERM, "%.300s; nothing was changed", f->why);
	return err_refuse(e, "blocked", EPERM,
			  "step %s: %.300s; nothing was changed (--skip %s goes on without)",
			  f->step, f->why, f->step);
}

static int change(const struct options *o, struct journal *j, struct view *v, struct err *e)
{
	struct exec x = { .j = j, .g = &v->guest };
	const struct finding *f;
	int r = view_open(o, MOUNT_REPLAY, v, e);

	if (!r)
		r = view_plan(o, v, e);
	if (r < 0)
		return r;
	f = blocked(&v->plan);
	if (f)
		return refuse_blocked(f, e);
	r = exec_apply(&x, &v->plan, e);
	return r < 0 ? r : mount_none(&v->guest, e);
}

static int run_apply(const struct options *o, FILE *out, struct err *e)
{
	struct report report = { .command = "apply", .left = -1 };
	scoped(journal_closep) struct journal *j = NULL;
	scoped(view_clear) struct view v = { 0 };
	int r = journal_open(o->state, &j, e), told;

	if (!r)
		r = recover_first(o, j, e);
	if (!r)
		r = change(o, j, &v, e);
	report.guest = v.guest.n_disks ? &v.guest : NULL;
	report.plan = &v.plan;
	report.journal = j;
	if (!r) {
		size_t did = v.plan.n_actions;

		disks_close(&v.guest);
		r = look_again(o, &report.left, e);
		report.result = r < 0 ? "incomplete" : did ? "changed" : "nothing-to-do";
	} else {
		report.result = e->kind == ERR_REFUSED ? "refused" : "failed";
	}
	report.error = e;
	told = tell(o, &report, out, e);
	return r < 0 ? r : told;
}

/* ---- undo ------------------------------------------------------------------------------------ */

static int undo(const struct options *o, struct journal *j, struct view *v, struct err *e)
{
	struct exec x = { .j = j, .g = &v->guest };
	size_t n;
	int r;

	(void)journal_entries(j, &n);
	if (!n)
		return err_refuse(e, "nothing-to-undo", ENOENT,
				  "the journal in '%s' has no actions: nothing was ever done",
				  o->state);
	r = view_open(o, MOUNT_REPLAY, v, e);
	if (!r)
		r = journal_claim(j, &v->guest, e);
	if (!r)
		r = exec_recover(&x, e);
	if (!r)
		r = exec_undo(&x, o->step, e);
	return r < 0 ? r : mount_none(&v->guest, e);
}

static int run_undo(const struct options *o, FILE *out, struct err *e)
{
	struct report report = { .command = "undo", .left = -1 };
	scoped(journal_closep) struct journal *j = NULL;
	scoped(view_clear) struct view v = { 0 };
	int r = journal_open(o->state, &j, e), told;

	if (!r)
		r = undo(o, j, &v, e);
	report.guest = v.guest.n_disks ? &v.guest : NULL;
	report.journal = j;
	report.error = e;
	report.result = !r ? "undone" : e->kind == ERR_REFUSED ? "refused" : "failed";
	told = tell(o, &report, out, e);
	return r < 0 ? r : told;
}

void run_tell_failure(const struct options *o, FILE *out, struct err *e)
{
	struct report report = { .command = command_word(o->command), .left = -1, .error = e };

	report.result = e->kind == ERR_REFUSED ? "refused" : "failed";
	(void)tell(o, &report, out, e);
}

int run_command(const struct options *o, FILE *out, struct err *e)
{
	int r = mount_namespace(e);

	if (r < 0) {
		run_tell_failure(o, out, e);
		return r;
	}
	switch (o->command) {
	case CMD_INSPECT:
	case CMD_PLAN:
	case CMD_VERIFY:
		return run_look(o, out, e);
	case CMD_APPLY:
		return run_apply(o, out, e);
	case CMD_UNDO:
		return run_undo(o, out, e);
	}
	return err_set(e, ERR_USAGE, EINVAL, "command");
}
