/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace_reader.h - the thread that empties the kernel's trace buffers
 *
 * Shape   one thread for all disks. It sleeps until a buffer is part full, or until it is asked,
 *         and goes from CPU to CPU to read each file on its own.
 * Owner   trace_reader_stop(NULL) does nothing. The disks are borrowed until then.
 */
#ifndef SENDER_TRACE_READER_H
#define SENDER_TRACE_READER_H

#include "trace_disk.h"

struct trace_reader;

/* ${lazy}: only when it is asked (tests). */
int trace_reader_start(struct trace_disk *disks, unsigned n, bool lazy, struct trace_reader **ret,
		       struct err *e);
/* Everything that was recorded before this call is in the maps when it returns true; false: not
 * within ${timeout_ms}. */
bool trace_reader_drain(struct trace_reader *r, unsigned timeout_ms);
void trace_reader_stop(struct trace_reader *r);

#endif
