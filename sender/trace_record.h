/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace_record.h - the kernel's records of block events, of one CPU, into a map of what is written
 *
 * Source  linux/blktrace_api.h, version 7: 48 bytes in the machine's byte order, then as many more
 *         as the last field says. Records come in any pieces.
 * Taken   QUEUE, ISSUE and COMPLETE of what writes (discards and write-zeroes among them). Both
 * ends of a write count: see docs/architecture.md, "Rounds and tracking". REMAP is left out, its
 *         sector may be that of a partition.
 * Bounds  a record holds 48 bytes here, whatever it says; what follows it is skipped.
 * Threads one parser belongs to one thread.
 */
#ifndef SENDER_TRACE_RECORD_H
#define SENDER_TRACE_RECORD_H

#include <stdatomic.h>

#include "dirty.h"
#include "trace_why.h"

#define TRACE_RECORD_LEN 48

struct trace_parser {
	struct dirty *dirty;      /* borrowed */
	_Atomic unsigned *starts; /* of the trace, seen on any CPU; borrowed */
	uint32_t device;          /* of the whole disk, as the kernel numbers it inside */
	uint8_t head[TRACE_RECORD_LEN];
	size_t have;       /* bytes of head */
	uint32_t skip;     /* bytes after it that are still to come */
	uint32_t sequence; /* of the last record that has one */
	enum trace_why broken;
};

void trace_parser_init(struct trace_parser *p, uint32_t device, struct dirty *dirty,
		       _Atomic unsigned *starts);

/* The next ${len} bytes. TRACE_FINE, or the first reason why not all that was written is marked.
 * After one that is for good (trace_why.h) nothing is taken any more. */
enum trace_why trace_parse(struct trace_parser *p, const uint8_t *data, size_t len);

#endif
