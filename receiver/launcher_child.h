/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * launcher_child.h - fork, descriptors in their places, exec
 *
 * Rule    the child holds 0, 1, 2 and fds[i] as 3 + i, nothing else. It dies with its parent.
 */
#ifndef RECEIVER_LAUNCHER_CHILD_H
#define RECEIVER_LAUNCHER_CHILD_H

#include <sys/types.h>

#include "base/err.h"

#define CHILD_FDS_MAX 16

struct child_plan {
	const char *program; /* "/proc/self/exe" for a role */
	char *const *argv;   /* argv[0] is what ps shows */
	const int *fds;      /* borrowed for the call */
	size_t n_fds;
	int out, err;   /* -1: the launcher's own */
	bool own_group; /* so that it can be ended with all it started */
};

int child_spawn(const struct child_plan *p, pid_t *ret, struct err *e);

#endif
