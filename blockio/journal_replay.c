/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_internal.h"

static bool bit(const struct journal *j, uint64_t block)
{
	return j->bitmap[block / 8] >> (block % 8) & 1;
}

static void set_bits(struct journal *j, uint64_t block, uint64_t count, bool on)
{
	for (uint64_t b = block; b < block + count; b++) {
		if (bit(j, b) == on)
			continue;
		j->bitmap[b / 8] = (uint8_t)(j->bitmap[b / 8] ^ 1u << (b % 8));
		j->claimed = on ? j->claimed + 1 : j->claimed - 1;
	}
}

int journal_apply(struct journal *j, const struct journal_entry *m, uint64_t at)
{
	bool on = m->claim.kind != CLAIM_NONE;

	if (on) {
		int r = journal_table_set(j, m->block, m->count, at);
		if (r < 0)
			return r;
	}
	set_bits(j, m->block, m->count, on);
	return 0;
}

void journal_note_batch(struct journal *j)
{
	j->recent[1] = j->recent[0];
	j->recent[0].n = 0;
}

/* Of a run, both ends: that is where a lost or misplaced write shows first. */
void journal_note_recent(struct journal *j, const struct journal_entry *v, size_t n)
{
	struct recent_batch *b = &j->recent[0];
	const size_t room = sizeof b->blocks / sizeof *b->blocks;

	for (size_t i = 0; i < n; i++) {
		if (v[i].claim.kind == CLAIM_NONE)
			continue;
		if (b->n < room)
			b->blocks[b->n++] = v[i].block;
		if (v[i].count > 1 && b->n < room)
			b->blocks[b->n++] = v[i].block + v[i].count - 1;
	}
}

static int unclean(const struct journal *j, uint64_t at, const char *what, struct err *e)
{
	return err_set(e, ERR_SYS, EUCLEAN, "journal '%s/journal' is damaged at byte %llu: %s",
		       j->dir, (unsigned long long)at, what);
}

/* A whole record of this journal at ${at}, by itself; its pages are then in tail.buf. */
static bool record_at(struct journal *j, uint64_t at, uint64_t size, struct record *ret)
{
	uint8_t *p = j->tail.buf;

	if (size - at < JOURNAL_PAGE || journal_read(j->tail.fd, p, JOURNAL_PAGE, at) < 0 ||
	    !journal_record_head(p, ret) || ret->id != j->tail.id)
		return false;
	size_t len = (size_t)ret->pages * JOURNAL_PAGE;
	if (size - at < len ||
	    (len > JOURNAL_PAGE &&
	     journal_read(j->tail.fd, p + JOURNAL_PAGE, len - JOURNAL_PAGE, at + JOURNAL_PAGE) < 0))
		return false;
	return journal_record_whole(p, ret);
}

static int apply_claims(struct journal *j, uint64_t at, const struct record *rec, struct err *e)
{
	struct journal_entry m;
	bool claims = false;

	for (uint32_t i = 0; i < rec->n; i++) {
		size_t off = RECORD_HEAD + (size_t)i * ENTRY_LEN;

		if (!journal_entry_decode(j->tail.buf + off, j->blocks, &m))
			return unclean(j, at, "an entry is out of range", e);
		int r = journal_apply(j, &m, at + off);
		if (r < 0)
			return err_set(e, ERR_SYS, -r, "write '%s/table'", j->dir);
		if (m.claim.kind == CLAIM_NONE)
			continue;
		if (!claims)
			journal_note_batch(j);
		claims = true;
		journal_note_recent(j, &m, 1);
	}
	return 0;
}

static int apply_record(struct journal *j, uint64_t at, const struct record *rec, struct err *e)
{
	struct journal_tail *t = &j->tail;

	if (rec->seq != t->seq + 1 || rec->prev != t->chain)
		return unclean(j, at, "a whole record that does not follow the one before", e);
	if (rec->epoch < t->epoch)
		return unclean(j, at, "the epoch falls", e);
	switch (rec->type) {
	case RECORD_CLAIMS: {
		int r = apply_claims(j, at, rec, e);
		if (r < 0)
			return r;
		break;
	}
	case RECORD_EPOCH:
		break;
	case RECORD_SUSPECT:
		j->suspect = true;
		break;
	case RECORD_TRUSTED:
		j->suspect = false;
		break;
	}
	t->epoch = rec->epoch;
	t->seq = rec->seq;
	t->chain = rec->checksum;
	t->end = at + (uint64_t)rec->pages * JOURNAL_PAGE;
	return 0;
}

/* The record after the tail is not whole. If a later one says it was durable, it was lost to
 * damage and not to a crash; else all from here on was never promised, and may go. */
static int check_rest(struct journal *j, uint64_t size, struct err *e)
{
	struct record rec;
	uint64_t lost = j->tail.seq + 1;

	for (uint64_t chunk = j->tail.end; chunk < size; chunk += JOURNAL_CHUNK) {
		uint64_t n = size - chunk < JOURNAL_CHUNK ? size - chunk : JOURNAL_CHUNK;
		int r = journal_read(j->tail.fd, j->chunk, (size_t)n, chunk);

		if (r < 0)
			return err_set(e, ERR_SYS, -r, "read '%s/journal'", j->dir);
		for (uint64_t i = 0; i + JOURNAL_PAGE <= n; i += JOURNAL_PAGE) {
			if (get_be32(j->chunk + i) != RECORD_MAGIC ||
			    !record_at(j, chunk + i, size, &rec))
				continue;
			if (rec.synced >= lost)
				return unclean(j, j->tail.end, "good records follow a bad one", e);
		}
	}
	return 0;
}

static int cut_tail(struct journal *j, uint64_t size, struct err *e)
{
	if (j->readonly || size == j->tail.end)
		return 0;
	/* Made durable before anything is appended: a piece of the old tail must never stand behind
	 * a new record. */
	if (ftruncate(j->tail.fd, (off_t)j->tail.end) < 0 || fsync(j->tail.fd) < 0)
		return err_set(e, ERR_SYS, errno, "cut the torn tail of '%s/journal'", j->dir);
	return journal_reserve(j, j->tail.fd, e);
}

int journal_replay(struct journal *j, struct err *e)
{
	struct journal_tail *t = &j->tail;
	struct record rec;
	struct stat st;
	int r;

	if (fstat(t->fd, &st) < 0)
		return err_set(e, ERR_SYS, errno, "journal '%s/journal'", j->dir);
	uint64_t size = (uint64_t)st.st_size;
	j->claimed = 0;
	j->suspect = false;
	memset(j->bitmap, 0, (size_t)div_round_up(j->blocks, 8));
	memset(j->recent, 0, sizeof j->recent);
	t->seq = t->epoch = 0;
	t->end = JOURNAL_PAGE;
	while (t->end < size && record_at(j, t->end, size, &rec)) {
		r = apply_record(j, t->end, &rec, e);
		if (r < 0)
			return r;
	}
	if ((r = check_rest(j, size, e)) < 0 || (r = cut_tail(j, size, e)) < 0)
		return r;
	/* After a kill the last records may be in the page cache only; from here on they are not.
	 */
	if (!j->readonly && fdatasync(t->fd) < 0)
		return err_set(e, ERR_SYS, errno, "sync '%s/journal'", j->dir);
	t->synced = t->seq;
	return 0;
}
