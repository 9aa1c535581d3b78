/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace_disk.h - the kernel's block trace of one disk: set up, read, proved to be ours, removed
 *
 * Shape   the blktrace interface on the whole disk; records come from one file for each CPU under
 *         debugfs, block/NAME/traceN. No module, no program of others.
 * Files   a file is read on its own CPU only. A record is written there with interrupts off, so
 *         that a reader on that CPU never sees half of one; on another CPU it could.
 * Ours    the file block/NAME/dropped has an inode number and a time that no other trace since the
 *         start of the machine has. They are kept in the store ("trace-N"): with the store's lock
 *         held, a trace that bears them was left by a run of ours that was killed.
 * Threads trace_disk_read() and the files: the reader. The rest: the thread of the rounds.
 *         trace_disk_lose() and off: both.
 */
#ifndef SENDER_TRACE_DISK_H
#define SENDER_TRACE_DISK_H

#include <stdatomic.h>

#include "move.h"
#include "trace_record.h"

struct trace_buffers {
	uint32_t size, number; /* of each CPU */
};

#define TRACE_MARK_MAX 160

struct trace_file {
	int fd; /* -1: no such CPU yet */
	struct trace_parser parser;
};

struct trace_disk {
	struct move_disk *d;
	struct store *store;
	int debugfs; /* borrowed */
	struct trace_buffers buffers;
	char name[64]; /* folder in debugfs */
	uint32_t device;
	char mark[TRACE_MARK_MAX]; /* what tells this trace from any other; empty: not known */
	struct dirty *dirty;
	struct trace_file *files; /* by number of the CPU */
	unsigned n_files;
	_Atomic unsigned starts;
	uint64_t dropped;      /* as of the last look */
	bool set_up;           /* there is something to be torn down */
	atomic_bool off;       /* for good */
	_Atomic unsigned lost; /* enum trace_why of the interval at hand, the first one */
};

/* The root of debugfs as a descriptor: where it is mounted, or a mount of our own that nobody sees
 * and that ends with the descriptor. -1 when there is none. */
int trace_debugfs(void);

/* Not running yet. What is left behind by one that fails is given back by trace_disk_close(). */
enum trace_why trace_disk_open(struct trace_disk *t, struct move_disk *d, struct store *store,
			       int debugfs, struct trace_buffers buffers);
enum trace_why trace_disk_start(struct trace_disk *t);
/* Removes the trace, if it is still ours. Writes no file: file systems may be frozen. */
void trace_disk_remove(struct trace_disk *t);
/* The same, and forgets its mark and gives everything back. */
void trace_disk_close(struct trace_disk *t);

/* CPUs that came since. */
void trace_disk_more_files(struct trace_disk *t);
/* What CPU ${cpu} recorded until now; the calling thread moves to it. */
void trace_disk_read(struct trace_disk *t, unsigned cpu, uint8_t *buf, size_t room);
/* After everything was read: whether it is everything. */
enum trace_why trace_disk_check(struct trace_disk *t);
/* The interval at hand is not complete. The first reason is kept, but one that is for good goes
 * before it. */
void trace_disk_lose(struct trace_disk *t, enum trace_why why);

#endif
