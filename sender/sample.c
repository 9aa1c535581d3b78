/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "clock.h"

#define PIECE_BYTES ((size_t)(1 * MIB))
#define RATE_PIECES 48
#define RATE_MS 500

struct sampler {
	struct move *m;
	const struct sample_options *o;
	struct extent_set used[DISKS_MAX];
	struct sample *out;
	uint64_t random;
	struct digest_ctx *digest;
	struct codec_ctx *codec;
	uint8_t *plain, *packed;
	uint64_t read_bytes, read_ns; /* without the first block of each piece: no seek in them */
	uint64_t bytes, compare_ns;
	uint64_t pack_ns[PACE_STEPS];
	double sum[PACE_STEPS], squares[PACE_STEPS]; /* of blocks' shares */
};

static uint64_t next_random(struct sampler *s)
{
	s->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = s->random;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int add_used(struct extent_set *ret, uint64_t from, uint64_t to)
{
	return to > from ? extent_set_add(ret, (struct extent){ .off = from, .len = to - from })
			 : 0;
}

static int subtract_free(struct extent_set *used, const struct extent_set *free_map)
{
	int r = 0;

	for (size_t i = 0; free_map && !r && i < free_map->n && used->n < SAMPLE_RANGES_MAX; i++)
		r = extent_set_subtract(used, free_map->v[i]);
	return r;
}

int sample_used(const struct move_disk *d, struct extent_set *ret, struct err *e)
{
	uint64_t size = source_info(d->source)->size;
	int r = 0;

	for (uint64_t off = 0, end = 0; !r && off < size; off = end) {
		bool hole = false;

		r = source_extent(d->source, off, &hole, &end, e);
		if (r)
			return r;
		if (ret->n == SAMPLE_RANGES_MAX) {
			hole = false;
			end = size;
		}
		r = hole ? 0 : add_used(ret, off, end);
	}
	if (!r)
		r = subtract_free(ret, d->free_map);
	return r ? err_set(e, ERR_SYS, -r, "used ranges of '%s'", source_info(d->source)->path) : 0;
}

/* The ${at}th used byte of all disks. */
static bool find_place(const struct sampler *s, uint64_t at, unsigned *ret_d, struct extent *ret)
{
	for (unsigned d = 0; d < s->m->n_disks; d++) {
		for (size_t i = 0; i < s->used[d].n; i++) {
			struct extent x = s->used[d].v[i];

			if (at < x.len) {
				*ret_d = d;
				*ret = (struct extent){ .off = x.off + at, .len = x.len - at };
				return true;
			}
			at -= x.len;
		}
	}
	return false;
}

static double since_s(uint64_t ns)
{
	return (double)ns / 1e9;
}

static int pack_block(struct sampler *s, const uint8_t *p, size_t len, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t began = clock_ns(), sha;

	if (digest_of(s->digest, p, len, digest))
		return err_set(e, ERR_SYS, EIO, "SHA-256");
	sha = clock_ns() - began;
	for (unsigned c = 0; c < s->out->n_steps; c++) {
		const struct pace_step *step = &s->out->steps[c];
		size_t out = len;

		began = clock_ns();
		(void)codec_encode(s->codec, step->codec, step->level, p, len, s->packed,
				   s->o->block_size, &out);
		s->pack_ns[c] += clock_ns() - began + sha;
		/* header, digest and TLS records ride with it */
		double share = ((double)out + FRAME_HEADER_LEN + DIGEST_LEN + 64) / (double)len;
		s->sum[c] += share;
		s->squares[c] += share * share;
	}
	return 0;
}

static int look_at_block(struct sampler *s, const uint8_t *p, size_t len, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t began = clock_ns();
	bool zero = all_zero(p, len);

	if (!zero && digest_block(s->digest, DIGEST_FAST, p, len, digest))
		return err_set(e, ERR_SYS, EIO, "digest");
	s->compare_ns += clock_ns() - began;
	s->bytes += len;
	s->out->blocks++;
	s->out->zero += zero;
	return zero || !s->o->pack ? 0 : pack_block(s, p, len, e);
}

/* From the beginning of a block on, inside the used range: an O_DIRECT read wants whole sectors. */
static size_t piece_at(const struct sampler *s, unsigned d, struct extent *x)
{
	uint64_t size = source_info(s->m->disks[d].source)->size;
	uint64_t from = round_down_to(x->off, s->o->block_size), end = x->off + x->len;

	x->off = from;
	if (end > size)
		end = size;
	return end - from < PIECE_BYTES ? (size_t)round_down_to(end - from, SOURCE_ALIGN)
					: PIECE_BYTES;
}

static int look_at_piece(struct sampler *s, unsigned d, struct extent x, struct err *e)
{
	size_t len = piece_at(s, d, &x), first = s->o->block_size;
	struct source *src = s->m->disks[d].source;
	uint64_t began;
	int r;

	if (!len)
		return 0;
	if (first > len || first == PIECE_BYTES)
		first = len > SOURCE_ALIGN ? SOURCE_ALIGN : len;
	r = source_read(src, s->plain, first, x.off, e);
	began = clock_ns();
	if (!r && len > first)
		r = source_read(src, s->plain + first, len - first, x.off + first, e);
	s->read_ns += clock_ns() - began;
	s->read_bytes += len - first;
	for (size_t at = 0; !r && at + SOURCE_ALIGN <= len; at += s->o->block_size)
		r = look_at_block(s, s->plain + at,
				  len - at < s->o->block_size ? len - at : s->o->block_size, e);
	return r;
}

/* Every piece's share of the used bytes has one; the order jumps over all of them. */
static int look_at_all(struct sampler *s, struct err *e)
{
	unsigned n = s->o->pieces, step = (unsigned)(n * 0.618) | 1;
	uint64_t end = clock_ms() + s->o->time_ms, share = s->out->used_all / n;
	struct extent x = { 0 };
	unsigned d = 0;
	int r = 0;

	while (step > 1 && n % step == 0)
		step -= 2;
	for (unsigned i = 0, k = 0; i < n && !r && clock_ms() < end; i++, k = (k + step) % n) {
		uint64_t at = share * k + (share ? next_random(s) % share : 0);

		if (find_place(s, at, &d, &x))
			r = look_at_piece(s, d, x, e);
	}
	return r;
}

static void sum_up(struct sampler *s)
{
	struct sample *out = s->out;
	double n = out->blocks ? out->blocks : 1, bytes = (double)s->bytes;

	out->read_rate = s->read_ns ? (double)s->read_bytes / since_s(s->read_ns) : 0;
	out->compare_rate = s->compare_ns ? bytes / since_s(s->compare_ns) : 0;
	for (unsigned c = 0; c < out->n_steps; c++) {
		double mean = s->sum[c] / n, var = s->squares[c] / n - mean * mean;

		out->codec[c].share = mean;
		out->codec[c].error = sqrt((var > 0 ? var : 0) / n);
		out->codec[c].rate = bytes / since_s(s->compare_ns + s->pack_ns[c] + 1);
	}
}

static void sampler_end(struct sampler *s)
{
	for (unsigned d = 0; d < s->m->n_disks; d++)
		extent_set_free(&s->used[d]);
	codec_free(s->codec);
	digest_free(s->digest);
	free(s->plain);
	free(s->packed);
}

static int sampler_begin(struct sampler *s, struct err *e)
{
	int r = 0;

	s->codec = codec_new();
	s->digest = digest_new();
	s->plain = aligned_alloc(SOURCE_ALIGN, PIECE_BYTES);
	s->packed = malloc(s->o->block_size);
	if (!s->codec || !s->digest || !s->plain || !s->packed)
		return err_set(e, ERR_SYS, ENOMEM, "sample of the source");
	for (unsigned d = 0; d < s->m->n_disks && !r; d++) {
		r = sample_used(&s->m->disks[d], &s->used[d], e);
		s->out->used[d] = extent_set_total(&s->used[d]);
		s->out->used_all += s->out->used[d];
	}
	return r;
}

static void allowed_steps(const struct sender_options *o, struct sample *ret)
{
	ret->n_steps = 1;
	switch (o->codec) {
	case CODEC_CHOICE_AUTO:
		memcpy(ret->steps, pace_steps, sizeof pace_steps);
		ret->n_steps = PACE_STEPS;
		return;
	case CODEC_CHOICE_RAW:
		ret->steps[0] = (struct pace_step){ CODEC_RAW, 0 };
		return;
	case CODEC_CHOICE_LZ4:
		ret->steps[0] = (struct pace_step){ CODEC_LZ4, 1 };
		return;
	case CODEC_CHOICE_ZSTD:
		ret->steps[0] = (struct pace_step){ CODEC_ZSTD, o->codec_level };
		return;
	}
}

int sample_source(struct move *m, const struct sample_options *o, struct sample *ret, struct err *e)
{
	struct sampler s = { .m = m, .o = o, .out = ret, .random = o->seed };
	int r;

	*ret = (struct sample){ 0 };
	allowed_steps(m->o, ret);
	r = sampler_begin(&s, e);
	if (!r)
		r = look_at_all(&s, e);
	if (!r)
		sum_up(&s);
	sampler_end(&s);
	return r;
}

double sample_read_rate(struct move *m)
{
	struct sample_options o = { .block_size = m->invite.block_size,
				    .pieces = RATE_PIECES,
				    .time_ms = RATE_MS,
				    .seed = clock_ms() };
	struct sample s;

	if (sample_source(m, &o, &s, NULL) || s.read_rate <= 0 || s.compare_rate <= 0)
		return 0;
	return 1 / (1 / s.read_rate + 1 / s.compare_rate);
}

unsigned sample_threads(unsigned connections)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores > 0 && (unsigned long)cores < connections ? (unsigned)cores : connections;
}

double sample_hash_rate(unsigned threads)
{
	scoped(digest_freep) struct digest_ctx *digest = digest_new();
	scoped(freep) uint8_t *p = calloc(4, PIECE_BYTES);
	uint8_t out[DIGEST_LEN];
	uint64_t began;

	if (!digest || !p || digest_of(digest, p, PIECE_BYTES, out))
		return 0;
	began = clock_ns();
	if (digest_of(digest, p, 4 * PIECE_BYTES, out))
		return 0;
	return 4.0 * (double)PIECE_BYTES * threads / since_s(clock_ns() - began + 1);
}
