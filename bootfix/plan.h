/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan.h - what steps add to a plan
 *
 * Rule    nothing here changes a disk or a file; exec.c does, later, in the order of adding.
 * Errors  0, or a negative errno with *e filled: -ENOMEM, -E2BIG (limits of types.h), -EINVAL for
 *         a path that is not absolute. Reading the present file for seen_sha256 may also fail.
 * Owner   strings are copied. ${data} is taken, also on failure: the caller's buffer is empty
 * after. No-op   a write or copy whose content is already there, and a link that already says so,
 * add nothing and return 0: this is what makes a second plan empty.
 */
#ifndef BOOTFIX_PLAN_H
#define BOOTFIX_PLAN_H

#include "types.h"

#define MUST_USE __attribute__((warn_unused_result))

void plan_init(struct plan *p, const struct guest *g);
void plan_free(struct plan *p);

/* ${path} gets ${data} as its whole content. When it exists its mode, owner, times and extended
 * attributes are kept; when not, it is made with ${mode} and missing folders with 0755. */
MUST_USE int plan_write(struct plan *p, const char *step, const char *path, struct buf *data,
			mode_t mode, const char *why, struct err *e);
/* ${data} goes behind the end of the existing ${path}. Bring your own padding. */
MUST_USE int plan_append(struct plan *p, const char *step, const char *path, struct buf *data,
			 const char *why, struct err *e);
MUST_USE int plan_copy(struct plan *p, const char *step, const char *from, const char *path,
		       const char *why, struct err *e);
MUST_USE int plan_rename(struct plan *p, const char *step, const char *from, const char *path,
			 const char *why, struct err *e);
MUST_USE int plan_link(struct plan *p, const char *step, const char *text, const char *path,
		       const char *why, struct err *e);
MUST_USE int plan_sectors(struct plan *p, const char *step, unsigned disk, uint64_t off,
			  struct buf *data, const char *why, struct err *e);
MUST_USE int plan_tool(struct plan *p, const char *step, enum tool tool, unsigned vol,
		       uint64_t size, const char *why, struct err *e);

/* Something to tell without an action; ${path} may be NULL. Never fails: a plan without memory
 * for a finding has failed elsewhere. LEVEL_FIXED is added by the actions themselves. */
void plan_finding(struct plan *p, const char *step, enum level level, const char *path,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Several steps may edit one file: reads what ${path} will hold after the actions so far, else
 * the file itself, as guest_read() does. Edits must start from this. */
MUST_USE int plan_read(const struct plan *p, const char *path, size_t cap, struct buf *ret,
		       struct err *e);

/* Forgets what was added behind the first ${n_actions} and ${n_findings}. */
void plan_cut(struct plan *p, size_t n_actions, size_t n_findings);

/* "ok", "fixed", "warn", "blocked" and "write", "append", ... */
const char *level_word(enum level level);
const char *act_word(enum act kind);
const char *tool_word(enum tool tool);

#endif
