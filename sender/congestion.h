/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * congestion.h - BBR or cubic for one connection, by what TCP tells of its path
 *
 * Rule    a connection begins with BBR. On a long path whose packets are lost by full queues only,
 *         it goes on with cubic; a packet lost while the queue was short gets BBR back, for longer
 *         each time, if it cost speed.
 * Why     BBR empties a line every ten seconds to measure the shortest round trip, which costs a
 *         long one 4 %; and where the send buffer holds a connection, it takes that for a lack of
 *         data, never ends its start-up phase, and overflows the queue with a burst for each
 *         buffer. Cubic keeps a queue filled, and collapses where packets are lost by chance or
 *         the queue is too small for it.
 * Threads one; no clock and no socket inside, so that a path is a test.
 */
#ifndef SENDER_CONGESTION_H
#define SENDER_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp.h"

/* From here on it is a path: a machine that is busy does not answer as late as that. */
#define CONGESTION_LONG_US 5000

struct congestion {
	bool cubic;
	bool fixed;             /* not BBR at first: what the system chose stays */
	struct tcp_path before; /* at the last look */
	uint64_t look_ms;
	/* Of the interval since from_ms. */
	uint64_t from_ms, acked;
	uint32_t segments, lost_short; /* sent; lost while the queue was short */
	uint64_t best;                 /* bytes a second with BBR */
	uint64_t hold_ms, until_ms;    /* how long BBR stays after cubic failed */
};

enum congestion_wish {
	CONGESTION_KEEP,
	CONGESTION_CUBIC,
	CONGESTION_BBR,
};

/* A new connection; ${bbr}: what it begins with. */
void congestion_init(struct congestion *c, bool bbr);
/* A few times a second. The caller does what is wished, and says with congestion_refused() when the
 * system did not allow it: then what was stays. */
enum congestion_wish congestion_look(struct congestion *c, const struct tcp_path *p,
				     uint64_t now_ms);
void congestion_refused(struct congestion *c);

#endif
