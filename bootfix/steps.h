/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * steps.h - every repair bootfix knows, in the order in which they are planned and done
 *
 * To add one   write steps/NAME.c that exports "const struct step step_NAME", declare it here, put
 *              it into the table in steps.c and its file into CMakeLists.txt (editing steps: into
 *              steps/edit-steps.cmake, by target_sources(bootfix_core PRIVATE ...)); a section in
 *              docs/bootfix-steps.md says when it applies, what it changes, how it is checked and
 *              undone.
 */
#ifndef BOOTFIX_STEPS_H
#define BOOTFIX_STEPS_H

#include "types.h"

/* On disks, before anything is mounted for writing. */
extern const struct step step_gpt;
extern const struct step step_growpart;
extern const struct step step_growfs;
/* On files. */
extern const struct step step_esp;

/* NULL ends the table. */
extern const struct step *const steps[];

/* True when a step of that name exists: --skip refuses others. */
bool step_known(const char *name);

/* Runs every step whose name is not in ${skip} (${n_skip} names). A step that fails to plan
 * (ERR_GUEST) becomes a blocked finding and its actions are taken back; other errors end it. */
int steps_plan(const struct guest *g, const char *const *skip, size_t n_skip, struct plan *p,
	       struct err *e) __attribute__((warn_unused_result));

#endif
