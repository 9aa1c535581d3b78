/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage.h - which bytes of a source disk are provably free: nothing will ever read them again
 *
 * Rule    free is what a map says that was consistent when it was read: of a file system that is
 *         not mounted and was left cleanly, that we froze, or that is mounted read-only. Of a file
 *         system that is mounted for writing and runs, only a round believes it from which no
 *         manifest is sealed (struct usage.provisional). docs/architecture.md, "Used blocks", has
 *         the rule and the argument.
 * Whole   what is not known, cannot be proved, or cannot be read counts as used to its last byte.
 *         It is never an error that ends a move: struct usage_part.why names the cause.
 * Hostile all that is read is: lengths are checked before arithmetic, loops are bounded.
 * Units   bytes of the disk.
 * Owner   usage_release() gives back what usage_look() made.
 * Threads one per source.
 */
#ifndef SENDER_USAGE_H
#define SENDER_USAGE_H

#include "extent.h"
#include "freeze.h"
#include "source.h"

#define USAGE_PARTS_MAX 192
#define USAGE_WHY 120
/* Free runs below this hold no whole block of any size. */
#define USAGE_GRAIN BLOCK_SIZE_MIN

enum usage_phase {
	USAGE_LIVE,  /* a round that is followed by another */
	USAGE_FINAL, /* what it reads is sealed */
};

struct usage_context {
	enum usage_phase phase;
	const struct freeze *frozen; /* NULL: we froze nothing */
	uint64_t grain;              /* shorter runs are left out; 0: all are wanted */
};

enum usage_verdict {
	USAGE_BELIEVED,    /* its map was read */
	USAGE_PROVISIONAL, /* the same, of a file system that goes on changing */
	USAGE_UNKNOWN,     /* of a kind that is copied whole */
	USAGE_DOUBTED,     /* of a kind whose maps we read, but this one cannot be proved */
};

/* A partition, a logical volume, the space between partitions. */
struct usage_part {
	char name[64]; /* "partition 2", "volume vg/root", "gap", "disk" */
	char type[24]; /* "ext4"; empty when nothing was recognised */
	uint64_t off;  /* where it begins on the disk; of a volume its first piece */
	uint64_t size, free;
	enum usage_verdict verdict;
	char why[USAGE_WHY]; /* of USAGE_UNKNOWN and USAGE_DOUBTED */
};

struct usage {
	struct extent_set free;
	bool provisional; /* a part of ${free} is good for a live round only */
	struct usage_part parts[USAGE_PARTS_MAX];
	unsigned n_parts;
};

/* 0, or -ENOMEM: then nothing is free. */
int usage_look(struct source *s, const struct usage_context *c, struct usage *ret);
void usage_release(struct usage *u);
/* "believed", "provisional", "unknown", "doubted". */
const char *usage_verdict_word(enum usage_verdict v);

#endif
