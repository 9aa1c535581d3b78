/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "converge.h"

#include <errno.h>

#include "base/log.h"
#include "clock.h"

/* A connection that says nothing for longer is not kept over a pause. */
#define KEEP_S 10

enum converge_end converge_decide(const struct converge_in *in)
{
	if (in->max_downtime_s > 0 && in->downtime_s >= 0 && in->downtime_s <= in->max_downtime_s)
		return CONVERGE_DOWNTIME;
	if (!in->only_downtime && in->change_known) {
		if (in->changed <= in->small)
			return CONVERGE_SMALL;
		/* by a fifth, or it is not worth another round */
		if (in->done > 1 && in->changed > in->before - in->before / 5)
			return CONVERGE_STEADY;
	}
	return in->done >= in->max_rounds ? CONVERGE_ROUNDS : CONVERGE_MORE;
}

const char *converge_word(enum converge_end end)
{
	switch (end) {
	case CONVERGE_MORE:
		break;
	case CONVERGE_DOWNTIME:
		return "downtime";
	case CONVERGE_SMALL:
		return "small";
	case CONVERGE_STEADY:
		return "steady";
	case CONVERGE_ROUNDS:
		return "max-rounds";
	}
	return NULL;
}

static enum converge_end after_round(const struct move *m, unsigned done)
{
	const struct rounds *log = &m->log;
	const struct round_record *x = &log->list[log->n - 1];
	struct converge_in in = { .done = done,
				  .max_rounds = m->o->max_rounds,
				  .change_known = x->measured.change_known,
				  .changed = x->changed,
				  .before = log->n > 1 ? x[-1].changed : 0,
				  .small = m->o->converged_below,
				  .downtime_s = x->at_once.missing ? -1 : x->at_once.total_s,
				  .max_downtime_s = m->o->max_downtime_s,
				  .only_downtime = m->o->final && m->o->max_downtime_s };

	return converge_decide(&in);
}

static int wait_between(struct transfer *t, struct err *e)
{
	uint64_t end = clock_ms() + (uint64_t)t->m->o->pause_s * 1000;

	if (t->m->o->pause_s > KEEP_S)
		transfer_close(t, true);
	while (clock_ms() < end && !atomic_load(t->stop))
		clock_sleep_ns(50000000);
	if (atomic_load(t->stop))
		return err_set(e, ERR_NET, 0, "stopped by a signal");
	return 0;
}

int converge_run(struct transfer *t, struct err *e)
{
	for (unsigned done = 1;; done++) {
		enum converge_end end;
		int r = transfer_measured_round(t, e);

		if (r)
			return r;
		end = after_round(t->m, done);
		t->m->log.stopped = converge_word(end);
		if (end != CONVERGE_MORE)
			return 0;
		r = wait_between(t, e);
		if (r)
			return r;
	}
}
