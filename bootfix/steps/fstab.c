/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step fstab: names that follow the hardware become names that follow the volume, and a disk that
 * did not come along no longer stops the boot. Nothing else in the file changes.
 */
#include "edit/fstab.h"
#include "base/cleanup.h"
#include "plan.h"
#include "steps/edit-steps.h"
#include "steps/spec.h"

#include <errno.h>
#include <stdio.h>

#define PATH "/etc/fstab"
#define NAME "fstab"

struct look {
	const struct guest *g;
	struct plan *p;
	const char *text;
	struct edits ed;
	unsigned root_line; /* the first line for "/"; 0: none yet */
	unsigned n_changed;
};

/* Without these a system does not come up: nofail would only hide why. */
static bool is_system(const char *dir)
{
	static const char *const dirs[] = { "/", "/usr", "/var", "/etc", "/boot" };

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
		if (!strcmp(dir, dirs[i]))
			return true;
	return false;
}

static bool may_fail_already(const char *text, const struct columns *c)
{
	if (c->n <= FSTAB_OPTIONS)
		return false;
	return columns_has_option(text, c->field[FSTAB_OPTIONS], "nofail") ||
	       columns_has_option(text, c->field[FSTAB_OPTIONS], "noauto");
}

static int let_fail(struct look *k, const struct columns *c, const char *spec, const char *dir,
		    struct err *e)
{
	if (may_fail_already(k->text, c))
		return 0;
	if (is_system(dir)) {
		plan_finding(k->p, NAME, LEVEL_BLOCKED, PATH,
			     "line %u: %s is on '%s', which is on none of the disks", c->number,
			     dir, spec);
		return 0;
	}
	plan_finding(
	    k->p, NAME, LEVEL_WARN, PATH,
	    "line %u: '%s' for %s is on none of the disks; the boot no longer waits for it",
	    c->number, spec, dir);
	k->n_changed++;
	return fstab_let_fail(&k->ed, k->text, c, k->g->os.init == INIT_SYSTEMD, e);
}

static void say_unsure(struct look *k, const struct columns *c, const char *spec)
{
	plan_finding(k->p, NAME, LEVEL_WARN, PATH,
		     "line %u: '%s' follows the hardware, and its volume is not known: left alone",
		     c->number, spec);
}

static int one_line(struct look *k, const struct columns *c, struct err *e)
{
	char spec[512], dir[MAX_PATH];
	struct spec_answer a;

	if (!fstab_word(k->text, c->field[FSTAB_SPEC], spec, sizeof spec) ||
	    !fstab_word(k->text, c->field[FSTAB_DIR], dir, sizeof dir))
		return 0;
	if (!strcmp(dir, "/") && k->root_line)
		plan_finding(k->p, NAME, LEVEL_WARN, PATH,
			     "line %u: a second root, after line %u: "
			     "the first one counts",
			     c->number, k->root_line);
	else if (!strcmp(dir, "/"))
		k->root_line = c->number;
	if (!strcmp(dir, "none"))
		(void)snprintf(dir, sizeof dir, "swap");
	a = spec_answer(k->g, spec, false);
	switch (a.fate) {
	case SPEC_KEEP:
		return 0;
	case SPEC_UNSURE:
		say_unsure(k, c, spec);
		return 0;
	case SPEC_GONE:
		return let_fail(k, c, spec, dir, e);
	case SPEC_CHANGE:
		break;
	}
	if (a.guessed)
		plan_finding(k->p, NAME, LEVEL_WARN, PATH,
			     "line %u: '%s' taken for %s by the order of the disks: no facts given",
			     c->number, spec, a.text);
	k->n_changed++;
	return fstab_set_spec(&k->ed, c, a.text, e);
}

static int edit(struct look *k, const struct buf *file, struct buf *out, struct err *e)
{
	struct lines l = { .text = (const char *)file->data, .len = file->len };
	struct columns c;
	int r = 0;

	k->text = l.text;
	while (!r && fstab_next(&l, &c))
		r = one_line(k, &c, e);
	return r < 0 ? r : edits_apply(&k->ed, l.text, l.len, out, e);
}

static int plan_fstab(const struct guest *g, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	struct look k = { .g = g, .p = p };
	char why[96];
	int r = plan_read(p, PATH, MAX_TEXT_FILE, &file, e);

	if (r == -ENOENT) {
		plan_finding(p, NAME, LEVEL_WARN, PATH, "there is none");
		return 0;
	}
	if (r < 0)
		return r;
	r = edit(&k, &file, &out, e);
	edits_free(&k.ed);
	if (r < 0)
		return r;
	if (!k.n_changed) {
		plan_finding(p, NAME, LEVEL_OK, PATH, "nothing to change");
		return 0;
	}
	(void)snprintf(why, sizeof why,
		       "%u line%s no longer depend%s on where a disk is plugged in", k.n_changed,
		       k.n_changed == 1 ? "" : "s", k.n_changed == 1 ? "s" : "");
	return plan_write(p, NAME, PATH, &out, 0644, why, e);
}

const struct step step_fstab = { .name = NAME, .needs_root = true, .plan = plan_fstab };
