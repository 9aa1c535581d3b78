/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rounds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "clock.h"
#include "move.h"
#include "progress.h"
#include "sample.h"

static uint64_t wall_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

void rounds_init(struct rounds *r)
{
	*r = (struct rounds){ .downtime_s = -1, .frozen_s = -1, .verify_s = -1, .predicted_s = -1 };
}

void rounds_free(struct rounds *r)
{
	free(r->list);
	r->list = NULL;
	r->n = 0;
}

void rounds_begin(struct move *m)
{
	struct rounds *r = &m->log;

	r->began_wall_ms = wall_ms();
	r->read = atomic_load(&m->gauge.read);
	r->plain = atomic_load(&m->gauge.plain);
	r->wire = atomic_load(&m->gauge.wire);
	atomic_store(&m->gauge.settle_ms, 0);
	meter_begin(&r->meter, clock_ms(), r->wire);
}

void rounds_tick(struct move *m)
{
	meter_sample(&m->log.meter, clock_ms(), atomic_load(&m->gauge.wire));
}

static uint64_t source_bytes(const struct move *m)
{
	uint64_t all = 0;

	for (unsigned d = 0; d < m->n_disks; d++)
		all += source_info(m->disks[d].source)->size;
	return all;
}

/* Something of the source is a device of this machine, so that file systems are frozen. */
static bool freezes(const struct move *m)
{
	bool any = false;

	for (unsigned d = 0; d < m->n_disks; d++)
		any |= source_info(m->disks[d].source)->kind == SOURCE_BLOCK;
	return any && !m->o->no_freeze;
}

/* The last round of this run was, and so will the next one be. */
static bool all_traced(const struct move *m)
{
	for (unsigned d = 0; d < m->n_disks; d++) {
		if (!m->disks[d].tracking.traced)
			return false;
	}
	return true;
}

/* The manifest's digests are left to the final round, and this run does not take them before. */
static bool hashes_late(const struct move *m)
{
	return m->o->digest == DIGEST_CHOICE_FAST && !(m->o->until_converged && m->o->final);
}

static unsigned hash_threads(const struct move *m)
{
	unsigned n = atomic_load(&m->connections);

	if (!n)
		n = m->o->connections ? m->o->connections : CONNECTIONS_MAX;
	return sample_threads(n);
}

void rounds_predict(const struct move *m, struct prediction *ret)
{
	struct measured known = m->store->measured;
	struct predict_final final;
	struct predict_in in;
	uint64_t blocks = 0;

	if (known.source_bytes != source_bytes(m))
		known = (struct measured){ 0 };
	for (unsigned d = 0; d < m->n_disks; d++)
		blocks += div_round_up(source_info(m->disks[d].source)->size, m->invite.block_size);
	final = (struct predict_final){ .now_ms = wall_ms(),
					.freezes = freezes(m),
					.traced = all_traced(m) && !hashes_late(m),
					.blocks = blocks,
					.limit = limit_rate(&m->limit) };
	predict_inputs(&known, &final, &in);
	if (hashes_late(m))
		in.hash_bytes = in.read_bytes;
	else
		in.hash_bytes = (double)known.unhashed;
	/* A block must be read for its SHA-256, whatever else is known of it. */
	if (in.read_bytes < in.hash_bytes)
		in.read_bytes = in.hash_bytes;
	if (in.hash_bytes > 0)
		in.hash_rate = sample_hash_rate(hash_threads(m));
	predict_downtime(&in, ret);
}

static void take_figures(struct move *m, uint64_t freeze_ms, struct round_figures *f)
{
	struct rounds *r = &m->log;
	uint64_t wire = atomic_load(&m->gauge.wire);

	*f = (struct round_figures){
		.began_ms = r->began_wall_ms,
		.ended_ms = wall_ms(),
		.read = atomic_load(&m->gauge.read) - r->read,
		.changed = atomic_load(&m->gauge.plain) - r->plain,
		.wire = wire - r->wire,
		.wire_rate = meter_rate(&r->meter, clock_ms(), wire),
		.traced = all_traced(m),
		.settle_ms = atomic_load(&m->gauge.settle_ms),
		.freeze_ms = freeze_ms,
	};
	if (f->ended_ms < f->began_ms)
		f->ended_ms = f->began_ms;
}

static uint64_t unhashed(const struct move *m)
{
	uint64_t n = 0;

	for (unsigned d = 0; d < m->n_disks; d++) {
		if (m->disks[d].table)
			n += table_without_strong(m->disks[d].table) * m->invite.block_size;
	}
	return n;
}

/* A round that was busy sending hides how fast the source reads: a few pieces of it tell. */
static void sample_if_busy(struct move *m, struct round_figures *f)
{
	if (f->read && figures_are_of_sending(f, &m->store->measured))
		f->sampled_read = sample_read_rate(m);
}

int rounds_end(struct move *m, bool final, uint64_t freeze_ms, struct err *e)
{
	struct rounds *r = &m->log;
	struct measured *known = &m->store->measured;
	struct round_figures f;
	struct round_record *x;

	take_figures(m, freeze_ms, &f);
	if (!r->list)
		r->list = calloc(ROUNDS_KEPT, sizeof *r->list);
	if (!r->list || r->n == ROUNDS_KEPT)
		return err_set(e, ERR_SYS, ENOMEM, "figures of a round");
	if (known->source_bytes != source_bytes(m))
		*known = (struct measured){ .source_bytes = source_bytes(m) };
	if (!final)
		sample_if_busy(m, &f);
	measured_add(known, &f);
	known->unhashed = unhashed(m);
	x = &r->list[r->n++];
	*x = (struct round_record){ .n = m->rounds,
				    .final = final,
				    .changed = f.changed,
				    .read = f.read,
				    .wire = f.wire,
				    .seconds = (double)(f.ended_ms - f.began_ms) / 1000.0,
				    .wire_rate = f.wire_rate,
				    .measured = *known };
	rounds_predict(m, &x->at_once);
	return store_save_measured(m->store, e);
}

void rounds_say(const struct move *m)
{
	const struct round_record *x = &m->log.list[m->log.n - 1];
	char a[32], b[32], c[32], d[32], rate[64] = "", changing[64] = "", text[160], line[512];

	if (x->wire_rate > 0)
		(void)snprintf(rate, sizeof rate, ", %s/s on the wire",
			       progress_bytes(c, sizeof c, (uint64_t)x->wire_rate));
	if (x->measured.change_known)
		(void)snprintf(changing, sizeof changing, ", if it goes on changing by %s/s",
			       progress_bytes(d, sizeof d, (uint64_t)x->measured.change_rate));
	(void)snprintf(
	    line, sizeof line,
	    "%s %u: %s %s, %s read in %.1f s%s; downtime of a final round now: %s%s",
	    x->final ? "final round" : "round", x->n, progress_bytes(a, sizeof a, x->changed),
	    x->measured.change_known ? "changed" : "sent", progress_bytes(b, sizeof b, x->read),
	    x->seconds, rate, predict_text(&x->at_once, text, sizeof text), changing);
	if (m->o->json) {
		if (!m->o->quiet)
			log_info("%s", line);
		return;
	}
	(void)puts(line);
	(void)fflush(stdout);
}
