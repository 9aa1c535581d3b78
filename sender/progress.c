/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "clock.h"

#define LINE_MS 5000
#define DRAW_MS 200
#define SAMPLE_MS 1000
#define BAR_CELLS 24

const char *progress_bytes(char *buf, size_t room, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)bytes;
	unsigned u = 0;

	for (; v >= 1024 && u + 1 < sizeof units / sizeof *units; u++)
		v /= 1024;
	(void)snprintf(buf, room, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return buf;
}

const char *progress_time(char *buf, size_t room, uint64_t seconds)
{
	if (seconds >= 3600)
		(void)snprintf(buf, room, "%llu:%02u:%02u", (unsigned long long)(seconds / 3600),
			       (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
	else
		(void)snprintf(buf, room, "%u:%02u", (unsigned)(seconds / 60),
			       (unsigned)(seconds % 60));
	return buf;
}

const char *progress_bar(char *buf, size_t room, uint64_t done, uint64_t total)
{
	char cells[BAR_CELLS + 1];
	unsigned n = total ? (unsigned)((double)done / (double)total * BAR_CELLS) : BAR_CELLS;

	if (n > BAR_CELLS)
		n = BAR_CELLS;
	memset(cells, '-', BAR_CELLS);
	memset(cells, '#', n);
	cells[BAR_CELLS] = 0;
	(void)snprintf(buf, room, "[%s]", cells);
	return buf;
}

static void totals(const struct move *m, uint64_t *ret_done, uint64_t *ret_total)
{
	*ret_done = *ret_total = 0;
	for (unsigned d = 0; d < m->n_disks; d++) {
		*ret_done += atomic_load(&m->gauge.disk[d].durable);
		*ret_total += source_info(m->disks[d].source)->size;
	}
}

void progress_begin(struct progress *p, const struct move *m, const char *what)
{
	*p = (struct progress){ .m = m,
				.what = what,
				.quiet = m->o->quiet,
				.terminal = isatty(STDERR_FILENO) == 1,
				.began_ms = clock_ms() };
	p->shown_ms = p->rate_ms = p->began_ms;
}

static void sample_rate(struct progress *p, uint64_t now, uint64_t done)
{
	double fresh;

	if (now - p->rate_ms < SAMPLE_MS)
		return;
	fresh = done > p->rate_bytes
		    ? (double)(done - p->rate_bytes) * 1000.0 / (double)(now - p->rate_ms)
		    : 0;
	p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * fresh : fresh;
	p->rate_ms = now;
	p->rate_bytes = done;
}

/* Free space and holes cost no time: what is known to come of them is not waited for. */
static uint64_t free_ahead(const struct move *m)
{
	uint64_t ahead = 0;

	for (unsigned d = 0; d < m->n_disks; d++) {
		const struct extent_set *s = m->disks[d].free_map;
		uint64_t all = s ? extent_set_total(s) : 0;
		uint64_t gone = atomic_load(&m->gauge.disk[d].free_bytes);

		ahead += all > gone ? all - gone : 0;
	}
	return ahead;
}

static uint64_t without_skipped(const struct move *m, uint64_t done)
{
	uint64_t skipped = 0;

	for (unsigned d = 0; d < m->n_disks; d++)
		skipped += atomic_load(&m->gauge.disk[d].free_bytes) +
			   atomic_load(&m->gauge.disk[d].hole_bytes);
	return done > skipped ? done - skipped : 0;
}

static const char *eta(const struct progress *p, char *buf, size_t room, uint64_t done,
		       uint64_t total)
{
	uint64_t ahead = free_ahead(p->m), left = total > done ? total - done : 0;

	left = left > ahead ? left - ahead : 0;

	if (p->rate < 1)
		return "-";
	return progress_time(buf, room, (uint64_t)((double)left / p->rate));
}

static void draw(struct progress *p, uint64_t done, uint64_t total)
{
	char bar[64], a[32], b[32], c[32];

	if (p->lines)
		(void)fprintf(stderr, "\033[%uA", p->lines);
	p->lines = 0;
	for (unsigned d = 0; d < p->m->n_disks; d++) {
		uint64_t size = source_info(p->m->disks[d].source)->size;
		uint64_t durable = atomic_load(&p->m->gauge.disk[d].durable);

		(void)fprintf(stderr, "\r\033[Kdisk %-2u %s %5.1f%%  %s of %s\n", p->m->disks[d].n,
			      progress_bar(bar, sizeof bar, durable, size),
			      100.0 * (double)durable / (double)size,
			      progress_bytes(a, sizeof a, durable),
			      progress_bytes(b, sizeof b, size));
		p->lines++;
	}
	(void)fprintf(stderr, "\r\033[K%s: %s/s, on the wire %s, ETA %s\n", p->what,
		      progress_bytes(a, sizeof a, (uint64_t)p->rate),
		      progress_bytes(b, sizeof b, atomic_load(&p->m->gauge.wire)),
		      eta(p, c, sizeof c, done, total));
	p->lines++;
}

static void line(const struct progress *p, uint64_t done, uint64_t total)
{
	char a[32], b[32], c[32], d[32];

	log_info("%s: %.1f%%, %s of %s durable, %s/s, ETA %s", p->what,
		 total ? 100.0 * (double)done / (double)total : 100.0,
		 progress_bytes(a, sizeof a, done), progress_bytes(b, sizeof b, total),
		 progress_bytes(c, sizeof c, (uint64_t)p->rate), eta(p, d, sizeof d, done, total));
}

void progress_tick(void *arg)
{
	struct progress *p = arg;
	uint64_t now = clock_ms(), done, total;

	if (p->quiet)
		return;
	totals(p->m, &done, &total);
	sample_rate(p, now, without_skipped(p->m, done));
	if (now - p->shown_ms < (p->terminal ? DRAW_MS : LINE_MS))
		return;
	p->shown_ms = now;
	if (p->terminal)
		draw(p, done, total);
	else
		line(p, done, total);
}

void progress_end(struct progress *p)
{
	uint64_t done, total, ms = clock_ms() - p->began_ms;

	if (p->quiet)
		return;
	totals(p->m, &done, &total);
	/* At the end the mean says more than the last second. */
	if (ms)
		p->rate = (double)without_skipped(p->m, done) * 1000.0 / (double)ms;
	if (p->terminal)
		draw(p, done, total);
	else
		line(p, done, total);
}
