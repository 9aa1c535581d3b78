/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_round.h - the free maps of all disks, before and after a round
 *
 * Order   usage_round_begin(), the round, usage_round_again() and while that says 1 the round once
 *         more, usage_round_end().
 *         Whoever makes move_disk.same_map for a round makes it before usage_round_begin(), which
 *         takes out of it what was left out before and is to be read now.
 * Rule    after a final round every range that was left out must still be free by a map that is
 *         believed anew; else all of that disk is read again, and nothing of it is left out.
 * Errors  -ENOMEM only; a disk that is not understood is read as a whole.
 * Threads the main one, while no round runs.
 */
#ifndef SENDER_USAGE_ROUND_H
#define SENDER_USAGE_ROUND_H

#include "move.h"
#include "usage.h"

int usage_round_begin(struct move *m, const struct usage_context *c, struct err *e);
/* 1: what was left out is in use now on some disk, and the maps say what to read; ${tries} counts
 * those before. In a live round that is the new blocks alone. */
int usage_round_again(struct move *m, const struct usage_context *c, unsigned tries, struct err *e);
/* ${done}: the round was finished. */
void usage_round_end(struct move *m, bool done);

/* The same for one disk, into its free_map. */
int usage_round_disk(struct move_disk *d, const struct usage_context *c, struct err *e);
/* The next part from *${at} on that should have been understood and was not; NULL: no more. */
const struct usage_part *usage_round_doubt(const struct move_disk *d, unsigned *at);
/* One warning for each part whose map should have been readable and was not believed. */
void usage_round_warn(const struct move *m);
/* What the last look found, without its free set; NULL when there was none. */
const struct usage *usage_round_look(const struct move_disk *d);
void usage_round_free(struct move_disk *d);

#endif
