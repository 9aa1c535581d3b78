/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A byte that says how the rest is cut into pieces, then records as the kernel would give them:
 * whatever they are, cut and uncut mean the same. */
#include <stdint.h>
#include <stdlib.h>

#include "trace_record.h"

#define SIZE (1000 * DIRTY_GRANULE - 5)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t parse(const uint8_t *data, size_t size, size_t step, enum trace_why *ret_why)
{
	_Atomic unsigned starts = 0;
	struct trace_parser p;
	struct dirty *d = NULL;

	if (dirty_new(SIZE, &d, NULL))
		abort();
	dirty_turn(d);
	dirty_settled(d);
	trace_parser_init(&p, 8u << 20, d, &starts);
	*ret_why = TRACE_FINE;
	for (size_t at = 0; at < size; at += step) {
		enum trace_why why =
		    trace_parse(&p, data + at, size - at < step ? size - at : step);

		/* One that ends it is said again and again, and goes before others. */
		if (!*ret_why || trace_why_is_final(why))
			*ret_why = why;
	}
	dirty_turn(d);
	uint64_t bytes = dirty_bytes(d);
	dirty_free(d);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum trace_why a, b;

	if (size < 2)
		return 0;
	if (parse(data + 1, size - 1, size, &a) != parse(data + 1, size - 1, 1u + data[0], &b) ||
	    a != b)
		abort();
	return 0;
}
