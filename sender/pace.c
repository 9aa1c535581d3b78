/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define INTERVAL_NS UINT64_C(200000000)
#define INTERVAL_PLAIN (1 * MIB)
#define SLOT_NS UINT64_C(50000000) /* the first interval, and a turn of a contest */
#define SLOT_PLAIN (4 * MIB)
#define SLOTS 4
#define FAST 32e6 /* bytes a second: below, no receiver has more work than the line */
#define HOLD_MIN 8
#define HOLD_MAX 256
#define SLOW_MAX 5 /* intervals at half the rate that was proved: things have changed */
#define INTERVAL_MAX_NS UINT64_C(2000000000)
#define WAITS 0.10       /* of an interval spent waiting: the line is the narrow place */
#define GROWTH 1.25      /* of what is believed of the line while it makes nobody wait */
#define BETTER 1.05      /* below that a change is not worth its noise */
#define TRIAL_SHARE 50   /* trials take a fiftieth of the time */
#define NEW_WEIGHT 0.125 /* of a trial against all before */
#define RETRY_RANDOM 16
#define PROBES 64 /* of 64 bytes */

/* clang-format off */
const struct pace_step pace_steps[PACE_STEPS] = {
	{ CODEC_RAW, 0 }, { CODEC_LZ4, 1 }, { CODEC_ZSTD, 1 }, { CODEC_ZSTD, 3 }, { CODEC_ZSTD, 9 },
};
/* clang-format on */

static double rate_of(const struct pace_figures *f, unsigned step)
{
	double cpu = 1 / (f->share * (f->other + f->cost[step]));

	if (f->line <= 0)
		return cpu;
	double line = f->line / f->ratio[step];
	return line < cpu ? line : cpu;
}

unsigned pace_choose(const struct pace_figures *f, unsigned now)
{
	unsigned best = now;

	for (unsigned i = 0; i < PACE_STEPS; i++) {
		if (f->ratio[i] > 0 && rate_of(f, i) > rate_of(f, best))
			best = i;
	}
	return rate_of(f, best) > rate_of(f, now) * BETTER ? best : now;
}

void pace_share(struct pace *p, unsigned connections)
{
	p->f.share = connections > p->cores ? (double)connections / p->cores : 1;
}

void pace_init(struct pace *p, enum codec_choice want, int level, unsigned cores)
{
	*p = (struct pace){ .automatic = want == CODEC_CHOICE_AUTO,
			    .cores = cores ? cores : 1,
			    .hold = HOLD_MIN };
	/* The first blocks go out before the line is known: on a slow one they would count. */
	p->step = 1;
	p->f.ratio[0] = 1;
	pace_share(p, 1);
	switch (want) {
	case CODEC_CHOICE_LZ4:
		p->fixed = (struct pace_step){ CODEC_LZ4, 1 };
		break;
	case CODEC_CHOICE_ZSTD:
		p->fixed = (struct pace_step){ CODEC_ZSTD, level };
		break;
	case CODEC_CHOICE_AUTO:
	case CODEC_CHOICE_RAW:
		break;
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pace_restart(struct pace *p, uint64_t wire, uint64_t wait_ns, uint64_t now_ns)
{
	p->began_ns = now_ns;
	p->cpu_ns = cpu_ns();
	p->packing_ns = p->plain = 0;
	p->wire = wire;
	p->wait_ns = wait_ns;
}

double pace_plain_rate(const struct pace *p)
{
	return p->plain_rate;
}

bool pace_looks_random(const uint8_t *p, size_t len)
{
	unsigned n[256] = { 0 };
	size_t gap = len / PROBES;
	uint64_t squares = 0;

	if (gap < 64)
		return false;
	for (size_t i = 0; i < PROBES; i++) {
		for (size_t k = 0; k < 64; k++)
			n[p[i * gap + k]]++;
	}
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)n[i] * n[i];
	/* Of 4096 even bytes each value comes 16 times: 256 * (16^2 + 16) on average, with a
	 * deviation below 0.6 %. Text, programs and tables are at twice that and more. */
	return squares < UINT64_C(256) * 272 * 11 / 10;
}

static void learn(double *known, double seen)
{
	*known = *known > 0 ? *known + NEW_WEIGHT * (seen - *known) : seen;
}

/* One block through every codec, so that they are compared over the same content. */
static void trial(struct pace *p, struct codec_ctx *c, const void *plain, size_t len, void *out,
		  size_t room, bool random)
{
	uint64_t began = cpu_ns(), at = began, now;

	learn(&p->f.ratio[0], 1);
	for (unsigned i = 1; i < PACE_STEPS; i++) {
		size_t n = len;

		if (!random)
			(void)codec_encode(c, pace_steps[i].codec, pace_steps[i].level, plain, len,
					   out, room, &n);
		now = cpu_ns();
		learn(&p->f.cost[i], (double)(now - at) / (double)len);
		learn(&p->f.ratio[i], (double)n / (double)len);
		at = now;
	}
	p->trial_after_ns = clock_ns() + TRIAL_SHARE * (at - began);
	p->packing_ns += at - began;
}

enum codec pace_encode(struct pace *p, struct codec_ctx *c, const void *plain, size_t len,
		       void *out, size_t room, size_t *ret_len)
{
	struct pace_step s = p->automatic ? pace_steps[p->step] : p->fixed;
	bool try = p->automatic && !p->contest.slots && (p->line_waits || p->f.ratio[1] <= 0) &&
		   clock_ns() >= p->trial_after_ns;
	bool random = false;
	enum codec codec;
	uint64_t began;

	*ret_len = len;
	if (s.codec == CODEC_RAW && !try)
		return CODEC_RAW;
	began = cpu_ns();
	random = pace_looks_random(plain, len) && ++p->random_blocks % RETRY_RANDOM;
	if (try)
		trial(p, c, plain, len, out, room, random);
	if (random || s.codec == CODEC_RAW)
		return CODEC_RAW;
	codec = codec_encode(c, s.codec, s.level, plain, len, out, room, ret_len);
	if (!try)
		p->packing_ns += cpu_ns() - began;
	return codec;
}

static void know_line(struct pace *p, uint64_t wire, uint64_t wait_ns, double ns)
{
	double rate = (double)(wire - p->wire) / ns;

	p->line_waits = (double)(wait_ns - p->wait_ns) > WAITS * ns;
	if (p->line_waits)
		p->f.line = rate;
	else if (p->f.line > 0)
		p->f.line = rate > p->f.line * GROWTH ? rate : p->f.line * GROWTH;
}

/* ---- what the model says is proved where much goes through ---- */

static void begin_contest(struct pace *p, unsigned rival)
{
	p->contest = (struct pace_contest){ .slots = SLOTS, .now = p->step, .rival = rival };
	p->step = rival;
}

static void end_contest(struct pace *p)
{
	const struct pace_contest *c = &p->contest;
	double rate[2] = { c->bytes[0] / c->ns[0], c->bytes[1] / c->ns[1] };
	bool rival_is_harder = c->rival > c->now;
	bool harder_wins = rate[rival_is_harder] > rate[!rival_is_harder] * BETTER;
	bool rival_wins = harder_wins == rival_is_harder;

	p->step = rival_wins ? c->rival : c->now;
	p->proved_rate = rate[rival_wins] * 1e9;
	if (rival_wins)
		p->hold = HOLD_MIN;
	p->calm = p->hold;
	p->hold = p->hold * 2 < HOLD_MAX ? p->hold * 2 : HOLD_MAX;
	p->slow = 0;
}

static void contest_slot(struct pace *p, double ns)
{
	struct pace_contest *c = &p->contest;
	bool rival = p->step == c->rival;

	c->bytes[rival] += (double)p->plain;
	c->ns[rival] += ns;
	p->step = rival ? c->now : c->rival;
	if (!--c->slots)
		end_contest(p);
}

static bool still_holds(struct pace *p)
{
	p->slow = p->plain_rate < p->proved_rate / 2 ? p->slow + 1 : 0;
	if (p->slow < SLOW_MAX && p->calm)
		return p->calm--;
	if (p->slow >= SLOW_MAX)
		p->hold = HOLD_MIN;
	p->calm = p->slow = 0;
	return false;
}

static void consider(struct pace *p)
{
	unsigned next = pace_choose(&p->f, p->step);

	if (p->plain_rate < FAST || next < p->step) {
		p->step = next;
		p->calm = 0;
	} else if (!still_holds(p)) {
		unsigned rival = next != p->step ? next : 0;

		if (rival != p->step)
			begin_contest(p, rival);
	}
}

static bool is_over(const struct pace *p, uint64_t ns)
{
	bool slot = p->contest.slots || p->plain_rate <= 0;
	size_t enough = p->contest.slots ? SLOT_PLAIN : INTERVAL_PLAIN;

	return ns >= (slot ? SLOT_NS : INTERVAL_NS) &&
	       (p->plain >= enough || ns >= INTERVAL_MAX_NS);
}

void pace_tick(struct pace *p, size_t plain, uint64_t wire, uint64_t wait_ns, uint64_t now_ns)
{
	uint64_t ns = now_ns - p->began_ns, cpu;

	p->plain += plain;
	if (!is_over(p, ns))
		return;
	p->plain_rate = (double)p->plain * 1e9 / (double)ns;
	if (p->automatic) {
		cpu = cpu_ns() - p->cpu_ns;
		p->f.other =
		    cpu > p->packing_ns ? (double)(cpu - p->packing_ns) / (double)p->plain : 0;
		know_line(p, wire, wait_ns, (double)ns);
		if (p->contest.slots)
			contest_slot(p, (double)ns);
		else
			consider(p);
	}
	pace_restart(p, wire, wait_ns, now_ns);
}

const char *pace_word(const struct pace *p)
{
	static const char *const words[PACE_STEPS] = { "raw", "lz4", "zstd:1", "zstd:3", "zstd:9" };

	return p->automatic ? words[p->step] : codec_word(p->fixed.codec);
}
