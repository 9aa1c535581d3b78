/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crew.h"

#include "frame.h"

#define GAIN_PERCENT 5
#define HOLD_MIN 8
#define HOLD_MAX 256
#define HOLD_FULL 30 /* a trial takes seconds of a line that is full already */
#define LOOKS 2
#define HELD 0.3                     /* share of the time */
#define SLOW_LINE UINT64_C(32000000) /* one connection, and one core, can do far more */

void crew_init(struct crew *c, unsigned fixed, unsigned before, unsigned cores, unsigned disks)
{
	unsigned most = cores * 2 < CONNECTIONS_MAX ? cores * 2 : CONNECTIONS_MAX;
	unsigned now = disks > 1 ? 2 : 1;

	if (most < 2)
		most = 2;
	if (before)
		now = before < most ? before : most;
	*c = (struct crew){ .now = fixed ? fixed : now,
			    .cores = cores,
			    .least = fixed       ? fixed
				     : disks > 1 ? 2
						 : 1,
			    .most = fixed ? fixed : most,
			    .settling = true,
			    .hold = HOLD_MIN };
}

static void change(struct crew *c, unsigned to)
{
	c->now = to;
	c->settling = true;
}

static void end_trial(struct crew *c, uint64_t rate)
{
	c->trying = false;
	if (rate > c->rate + c->rate / 100 * GAIN_PERCENT) {
		c->hold = HOLD_MIN;
		return;
	}
	change(c, c->now - 1);
	c->calm = c->hold;
	c->hold = c->hold * 2 < HOLD_MAX ? c->hold * 2 : HOLD_MAX;
}

unsigned crew_hurry(struct crew *c, uint64_t bytes, uint64_t ms)
{
	if (ms && c->now == 1 && c->most > 1 && c->cores > 1 && bytes * 1000 / ms >= SLOW_LINE)
		change(c, 2);
	return c->now;
}

unsigned crew_look(struct crew *c, const struct crew_signs *s)
{
	bool held = s->long_path && s->windows >= HELD;
	bool full = !held && s->sole && s->waits >= 0.5 && s->rate < SLOW_LINE;

	c->full = full ? c->full + 1 : 0;
	if (held && c->now < c->most) {
		c->calm = 0;
		c->trying = false;
		change(c, c->now * 4 < c->most ? c->now * 4 : c->most);
	} else if (c->full >= LOOKS && !c->was_full) {
		c->was_full = true;
		c->calm = c->hold = HOLD_FULL;
		c->trying = false;
		if (c->now > c->least)
			change(c, c->least);
	}
	return c->now;
}

unsigned crew_judge(struct crew *c, uint64_t rate)
{
	if (!rate || c->settling) {
		c->settling &= !rate;
		return c->now;
	}
	if (c->trying)
		end_trial(c, rate);
	if (c->settling)
		return c->now;
	if (c->calm) {
		c->calm--;
	} else if (c->now < c->most) {
		c->rate = rate;
		c->trying = true;
		change(c, c->now + 1);
	}
	return c->now;
}
