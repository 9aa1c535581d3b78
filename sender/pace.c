/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "clock.h"

#define INTERVAL_NS UINT64_C(200000000)
#define INTERVAL_PLAIN (1 * MIB)
#define SLOT_NS UINT64_C(50000000) /* the first interval, and a turn of a contest */
#define SLOT_PLAIN (4 * MIB)
#define SLOTS 4
/* Bytes a second on the wire, of all connections: below, no receiver has more work than the line,
 * and what a send buffer holds would decide a turn of a contest. */
#define FAST 250e6
#define HOLD_MIN 8
#define HOLD_MAX 256
#define SLOW_MAX 5 /* intervals at half the rate that was proved: things have changed */
#define INTERVAL_MAX_NS UINT64_C(2000000000)
#define WAITS 0.30      /* of an interval spent waiting: the line is the narrow place */
#define GROWTH 1.25     /* of what is believed of the line while it makes nobody wait */
#define BETTER 1.02     /* of the model: ratios over the same content tell as little as that */
#define PROVED 1.05     /* of a contest: more than its noise */
#define TRIAL_SHARE 50  /* trials take a fiftieth of the time */
#define NEW_TRIAL 0.125 /* weight of a trial against all before */
#define NEW_LOOK 0.02   /* of a block that looks random or not */
#define NEW_SQUEEZE 0.25
#define SQUEEZE_MAX 8
#define RETRY_RANDOM 16
#define PROBES 64 /* of 64 bytes */

/* clang-format off */
const struct pace_step pace_steps[PACE_STEPS] = {
	{ CODEC_RAW, 0 }, { CODEC_LZ4, 1 }, { CODEC_ZSTD, 1 }, { CODEC_ZSTD, 3 }, { CODEC_ZSTD, 9 },
};
/* clang-format on */

static double rate_of(const struct pace_figures *f, unsigned step)
{
	double packs = 1 - f->random;
	double cpu = 1 / (f->share * (f->other + packs * f->cost[step]));

	if (f->line <= 0)
		return cpu;
	double line = f->line / (f->random + packs * f->ratio[step]);
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
	p->connections = connections;
	p->f.share = connections > p->cores ? (double)connections / p->cores : 1;
	if (p->squeezed > p->f.share)
		p->f.share = p->squeezed;
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

/* The mean of the first ones, then one that forgets. */
static void learn(double *known, double seen, unsigned nth, double least)
{
	double weight = 1.0 / nth > least ? 1.0 / nth : least;

	*known += weight * (seen - *known);
}

/* One block through every codec, so that they are compared over the same content. */
static void trial(struct pace *p, struct codec_ctx *c, const void *plain, size_t len, void *out,
		  size_t room)
{
	uint64_t began = cpu_ns(), at = began, now;

	p->trials++;
	for (unsigned i = 1; i < PACE_STEPS; i++) {
		size_t n = len;

		(void)codec_encode(c, pace_steps[i].codec, pace_steps[i].level, plain, len, out,
				   room, &n);
		now = cpu_ns();
		learn(&p->f.cost[i], (double)(now - at) / (double)len, p->trials, NEW_TRIAL);
		learn(&p->f.ratio[i], (double)n / (double)len, p->trials, NEW_TRIAL);
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
	enum codec codec;
	uint64_t began;
	bool random;

	*ret_len = len;
	if (s.codec == CODEC_RAW && !try)
		return CODEC_RAW;
	random = pace_looks_random(plain, len);
	learn(&p->f.random, random, ++p->looked, NEW_LOOK);
	if (try && !random)
		trial(p, c, plain, len, out, room);
	random = random && ++p->random_blocks % RETRY_RANDOM;
	if (random || s.codec == CODEC_RAW)
		return CODEC_RAW;
	began = cpu_ns();
	codec = codec_encode(c, s.codec, s.level, plain, len, out, room, ret_len);
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

/* Where the line waits for us and we for it, nothing else but other work for the cores takes time.
 */
static void know_cores(struct pace *p, double ns, double waited, double cpu)
{
	double seen = cpu > 0 ? (ns - waited) / cpu : 1;

	if (!p->line_waits)
		return;
	seen = seen < 1 ? 1 : seen > SQUEEZE_MAX ? SQUEEZE_MAX : seen;
	p->squeezed = p->squeezed > 0 ? p->squeezed + NEW_SQUEEZE * (seen - p->squeezed) : seen;
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
	bool harder_wins = rate[rival_is_harder] > rate[!rival_is_harder] * PROVED;
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

	if (p->wire_rate * p->connections < FAST || next < p->step) {
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
	p->wire_rate = (double)(wire - p->wire) * 1e9 / (double)ns;
	if (p->automatic) {
		cpu = cpu_ns() - p->cpu_ns;
		p->f.other =
		    cpu > p->packing_ns ? (double)(cpu - p->packing_ns) / (double)p->plain : 0;
		know_line(p, wire, wait_ns, (double)ns);
		know_cores(p, (double)ns, (double)(wait_ns - p->wait_ns), (double)cpu);
		pace_share(p, p->connections);
		if (p->contest.slots)
			contest_slot(p, (double)ns);
		else
			consider(p);
		log_debug("pace",
			  "%s: %.1f MB/s of blocks, line %.1f MB/s, waited %.0f %% for it, core "
			  "%.2f times taken, "
			  "lz4 %.2f, zstd %.2f %.2f %.2f of what is not random, %.0f %% is",
			  pace_word(p), p->plain_rate / 1e6, p->f.line * 1e3,
			  (double)(wait_ns - p->wait_ns) * 100 / (double)ns, p->f.share,
			  p->f.ratio[1], p->f.ratio[2], p->f.ratio[3], p->f.ratio[4],
			  p->f.random * 100);
	}
	pace_restart(p, wire, wait_ns, now_ns);
}

const char *pace_word(const struct pace *p)
{
	static const char *const words[PACE_STEPS] = { "raw", "lz4", "zstd:1", "zstd:3", "zstd:9" };

	return p->automatic ? words[p->step] : codec_word(p->fixed.codec);
}
