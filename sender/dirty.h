/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dirty.h - which parts of one disk a round must read, because they were written since
 *
 * Shape   two bitmaps, a bit for each 64 KiB: "live" takes what is written now, "old" is what the
 *         round at hand must read. dirty_turn(), between two rounds, moves live into old.
 * Rule    a bit leaves old only by dirty_settled(), after a whole round. Whatever is not known for
 *         sure is dirty: at first, and after dirty_lose(), that is the whole disk.
 * Units   bytes of the disk. A disk of 1 TiB needs 4 MiB.
 * Errors  0 or a negative errno.
 * Threads any; it has its own lock.
 */
#ifndef SENDER_DIRTY_H
#define SENDER_DIRTY_H

#include "base/bytes.h"
#include "base/err.h"
#include "extent.h"

#define DIRTY_GRANULE (64 * KIB)
/* Of a map of what is clean: short clean ranges are left out of it before there are more. */
#define DIRTY_EXTENTS_MAX 65536u

struct dirty;

int dirty_new(uint64_t size, struct dirty **ret, struct err *e);
void dirty_free(struct dirty *d);

/* Bytes [off, off + len) are being written. False, and nothing is marked, when that does not lie
 * inside the disk. */
bool dirty_mark(struct dirty *d, uint64_t off, uint64_t len);
/* Something was written, nobody knows where. */
void dirty_lose(struct dirty *d);

/* A round begins: it must read what was written since the last dirty_turn(), and what an earlier
 * round left unread. */
void dirty_turn(struct dirty *d);
/* The round since the last dirty_turn() read all that it had to. */
void dirty_settled(struct dirty *d);
/* After dirty_settled(): it did not read what lies in here, because it was free then. Granules that
 * lie only partly in it were read. */
void dirty_unread(struct dirty *d, struct extent x);

/* Bytes that the round at hand must read. */
uint64_t dirty_bytes(const struct dirty *d);
/* What it need not read, sorted; empty when nothing is known. The caller frees the set's content.
 */
int dirty_same(const struct dirty *d, struct extent_set *ret, struct err *e);

#endif
