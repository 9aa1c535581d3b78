/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "writer_internal.h"

/* One record holds them all, so that a commit is one append. */
#define PENDING_MAX 1024

void writer_free(struct writer *w)
{
	if (!w)
		return;
	extent_set_free(&w->touched);
	digest_free(w->digest);
	free(w->pending);
	free(w->buf);
	free(w);
}

int writer_new(struct device *d, struct journal *j, struct writer **ret, struct err *e)
{
	const struct journal_disk *disk = journal_disk(j);
	struct writer *w;
	void *buf = NULL;

	if (d->info.size < disk->size)
		return err_refuse(e, "disk-too-small", ENOSPC,
				  "'%s' has %llu bytes, the source has %llu", d->info.path,
				  (unsigned long long)d->info.size, (unsigned long long)disk->size);
	w = calloc(1, sizeof *w);
	if (!w)
		return err_set(e, ERR_SYS, ENOMEM, "writer");
	w->device = d;
	w->journal = j;
	w->blocks = journal_blocks(j);
	w->block_size = disk->block_size;
	w->size = disk->size;
	w->digest = digest_new();
	if (w->digest)
		digest_seed(w->digest, disk->task);
	w->pending = calloc(PENDING_MAX, sizeof *w->pending);
	if (!w->digest || !w->pending || posix_memalign(&buf, 4096, w->block_size)) {
		writer_free(w);
		return err_set(e, ERR_SYS, ENOMEM, "writer");
	}
	w->buf = buf;
	*ret = w;
	return 0;
}

size_t writer_block_len(const struct writer *w, uint64_t block)
{
	uint64_t off = block * w->block_size;

	return (size_t)(w->size - off < w->block_size ? w->size - off : w->block_size);
}

/* Bytes of a run; only the disk's last block may be short. */
static uint64_t run_len(const struct writer *w, uint64_t block, uint64_t count)
{
	uint64_t off = block * w->block_size, len = count * w->block_size;

	return w->size - off < len ? w->size - off : len;
}

int writer_fail(struct writer *w, int r)
{
	if (w->failed)
		return r;
	w->failed = true;
	/* What the device holds now is not known: claims must be proved before they count again.
	 * If the journal cannot take the mark either, its own torn state says so at the next open.
	 */
	(void)journal_set_suspect(w->journal, true, NULL);
	return r;
}

static int check_alive(const struct writer *w, struct err *e)
{
	if (w->failed)
		return err_set(e, ERR_DISK, EIO, "the writer of '%s' failed before",
			       w->device->info.path);
	return 0;
}

static int peer_error(struct err *e, const struct writer_item *v, uint64_t block, const char *what)
{
	return err_set(e, ERR_PEER, EPROTO, "block %llu, generation %u: %s",
		       (unsigned long long)block, v->gen, what);
}

static int check_shape(const struct writer *w, const struct writer_item *v, struct err *e)
{
	if (v->block >= w->blocks || v->count > w->blocks - v->block)
		return err_set(e, ERR_PEER, ERANGE,
			       "%llu blocks from block %llu on end past the disk's %llu",
			       (unsigned long long)v->count, (unsigned long long)v->block,
			       (unsigned long long)w->blocks);
	if (!v->count || v->count > UINT32_MAX)
		return peer_error(e, v, v->block, "a run of an impossible length");
	if (v->kind != WRITER_DATA)
		return 0;
	if (v->count != 1 || v->len != writer_block_len(w, v->block))
		return peer_error(e, v, v->block, "data of another length than the block's");
	return 0;
}

/* What an item or a claim says of a block, zero or not, in a digest of this kind. */
static int digest_said(struct writer *w, uint64_t block, const uint8_t *digest,
		       enum digest_kind kind, uint8_t ret[static DIGEST_LEN])
{
	if (!digest)
		return digest_zero_block(w->digest, kind, writer_block_len(w, block), ret);
	memcpy(ret, digest, DIGEST_LEN);
	return 0;
}

struct verdict {
	bool claimed; /* at least one block of the item is */
	bool needed;  /* at least one block is not there with this content */
	bool newer;   /* at least one claim has a lower generation */
};

/* One block of the item against its claim. */
static int judge_block(struct writer *w, const struct writer_item *v, uint64_t block,
		       struct verdict *ret, struct err *e)
{
	const uint8_t *new = v->kind == WRITER_DATA ? v->digest : NULL, *old;
	uint8_t is[DIGEST_LEN], was[DIGEST_LEN];
	enum digest_kind kind;
	struct claim c;
	int r = journal_get(w->journal, block, &c, e);

	if (r < 0)
		return writer_fail(w, r);
	if (v->gen < c.gen)
		return peer_error(e, v, block, "the generation falls");
	ret->claimed = true;
	ret->newer |= v->gen > c.gen;
	if (v->kind == WRITER_UNCHANGED || (v->kind == WRITER_ZERO && c.kind == CLAIM_ZERO))
		return 0;
	/* Two digests of different kinds say nothing about each other: then it is written. */
	old = c.kind == CLAIM_DATA ? c.digest : NULL;
	kind = digest_kind_of(new ? new : c.digest);
	r = digest_said(w, block, old, kind, was);
	if (!r)
		r = digest_said(w, block, new, kind, is);
	if (r < 0)
		return err_set(e, ERR_SYS, -r, "digest of zeros");
	if (!memcmp(is, was, DIGEST_LEN))
		return 0;
	if (v->gen == c.gen)
		return peer_error(e, v, block, "two contents of one generation");
	ret->needed = true;
	return 0;
}

static int judge(struct writer *w, const struct writer_item *v, struct verdict *ret, struct err *e)
{
	*ret = (struct verdict){ 0 };
	for (uint64_t b = v->block; b < v->block + v->count; b++) {
		if (journal_is_claimed(w->journal, b)) {
			int r = judge_block(w, v, b, ret, e);
			if (r < 0)
				return r;
		} else if (v->kind == WRITER_UNCHANGED) {
			return peer_error(e, v, b, "unchanged, but nothing is claimed");
		} else {
			ret->needed = true;
		}
	}
	return 0;
}

/* Before anything of the batch touches the device, no claim over those blocks is left. */
static int withdraw(struct writer *w, const struct writer_item *v, const struct verdict *verdicts,
		    size_t n, struct err *e)
{
	struct journal_entry entries[WRITER_ITEMS_MAX];
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (verdicts[i].needed && verdicts[i].claimed)
			entries[k++] = (struct journal_entry){ .block = v[i].block,
							       .count = (uint32_t)v[i].count };
	}
	if (!k)
		return 0;
	int r = journal_append(w->journal, entries, k, e);
	if (!r)
		r = journal_sync(w->journal, e);
	return r < 0 ? writer_fail(w, r) : 0;
}

static int write_item(struct writer *w, const struct writer_item *v, struct err *e)
{
	uint64_t off = v->block * w->block_size, len = run_len(w, v->block, v->count);
	int r = v->kind == WRITER_DATA ? device_write(w->device, v->data, v->len, off, e)
				       : device_zero(w->device, off, len, e);

	if (r < 0)
		return writer_fail(w, r);
	w->pending_bytes += len;
	w->written_bytes += len;
	return 0;
}

/* Remembers what becomes a claim once the device is flushed. */
static int note(struct writer *w, const struct writer_item *v, struct err *e)
{
	struct journal_entry *m = w->pending + w->n_pending;
	int r = extent_set_add(&w->touched, (struct extent){ .off = v->block, .len = v->count });

	if (r < 0)
		return writer_fail(w, err_set(e, ERR_SYS, -r, "writer"));
	*m = (struct journal_entry){ .block = v->block, .count = (uint32_t)v->count };
	m->claim.gen = v->gen;
	m->claim.kind = v->kind == WRITER_DATA ? CLAIM_DATA : CLAIM_ZERO;
	if (v->kind == WRITER_DATA)
		memcpy(m->claim.digest, v->digest, DIGEST_LEN);
	w->n_pending++;
	return 0;
}

/* Items that overlap neither each other nor anything pending: judged by the journal alone. */
static int put_disjoint(struct writer *w, const struct writer_item *v, size_t n, struct err *e)
{
	struct verdict verdicts[WRITER_ITEMS_MAX];
	int r;

	for (size_t i = 0; i < n; i++) {
		r = judge(w, v + i, verdicts + i, e);
		if (r < 0)
			return r;
	}
	r = withdraw(w, v, verdicts, n, e);
	for (size_t i = 0; !r && i < n; i++) {
		if (v[i].kind == WRITER_UNCHANGED)
			continue;
		if (verdicts[i].needed)
			r = write_item(w, v + i, e);
		/* The same content under a newer generation is a new claim without a write. */
		if (!r && (verdicts[i].needed || verdicts[i].newer))
			r = note(w, v + i, e);
	}
	return r;
}

static bool overlaps_before(const struct writer_item *v, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (v[i].block < v[k].block + v[k].count && v[k].block < v[i].block + v[i].count)
			return true;
	}
	return false;
}

/* A block put twice before a commit is committed in between: every check then needs the journal
 * only, and no record can claim a content that a later write of the same batch replaced. */
int writer_put(struct writer *w, const struct writer_item *v, size_t n, struct err *e)
{
	int r = check_alive(w, e);

	assert(n <= WRITER_ITEMS_MAX);
	for (size_t i = 0; !r && i < n; i++)
		r = check_shape(w, v + i, e);
	while (!r && n) {
		size_t some = 0;
		bool pending = w->n_pending + n > PENDING_MAX;

		while (some < n && !overlaps_before(v, some)) {
			struct extent x = { .off = v[some].block, .len = v[some].count };

			pending |= extent_set_overlaps(&w->touched, x);
			some++;
		}
		if (pending)
			r = writer_commit(w, e);
		if (!r)
			r = put_disjoint(w, v, some, e);
		v += some;
		n -= some;
	}
	return r;
}

int writer_commit(struct writer *w, struct err *e)
{
	int r = check_alive(w, e);

	if (r < 0 || !w->n_pending)
		return r;
	if ((r = device_flush(w->device, e)) < 0 ||
	    (r = journal_append(w->journal, w->pending, w->n_pending, e)) < 0 ||
	    (r = journal_sync(w->journal, e)) < 0)
		return writer_fail(w, r);
	w->n_pending = 0;
	w->pending_bytes = 0;
	w->touched.n = 0;
	return 0;
}

uint64_t writer_pending_bytes(const struct writer *w)
{
	return w->pending_bytes;
}

bool writer_has_pending(const struct writer *w)
{
	return w->n_pending > 0;
}

uint64_t writer_written_bytes(const struct writer *w)
{
	return w->written_bytes;
}

bool writer_failed(const struct writer *w)
{
	return w->failed;
}

void writer_want_disk_digest(struct writer *w, bool want)
{
	w->want_disk_digest = want;
}
