/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace.h - changed regions between the rounds of one run, by the kernel's block trace
 *
 * Source  docs/architecture.md, "Rounds and tracking".
 * Shape   tracing runs from before the first byte that is read until trace_close(). Each round
 *         reads what was written since the one before it began, and skips what move_disk.same_map
 *         then says. A disk that cannot be traced, or a round whose events are not complete, has
 *         an empty map: everything is read and compared by digests.
 * Errors  none: without a trace a round is slower, never wrong. move_disk.tracking says why.
 * Threads the one that runs the rounds. A process of ours removes the traces when we are killed.
 */
#ifndef SENDER_TRACE_H
#define SENDER_TRACE_H

#include "move.h"

/* For a run of several rounds, before its first one. Fills m->trace. */
void trace_open(struct move *m);
/* Nothing happens with NULL in any of these. ${silent}: nothing may be logged now. */
void trace_round_begin(struct trace *t, bool silent);
/* It read what it had to. One that failed is not ended. */
void trace_round_end(struct trace *t);
/* Removes the traces; m->trace is NULL after it. */
void trace_close(struct move *m);

#endif
