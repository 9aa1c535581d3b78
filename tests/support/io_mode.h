/* SPDX-License-Identifier: GPL-3.0-or-later */
/* io_mode.h - a test that runs in the mode TRANSIT_IO names, or says that it cannot */
#ifndef IO_MODE_H
#define IO_MODE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ioq.h"

/* 0, or the exit code of a skipped test. */
static inline int io_mode_missing(void)
{
	const char *word = getenv("TRANSIT_IO");
	struct err e = { 0 };
	struct ioq *q;

	if (!word || strcmp(word, "uring") != 0)
		return 0;
	if (ioq_new(IOQ_URING, 1, &q, &e) < 0) {
		(void)fprintf(stderr, "skipped: %s\n", e.text);
		return 77;
	}
	ioq_free(q);
	return 0;
}

#endif
