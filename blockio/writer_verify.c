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

/* What the journal says of a block. 0: nothing. */
static int claimed(struct writer *w, uint64_t block, struct writer_want *ret, struct err *e)
{
	struct claim c;
	int r = journal_get(w->journal, block, &c, e);

	if (r < 0 || c.kind == CLAIM_NONE)
		return r;
	ret->zero = c.kind == CLAIM_ZERO;
	ret->kind = digest_kind_of(c.digest);
	memcpy(ret->digest, c.digest, DIGEST_LEN);
	return 1;
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

struct sample {
	uint64_t block[RECENT + SAMPLE];
	size_t n, at;
	bool lost;
};

static int next_of_sample(struct writer *w, uint64_t *ret_block, struct writer_want *ret, void *arg,
			  struct err *e)
{
	struct sample *s = arg;

	if (s->at == s->n)
		return 0;
	*ret_block = s->block[s->at++];
	return claimed(w, *ret_block, ret, e);
}

/* A block that cannot be read is not what its claim says. */
static int seen_of_sample(struct writer *w, uint64_t block, int res, const void *data, void *arg,
			  struct err *e)
{
	struct sample *s = arg;

	(void)w;
	(void)block;
	(void)data;
	(void)e;
	s->lost = res != 1;
	return s->lost;
}

/* 1: all of the sample is true; 0: something is not. */
static int check_sample(struct writer *w, struct err *e)
{
	scoped(freep) struct sample *s = calloc(1, sizeof *s);
	const struct writer_reread how = { .next = next_of_sample,
					   .seen = seen_of_sample,
					   .arg = s };
	int r;

	if (!s)
		return err_set(e, ERR_SYS, ENOMEM, "resume check");
	s->n = journal_recent(w->journal, s->block, RECENT);
	for (size_t i = 0; i < SAMPLE && journal_claimed(w->journal); i++)
		s->block[s->n++] = next_claimed(w, random_block(w));
	r = writer_reread(w, &how, e);
	return r < 0 ? r : !s->lost;
}

struct full_check {
	uint64_t next;
	struct losses losses;
};

static int next_of_claims(struct writer *w, uint64_t *ret_block, struct writer_want *ret, void *arg,
			  struct err *e)
{
	struct full_check *c = arg;

	while (c->next < w->blocks && !journal_is_claimed(w->journal, c->next))
		c->next++;
	if (c->next == w->blocks)
		return 0;
	*ret_block = c->next++;
	return claimed(w, *ret_block, ret, e);
}

static int seen_of_claims(struct writer *w, uint64_t block, int res, const void *data, void *arg,
			  struct err *e)
{
	struct full_check *c = arg;

	(void)data;
	return res == 1 ? 0 : losses_add(w, &c->losses, block, e);
}

static int check_all(struct writer *w, uint64_t *ret_unclaimed, struct err *e)
{
	scoped(freep) struct full_check *c = calloc(1, sizeof *c);
	const struct writer_reread how = { .next = next_of_claims,
					   .seen = seen_of_claims,
					   .arg = c };
	int r;

	if (!c)
		return err_set(e, ERR_SYS, ENOMEM, "resume check");
	r = writer_reread(w, &how, e);
	if (r >= 0)
		r = losses_flush(w, &c->losses, e);
	*ret_unclaimed = c->losses.blocks;
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
	uint64_t next;
	struct digest_ctx *whole; /* NULL: not wanted */
	struct losses losses;
	struct writer_verdict out;
	uint64_t told;
	int (*on_progress)(uint64_t done, uint64_t total, void *arg);
	void *arg;
};

static int read_list(struct verification *v, const struct writer *w, uint64_t block, struct err *e)
{
	const uint64_t per = sizeof v->list / DIGEST_LEN;
	uint64_t n = w->blocks - block < per ? w->blocks - block : per;
	size_t len = (size_t)n * DIGEST_LEN;

	for (size_t done = 0; done < len;) {
		ssize_t got = pread(v->list_fd, v->list + done, len - done,
				    (off_t)(block * DIGEST_LEN + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, ERR_SYS, got ? errno : EIO,
				       "read the manifest's digest of block %llu",
				       (unsigned long long)block);
		done += (size_t)got;
	}
	v->list_from = block;
	return 0;
}

static int next_of_disk(struct writer *w, uint64_t *ret_block, struct writer_want *ret, void *arg,
			struct err *e)
{
	struct verification *v = arg;
	int r;

	if (v->next == w->blocks)
		return 0;
	if (v->next % (sizeof v->list / DIGEST_LEN) == 0 && (r = read_list(v, w, v->next, e)) < 0)
		return r;
	/* Whatever its bytes look like: the manifest is of strong ones. */
	ret->kind = DIGEST_STRONG;
	memcpy(ret->digest, v->list + (v->next - v->list_from) * DIGEST_LEN, DIGEST_LEN);
	*ret_block = v->next++;
	return 1;
}

/* Progress is told by bytes, not by blocks: often enough to watch, seldom enough to be free. */
#define PROGRESS_STEP (4 * MIB)

static int progress(struct writer *w, struct verification *v, bool last, struct err *e)
{
	if (!v->on_progress || (v->out.bytes - v->told < PROGRESS_STEP && !last))
		return 0;
	v->told = v->out.bytes;
	if (v->on_progress(v->out.bytes, w->size, v->arg))
		return err_set(e, ERR_WRONG_STATE, ECANCELED, "the verification was stopped");
	return 0;
}

/* Says again, with words, what a thread met. */
static int cannot_read(struct writer *w, uint64_t block, int res, struct err *e)
{
	return writer_fail(w, err_set(e, ERR_DISK, -res, "read back from '%s' at byte %llu",
				      w->device->info.path,
				      (unsigned long long)(block * w->block_size)));
}

static int seen_of_disk(struct writer *w, uint64_t block, int res, const void *data, void *arg,
			struct err *e)
{
	struct verification *v = arg;
	struct writer_verdict *out = &v->out;
	size_t len = writer_block_len(w, block);
	int r = 0;

	if (res < 0)
		return cannot_read(w, block, res, e);
	if (v->whole && digest_add(v->whole, data, len) < 0)
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	out->bytes += len;
	if (!res) {
		out->mismatched++;
		if (out->n_bad < sizeof out->bad / sizeof *out->bad)
			out->bad[out->n_bad++] = block;
		r = losses_add(w, &v->losses, block, e);
	}
	return r < 0 ? r : progress(w, v, block + 1 == w->blocks, e);
}

static int verify_all(struct writer *w, struct verification *v, struct err *e)
{
	const struct writer_reread how = { .next = next_of_disk, .seen = seen_of_disk, .arg = v };
	int r = writer_reread(w, &how, e);
	/* Also when it was stopped: what was found different stays unclaimed. */
	int flushed = w->failed ? 0 : losses_flush(w, &v->losses, r ? NULL : e);

	return r ? r : flushed;
}

static int verify_with_digest(struct writer *w, struct verification *v, struct err *e)
{
	scoped(digest_freep) struct digest_ctx *whole = digest_new();
	int r;

	if (!whole || digest_start(whole) < 0)
		return err_set(e, ERR_SYS, ENOMEM, "SHA-256");
	v->whole = whole;
	r = verify_all(w, v, e);
	if (!r)
		r = digest_end(whole, v->out.disk_digest);
	v->out.have_disk_digest = !r;
	return r;
}

int writer_verify(struct writer *w, int list_fd,
		  int (*on_progress)(uint64_t done, uint64_t total, void *arg), void *arg,
		  struct writer_verdict *ret, struct err *e)
{
	scoped(freep) struct verification *v = calloc(1, sizeof *v);
	int r = writer_commit(w, e);

	if (r < 0)
		return r;
	if (!v)
		return err_set(e, ERR_SYS, ENOMEM, "verification");
	v->list_fd = list_fd;
	v->on_progress = on_progress;
	v->arg = arg;
	v->out.direct = w->device->info.direct;
	r = w->want_disk_digest ? verify_with_digest(w, v, e) : verify_all(w, v, e);
	if (!r)
		*ret = v->out;
	return r;
}
