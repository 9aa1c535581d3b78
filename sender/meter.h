/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * meter.h - how fast a line is while it is used, from a counter of bytes that is looked at often
 *
 * Why     bytes over the time of a whole round say too little: most of a later round sends nothing.
 *         And the fastest moment says too much: the kernel's buffers take megabytes at once. So the
 *         rate is the one at which the middle byte went, windows without bytes counting nothing.
 * Units   bytes, milliseconds of a clock that only rises.
 * Threads one.
 */
#ifndef SENDER_METER_H
#define SENDER_METER_H

#include <stdint.h>

#define METER_CLASSES 160 /* four for each doubling, from a byte a second on */

struct meter {
	uint64_t at_ms, bytes; /* when the open window began, and the counter then */
	struct {
		uint64_t bytes, ms;
	} class[METER_CLASSES];
};

void meter_begin(struct meter *t, uint64_t now_ms, uint64_t bytes);
/* ${bytes} is the counter now. A window lasts half a second or more. */
void meter_sample(struct meter *t, uint64_t now_ms, uint64_t bytes);
/* Closes the open window. 0 when too little was sent to say. */
double meter_rate(struct meter *t, uint64_t now_ms, uint64_t bytes);

#endif
