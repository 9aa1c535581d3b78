/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * govern.h - a thread that keeps a run within its bounds while they change
 *
 * Does    once a second: looks whether the file of --limits is another one (inode, size, time of
 *         change), or govern_reread() was called; reads it, and sets rate, CPU ceiling, and nice
 *         and I/O class of all threads. The rate also follows the time of day.
 * Rule    a file that is wrong, or gone, changes nothing; that is said once. Each change is one
 *         line in the log.
 * Threads govern_reread() may be called by a signal handler.
 */
#ifndef SENDER_GOVERN_H
#define SENDER_GOVERN_H

#include "bounds.h"
#include "ceiling.h"

struct govern;

/* Reads the file (ERR_USAGE when it is wrong) and applies everything before it returns. ${limit},
 * ${ceiling} and the options are borrowed until govern_stop(). ${path} may be NULL. */
int govern_start(const struct bounds *options, const char *path, struct limit *limit,
		 struct ceiling *ceiling, struct govern **ret, struct err *e);
void govern_stop(struct govern *g);
static inline void govern_stopp(struct govern **g)
{
	govern_stop(*g);
	*g = NULL;
}
/* While true nothing is read, changed or logged: the files may lie on a frozen file system. */
void govern_hold(struct govern *g, bool hold);
/* The file is to be read again, changed or not. */
void govern_reread(void);

#endif
