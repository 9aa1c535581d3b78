/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "clock.h"
#include "session.h"

#define QUESTIONS 4
#define QUESTION_GAP_NS UINT64_C(60000000) /* the receiver answers every 50 ms at most */
#define ANSWER_MS 10000
#define SAMPLE_NS UINT64_C(100000000)
#define SAMPLES_MAX 640
#define SHARES 5
/* Small at first: on a slow line a large frame is long on its way, and counts only when it is
 * whole. */
#define FRAME_SLOW ((size_t)(16 * KIB))
#define FRAME_FAST ((size_t)(64 * KIB))
#define SLOW_RATE UINT64_C(2000) /* bytes a millisecond */
#define GOODBYE_MS 1000

struct prober {
	struct link *link;
	pthread_t thread;
	bool started;
	const uint8_t *noise; /* FRAME_FAST bytes */
	uint64_t began_ms, end_ms;
	_Atomic uint64_t come; /* as the receiver says */
	uint64_t sent;
	atomic_bool *failed; /* one of them has: all end */
	int r;
	struct err e;
};

static int put_probe(struct prober *p, size_t len, struct err *e)
{
	struct frame f = { .kind = FRAME_PROBE, .disk = FRAME_NO_DISK };

	p->sent += len;
	return link_put(p->link, &f, NULL, 0, p->noise, len, e);
}

/* 1 when the receiver has said something. */
static int hear(struct prober *p, int timeout_ms, struct err *e)
{
	struct msg_probed m = { 0 };
	const uint8_t *payload;
	struct frame f;
	int r = link_next(p->link, timeout_ms, &f, &payload, e);

	if (r <= 0)
		return r;
	if (f.kind != FRAME_PROBED)
		return err_set(e, ERR_PEER, EPROTO, "%s came during a probe",
			       frame_kind_word(f.kind));
	r = msg_probed_decode(payload, f.length, &m, e);
	if (r)
		return r;
	if (m.bytes > p->sent || m.bytes < atomic_load(&p->come))
		return err_set(e, ERR_PEER, EPROTO, "%llu bytes of %llu are said to have come",
			       (unsigned long long)m.bytes, (unsigned long long)p->sent);
	atomic_store(&p->come, m.bytes);
	return 1;
}

/* An empty PROBE is a question that is answered at once when none was for a while. */
static int measure_rtt(struct prober *p, double *ret, struct err *e)
{
	*ret = 0;
	for (int i = 0; i < QUESTIONS; i++) {
		uint64_t began = clock_ns();
		int r = put_probe(p, 0, e);
		double took;

		if (!r)
			r = link_flush(p->link, e);
		if (!r)
			r = hear(p, ANSWER_MS, e);
		if (r < 0)
			return r;
		took = (double)(clock_ns() - began) / 1e9;
		if (!i || took < *ret)
			*ret = took;
		clock_sleep_ns(QUESTION_GAP_NS);
	}
	return 0;
}

static int pour(struct prober *p, struct err *e)
{
	int r = 0;

	for (uint64_t now; !r && !atomic_load(p->failed) && (now = clock_ms()) < p->end_ms;) {
		bool fast = atomic_load(&p->come) > (now - p->began_ms) * SLOW_RATE;

		r = put_probe(p, fast ? FRAME_FAST : FRAME_SLOW, e);
		while (!r && (r = hear(p, 0, e)) > 0)
			r = 0;
	}
	return r;
}

/* What is still under way is worth a second's wait, not more: then the connection is just closed.
 */
static void leave(struct prober *p)
{
	uint64_t ms = p->end_ms - p->began_ms, come = atomic_load(&p->come);

	if ((p->sent - come) * ms > come * GOODBYE_MS || link_bye(p->link, NULL))
		return;
	while (hear(p, GOODBYE_MS, NULL) > 0)
		;
}

static void *prober_main(void *arg)
{
	struct prober *p = arg;

	p->r = pour(p, &p->e);
	if (p->r)
		atomic_store(p->failed, true);
	else
		leave(p);
	return NULL;
}

static uint64_t come(struct prober *v, unsigned n)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < n; i++)
		all += atomic_load(&v[i].come);
	return all;
}

static double slope(const struct probe_sample *a, const struct probe_sample *b)
{
	return b->ms > a->ms ? (double)(b->bytes - a->bytes) * 1000.0 / (double)(b->ms - a->ms) : 0;
}

void probe_judge(const struct probe_sample *v, size_t n, struct probe_result *ret)
{
	const struct probe_sample *from = v, *last = v + n - 1, *x = v;
	uint64_t share;

	while (from < last && from->ms < last->ms / SHARES)
		from++;
	ret->rate = ret->low = ret->high = slope(from, last);
	ret->seconds = (double)last->ms / 1000.0;
	ret->bytes = last->bytes;
	share = (last->ms - from->ms) / SHARES;
	for (const struct probe_sample *a = from; share && x < last; a = x) {
		for (x = a; x < last && x->ms < a->ms + share; x++)
			;
		/* what is left at the end may be too short to say anything */
		if (x->ms - a->ms < share)
			break;
		if (slope(a, x) < ret->low)
			ret->low = slope(a, x);
		if (slope(a, x) > ret->high)
			ret->high = slope(a, x);
	}
}

/* While the threads pour, how much has come by when. */
static size_t watch(struct prober *v, unsigned n, struct probe_sample *samples)
{
	uint64_t began = v->began_ms, before = come(v, n);
	size_t k = 0;

	samples[k++] = (struct probe_sample){ 0 };
	while (clock_ms() < v->end_ms && k < SAMPLES_MAX && !atomic_load(v->failed)) {
		clock_sleep_ns(SAMPLE_NS);
		samples[k++] =
		    (struct probe_sample){ .ms = clock_ms() - began, .bytes = come(v, n) - before };
	}
	return k;
}

static int run(struct prober *v, unsigned n, unsigned seconds, struct probe_result *ret,
	       struct err *e)
{
	static struct probe_sample samples[SAMPLES_MAX];
	atomic_bool failed = false;
	uint64_t now = clock_ms();
	size_t k;
	int r = 0;

	for (unsigned i = 0; i < n; i++) {
		v[i].failed = &failed;
		v[i].began_ms = now;
		v[i].end_ms = now + (uint64_t)seconds * 1000;
	}
	for (unsigned i = 0; i < n && !r; i++) {
		r = pthread_create(&v[i].thread, NULL, prober_main, &v[i]);
		v[i].started = !r;
		if (r)
			atomic_store(&failed, true);
	}
	k = watch(v, n, samples);
	for (unsigned i = 0; i < n; i++) {
		if (v[i].started)
			(void)pthread_join(v[i].thread, NULL);
	}
	if (r)
		return err_set(e, ERR_SYS, r, "start a thread");
	for (unsigned i = 0; i < n; i++) {
		if (v[i].r) {
			*e = v[i].e;
			return v[i].r;
		}
	}
	probe_judge(samples, k, ret);
	return 0;
}

static int open_all(struct move *m, struct prober *v, unsigned n, const uint8_t *noise,
		    double *ret_rtt, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < n && !r; i++) {
		v[i].noise = noise;
		r = session_open_probe(m, &v[i].link, e);
		if (!r && !i)
			r = measure_rtt(&v[i], ret_rtt, e);
	}
	return r;
}

int probe_line(struct move *m, unsigned n, unsigned seconds, struct probe_result *ret,
	       struct err *e)
{
	scoped(freep) struct prober *v = calloc(n, sizeof *v);
	scoped(freep) uint8_t *noise = malloc(FRAME_FAST);
	double rtt = 0;
	int r;

	if (!v || !noise || getrandom(noise, FRAME_FAST, 0) != (ssize_t)FRAME_FAST)
		return err_set(e, ERR_SYS, ENOMEM, "probe");
	r = open_all(m, v, n, noise, &rtt, e);
	if (!r)
		r = run(v, n, seconds, ret, e);
	ret->rtt_s = rtt;
	for (unsigned i = 0; i < n; i++)
		link_close(v[i].link);
	return r;
}
