/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exec.h - the only part that changes anything: does a plan, undoes a journal
 *
 * Order    recover -> apply, or recover -> undo. Each action is in the journal before it is begun
 *          and after it is on the disk; a kill leaves at most one in between, and recover brings
 *          that one to "done" or takes it back, so that planning again gives the rest.
 * Mounts   exec mounts the guest read-write for files and unmounts it for sectors and tools.
 *          After each call the guest may be mounted either way.
 * Errors   0, or a negative errno with *e filled. What was done before an error stays done and in
 *          the journal. Refusals: "changed-since-plan", "changed-since-apply", "not-undoable".
 */
#ifndef BOOTFIX_EXEC_H
#define BOOTFIX_EXEC_H

#include "journal.h"
#include "types.h"

struct exec {
	struct guest *g;
	struct journal *j;
	/* Tests: called between the stages of an action; non-zero stops there as a kill would. */
	int (*on_point)(void *arg, const char *point);
	void *arg;
};

/* Finishes or takes back what a killed run left half done. */
int exec_recover(struct exec *x, struct err *e) __attribute__((warn_unused_result));
int exec_apply(struct exec *x, const struct plan *p, struct err *e)
    __attribute__((warn_unused_result));
/* Takes back all that is done, newest first; with ${step} (may be NULL) only that step's. Files are
 * looked at first: when one is neither as bootfix left it nor as it was, nothing is changed. */
int exec_undo(struct exec *x, const char *step, struct err *e) __attribute__((warn_unused_result));

#endif
