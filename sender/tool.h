/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tool.h - a program of the source machine is run, and its output read line by line
 *
 * Rule    no shell; standard input and standard error are /dev/null. A line is cut at
 *         TOOL_LINE_MAX bytes, there may be any number of them.
 */
#ifndef SENDER_TOOL_H
#define SENDER_TOOL_H

#include "base/err.h"

#define TOOL_LINE_MAX 512

/* 0 when it ended with 0. -ENOENT: it is not installed; -ETIME: it took longer than ${seconds} and
 * was killed; -EIO: it failed. */
int tool_run(char *const argv[], unsigned seconds, void (*on_line)(const char *line, void *arg),
	     void *arg, struct err *e);

#endif
