/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crew.h"

#include "frame.h"

#define GAIN_PERCENT 5
#define HOLD_MIN 8
#define HOLD_MAX 256

void crew_init(struct crew *c, unsigned fixed, unsigned before, unsigned cores, unsigned disks)
{
	unsigned most = cores * 2 < CONNECTIONS_MAX ? cores * 2 : CONNECTIONS_MAX;
	unsigned now = cores > 1 || disks > 1 ? 2 : 1;

	if (most < now)
		most = now;
	if (before)
		now = before < most ? before : most;
	*c = (struct crew){ .now = fixed ? fixed : now,
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
