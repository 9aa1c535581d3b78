/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "estimate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "clock.h"
#include "crew.h"
#include "progress.h"
#include "report.h"

#define SAMPLE_MS 4000
#define FREEZE_S 0.5
#define SECTOR 512

/* ---- how much is written to the source ---- */

struct writes {
	double bytes, count; /* since the machine started */
	double seconds;      /* of that */
};

/* The ${n}th word of a one-line file of numbers, from 0 on; 0 when there is none. */
static double number_in(const char *path, unsigned n)
{
	char line[512];
	scoped(fclosep) FILE *f = fopen(path, "re");
	char *p = f ? fgets(line, sizeof line, f) : NULL;

	for (unsigned i = 0; p && i < n; i++) {
		p += strspn(p, " ");
		p += strcspn(p, " ");
	}
	return p ? strtod(p, NULL) : 0;
}

/* reads, merged, sectors, ms, writes, merged, sectors, ... */
static bool writes_of(const char *name, struct writes *ret)
{
	char path[128];

	(void)snprintf(path, sizeof path, "/sys/class/block/%.64s/stat", name);
	if (access(path, R_OK))
		return false;
	ret->count += number_in(path, 4);
	ret->bytes += number_in(path, 6) * SECTOR;
	return true;
}

/* False: nothing counts them, as for image files. */
static bool count_writes(const struct move *m, struct writes *ret)
{
	bool any = false;

	*ret = (struct writes){ .seconds = number_in("/proc/uptime", 0) };
	for (unsigned d = 0; d < m->n_disks; d++) {
		const struct source_info *i = source_info(m->disks[d].source);

		if (i->kind == SOURCE_BLOCK)
			any |= writes_of(i->name, ret);
	}
	return any;
}

/* Bytes written at the least: neighbours may share a block. A block for each write at the most. */
static struct range rate_between(const struct writes *a, const struct writes *b, uint32_t block)
{
	double s = b->seconds > a->seconds ? b->seconds - a->seconds : 1;
	double low = (b->bytes - a->bytes) / s, high = (b->count - a->count) * block / s;

	if (high < low)
		high = low;
	return (struct range){ .low = low, .expected = sqrt(low * high), .high = high };
}

static void judge_change(const struct move *m, const struct writes *before, bool counted,
			 struct estimate *x)
{
	const struct measured *known = &m->store->measured;
	struct writes now, start = { 0 };
	struct range since, here;

	if (known->change_known) {
		x->change = (struct range){ known->change_rate / 2, known->change_rate,
					    known->change_rate * 2 };
		x->change_by = "as between the last two rounds";
		return;
	}
	x->change_by = "image files stand still";
	if (!counted || !count_writes(m, &now))
		return;
	since = rate_between(&start, &now, m->invite.block_size);
	here = rate_between(before, &now, m->invite.block_size);
	x->change = (struct range){ .low = fmin(since.low, here.low),
				    .expected = sqrt(since.expected * here.expected),
				    .high = fmax(since.high, here.high) };
	x->change_by = "by the writes to the disks, since the start of the machine and just now";
}

/* ---- the figures together ---- */

static struct range range_of_share(double mean, double error)
{
	double low = mean - 2 * error, high = mean + 2 * error;

	return (struct range){ .low = low > 0 ? low : 0, .expected = mean, .high = high };
}

static unsigned first_connections(const struct move *m)
{
	struct crew c;

	crew_init(&c, m->o->connections, 0, sample_threads(CONNECTIONS_MAX), m->n_disks);
	/* As on a fast line: a slow one is as full with two. */
	return crew_hurry(&c, UINT32_MAX, 1);
}

static void put_together(const struct move *m, const struct estimate *x, struct outlook_in *in)
{
	const struct sample *s = &x->sample;
	bool freezes = false;

	*in = (struct outlook_in){
		.used = (double)s->used_all,
		.data = s->blocks ? 1 - (double)s->zero / s->blocks : 1,
		.line = { x->line.low, x->line.rate, x->line.high },
		.read_rate = s->read_rate,
		.compare_rate = s->compare_rate,
		.threads = sample_threads(x->connections),
		.n_codecs = s->n_steps,
		.change = x->change,
	};
	for (unsigned i = 0; i < s->n_steps; i++)
		in->codec[i] = (struct outlook_codec){
			.share = range_of_share(s->codec[i].share, s->codec[i].error),
			.rate = s->codec[i].rate,
		};
	for (unsigned d = 0; d < m->n_disks; d++) {
		const struct source_info *i = source_info(m->disks[d].source);

		in->blocks += (double)div_round_up(i->size, m->invite.block_size);
		freezes |= i->kind == SOURCE_BLOCK;
	}
	in->freeze_s = freezes && !m->o->no_freeze ? FREEZE_S : 0;
}

int estimate_make(struct move *m, struct estimate *x, struct err *e)
{
	struct sample_options o = { .block_size = m->invite.block_size,
				    .pieces = SAMPLE_PIECES_MAX,
				    .time_ms = SAMPLE_MS,
				    .seed = m->o->seed ? m->o->seed : clock_ns(),
				    .pack = true };
	struct outlook_in in;
	struct writes before;
	bool counted = count_writes(m, &before);
	int r;

	x->connections = first_connections(m);
	r = probe_line(m, x->connections, m->o->probe_s, &x->line, e);

	if (!r)
		r = sample_source(m, &o, &x->sample, e);
	if (r)
		return r;
	judge_change(m, &before, counted, x);
	put_together(m, x, &in);
	outlook_make(&in, &x->outlook);
	return 0;
}

/* ---- output ---- */

static const char *codec_of(const struct estimate *x, char *buf, size_t room)
{
	const struct pace_step *s = &x->sample.steps[x->outlook.codec];

	if (s->codec == CODEC_ZSTD)
		(void)snprintf(buf, room, "zstd:%d", s->level);
	else
		(void)snprintf(buf, room, "%s", codec_word(s->codec));
	return buf;
}

static json_t *range_json(const struct range *r)
{
	return json_pack("{s:f, s:f, s:f}", "low", r->low, "expected", r->expected, "high",
			 r->high);
}

static json_t *round_json(const struct outlook_round *r)
{
	return json_pack("{s:o, s:s, s:f}", "seconds", range_json(&r->seconds), "bound",
			 bound_word(r->bound), "wire_bytes", r->wire);
}

static json_t *disks_json(const struct move *m, const struct sample *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct source_info *si = source_info(m->disks[i].source);

		(void)json_array_append_new(list, json_pack("{s:i, s:s, s:I, s:I}", "n",
							    (int)m->disks[i].n, "source", si->path,
							    "size", (json_int_t)si->size,
							    "used_bytes", (json_int_t)s->used[i]));
	}
	return list;
}

static json_t *facts_json(const struct move *m, const struct estimate *x)
{
	const struct sample *s = &x->sample;
	const struct probe_result *l = &x->line;
	char codec[32];
	json_t *o = json_object();

	(void)json_object_set_new(o, "line",
				  json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "rate", l->rate,
					    "low", l->low, "high", l->high, "rtt_seconds", l->rtt_s,
					    "seconds", l->seconds, "connections",
					    (int)x->connections));
	(void)json_object_set_new(
	    o, "source",
	    json_pack("{s:I, s:i, s:f, s:f, s:f, s:s, s:f, s:f}", "used_bytes",
		      (json_int_t)s->used_all, "sampled_blocks", (int)s->blocks, "zero_share",
		      s->blocks ? (double)s->zero / s->blocks : 0.0, "read_rate", s->read_rate,
		      "compare_rate", s->compare_rate, "codec", codec_of(x, codec, sizeof codec),
		      "wire_share", s->codec[x->outlook.codec].share, "pack_rate",
		      s->codec[x->outlook.codec].rate));
	(void)json_object_set_new(o, "disks", disks_json(m, s));
	(void)json_object_set_new(o, "change_rate", range_json(&x->change));
	(void)json_object_set_new(o, "change_by", json_string(x->change_by));
	(void)json_object_set_new(o, "first_round", round_json(&x->outlook.first));
	(void)json_object_set_new(o, "second_round", round_json(&x->outlook.second));
	(void)json_object_set_new(o, "final_round",
				  json_pack("{s:o, s:s}", "downtime_seconds",
					    range_json(&x->outlook.downtime), "bound",
					    bound_word(x->outlook.downtime_bound)));
	return o;
}

/* "0:42 to 1:10", or in tenths where that says more. */
static const char *range_text(const struct range *r, char *buf, size_t room)
{
	char a[32], b[32];

	if (r->high < 60)
		(void)snprintf(buf, room, "%.1f to %.1f s", r->low, r->high);
	else
		(void)snprintf(buf, room, "%s to %s", progress_time(a, sizeof a, (uint64_t)r->low),
			       progress_time(b, sizeof b, (uint64_t)(r->high + 0.5)));
	return buf;
}

static void say_measured(const struct move *m, const struct estimate *x)
{
	const struct sample *s = &x->sample;
	const struct probe_result *l = &x->line;
	char a[32], b[32], c[32], codec[32];

	(void)printf("line    %s/s (%s to %s/s), %.1f ms there and back; %u connections, %.0f s\n",
		     progress_bytes(a, sizeof a, (uint64_t)l->rate),
		     progress_bytes(b, sizeof b, (uint64_t)l->low),
		     progress_bytes(c, sizeof c, (uint64_t)l->high), l->rtt_s * 1000,
		     x->connections, l->seconds);
	for (unsigned i = 0; i < m->n_disks; i++)
		(void)printf("disk %-2u %s, %s, of which %s are used\n", m->disks[i].n,
			     source_info(m->disks[i].source)->path,
			     progress_bytes(a, sizeof a, source_info(m->disks[i].source)->size),
			     progress_bytes(b, sizeof b, s->used[i]));
	(void)printf(
	    "source  %u blocks looked at: %.0f %% zero; by %s %.0f %% of the used bytes go "
	    "over the line\n",
	    s->blocks, s->blocks ? 100.0 * s->zero / s->blocks : 0,
	    codec_of(x, codec, sizeof codec), 100 * s->codec[x->outlook.codec].share);
	(void)printf("        read at %s/s, packed at %s/s by one core\n",
		     progress_bytes(a, sizeof a, (uint64_t)s->read_rate),
		     progress_bytes(b, sizeof b, (uint64_t)s->codec[x->outlook.codec].rate));
}

static void print_text(const struct move *m, const struct estimate *x)
{
	const struct outlook *k = &x->outlook;
	char a[64], b[32], c[32];

	say_measured(m, x);
	(void)printf("\nfirst round   %s, bound by %s; %s on the wire\n"
		     "              if line, source and processor stay as free as they were now\n",
		     range_text(&k->first.seconds, a, sizeof a), bound_word(k->first.bound),
		     progress_bytes(b, sizeof b, (uint64_t)k->first.wire));
	(void)printf("second round  %s, bound by %s\n"
		     "              if %s to %s a second change, %s\n",
		     range_text(&k->second.seconds, a, sizeof a), bound_word(k->second.bound),
		     progress_bytes(b, sizeof b, (uint64_t)x->change.low),
		     progress_bytes(c, sizeof c, (uint64_t)x->change.high), x->change_by);
	(void)printf(
	    "downtime      %s, bound by %s\n"
	    "              of a final round right after the second, until it is sealed; the "
	    "receiver's\n"
	    "              re-read, finalizing and booting come after it\n",
	    range_text(&k->downtime, a, sizeof a), bound_word(k->downtime_bound));
}

void estimate_print(const struct move *m, const struct estimate *x, const struct err *e)
{
	json_t *o;

	if (!m->o->json) {
		if (e->kind == ERR_NONE)
			print_text(m, x);
		return;
	}
	o = e->kind == ERR_NONE ? facts_json(m, x) : json_object();
	report_put_result(o, e);
	(void)json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	(void)fputc('\n', stdout);
	json_decref(o);
}
