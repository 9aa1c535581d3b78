/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crew.h - how many connections a round uses: one more is tried, and stays if it pays
 *
 * Rule    begins with one (two for several disks, or where the caller knows more), and with two as
 *         soon as it is seen that the line is fast and there is more than a core. After a measured
 *         interval one is added; when the one after it is better by more than 5 % it stays and the
 *         next is tried, else it goes again, and the next try waits twice as long as the one
 *         before. The interval in which a number changed tells nothing: a new connection has to
 *         find its speed.
 * Signs   do not wait for trials. A connection that its windows hold on a long path carries what
 *         they hold for each round trip: four times as many are used at once. A line that one
 *         connection keeps full is not shared: several of them take each other's bandwidth when
 *         they measure the round trip or begin, and the last blocks wait in the queue of the
 *         slower one.
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
	unsigned least, cores;
	bool settling; /* the number has just changed */
	bool trying;   /* the last one is on trial */
	uint64_t rate; /* without it */
	unsigned calm; /* intervals until the next trial */
	unsigned full; /* looks in a row that said so */
	bool was_full;
	unsigned hold; /* what ${calm} is after the next trial that brings nothing */
};

/* ${fixed}: what the user said, 0: nothing; ${before}: of the round before, 0: there was none. */
void crew_init(struct crew *c, unsigned fixed, unsigned before, unsigned cores, unsigned disks);
/* What was seen of the connections since the look before. */
struct crew_signs {
	uint64_t rate;  /* bytes a second on the wire, of all of them */
	double waits;   /* share of the time in which they waited for the line, 0 to 1 */
	double windows; /* share of TCP's busy time in which a window held it, 0 to 1 */
	bool long_path; /* round trips that no busy machine explains */
	bool sole;      /* one connection can keep the line full (congestion.h) */
};
#define CREW_LOOK_MS 500
/* So many bytes went through in the first ${ms}, those apart that buffers may hold: from a rate on
 * that no slow line has, two are used. Returns how many there are to be. */
unsigned crew_hurry(struct crew *c, uint64_t bytes, uint64_t ms);
/* Returns how many there are to be from now on. */
unsigned crew_look(struct crew *c, const struct crew_signs *s);
/* ${rate}, in any unit, was measured over one interval with c->now connections. Returns how many
 * there are to be from now on. 0 tells nothing: the round waited for something else. */
unsigned crew_judge(struct crew *c, uint64_t rate);

#endif
