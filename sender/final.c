/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "final.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "clock.h"
#include "govern.h"

#define SEAL_TRIES 3

/* True when every source is an image file that nobody touched since its last round began. */
static bool nothing_changed(const struct move *m)
{
	uint64_t now[4];

	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct move_disk *d = &m->disks[i];

		if (!d->stamped || !source_stamp(d->source, now) ||
		    memcmp(now, d->stamp, sizeof now) != 0)
			return false;
	}
	return m->rounds > 0;
}

static void say_frozen(const struct freeze_report *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		if (!f->points[i].frozen)
			log_warn("%s (%s) is not frozen: %s", f->points[i].point, f->points[i].type,
				 f->points[i].why);
	}
}

static int check_downtime(struct move *m, struct err *e)
{
	struct prediction p;
	char text[160];

	rounds_predict(m, &p);
	m->log.predicted_s = p.missing ? -1 : p.total_s;
	if (!m->o->max_downtime_s)
		return 0;
	if (p.missing)
		return err_refuse(e, "downtime-unknown", ENODATA,
				  "the downtime of a final round is %s; nothing was frozen. Run "
				  "'transit-send sync' once more, or leave --max-downtime out",
				  predict_text(&p, text, sizeof text));
	if (p.total_s <= m->o->max_downtime_s)
		return 0;
	return err_refuse(e, "downtime-too-long", ETIME,
			  "a final round now would take %s, more than --max-downtime %us, by what "
			  "the last rounds measured; nothing was frozen. Run another round, allow "
			  "more, or give it a faster line",
			  predict_text(&p, text, sizeof text), m->o->max_downtime_s);
}

static int quiet_round(struct transfer *t, struct freeze_report *report, uint64_t *ret_began,
		       struct err *e)
{
	struct move *m = t->m;
	struct freeze *f = NULL;
	struct err thaw = { 0 };
	uint64_t began = clock_ms(), frozen;
	int r = 0, back;

	if (!m->o->no_freeze) {
		govern_hold(m->govern, true);
		r = freeze_begin(m, &f, report, e);
		if (r) {
			govern_hold(m->govern, false);
			return r;
		}
		began = report->began_ms;
	}
	*ret_began = began;
	frozen = clock_ms();
	t->silent = f && !isatty(STDERR_FILENO);
	t->frozen = f;
	rounds_begin(m);
	r = transfer_round(t, e);
	back = freeze_end(f, &thaw);
	govern_hold(m->govern, false);
	m->log.frozen_s = (double)(clock_ms() - began) / 1000.0;
	t->silent = false;
	t->frozen = NULL;
	if (f)
		say_frozen(report);
	if (back) {
		*e = thaw; /* it is why the round ended, too */
		return back;
	}
	return r ? r : rounds_end(m, true, f && report->n ? frozen - began : 0, e);
}

/* How fast the receiver re-reads is worth knowing before the next time. */
static int note_seal(struct transfer *t, uint64_t began_ms, bool verified, struct err *e)
{
	struct rounds *log = &t->m->log;
	uint64_t now = clock_ms(), sealed = t->m->sealed_ms, all = 0;

	if (!sealed || sealed < began_ms)
		return 0;
	log->downtime_s = (double)(sealed - began_ms) / 1000.0;
	log->verify_s = (double)(now - sealed) / 1000.0;
	for (unsigned d = 0; d < t->m->n_disks; d++)
		all += source_info(t->m->disks[d].source)->size;
	if (!verified || now == sealed)
		return 0;
	t->m->store->measured.verify_rate = all * 1000 / (now - sealed);
	return store_save_measured(t->m->store, e);
}

static int one_try(struct transfer *t, bool again, struct freeze_report *report, bool *ret_verified,
		   struct err *e)
{
	bool quiet = again || !nothing_changed(t->m);
	uint64_t began;
	int r = quiet ? check_downtime(t->m, e) : 0;

	if (!r)
		r = transfer_ready(t, e);
	began = clock_ms();
	if (!r && quiet)
		r = quiet_round(t, report, &began, e);
	if (!r)
		r = transfer_seal(t, ret_verified, e);
	if (!r)
		r = note_seal(t, began, *ret_verified, e);
	if (!r && quiet)
		rounds_say(t->m);
	return r;
}

int final_run(struct transfer *t, struct freeze_report *report, struct err *e)
{
	bool verified = false;

	for (int i = 0; i < SEAL_TRIES; i++) {
		int r = one_try(t, i > 0, report, &verified, e);

		if (r || verified)
			return r;
		log_warn("the receiver found blocks that differ: they are sent again");
	}
	return err_set(e, ERR_DISK, EIO,
		       "blocks still differ after %d rounds: 'receiverctl verify' names them; look "
		       "at the target disk and the source's memory",
		       SEAL_TRIES);
}
