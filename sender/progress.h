/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * progress.h - how far a round is, for people: a bar per disk on a terminal, lines in a log
 *
 * Rule    counts what the receiver calls durable, never what was queued.
 * Output  standard error only; standard output belongs to facts.
 */
#ifndef SENDER_PROGRESS_H
#define SENDER_PROGRESS_H

#include "move.h"

struct progress {
	const struct move *m;
	bool terminal, quiet;
	unsigned lines; /* drawn, to be drawn over */
	uint64_t shown_ms, began_ms;
	uint64_t rate_ms, rate_bytes; /* sample of the rate */
	double rate;                  /* bytes a second, smoothed; durable bytes of all disks */
	const char *what;             /* "round 1" */
};

void progress_begin(struct progress *p, const struct move *m, const char *what);
/* ${arg} is a struct progress: fits round_run(). */
void progress_tick(void *arg);
/* Draws the last state and leaves it standing. */
void progress_end(struct progress *p);

/* "12.3 GiB", "1:02:03", "[####----]": for the tests. ${buf} is returned. */
const char *progress_bytes(char *buf, size_t room, uint64_t bytes);
const char *progress_time(char *buf, size_t room, uint64_t seconds);
const char *progress_bar(char *buf, size_t room, uint64_t done, uint64_t total);

#endif
