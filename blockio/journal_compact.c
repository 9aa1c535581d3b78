/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal_compact.c - the same claims in a new, shorter file
 *
 * journal.new is written and made durable, then renamed, then the folder is made durable. A crash
 * at any line leaves the old journal or the new one, whole; a leftover journal.new is removed at
 * the next open.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "journal_internal.h"

bool journal_wants_compaction(const struct journal *j)
{
	return j->tail.end > 2 * journal_need(j->claimed) + MIB;
}

struct packer {
	struct journal_tail *to;
	struct journal_entry *v; /* ENTRIES_MAX */
	size_t n;
};

static int pack_flush(struct packer *p)
{
	if (!p->n)
		return 0;
	int r = journal_tail_append(p->to, RECORD_CLAIMS, p->v, p->n);
	p->to->synced = p->to->seq; /* true as soon as the file has its name */
	p->n = 0;
	return r;
}

static int pack(struct packer *p, uint64_t block, const struct claim *c)
{
	struct journal_entry *last = p->n ? p->v + p->n - 1 : NULL;

	if (last && c->kind == CLAIM_ZERO && last->claim.kind == CLAIM_ZERO &&
	    last->claim.gen == c->gen && last->block + last->count == block &&
	    last->count < UINT32_MAX) {
		last->count++;
		return 0;
	}
	if (p->n == ENTRIES_MAX) {
		int r = pack_flush(p);
		if (r < 0)
			return r;
	}
	p->v[p->n++] = (struct journal_entry){ .block = block, .count = 1, .claim = *c };
	return 0;
}

/* The last two batches come last again: a resume looks at them first. */
static int pack_recent(struct journal *j, struct packer *p, struct err *e)
{
	struct claim c;
	int r;

	for (size_t k = 2; k-- > 0;) {
		for (size_t i = 0; i < j->recent[k].n; i++) {
			if (!journal_is_claimed(j, j->recent[k].blocks[i]))
				continue;
			if ((r = journal_get(j, j->recent[k].blocks[i], &c, e)) < 0 ||
			    (r = pack(p, j->recent[k].blocks[i], &c)) < 0)
				return r;
		}
		if ((r = pack_flush(p)) < 0)
			return r;
	}
	return 0;
}

static int pack_all(struct journal *j, struct packer *p, struct err *e)
{
	struct claim c;
	int r = journal_tail_append(p->to, RECORD_EPOCH, NULL, 0);

	for (uint64_t b = 0; !r && b < j->blocks; b++) {
		if (b % 8 == 0 && !j->bitmap[b / 8]) {
			b += 7;
			continue;
		}
		if (!journal_is_claimed(j, b))
			continue;
		r = journal_get(j, b, &c, e);
		if (!r)
			r = pack(p, b, &c);
	}
	if (!r)
		r = pack_flush(p);
	if (!r)
		r = pack_recent(j, p, e);
	if (!r && j->suspect)
		r = journal_tail_append(p->to, RECORD_SUSPECT, NULL, 0);
	return r;
}

int journal_compact(struct journal *j, struct err *e)
{
	scoped(freep) struct journal_entry *v = calloc(ENTRIES_MAX, sizeof *v);
	struct journal_tail to;
	int r;

	if (!v)
		return err_set(e, ERR_SYS, ENOMEM, "compact '%s/journal'", j->dir);
	if ((r = journal_create(j, &to, e)) < 0)
		return r;
	scoped(close_fdp) int fd = to.fd;
	to.epoch = j->tail.epoch;
	struct packer p = { .to = &to, .v = v };
	if ((r = pack_all(j, &p, e)) < 0)
		return err_set(e, ERR_SYS, -r, "write '%s/journal.new'", j->dir);
	if ((r = journal_publish(j, fd, e)) < 0)
		return r;

	/* The claims have new places: the table is made again from the new file. */
	close_fdp(&j->tail.fd);
	uint8_t header[JOURNAL_PAGE];
	struct journal_disk d;
	j->tail.fd = take_fd(&fd);
	if (journal_read(j->tail.fd, header, sizeof header, 0) < 0 ||
	    !journal_header_decode(header, &d, &j->tail.id, &j->tail.chain))
		return err_set(e, ERR_SYS, EUCLEAN, "'%s/journal' after compaction", j->dir);
	return journal_replay(j, e);
}
