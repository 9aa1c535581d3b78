/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_xfs_log.c - does the log of an xfs hold anything that is not in its place yet?
 *
 * After an unmount the newest record says so. While a file system is frozen the kernel has written
 * everything to its place, and then logs the superblock alone, so that a copy would be looked after
 * at its first mount: records from the tail to the head that hold nothing but the superblock prove
 * it. Everything else means that the maps on the disk may be old.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "usage_internal.h"
#include "usage_xfs.h"

#define UNIT 512u /* the log counts in these */
#define RECORD_MAGIC 0xfeedbabeu
#define HEADER_SPAN 32768u /* bytes of a record that one header unit keeps cycles for */
#define HEADERS_MAX 8u
#define DATA_MAX (HEADERS_MAX * HEADER_SPAN)
#define RECORD_UNITS (HEADERS_MAX + DATA_MAX / UNIT)
/* Writes that may have been under way at once: eight records of the largest size. */
#define WINDOW_UNITS 4096u
#define OP_LEN 12u
#define OP_START 0x01u
#define OP_COMMIT 0x02u
#define OP_UNMOUNT 0x20u
#define OP_SPLIT 0x1cu
#define TRANSACTION_MAGIC 0x5452414eu
#define ITEM_BUFFER 0x123cu

struct log {
	struct reading *rd;
	uint64_t at;    /* byte of the view */
	uint64_t units; /* in all */
	uint64_t head;  /* where the next record would begin, below ${units} */
	uint8_t buf[RECORD_UNITS * UNIT];
};

struct record {
	uint64_t begin; /* unit */
	uint32_t headers, ops, len;
	uint64_t tail; /* unit where replay would begin */
};

static int read_units(struct log *l, uint64_t unit, uint64_t n, uint8_t *to)
{
	int r = 0;

	for (uint64_t i = 0; i < n && !r;) {
		uint64_t from = (unit + i) % l->units, count = l->units - from;

		if (count > n - i)
			count = n - i;
		r = reading_read(l->rd, to + i * UNIT, (size_t)count * UNIT, l->at + from * UNIT);
		i += count;
	}
	return r;
}

static uint32_t cycle_in(const uint8_t *unit)
{
	return get_be32(unit) == RECORD_MAGIC ? get_be32(unit + 4) : get_be32(unit);
}

static int cycle_of(struct log *l, uint64_t unit, uint32_t *ret)
{
	uint8_t p[UNIT] = { 0 };
	int r = read_units(l, unit, 1, p);

	*ret = r ? 0 : cycle_in(p);
	return r;
}

/* All of [from, to) carry this cycle: no record of another time among them. */
static int check_cycles(struct log *l, uint64_t from, uint64_t to, uint32_t want)
{
	while (from < to) {
		uint64_t n = to - from < RECORD_UNITS ? to - from : RECORD_UNITS;
		int r = read_units(l, from, n, l->buf);

		if (r)
			return r;
		for (uint64_t i = 0; i < n; i++) {
			if (cycle_in(l->buf + i * UNIT) != want)
				return reading_doubt(l->rd, "its log was not ended cleanly");
		}
		from += n;
	}
	return 0;
}

/* Cycles are of the newest pass before the head, of the one before it (or zero) from there on. */
static int find_head(struct log *l)
{
	uint64_t lo = 0, hi = l->units - 1, from, to;
	uint32_t first = 0, last = 0, c = 0;
	int r = cycle_of(l, 0, &first);

	if (!r)
		r = cycle_of(l, l->units - 1, &last);
	if (r)
		return r;
	if (!first || (last && last != first && last != first - 1))
		return reading_doubt(l->rd, "its log makes no sense");
	if (first == last) {
		l->head = 0;
		return check_cycles(l, l->units > WINDOW_UNITS ? l->units - WINDOW_UNITS : 0,
				    l->units, first);
	}
	while (hi - lo > 1 && !r) { /* lo has the newer cycle, hi has not */
		uint64_t mid = lo + (hi - lo) / 2;

		r = cycle_of(l, mid, &c);
		if (c == first)
			lo = mid;
		else
			hi = mid;
	}
	l->head = hi;
	from = hi > WINDOW_UNITS ? hi - WINDOW_UNITS : 0;
	to = l->units - hi > WINDOW_UNITS ? hi + WINDOW_UNITS : l->units;
	if (!r)
		r = check_cycles(l, from, hi, first);
	return r ? r : check_cycles(l, hi, to, last);
}

/* The record at ${unit}, whole, into l->buf. */
static int read_record(struct log *l, uint64_t unit, struct record *ret)
{
	const uint8_t *p = l->buf;
	int r = read_units(l, unit, 1, l->buf);
	uint32_t size = get_be32(p + 320), version = get_be32(p + 8);

	if (r)
		return r;
	*ret = (struct record){ .begin = unit, .headers = 1, .ops = get_be32(p + 40) };
	ret->len = get_be32(p + 12);
	ret->tail = get_be64(p + 24) & UINT32_MAX;
	if (get_be32(p) != RECORD_MAGIC || (get_be64(p + 16) & UINT32_MAX) != unit ||
	    ret->tail >= l->units || size > DATA_MAX || ret->len > DATA_MAX || version < 1 ||
	    version > 3)
		return reading_doubt(l->rd, "its log holds a record that makes no sense");
	if (version & 2 && size > HEADER_SPAN)
		ret->headers = (uint32_t)div_round_up(size, HEADER_SPAN);
	if (ret->len > ret->headers * HEADER_SPAN ||
	    ret->headers + div_round_up(ret->len, UNIT) > l->units)
		return reading_doubt(l->rd, "its log holds a record that makes no sense");
	return read_units(l, unit, ret->headers + div_round_up(ret->len, UNIT), l->buf);
}

static uint64_t record_end(const struct log *l, const struct record *rec)
{
	return (rec->begin + rec->headers + div_round_up(rec->len, UNIT)) % l->units;
}

/* The record that ends at the head. */
static int find_last(struct log *l, struct record *ret)
{
	uint64_t most = l->units < RECORD_UNITS ? l->units : RECORD_UNITS;

	for (uint64_t i = 1; i <= most; i++) {
		uint64_t at = (l->head + l->units - i) % l->units;
		uint8_t p[UNIT] = { 0 };
		int r = read_units(l, at, 1, p);

		if (r)
			return r;
		if (get_be32(p) != RECORD_MAGIC)
			continue;
		r = read_record(l, at, ret);
		if (!r && record_end(l, ret) != l->head)
			r = reading_doubt(l->rd, "its log ends in the middle of a record");
		return r;
	}
	return reading_doubt(l->rd, "its log has no last record");
}

/* The first word of each unit was replaced by the cycle; the headers keep what it was. */
static void restore_words(struct log *l, const struct record *rec)
{
	uint8_t *data = l->buf + (size_t)rec->headers * UNIT;

	for (uint32_t i = 0; i < div_round_up(rec->len, UNIT); i++) {
		uint32_t h = i / (HEADER_SPAN / UNIT), k = i % (HEADER_SPAN / UNIT);
		const uint8_t *kept = l->buf + (size_t)h * UNIT + (h ? 4 : 44) + (size_t)4 * k;

		memcpy(data + (size_t)i * UNIT, kept, 4);
	}
}

/* One operation outside of an item: what it opens. False: more than the superblock. */
static bool opens_superblock(const uint8_t *p, uint32_t len, uint32_t *regions)
{
	if (len >= 4 && get_le32(p) == TRANSACTION_MAGIC)
		return true;
	/* In the byte order of the machine; big-endian ones are doubted. */
	if (len < 16 || get_le16(p) != ITEM_BUFFER || get_le64(p + 8) != 0 || !get_le16(p + 2))
		return false;
	*regions = get_le16(p + 2) - 1u;
	return true;
}

static bool only_superblock(struct log *l, const struct record *rec)
{
	const uint8_t *p = l->buf + (size_t)rec->headers * UNIT;
	uint32_t left = rec->len, regions = 0;

	restore_words(l, rec);
	for (uint32_t i = 0; i < rec->ops; i++) {
		if (left < OP_LEN)
			return false;
		uint32_t len = get_be32(p + 4);
		unsigned flags = p[9];

		p += OP_LEN;
		left -= OP_LEN;
		if (len > left || flags & OP_SPLIT)
			return false;
		if (regions)
			regions--;
		else if (len && !(flags & (OP_START | OP_COMMIT | OP_UNMOUNT)) &&
			 !opens_superblock(p, len, &regions))
			return false;
		p += len;
		left -= len;
	}
	return !regions;
}

static bool is_unmount(const struct log *l, const struct record *rec)
{
	const uint8_t *p = l->buf + (size_t)rec->headers * UNIT;

	return rec->ops == 1 && rec->len >= OP_LEN && p[9] & OP_UNMOUNT;
}

/* From the tail to the head: bounded, because each record moves on and none passes the head. */
static int check_records(struct log *l, uint64_t tail)
{
	uint64_t at = tail, gone = 0, most = (l->head + l->units - tail) % l->units;

	while (at != l->head) {
		struct record rec = { 0 };
		int r = read_record(l, at, &rec);

		if (r)
			return r;
		if (!only_superblock(l, &rec))
			return reading_doubt(l->rd,
					     "its log holds changes that are not written back");
		gone += rec.headers + div_round_up(rec.len, UNIT);
		if (gone > most)
			return reading_doubt(l->rd, "its log makes no sense");
		at = record_end(l, &rec);
	}
	return 0;
}

int usage_xfs_log_check(struct reading *rd, const struct xfs_geometry *g)
{
	struct record last = { 0 };

	if (g->log_len < (uint64_t)RECORD_UNITS * UNIT)
		return reading_doubt(rd, "its log is shorter than a record");
	scoped(freep) struct log *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->rd = rd;
	l->at = g->log_start;
	l->units = g->log_len / UNIT;
	int r = find_head(l);
	if (!r)
		r = find_last(l, &last);
	if (r || is_unmount(l, &last))
		return r;
	if (rd->still != STILL_FROZEN)
		return reading_doubt(rd, "it was not unmounted cleanly: mount it once");
	return check_records(l, last.tail);
}
