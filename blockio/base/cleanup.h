/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cleanup.h - what a scope owns is given back when the scope ends
 *
 * Use   scoped(close_fdp) int fd = open(...);      closed on every way out
 *       j->fd = take_fd(&fd);                      handed over: the scope no longer owns it
 *       *ret = take_ptr(&j);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define scoped(fn) __attribute__((cleanup(fn)))

/* The pointer or descriptor moves to the caller; what is left behind is NULL or -1. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(*(p)) taken_ = *(p);                                                    \
		*(p) = NULL;                                                                       \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Keeps errno: a cleanup must not hide the error that led to it. */
static inline void close_fdp(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void freep(void *p)
{
	void **pp = p;

	free(*pp);
	*pp = NULL;
}

static inline void fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
	*f = NULL;
}

static inline void closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
	*d = NULL;
}

#endif
