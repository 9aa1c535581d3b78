/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "writer_internal.h"

void writer_free(struct writer *w)
{
	if (!w)
		return;
	ioq_free(w->queue); /* first: it waits for what is under way */
	writer_batches_free(w);
	digest_free(w->digest);
	free(w);
}

static void writer_freep(struct writer **w)
{
	writer_free(*w);
}

int writer_new(struct device *d, struct journal *j, struct writer **ret, struct err *e)
{
	const struct journal_disk *disk = journal_disk(j);
	scoped(writer_freep) struct writer *w = NULL;
	int r;

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
	if (!w->digest || writer_batches_new(w) < 0)
		return err_set(e, ERR_SYS, ENOMEM, "writer");
	digest_seed(w->digest, disk->task);
	writer_share_cores(w, 1);
	if ((r = ioq_new(IOQ_AUTO, WRITER_ITEMS_MAX, &w->queue, e)) < 0)
		return r;
	*ret = take_ptr(&w);
	return 0;
}

void writer_share_cores(struct writer *w, unsigned writers)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t part = div_round_up(cores > 0 ? (uint64_t)cores : 1, writers ? writers : 1);

	w->hash_threads = part < IOQ_THREADS_MAX ? (unsigned)part : IOQ_THREADS_MAX;
}

void writer_on_written(struct writer *w, void (*on_written)(void *arg, uint64_t cookie), void *arg)
{
	w->on_written = on_written;
	w->arg = arg;
}

size_t writer_block_len(const struct writer *w, uint64_t block)
{
	uint64_t off = block * w->block_size;

	return (size_t)(w->size - off < w->block_size ? w->size - off : w->block_size);
}

/* Bytes of a run; only the disk's last block may be short. */
uint64_t writer_run_len(const struct writer *w, uint64_t block, uint64_t count)
{
	uint64_t off = block * w->block_size, len = count * w->block_size;

	return w->size - off < len ? w->size - off : len;
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

/* Before anything of the call touches the device, no claim over those blocks is left: *ret_needs is
 * what must be durable of the journal before the first of them is written. */
static int withdraw(struct writer *w, const struct writer_item *v, const struct verdict *verdicts,
		    size_t n, uint64_t *ret_needs, struct err *e)
{
	struct journal_entry entries[WRITER_ITEMS_MAX];
	size_t k = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (verdicts[i].needed && verdicts[i].claimed)
			entries[k++] = (struct journal_entry){ .block = v[i].block,
							       .count = (uint32_t)v[i].count };
	}
	*ret_needs = 0;
	if (!k)
		return 0;
	r = journal_append(w->journal, entries, k, e);
	if (r < 0)
		return writer_fail(w, r);
	*ret_needs = ++w->appended;
	return 0;
}

/* Remembers what becomes a claim once the device is flushed. */
static int note(struct writer *w, const struct writer_item *v, struct err *e)
{
	struct journal_entry *m = w->open->entries + w->open->n;
	int r =
	    extent_set_add(&w->open->touched, (struct extent){ .off = v->block, .len = v->count });

	if (r < 0)
		return writer_fail(w, err_set(e, ERR_SYS, -r, "writer"));
	*m = (struct journal_entry){ .block = v->block, .count = (uint32_t)v->count };
	m->claim.gen = v->gen;
	m->claim.kind = v->kind == WRITER_DATA ? CLAIM_DATA : CLAIM_ZERO;
	if (v->kind == WRITER_DATA)
		memcpy(m->claim.digest, v->digest, DIGEST_LEN);
	w->open->n++;
	return 0;
}

static int take(struct writer *w, const struct writer_item *v, const struct verdict *verdict,
		uint64_t needs, struct err *e)
{
	bool write = v->kind != WRITER_UNCHANGED && verdict->needed;

	/* The same content under a newer generation is a new claim without a write. */
	if (write || (v->kind != WRITER_UNCHANGED && verdict->newer)) {
		int r = note(w, v, e);
		if (r < 0)
			return r;
	}
	if (write)
		writer_hold(w, v, verdict->claimed ? needs : 0);
	else if (w->on_written)
		w->on_written(w->arg, v->cookie);
	return 0;
}

/* Items that overlap neither each other nor anything pending: judged by the journal alone. Those
 * before a refused one are taken. */
static int put_disjoint(struct writer *w, const struct writer_item *v, size_t n, size_t *ret_taken,
			struct err *e)
{
	struct verdict verdicts[WRITER_ITEMS_MAX];
	int r, refused = 0;
	uint64_t needs;

	for (size_t i = 0; i < n; i++) {
		refused = check_shape(w, v + i, e);
		if (!refused)
			refused = judge(w, v + i, verdicts + i, e);
		if (w->failed)
			return refused;
		if (refused)
			n = i;
	}
	r = withdraw(w, v, verdicts, n, &needs, e);
	for (size_t i = 0; !r && i < n; i++) {
		r = take(w, v + i, verdicts + i, needs, e);
		*ret_taken += !r;
	}
	if (!r)
		r = writer_pump(w, e);
	return r ? r : refused;
}

static bool overlap(const struct writer_item *a, const struct writer_item *b)
{
	return a->block < b->block + b->count && b->block < a->block + a->count;
}

static bool is_pending(const struct writer *w, const struct writer_item *v)
{
	struct extent x = { .off = v->block, .len = v->count };

	return extent_set_overlaps(&w->open->touched, x) ||
	       (w->closing && extent_set_overlaps(&w->closing->touched, x));
}

/* How many of the first items overlap neither each other nor what is pending. */
static size_t disjoint(const struct writer *w, const struct writer_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* Numbers out of range are refused later, and overlap nothing that matters. */
		if (v[i].block >= w->blocks || v[i].count > w->blocks - v[i].block)
			return i + 1;
		if (is_pending(w, v + i))
			return i;
		for (size_t k = 0; k < i; k++) {
			if (overlap(v + k, v + i))
				return i;
		}
	}
	return n;
}

/* A block that is put again while it is pending waits until all that is pending is durable: every
 * check then needs the journal only, no record can claim a content that a later write of the same
 * batch replaced, and its two writes keep their order. */
static int make_room(struct writer *w, size_t some, struct err *e)
{
	int r = 0;

	if (!some)
		return writer_commit(w, e);
	while (!r && w->n_free < some)
		r = writer_wait(w, e);
	if (!r && w->open->n + some > PENDING_MAX)
		r = writer_commit(w, e);
	return r;
}

int writer_put(struct writer *w, const struct writer_item *v, size_t n, size_t *ret_taken,
	       struct err *e)
{
	size_t done = 0;
	int r = writer_advance(w, e);

	assert(n <= WRITER_ITEMS_MAX);
	while (!r && done < n) {
		size_t some = disjoint(w, v + done, n - done);

		r = make_room(w, some, e);
		if (!r && some)
			r = put_disjoint(w, v + done, some, &done, e);
	}
	if (ret_taken)
		*ret_taken = done;
	return r;
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
