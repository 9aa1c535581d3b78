/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * extent.h - half-open byte ranges, and sorted sets of them that never overlap or touch
 *
 * Units   bytes; an extent is [off, off + len).
 * Errors  0 or a negative errno; -ERANGE when off + len does not fit in 64 bits.
 * Owner   extent_set_free(NULL) does nothing.
 */
#ifndef BLOCKIO_EXTENT_H
#define BLOCKIO_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t off;
	uint64_t len;
};

struct extent_set {
	struct extent *v; /* sorted by off; gaps of at least one byte between neighbours */
	size_t n;
	size_t room;
};

/* False when the end does not fit or lies past ${limit}. */
bool extent_within(struct extent x, uint64_t limit);

int extent_set_add(struct extent_set *s, struct extent x);
int extent_set_subtract(struct extent_set *s, struct extent x);
bool extent_set_contains(const struct extent_set *s, struct extent x);
bool extent_set_overlaps(const struct extent_set *s, struct extent x);
/* Bytes in the set. */
uint64_t extent_set_total(const struct extent_set *s);
/* First range at or after ${from}, below ${limit}, that the set does not hold; false when none. */
bool extent_set_next_gap(const struct extent_set *s, uint64_t from, uint64_t limit,
			 struct extent *ret);
void extent_set_free(struct extent_set *s);

#endif
