/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "clock.h"
#include "progress.h"
#include "round.h"
#include "seal.h"
#include "trace.h"
#include "usage_round.h"

#define PAUSE_MIN_MS 500
#define PAUSE_MAX_MS 10000
#define STATE_LINE_MS 5000

void transfer_init(struct transfer *t, struct move *m, atomic_bool *stop)
{
	*t = (struct transfer){ .m = m, .stop = stop, .pause_ms = PAUSE_MIN_MS };
}

void transfer_close(struct transfer *t, bool polite)
{
	if (t->open)
		session_close(&t->session, polite);
	t->open = false;
}

static bool stopping(const struct transfer *t)
{
	return t->m->stop && atomic_load(t->m->stop);
}

static int ensure_session(struct transfer *t, struct err *e)
{
	int r = t->open ? 0 : session_open(t->m, &t->session, e);

	t->open = !r;
	return r;
}

static bool moved_on(const struct transfer *t)
{
	for (unsigned d = 0; d < t->m->n_disks; d++) {
		if (atomic_load(&t->m->gauge.disk[d].durable))
			return true;
	}
	return false;
}

/* True: the lost connection is to be tried again; the pause is over then. */
static bool try_again(struct transfer *t, const struct err *e)
{
	uint64_t now = clock_ms(), bound = (uint64_t)t->m->o->retry_s * 1000, end;

	transfer_close(t, false);
	if (e->kind != ERR_NET || !bound || stopping(t))
		return false;
	if (!t->lost_ms || moved_on(t)) {
		t->lost_ms = now;
		t->pause_ms = PAUSE_MIN_MS;
	}
	/* What moved counts once: the next loss without progress goes on with this clock. */
	for (unsigned d = 0; d < t->m->n_disks; d++)
		atomic_store(&t->m->gauge.disk[d].durable, 0);
	if (now - t->lost_ms + t->pause_ms > bound)
		return false;
	if (!t->silent)
		log_warn("%s; trying again in %.1f s", e->text, t->pause_ms / 1000.0);
	for (end = now + t->pause_ms; clock_ms() < end && !stopping(t);) {
		struct timespec ts = { .tv_nsec = 50000000 };
		(void)nanosleep(&ts, NULL);
	}
	t->pause_ms = t->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : t->pause_ms * 2;
	return !stopping(t);
}

struct tick {
	struct transfer *t;
	struct progress progress;
};

static void on_tick(void *arg)
{
	struct tick *tick = arg;

	progress_tick(&tick->progress);
	rounds_tick(tick->t->m);
	if (tick->t->frozen && freeze_is_over(tick->t->frozen))
		atomic_store(tick->t->stop, true);
}

static int make_ready(struct transfer *t, struct err *e)
{
	int r = ensure_session(t, e);

	if (!r)
		r = session_open_disks(t->m, &t->session, e);
	return r ? r : session_learn_all(t->m, &t->session, e);
}

int transfer_ready(struct transfer *t, struct err *e)
{
	int r;

	while ((r = make_ready(t, e)) && try_again(t, e))
		err_clear(e);
	return r;
}

static int one_round(struct transfer *t, struct err *e)
{
	struct tick tick = { .t = t };
	char what[32];
	int r = make_ready(t, e);

	if (r)
		return r;
	(void)snprintf(what, sizeof what, "round %u", t->m->rounds + 1);
	progress_begin(&tick.progress, t->m, what);
	tick.progress.quiet |= t->silent;
	t->m->silent = t->silent;
	r = round_run(t->m, &t->session, on_tick, &tick, e);
	progress_end(&tick.progress);
	if (!t->session.link) /* the others ended the round without it */
		t->open = false;
	return r;
}

/* The maps as they are, until the round is through. */
static int through(struct transfer *t, struct err *e)
{
	for (;;) {
		int r = one_round(t, e);

		if (!r) {
			t->lost_ms = 0;
			return 0;
		}
		if (!try_again(t, e))
			return r;
		err_clear(e);
	}
}

int transfer_round(struct transfer *t, struct err *e)
{
	struct usage_context c = { .phase = t->live ? USAGE_LIVE : USAGE_FINAL,
				   .frozen = t->frozen,
				   .grain = USAGE_GRAIN };
	int r;

	/* In this order: what was left out as free is taken out of what nobody wrote to. */
	trace_round_begin(t->m->trace, t->silent);
	r = usage_round_begin(t->m, &c, e);
	if (!r)
		r = through(t, e);
	for (unsigned tries = 0; !r; tries++) {
		r = usage_round_again(t->m, &c, tries, e);
		if (r <= 0)
			break;
		r = through(t, e);
	}
	usage_round_end(t->m, !r);
	if (r)
		return r;
	trace_round_end(t->m->trace);
	t->m->rounds++;
	return 0;
}

int transfer_measured_round(struct transfer *t, struct err *e)
{
	int r;

	rounds_begin(t->m);
	r = transfer_round(t, e);
	if (!r)
		r = rounds_end(t->m, false, 0, e);
	if (!r)
		rounds_say(t->m);
	return r;
}

struct state_words {
	bool quiet;
	uint64_t shown_ms;
};

static void on_state(const struct msg_state *st, void *arg)
{
	struct state_words *w = arg;
	uint64_t now = clock_ms();

	if (w->quiet || st->state != TASK_VERIFYING || now - w->shown_ms < STATE_LINE_MS)
		return;
	w->shown_ms = now;
	log_info("the receiver verifies: %.1f%%",
		 st->total ? 100.0 * (double)st->done / (double)st->total : 0.0);
}

static int one_seal(struct transfer *t, bool *sent, enum seal_verdict *ret, struct err *e)
{
	struct state_words w = { .quiet = t->m->o->quiet, .shown_ms = clock_ms() };
	int r = ensure_session(t, e);

	if (r)
		return r;
	/* After a reconnect the answer may be there already. */
	if (*sent && seal_is_verified(t->session.state)) {
		*ret = SEAL_VERIFIED;
		t->m->verified = true;
		return 0;
	}
	if (!*sent || t->session.state != TASK_VERIFYING) {
		r = session_open_disks(t->m, &t->session, e);
		if (!r)
			r = seal_send(t->m, &t->session, e);
		if (r)
			return r;
		*sent = true;
		t->m->sealed_ms = clock_ms();
	}
	return seal_wait(t->m, &t->session, on_state, &w, ret, e);
}

int transfer_seal(struct transfer *t, bool *ret_verified, struct err *e)
{
	enum seal_verdict verdict = SEAL_MISMATCHED;
	bool sent = false;
	int r;

	while ((r = one_seal(t, &sent, &verdict, e))) {
		if (!try_again(t, e))
			return r;
		err_clear(e);
	}
	t->lost_ms = 0;
	*ret_verified = verdict == SEAL_VERIFIED;
	/* What differed is not claimed any more: the receiver must say again what it has. */
	t->session.learned &= *ret_verified;
	return 0;
}
