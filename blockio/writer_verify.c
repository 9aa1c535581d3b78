/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_verify.c - what the device really holds: at resume a sample, at the end all of it
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "writer_internal.h"

#define SAMPLE 64
#define RECENT 1024
#define WITHDRAW_MAX 256 /* runs in one record */

/* Blocks found different, as runs, withdrawn a record at a time. */
struct losses {
	struct journal_entry v[WITHDRAW_MAX];
	size_t n;
	uint64_t blocks;
};

static int losses_flush(struct writer *w, struct losses *l, struct err *e)
{
	if (!l->n)
		return 0;
	int r = journal_append(w->journal, l->v, l->n, e);
	if (!r)
		r = journal_sync(w->journal, e);
	l->n = 0;
	return r < 0 ? writer_fail(w, r) : 0;
}

static int losses_add(struct writer *w, struct losses *l, uint64_t block, struct err *e)
{
	struct journal_entry *last = l->n ? l->v + l->n - 1 : NULL;

	l->blocks++;
	if (last && last->block + last->count == block && last->count < UINT32_MAX) {
		last->count++;
		return 0;
	}
	if (l->n == WITHDRAW_MAX) {
		int r = losses_flush(w, l, e);
		if (r < 0)
			return r;
	}
	l->v[l->n++] = (struct journal_entry){ .block = block, .count = 1 };
	return 0;
}

/* Reads one block into buf. Of a hole nobody looks at the bytes, but for the whole disk's digest.
 */
static int read_block(struct writer *w, uint64_t block, bool *ret_hole, struct err *e)
{
	uint64_t off = block * w->block_size;
	size_t len = writer_block_len(w, block);

	*ret_hole = device_hole(w->device, off) >= len;
	if (*ret_hole && w->want_disk_digest)
		memset(w->buf, 0, len);
	if (*ret_hole)
		return 0;
	return device_reread(w->device, w->buf, len, off, e);
}

static int digest_read(struct writer *w, uint64_t block, bool hole, enum digest_kind kind,
		       uint8_t *ret, struct err *e)
{
	size_t len = writer_block_len(w, block);
	int r;

	/* Comparing with zeros costs a twentieth of the hash. */
	if (hole || all_zero(w->buf, len))
		r = digest_zero_block(w->digest, kind, len, ret);
	else
		r = digest_block(w->digest, kind, w->buf, len, ret);
	return r < 0 ? err_set(e, ERR_SYS, -r, "digest of a block") : 0;
}

/* 1: the block is what its claim says. A block that cannot be read is not. */
static int is_true(struct writer *w, uint64_t block, struct err *e)
{
	uint8_t is[DIGEST_LEN];
	struct claim c;
	bool hole;
	int r = journal_get(w->journal, block, &c, e);

	if (r < 0)
		return r;
	if (c.kind == CLAIM_NONE)
		return 1;
	if (read_block(w, block, &hole, NULL) < 0)
		return 0;
	if (c.kind == CLAIM_ZERO)
		return hole || all_zero(w->buf, writer_block_len(w, block));
	if ((r = digest_read(w, block, hole, digest_kind_of(c.digest), is, e)) < 0)
		return r;
	return !memcmp(is, c.digest, DIGEST_LEN);
}

static uint64_t random_block(const struct writer *w)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
		return 0;
	return v % w->blocks;
}

/* The next claimed block from ${from} on, around the end. Some block must be claimed. */
static uint64_t next_claimed(const struct writer *w, uint64_t from)
{
	while (!journal_is_claimed(w->journal, from))
		from = from + 1 == w->blocks ? 0 : from + 1;
	return from;
}

/* 1: all of the sample is true; 0: something is not. */
static int check_sample(struct writer *w, struct err *e)
{
	scoped(freep) uint64_t *recent = calloc(RECENT, sizeof *recent);
	int r = 1;

	if (!recent)
		return err_set(e, ERR_SYS, ENOMEM, "resume check");
	size_t n = journal_recent(w->journal, recent, RECENT);
	for (size_t i = 0; r == 1 && i < n; i++)
		r = is_true(w, recent[i], e);
	for (size_t i = 0; r == 1 && i < SAMPLE && journal_claimed(w->journal); i++)
		r = is_true(w, next_claimed(w, random_block(w)), e);
	return r;
}

static int check_all(struct writer *w, uint64_t *ret_unclaimed, struct err *e)
{
	scoped(freep) struct losses *l = calloc(1, sizeof *l);
	int r = 0;

	if (!l)
		return err_set(e, ERR_SYS, ENOMEM, "resume check");
	for (uint64_t b = 0; b < w->blocks && r >= 0; b++) {
		if (!journal_is_claimed(w->journal, b))
			continue;
		r = is_true(w, b, e);
		if (!r)
			r = losses_add(w, l, b, e);
	}
	if (r >= 0)
		r = losses_flush(w, l, e);
	*ret_unclaimed = l->blocks;
	return r < 0 ? r : 0;
}

int writer_resume_check(struct writer *w, uint64_t *ret_unclaimed, struct err *e)
{
	uint64_t unclaimed = 0;
	int r = 1;

	if (!journal_is_suspect(w->journal)) {
		r = check_sample(w, e);
		if (r == 1) {
			*ret_unclaimed = 0;
			return 0;
		}
		/* Until all is read again, a crash must not bring back trust in the rest. */
		if (!r)
			r = journal_set_suspect(w->journal, true, e);
		if (r < 0)
			return writer_fail(w, r);
	}
	if ((r = check_all(w, &unclaimed, e)) < 0 ||
	    (r = journal_set_suspect(w->journal, false, e)) < 0)
		return writer_fail(w, r);
	*ret_unclaimed = unclaimed;
	return 0;
}

struct verification {
	int list_fd;
	uint8_t list[512 * DIGEST_LEN]; /* a piece of the manifest */
	uint64_t list_from;             /* its first block */
	struct digest_ctx *whole;       /* NULL: not wanted */
	struct losses losses;
};

static const uint8_t *expected(struct verification *v, const struct writer *w, uint64_t block,
			       struct err *e)
{
	const uint64_t per = sizeof v->list / DIGEST_LEN;

	if (block % per == 0) {
		uint64_t n = w->blocks - block < per ? w->blocks - block : per;
		size_t len = (size_t)n * DIGEST_LEN;

		for (size_t done = 0; done < len;) {
			ssize_t got = pread(v->list_fd, v->list + done, len - done,
					    (off_t)(block * DIGEST_LEN + done));

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				(void)err_set(e, ERR_SYS, got ? errno : EIO,
					      "read the manifest's digest of block %llu",
					      (unsigned long long)block);
				return NULL;
			}
			done += (size_t)got;
		}
		v->list_from = block;
	}
	return v->list + (block - v->list_from) * DIGEST_LEN;
}

static int verify_block(struct writer *w, struct verification *v, uint64_t block,
			struct writer_verdict *out, struct err *e)
{
	const uint8_t *want = expected(v, w, block, e);
	uint8_t is[DIGEST_LEN];
	bool hole;
	int r;

	if (!want)
		return -EIO;
	if ((r = read_block(w, block, &hole, e)) < 0)
		return writer_fail(w, r);
	if ((r = digest_read(w, block, hole, DIGEST_STRONG, is, e)) < 0)
		return r;
	if (v->whole && digest_add(v->whole, w->buf, writer_block_len(w, block)) < 0)
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	out->bytes += writer_block_len(w, block);
	if (!memcmp(is, want, DIGEST_LEN))
		return 0;
	out->mismatched++;
	if (out->n_bad < sizeof out->bad / sizeof *out->bad)
		out->bad[out->n_bad++] = block;
	return losses_add(w, &v->losses, block, e);
}

/* Progress is told by bytes, not by blocks: often enough to watch, seldom enough to be free. */
#define PROGRESS_STEP (16 * MIB)

static int verify_all(struct writer *w, struct verification *v,
		      int (*on_progress)(uint64_t done, uint64_t total, void *arg), void *arg,
		      struct writer_verdict *out, struct err *e)
{
	uint64_t told = 0;
	int r = 0;

	for (uint64_t b = 0; !r && b < w->blocks; b++) {
		r = verify_block(w, v, b, out, e);
		if (r || !on_progress || (out->bytes - told < PROGRESS_STEP && b + 1 < w->blocks))
			continue;
		told = out->bytes;
		if (on_progress(out->bytes, w->size, arg))
			r = err_set(e, ERR_WRONG_STATE, ECANCELED, "the verification was stopped");
	}
	/* Also when it was stopped: what was found different stays unclaimed. */
	int flushed = losses_flush(w, &v->losses, r ? NULL : e);
	return r ? r : flushed;
}

int writer_verify(struct writer *w, int list_fd,
		  int (*on_progress)(uint64_t done, uint64_t total, void *arg), void *arg,
		  struct writer_verdict *ret, struct err *e)
{
	scoped(freep) struct verification *v = calloc(1, sizeof *v);
	scoped(freep) struct writer_verdict *out = calloc(1, sizeof *out);
	int r = writer_commit(w, e);

	if (r < 0)
		return r;
	if (!v || !out)
		return err_set(e, ERR_SYS, ENOMEM, "verification");
	v->list_fd = list_fd;
	out->direct = w->device->info.direct;
	if (w->want_disk_digest) {
		v->whole = digest_new();
		if (!v->whole || digest_start(v->whole) < 0) {
			digest_free(v->whole);
			return err_set(e, ERR_SYS, ENOMEM, "SHA-256");
		}
	}
	r = verify_all(w, v, on_progress, arg, out, e);
	if (!r && v->whole) {
		r = digest_end(v->whole, out->disk_digest);
		out->have_disk_digest = !r;
	}
	digest_free(v->whole);
	if (!r)
		*ret = *out;
	return r;
}
