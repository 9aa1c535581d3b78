/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trace_why.h - why a disk, or one round of it, is compared by digests instead of by its trace
 */
#ifndef SENDER_TRACE_WHY_H
#define SENDER_TRACE_WHY_H

#include <stdbool.h>

enum trace_why {
	TRACE_FINE = 0,
	/* From the beginning. */
	TRACE_IMAGE,      /* a regular file */
	TRACE_BIO,        /* a driver that reports no completions: mapped, assembled, old */
	TRACE_PATHS,      /* written through other paths, too (multipath) */
	TRACE_NO_KERNEL,  /* built without block tracing */
	TRACE_NO_DEBUGFS, /* neither mounted nor to be had */
	TRACE_DENIED,     /* not root, or a locked-down kernel */
	TRACE_IN_USE,     /* someone else traces the disk */
	TRACE_FTRACE,     /* ftrace's blk tracer takes the events */
	TRACE_SETUP,      /* anything else that the kernel said no to */
	/* Found while it runs, and tracing ends. */
	TRACE_MAGIC,
	TRACE_VERSION,
	TRACE_BYTE_ORDER,
	TRACE_DEVICE,
	TRACE_RESTARTED, /* by someone else, after a stop that we did not see */
	TRACE_STOPPED,   /* by someone else */
	TRACE_GONE,      /* torn down by someone else, or the disk is gone */
	/* Found while it runs; the next round is traced again. */
	TRACE_DROPPED,     /* the kernel's buffers were full */
	TRACE_GAP,         /* a sequence number is missing */
	TRACE_PAST_END,    /* a write outside the disk as we know it */
	TRACE_PASSTHROUGH, /* a writing command that went past the block layer's sectors */
	TRACE_LATE,        /* our reader did not answer in time */
	TRACE_CPU,         /* a CPU's buffer could not be read on that CPU */
	TRACE_READ,        /* the kernel's buffer could not be read */
	TRACE_WHYS
};

/* Stable word, for JSON ("dropped"). Static storage. */
const char *trace_why_word(enum trace_why why);
/* For a person: the cause. Static storage. */
const char *trace_why_text(enum trace_why why);
/* No later round of this run can be traced either. */
bool trace_why_is_final(enum trace_why why);
/* What the kernel's answer to the setup of a trace means. */
enum trace_why trace_why_of_setup(int sys);

#endif
