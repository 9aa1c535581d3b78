/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "predict.h"

#include <stdio.h>
#include <string.h>

/* Assumed until a final round has frozen something: a sync of what a pre-sync left, and the freeze.
 */
#define FREEZE_GUESS_MS 500
/* Frames, TLS records and acknowledgements around what is sent raw: assumed until it was measured.
 */
#define WIRE_SHARE_GUESS 1.01

static double at_rate(double bytes, double rate)
{
	return rate > 0 ? bytes / rate : 0;
}

/* The first that is not known; in the order in which rounds make them known. */
static const char *missing(const struct predict_in *in, double changed)
{
	if (!in->change_known)
		return "how fast the source changes: two rounds tell";
	if (in->read_bytes > 0 && in->read_rate <= 0)
		return "how fast the source reads: another round tells";
	if (changed + in->seal_bytes > 0 && in->wire_rate <= 0)
		return "how fast the line is: a round that sends something tells";
	return NULL;
}

void predict_downtime(const struct predict_in *in, struct prediction *ret)
{
	double changed = in->change_rate * in->since_s;

	if (changed > in->change_most)
		changed = in->change_most;
	*ret = (struct prediction){ .missing = missing(in, changed), .changed = changed };
	if (ret->missing)
		return;
	ret->freeze_s = in->freeze_s;
	ret->read_s = at_rate(in->read_bytes, in->read_rate);
	ret->hash_s = at_rate(in->hash_bytes, in->hash_rate);
	ret->send_s = at_rate(changed * in->wire_share, in->wire_rate);
	ret->settle_s = in->settle_s;
	ret->seal_s = at_rate(in->seal_bytes, in->wire_rate);
	ret->total_s =
	    ret->freeze_s + ret->read_s + ret->hash_s + ret->send_s + ret->settle_s + ret->seal_s;
}

void predict_inputs(const struct measured *m, const struct predict_final *f, struct predict_in *ret)
{
	uint64_t freeze_ms = m->freeze_ms ? m->freeze_ms : FREEZE_GUESS_MS;
	uint64_t all = m->full_read > m->read ? m->full_read : m->read;
	double most = (double)f->limit;

	*ret = (struct predict_in){
		/* a clock that was set back: the last round may have been any time ago */
		.change_known = m->change_known && f->now_ms >= m->mid_ms,
		.since_s = f->now_ms > m->mid_ms ? (double)(f->now_ms - m->mid_ms) / 1000.0 : 0,
		.change_rate = m->change_rate,
		.change_most = (double)(all > m->changed ? all : m->changed),
		.read_bytes = (double)(f->traced ? m->read : all),
		.read_rate = m->read_rate,
		.wire_rate = m->wire_rate > most ? most : m->wire_rate,
		.wire_share = m->wire_share > 0 ? m->wire_share : WIRE_SHARE_GUESS,
		.seal_bytes = 32.0 * (double)f->blocks,
		.freeze_s = f->freezes ? (double)freeze_ms / 1000.0 : 0,
		.settle_s = (double)m->settle_ms / 1000.0,
	};
}

static double seconds_of(const struct round_figures *f)
{
	return f->ended_ms > f->began_ms ? (double)(f->ended_ms - f->began_ms) / 1000.0 : 0.001;
}

static double sending_s(const struct round_figures *f, const struct measured *m)
{
	return at_rate((double)f->wire, f->wire_rate > 0 ? f->wire_rate : m->wire_rate);
}

bool figures_are_of_sending(const struct round_figures *f, const struct measured *m)
{
	double known = f->wire_rate > 0 ? f->wire_rate : m->wire_rate;

	return f->changed && (known <= 0 || sending_s(f, m) > seconds_of(f) / 2);
}

/* Between two rounds a place of the source is read in the middle of each, on the mean: that long
 * did changes gather. */
static void add_change(struct measured *m, const struct round_figures *f)
{
	uint64_t mid = f->began_ms + (f->ended_ms - f->began_ms) / 2;

	m->change_known = m->rounds > 0 && mid > m->mid_ms;
	if (m->change_known)
		m->change_rate = (double)f->changed * 1000.0 / (double)(mid - m->mid_ms);
	m->mid_ms = mid;
}

static void add_read_rate(struct measured *m, const struct round_figures *f)
{
	double all = seconds_of(f), least = (double)f->read / all;

	/* A few pieces take the time of the round's ends more than that of reading. */
	if (!f->read || (f->traced && m->read_rate > 0 && f->read < m->full_read / 4))
		return;
	if (!figures_are_of_sending(f, m)) {
		m->read_rate = (double)f->read / (all - sending_s(f, m));
		return;
	}
	/* Without a sample what was known before holds; the round itself read no slower. */
	if (f->sampled_read > 0)
		m->read_rate = f->sampled_read;
	if (m->read_rate < least)
		m->read_rate = least;
}

void measured_add(struct measured *m, const struct round_figures *f)
{
	add_change(m, f);
	if (f->wire_rate > 0)
		m->wire_rate = f->wire_rate;
	/* A handful of blocks says nothing about the next ones. */
	if (f->changed >= 1000000)
		m->wire_share = (double)f->wire / (double)f->changed;
	add_read_rate(m, f);
	if (f->freeze_ms)
		m->freeze_ms = f->freeze_ms;
	m->settle_ms = f->settle_ms;
	m->round_ms = f->ended_ms - f->began_ms;
	m->read = f->read;
	m->changed = f->changed;
	if (!f->traced)
		m->full_read = f->read;
	m->rounds++;
}

const char *predict_text(const struct prediction *p, char *buf, size_t room)
{
	char hash[32] = "";

	if (p->hash_s > 0)
		(void)snprintf(hash, sizeof hash, " + SHA-256 %.1f", p->hash_s);
	if (p->missing)
		(void)snprintf(buf, room, "not known, for want of %s", p->missing);
	else
		(void)snprintf(
		    buf, room,
		    "%.1f s (freeze %.1f + read %.1f%s + send %.1f + durable %.1f + seal %.1f)",
		    p->total_s, p->freeze_s, p->read_s, hash, p->send_s, p->settle_s, p->seal_s);
	return buf;
}
