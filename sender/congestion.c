/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "congestion.h"

#define INTERVAL_MS 2000
#define HOLD_MS 30000
#define HOLD_MAX_MS 600000
/* Lost on a short queue in an interval, and yet a clean path: a probe that was not needed, or one
 * packet in ten thousand. */
#define FEW 2
#define RARE 10000

void congestion_init(struct congestion *c, bool bbr)
{
	*c = (struct congestion){ .fixed = !bbr, .hold_ms = HOLD_MS };
}

void congestion_refused(struct congestion *c)
{
	c->cubic = !c->cubic;
	c->until_ms = UINT64_MAX;
}

static bool short_queue(const struct tcp_path *p)
{
	return p->rtt_us < p->min_rtt_us + p->min_rtt_us / 4;
}

/* The queue that a loss emptied was long before it. */
static void add(struct congestion *c, const struct tcp_path *p)
{
	c->acked += p->acked - c->before.acked;
	c->segments += p->segments - c->before.segments;
	if (short_queue(p) && short_queue(&c->before))
		c->lost_short += p->resent - c->before.resent;
}

static enum congestion_wish end_bbr(struct congestion *c, uint64_t rate, bool is_long, uint64_t now)
{
	bool clean = c->lost_short <= FEW + c->segments / RARE;

	if (rate > c->best)
		c->best = rate;
	if (!clean || !is_long || now < c->until_ms)
		return CONGESTION_KEEP;
	c->cubic = true;
	return CONGESTION_CUBIC;
}

static enum congestion_wish end_cubic(struct congestion *c, uint64_t rate, uint64_t now)
{
	if (!c->lost_short || rate >= c->best / 10 * 9)
		return CONGESTION_KEEP;
	c->cubic = false;
	c->until_ms = now + c->hold_ms;
	c->hold_ms = c->hold_ms * 2 < HOLD_MAX_MS ? c->hold_ms * 2 : HOLD_MAX_MS;
	c->best = 0; /* the line may be another one by then */
	return CONGESTION_BBR;
}

enum congestion_wish congestion_look(struct congestion *c, const struct tcp_path *p,
				     uint64_t now_ms)
{
	enum congestion_wish wish;
	uint64_t ms = now_ms - c->from_ms;

	if (c->fixed)
		return CONGESTION_KEEP;
	if (c->look_ms)
		add(c, p);
	else
		c->from_ms = now_ms;
	c->before = *p;
	c->look_ms = now_ms;
	if (now_ms - c->from_ms < INTERVAL_MS)
		return CONGESTION_KEEP;
	wish = c->cubic
		   ? end_cubic(c, c->acked * 1000 / ms, now_ms)
		   : end_bbr(c, c->acked * 1000 / ms, p->min_rtt_us >= CONGESTION_LONG_US, now_ms);
	c->from_ms = now_ms;
	c->acked = c->segments = c->lost_short = 0;
	return wish;
}
