/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "exec.h"

#include "act.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "disk.h"
#include "plan.h"

#include <errno.h>
#include <string.h>

static int point(const struct exec *x, const char *name)
{
	return x->on_point ? x->on_point(x->arg, name) : 0;
}

/* ---- apply ----------------------------------------------------------------------------------- */

static int apply_one(struct exec *x, const struct action *a, struct err *e)
{
	scoped(buf_free) struct buf old = { 0 };
	struct entry entry = { 0 };
	bool keep = false;
	int r = act_prepare(x->g, a->kind, e);

	if (!r)
		r = act_foresee(x->g, a, &entry, &old, &keep, e);
	if (!r)
		r = point(x, "foreseen");
	if (!r)
		r = journal_start(x->j, &entry, keep ? &old : NULL, e);
	if (!r)
		r = point(x, "started");
	if (!r)
		r = act_do(x->g, a, e);
	if (!r)
		r = point(x, "acted");
	return r < 0 ? r : journal_mark(x->j, entry.seq, ENTRY_DONE, e);
}

int exec_apply(struct exec *x, const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->n_actions; i++) {
		const struct action *a = &p->actions[i];
		int r;

		log_info("%zu of %zu: %s: %s%s%s", i + 1, p->n_actions, a->step, act_word(a->kind),
			 a->path ? " " : "", a->path ? a->path : "");
		r = apply_one(x, a, e);
		if (r < 0)
			return err_under(e, r, "step %s", a->step);
	}
	return p->n_actions && !x->g->tree ? disks_reread(x->g, e) : 0;
}

/* ---- recover --------------------------------------------------------------------------------- */

/* An action that was begun and not reported done: it happened, or it did not, or half. Half, and
 * not at all, are taken back: the next plan has it again. */
static int recover_started(struct exec *x, const struct entry *entry, struct err *e)
{
	struct look now;
	int r = act_look_at(x->g, entry, &now, e);

	if (r < 0)
		return r;
	if (entry->kind == A_TOOL) {
		/* Whatever size it has now, it is a size; undo shrinks to the old one. */
		return journal_mark(x->j, entry->seq,
				    now.len > entry->before.len ? ENTRY_DONE : ENTRY_UNDONE, e);
	}
	if (look_equal(&now, &entry->after))
		return journal_mark(x->j, entry->seq, ENTRY_DONE, e);
	r = act_undo(x->g, x->j, entry, e);
	return r < 0 ? r : journal_mark(x->j, entry->seq, ENTRY_UNDONE, e);
}

int exec_recover(struct exec *x, struct err *e)
{
	size_t n;

	(void)journal_entries(x->j, &n);
	/* Newest first: only the last can be half done, unless a recovery was itself killed. */
	for (size_t i = n; i-- > 0;) {
		const struct entry entry = journal_entries(x->j, &n)[i];
		int r;

		if (entry.state != ENTRY_STARTED && entry.state != ENTRY_UNDOING)
			continue;
		log_info("entry %llu of the journal was interrupted: %s %s",
			 (unsigned long long)entry.seq, act_word(entry.kind), entry.path);
		r = act_prepare(x->g, entry.kind, e);
		if (!r && entry.state == ENTRY_STARTED)
			r = recover_started(x, &entry, e);
		else if (!r) {
			r = act_undo(x->g, x->j, &entry, e);
			if (!r)
				r = journal_mark(x->j, entry.seq, ENTRY_UNDONE, e);
		}
		if (r < 0)
			return err_under(e, r, "recover entry %llu", (unsigned long long)entry.seq);
	}
	return 0;
}

/* ---- undo ------------------------------------------------------------------------------------ */

static bool selected(const struct entry *x, const char *step)
{
	return x->state == ENTRY_DONE && (!step || !strcmp(x->step, step));
}

/* Whether a newer entry that is undone before ${i} has the same path: then that one is compared. */
static bool newer_has(const struct entry *all, size_t n, size_t i, const char *step)
{
	for (size_t k = i + 1; k < n; k++)
		if (selected(&all[k], step) && !strcmp(all[k].path, all[i].path))
			return true;
	return false;
}

/* A newer entry that stays and stands on entry ${i}: the file system in a grown partition, the next
 * text of the same file. NULL: none. */
static const struct entry *stands_on(const struct entry *all, size_t n, size_t i, const char *step)
{
	for (size_t k = i + 1; k < n; k++) {
		bool tool_above = all[k].kind == A_TOOL && all[k].disk == all[i].disk;

		if (all[k].state != ENTRY_DONE || selected(&all[k], step))
			continue;
		if (all[i].kind == A_SECTORS ? tool_above
					     : all[i].path[0] && !strcmp(all[k].path, all[i].path))
			return &all[k];
	}
	return NULL;
}

static int refuse_order(const struct exec *x, const char *step, struct err *e)
{
	const struct entry *all, *above;
	size_t n;

	all = journal_entries(x->j, &n);
	for (size_t i = 0; i < n; i++) {
		above = selected(&all[i], step) ? stands_on(all, n, i, step) : NULL;
		if (above)
			return err_refuse(e, "later-step", EBUSY,
					  "step %s came after %s and stands on what it did: undo "
					  "%s first, or all of them",
					  above->step, all[i].step, above->step);
	}
	return 0;
}

static int refuse_changed(struct exec *x, const struct entry *entry, struct err *e)
{
	struct look now;
	int r = act_look_at(x->g, entry, &now, e);

	if (r < 0 || look_equal(&now, &entry->after))
		return r;
	/* Already as it was: a person took it back. */
	if (look_equal(&now, &entry->before))
		return 0;
	if (entry->kind == A_SECTORS)
		return err_refuse(
		    e, "changed-since-apply", ESTALE,
		    "disk %u: the sectors at %llu are neither as bootfix left them nor as "
		    "they were",
		    entry->disk, (unsigned long long)entry->off);
	return err_refuse(e, "changed-since-apply", ESTALE,
			  "'%s' is neither as bootfix left it nor as it was; nothing was undone",
			  entry->path);
}

static int check_files(struct exec *x, const char *step, struct err *e)
{
	const struct entry *all;
	size_t n;

	all = journal_entries(x->j, &n);
	for (size_t i = 0; i < n; i++) {
		int r;

		if (!selected(&all[i], step) || all[i].kind == A_SECTORS || all[i].kind == A_TOOL ||
		    newer_has(all, n, i, step))
			continue;
		r = act_prepare(x->g, all[i].kind, e);
		if (!r)
			r = refuse_changed(x, &all[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int undo_one(struct exec *x, const struct entry *entry, struct err *e)
{
	int r = act_prepare(x->g, entry->kind, e);

	if (!r && entry->kind == A_SECTORS)
		r = refuse_changed(x, entry, e);
	if (!r && entry->kind == A_TOOL)
		r = tool_undoable(entry->tool, e);
	if (!r)
		r = journal_mark(x->j, entry->seq, ENTRY_UNDOING, e);
	if (!r)
		r = point(x, "undoing");
	if (!r)
		r = act_undo(x->g, x->j, entry, e);
	if (!r)
		r = point(x, "taken back");
	return r < 0 ? r : journal_mark(x->j, entry->seq, ENTRY_UNDONE, e);
}

int exec_undo(struct exec *x, const char *step, struct err *e)
{
	size_t n;
	int r = refuse_order(x, step, e);

	if (!r)
		r = check_files(x, step, e);
	(void)journal_entries(x->j, &n);
	for (size_t i = n; !r && i-- > 0;) {
		const struct entry entry = journal_entries(x->j, &n)[i];

		if (!selected(&entry, step))
			continue;
		log_info("undo %llu: %s: %s %s", (unsigned long long)entry.seq, entry.step,
			 act_word(entry.kind), entry.path);
		r = undo_one(x, &entry, e);
		if (r < 0)
			return err_under(e, r, "undo of step %s", entry.step);
	}
	return r < 0 || x->g->tree ? r : disks_reread(x->g, e);
}
