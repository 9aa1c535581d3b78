/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ceiling.h - the sender's own CPU time, held below a share of one processor
 *
 * Shape   CPU time is paid for like bytes of the wire (limit.h): what all threads used since the
 *         last look is taken from one bucket, and who comes to pay sleeps until it is paid for.
 *         Nothing runs while all sleep, so the debt cannot grow meanwhile.
 * Where   each thread of a round pays before each block.
 * Promise CPU seconds over any 10 s are below the ceiling plus a tenth, as long as a block costs
 *         less than a second of it.
 * Threads any.
 */
#ifndef SENDER_CEILING_H
#define SENDER_CEILING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "limit.h"

struct ceiling {
	struct limit limit;       /* nanoseconds of CPU time a second */
	pthread_mutex_t lock;     /* of seen_ns */
	uint64_t seen_ns;         /* CPU time that was taken from the bucket already */
	_Atomic unsigned percent; /* 0: none */
};

void ceiling_init(struct ceiling *c, unsigned percent, uint64_t cpu_ns, uint64_t now_ns);
/* Of one processor; 0: no ceiling. What was used before this moment is not charged. */
void ceiling_set(struct ceiling *c, unsigned percent, uint64_t cpu_ns);
/* How many nanoseconds to sleep when the process has used ${cpu_ns} until now. */
uint64_t ceiling_wait(struct ceiling *c, uint64_t cpu_ns, uint64_t now_ns);

/* The same with the clocks of this process, and the sleep itself; ${stop} ends it. */
void ceiling_pay(struct ceiling *c, const atomic_bool *stop);
/* CPU time of all threads. */
uint64_t ceiling_cpu_ns(void);

#endif
