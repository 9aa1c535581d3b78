/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace_why.h"

#include <errno.h>
#include <stddef.h>

/* clang-format off */
static const struct {
	const char *word, *text;
	bool final;
} whys[TRACE_WHYS] = {
	[TRACE_FINE]        = { "fine",         "nothing is wrong", false },
	[TRACE_IMAGE]       = { "image-file",   "an image file has no block events", true },
	[TRACE_BIO]         = { "no-requests",  "its driver does not report when a write is done", true },
	[TRACE_PATHS]       = { "multipath",    "it is one of several paths, and writes may take another", true },
	[TRACE_NO_KERNEL]   = { "no-blktrace",  "this kernel has no block tracing", true },
	[TRACE_NO_DEBUGFS]  = { "no-debugfs",   "debugfs cannot be opened: mount it at /sys/kernel/debug", true },
	[TRACE_DENIED]      = { "not-permitted", "not permitted: no root, or the kernel is locked down", true },
	[TRACE_IN_USE]      = { "in-use",       "someone else traces this disk", true },
	[TRACE_FTRACE]      = { "ftrace",       "ftrace's blk tracer takes the events", true },
	[TRACE_SETUP]       = { "setup-failed", "the kernel refused to set up the trace", true },
	[TRACE_MAGIC]       = { "bad-record",   "a record without its magic number", true },
	[TRACE_VERSION]     = { "bad-version",  "records of a version that is not known here", true },
	[TRACE_BYTE_ORDER]  = { "byte-order",   "records in the other byte order", true },
	[TRACE_DEVICE]      = { "other-device", "a record of another disk", true },
	[TRACE_RESTARTED]   = { "restarted",    "someone else stopped and started the trace", true },
	[TRACE_STOPPED]     = { "stopped",      "someone else stopped the trace", true },
	[TRACE_GONE]        = { "gone",         "the trace is gone: removed by someone else, or the disk is", true },
	[TRACE_DROPPED]     = { "dropped",      "more events than the kernel's buffers could hold", false },
	[TRACE_GAP]         = { "gap",          "an event is missing in the sequence", false },
	[TRACE_PAST_END]    = { "past-end",     "a write past the end of the disk", false },
	[TRACE_PASSTHROUGH] = { "passthrough",  "a command was sent to the disk past the block layer", false },
	[TRACE_LATE]        = { "late",         "the events were not read in time", false },
	[TRACE_CPU]         = { "cpu",          "events of a CPU that this process may not run on", false },
	[TRACE_READ]        = { "read",         "the kernel's buffer could not be read", false },
};
/* clang-format on */

const char *trace_why_word(enum trace_why why)
{
	return whys[why].word;
}

const char *trace_why_text(enum trace_why why)
{
	return whys[why].text;
}

bool trace_why_is_final(enum trace_why why)
{
	return whys[why].final;
}

enum trace_why trace_why_of_setup(int sys)
{
	switch (sys) {
	case 0:
		return TRACE_FINE;
	case EBUSY:
	case EEXIST:
		return TRACE_IN_USE;
	case EPERM:
	case EACCES:
		return TRACE_DENIED;
	case ENOTTY:
	case ENOSYS:
	case EINVAL:
	case EOPNOTSUPP:
		return TRACE_NO_KERNEL;
	default:
		return TRACE_SETUP;
	}
}
