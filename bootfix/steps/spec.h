/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * spec.h - what becomes of one device name that the source wrote into a file
 *
 * Rule     stable names are never touched; an unstable one becomes what the volume itself says it
 *          is; a name whose volume is on no disk here is gone; one that nobody can place stays.
 * Shared   by the steps fstab, crypttab and cmdline, so that they cannot disagree.
 */
#ifndef STEPS_SPEC_H
#define STEPS_SPEC_H

#include "guest.h"

enum spec_fate {
	SPEC_KEEP,   /* stable, or no block device */
	SPEC_CHANGE, /* to ret.text */
	SPEC_GONE,   /* its disk did not come along */
	SPEC_UNSURE, /* unstable, and nobody knows which volume it is */
};

struct spec_answer {
	enum spec_fate fate;
	char text[96];         /* "UUID=..." or "PARTUUID=..." */
	const struct vol *vol; /* the volume, when it is known; borrowed from the guest */
	bool guessed;          /* without facts: disks by their order */
};

/* ${want_part}: PARTUUID= although the volume has a UUID: a device that is formatted at every boot,
 * or a root that the kernel itself must find. */
struct spec_answer spec_answer(const struct guest *g, const char *spec, bool want_part);

#endif
