/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "meter.h"

#include "base/bytes.h"

#define WINDOW_MS 500
#define LAST_WINDOW_MS 50     /* the last one may be shorter */
#define LEAST_BYTES (4 * MIB) /* below it the kernel's buffers are what was measured */

void meter_begin(struct meter *t, uint64_t now_ms, uint64_t bytes)
{
	*t = (struct meter){ .at_ms = now_ms, .bytes = bytes };
}

/* Four to a doubling: the position of the highest bit, and the two bits below it. */
static unsigned class_of(uint64_t rate)
{
	unsigned high, n;

	if (rate < 4)
		return 0;
	high = 63 - (unsigned)__builtin_clzll(rate);
	n = (high - 2) * 4 + (unsigned)(rate >> (high - 2) & 3) + 1;
	return n < METER_CLASSES ? n : METER_CLASSES - 1;
}

static void close_window(struct meter *t, uint64_t now_ms, uint64_t bytes)
{
	uint64_t ms = now_ms - t->at_ms, sent = bytes - t->bytes;
	unsigned c = class_of(sent * 1000 / ms);

	t->class[c].bytes += sent;
	t->class[c].ms += ms;
	t->at_ms = now_ms;
	t->bytes = bytes;
}

void meter_sample(struct meter *t, uint64_t now_ms, uint64_t bytes)
{
	if (now_ms >= t->at_ms + WINDOW_MS)
		close_window(t, now_ms, bytes);
}

double meter_rate(struct meter *t, uint64_t now_ms, uint64_t bytes)
{
	uint64_t all = 0, below = 0, around = 0, ms = 0;
	unsigned c;

	if (now_ms >= t->at_ms + LAST_WINDOW_MS)
		close_window(t, now_ms, bytes);
	for (c = 0; c < METER_CLASSES; c++)
		all += t->class[c].bytes;
	if (all < LEAST_BYTES)
		return 0;
	for (c = 0; c + 1 < METER_CLASSES; c++) {
		below += t->class[c].bytes;
		if (below * 2 >= all)
			break;
	}
	/* A steady rate may fall on both sides of a border: the neighbours count too. */
	for (unsigned i = c ? c - 1 : 0; i <= c + 1 && i < METER_CLASSES; i++) {
		around += t->class[i].bytes;
		ms += t->class[i].ms;
	}
	return ms ? (double)around * 1000.0 / (double)ms : 0;
}
