/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crew.h - how many connections a round uses: one more is tried, and stays if it pays
 *
 * Rule    begins with two (one where there is a single core, and never less than two for several
 *         disks). After a measured interval one is added; when the one after it is better by more
 *         than 5 % it stays and the next is tried, else it goes again, and the next try waits
 *         twice as long as the one before. The interval in which a number changed tells nothing: a
 *         new connection has to find its speed.
 * Why     a long path needs several, because one is held by its round trips and losses; a fast one
 *         is held by the cores, and more connections than two for each only get in the way.
 * Threads one; no clock inside, so that a table of rates is a test.
 */
#ifndef SENDER_CREW_H
#define SENDER_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define CREW_INTERVAL_MS 2000

struct crew {
	unsigned now, most;
	bool settling; /* the number has just changed */
	bool trying;   /* the last one is on trial */
	uint64_t rate; /* without it */
	unsigned calm; /* intervals until the next trial */
	unsigned hold; /* what ${calm} is after the next trial that brings nothing */
};

/* ${fixed}: what the user said, 0: nothing; ${before}: of the round before, 0: there was none. */
void crew_init(struct crew *c, unsigned fixed, unsigned before, unsigned cores, unsigned disks);
/* ${rate}, in any unit, was measured over one interval with c->now connections. Returns how many
 * there are to be from now on. 0 tells nothing: the round waited for something else. */
unsigned crew_judge(struct crew *c, uint64_t rate);

#endif
