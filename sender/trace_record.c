/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace_record.h"

#include <linux/blktrace_api.h>
#include <string.h>

/* Of linux/blktrace_api.h; the enumeration has no name for the low half as a whole. */
#define ACT_MASK 0xffu
#define CATEGORY(action) ((action) >> BLK_TC_SHIFT)
#define MAGIC_MASK 0xffffff00u
#define SECTOR 512u

_Static_assert(sizeof(struct blk_io_trace) == TRACE_RECORD_LEN, "record of version 7");

void trace_parser_init(struct trace_parser *p, uint32_t device, struct dirty *dirty,
		       _Atomic unsigned *starts)
{
	*p = (struct trace_parser){ .device = device, .dirty = dirty, .starts = starts };
}

static enum trace_why check_magic(uint32_t magic)
{
	if ((magic & MAGIC_MASK) == BLK_IO_TRACE_MAGIC)
		return (magic & ~MAGIC_MASK) == BLK_IO_TRACE_VERSION ? TRACE_FINE : TRACE_VERSION;
	if ((__builtin_bswap32(magic) & MAGIC_MASK) == BLK_IO_TRACE_MAGIC)
		return TRACE_BYTE_ORDER;
	return TRACE_MAGIC;
}

/* Words to the reader of the trace; they have no sequence number. */
static enum trace_why take_note(struct trace_parser *p, const struct blk_io_trace *t)
{
	if ((t->action & ACT_MASK) == __BLK_TN_TIMESTAMP && atomic_fetch_add(p->starts, 1))
		return TRACE_RESTARTED;
	return TRACE_FINE;
}

static enum trace_why take_write(struct trace_parser *p, const struct blk_io_trace *t)
{
	uint64_t off;

	switch (t->action & ACT_MASK) {
	case __BLK_TA_QUEUE:
	case __BLK_TA_ISSUE:
	case __BLK_TA_COMPLETE:
		break;
	default:
		return TRACE_FINE;
	}
	/* The disk's own commands say nowhere what they write. */
	if (CATEGORY(t->action) & BLK_TC_PC)
		return TRACE_PASSTHROUGH;
	if (!t->bytes)
		return TRACE_FINE; /* a flush */
	if (!checked_mul(t->sector, SECTOR, &off) || !dirty_mark(p->dirty, off, t->bytes))
		return TRACE_PAST_END;
	return TRACE_FINE;
}

static enum trace_why take_record(struct trace_parser *p)
{
	struct blk_io_trace t;
	enum trace_why why;

	memcpy(&t, p->head, sizeof t);
	why = check_magic(t.magic);
	if (why)
		return why;
	p->skip = t.pdu_len;
	if (CATEGORY(t.action) & BLK_TC_NOTIFY)
		return take_note(p, &t);
	bool gap = t.sequence != p->sequence + 1;
	p->sequence = t.sequence;
	if (t.device != p->device)
		return TRACE_DEVICE;
	why = CATEGORY(t.action) & BLK_TC_WRITE ? take_write(p, &t) : TRACE_FINE;
	return gap ? TRACE_GAP : why;
}

/* Fills the record at hand; true when it is whole. */
static bool fill(struct trace_parser *p, const uint8_t **data, size_t *len)
{
	size_t n = TRACE_RECORD_LEN - p->have;

	if (n > *len)
		n = *len;
	memcpy(p->head + p->have, *data, n);
	p->have += n;
	*data += n;
	*len -= n;
	return p->have == TRACE_RECORD_LEN;
}

enum trace_why trace_parse(struct trace_parser *p, const uint8_t *data, size_t len)
{
	enum trace_why first = p->broken;

	while (len && !p->broken) {
		size_t skip = p->skip < len ? p->skip : len;

		data += skip;
		len -= skip;
		p->skip -= (uint32_t)skip;
		if (!len || !fill(p, &data, &len))
			break;
		enum trace_why why = take_record(p);
		p->have = 0;
		if (!first)
			first = why;
		if (trace_why_is_final(why))
			p->broken = why;
	}
	return p->broken ? p->broken : first;
}
