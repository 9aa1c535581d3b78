/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device_internal.h"

enum call { CALL_WRITE, CALL_ZERO, CALL_FLUSH, CALL_REREAD, N_CALLS };
enum act { ACT_NONE, ACT_ERROR, ACT_SHORT, ACT_KILL, ACT_KILL_AFTER, ACT_FLIP, ACT_DELAY };

#define EVERY_CALL 0
#define DELAY_MAX_MS 60000

struct fault {
	enum call call;
	unsigned long at; /* 1: the first call of its kind; EVERY_CALL */
	enum act act;
	int sys;
	unsigned long delay_ms;
};

#define FAULTS_MAX 8

struct device_fault {
	struct device base;
	struct device *inner; /* owned */
	/* The threads of a queue call at the same time: of one kind, one at a time. */
	pthread_mutex_t lock[N_CALLS];
	struct fault faults[FAULTS_MAX];
	size_t n_faults;
	unsigned long calls[N_CALLS];
};

static struct device_fault *fault_of(struct device *d)
{
	return (struct device_fault *)d;
}

static void delay(unsigned long ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		continue;
}

/* What is to happen at this call, which has its kind's lock until done(). A delay is done here, and
 * others may follow it. */
static struct fault next(struct device *d, enum call call)
{
	struct device_fault *f = fault_of(d);

	(void)pthread_mutex_lock(&f->lock[call]);
	f->calls[call]++;
	for (size_t i = 0; i < f->n_faults; i++) {
		const struct fault *x = &f->faults[i];

		if (x->call != call || (x->at != EVERY_CALL && x->at != f->calls[call]))
			continue;
		if (x->act != ACT_DELAY)
			return *x;
		delay(x->delay_ms);
	}
	return (struct fault){ .act = ACT_NONE };
}

static int done(struct device *d, enum call call, int r)
{
	(void)pthread_mutex_unlock(&fault_of(d)->lock[call]);
	return r;
}

static void die(void)
{
	(void)raise(SIGKILL);
}

static int do_write(struct device *d, struct fault f, const void *data, size_t len, uint64_t off,
		    struct err *e)
{
	struct device *inner = fault_of(d)->inner;
	int r;

	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", off, e);
	if (f.act == ACT_ERROR)
		return device_error(d, f.sys, "write to", off, e);
	if (f.act == ACT_SHORT || f.act == ACT_KILL) {
		(void)device_write(inner, data, len / 2, off, NULL);
		if (f.act == ACT_KILL)
			die();
		return device_error(d, EIO, "write to", off + len / 2, e);
	}
	r = device_write(inner, data, len, off, e);
	if (f.act == ACT_KILL_AFTER)
		die();
	return r;
}

static int fault_write(struct device *d, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct fault f = next(d, CALL_WRITE);

	return done(d, CALL_WRITE, do_write(d, f, data, len, off, e));
}

static int do_zero(struct device *d, struct fault f, uint64_t off, uint64_t len, struct err *e)
{
	int r;

	if (device_flush_error(d))
		return device_error(d, device_flush_error(d), "an earlier flush failed on", off, e);
	if (f.act == ACT_ERROR || f.act == ACT_SHORT)
		return device_error(d, f.sys ? f.sys : EIO, "zeroing of", off, e);
	if (f.act == ACT_KILL)
		die();
	r = device_zero(fault_of(d)->inner, off, len, e);
	if (f.act == ACT_KILL_AFTER)
		die();
	return r;
}

static int fault_zero(struct device *d, uint64_t off, uint64_t len, struct err *e)
{
	struct fault f = next(d, CALL_ZERO);

	return done(d, CALL_ZERO, do_zero(d, f, off, len, e));
}

static int do_flush(struct device *d, struct fault f, struct err *e)
{
	int r;

	if (f.act == ACT_ERROR || f.act == ACT_SHORT)
		return device_error(d, f.sys ? f.sys : EIO, "flush of", 0, e);
	if (f.act == ACT_KILL)
		die();
	r = device_flush(fault_of(d)->inner, e);
	if (f.act == ACT_KILL_AFTER)
		die();
	return r;
}

static int fault_flush(struct device *d, struct err *e)
{
	struct fault f = next(d, CALL_FLUSH);

	return done(d, CALL_FLUSH, do_flush(d, f, e));
}

static int do_reread(struct device *d, struct fault f, void *data, size_t len, uint64_t off,
		     struct err *e)
{
	int r;

	if (f.act == ACT_ERROR)
		return device_error(d, f.sys, "read back from", off, e);
	if (f.act == ACT_KILL)
		die();
	r = device_reread(fault_of(d)->inner, data, len, off, e);
	if (r == 0 && f.act == ACT_FLIP && len)
		((uint8_t *)data)[len / 2] ^= 1;
	return r;
}

static int fault_reread(struct device *d, void *data, size_t len, uint64_t off, struct err *e)
{
	struct fault f = next(d, CALL_REREAD);

	return done(d, CALL_REREAD, do_reread(d, f, data, len, off, e));
}

static uint64_t fault_hole(struct device *d, uint64_t off)
{
	return device_hole(fault_of(d)->inner, off);
}

static void fault_close(struct device *d)
{
	device_close(fault_of(d)->inner);
	for (size_t i = 0; i < N_CALLS; i++)
		(void)pthread_mutex_destroy(&fault_of(d)->lock[i]);
	free(d);
}

static const struct device_ops ops = {
	.write = fault_write,
	.zero = fault_zero,
	.flush = fault_flush,
	.reread = fault_reread,
	.hole = fault_hole,
	.close = fault_close,
};

static bool takes(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n) != 0 || !strchr(":,", (*p)[n]))
		return false;
	*p += n + ((*p)[n] != 0);
	return true;
}

/* clang-format off */
static const struct { const char *word; enum call call; } calls[] = {
	{ "write", CALL_WRITE }, { "zero", CALL_ZERO }, { "flush", CALL_FLUSH },
	{ "reread", CALL_REREAD },
};
static const struct { const char *word; enum act act; int sys; } acts[] = {
	{ "EIO", ACT_ERROR, EIO },     { "ENOSPC", ACT_ERROR, ENOSPC },
	{ "short", ACT_SHORT, EIO },   { "kill", ACT_KILL, 0 },
	{ "kill-after", ACT_KILL_AFTER, 0 }, { "flip", ACT_FLIP, 0 },
};
/* clang-format on */

/* "delay=200ms" */
static bool parse_delay(const char **p, struct fault *ret)
{
	const char *from = *p + 6;
	char *end;

	if (*from < '1' || *from > '9')
		return false;
	ret->act = ACT_DELAY;
	ret->delay_ms = strtoul(from, &end, 10);
	*p = end;
	return ret->delay_ms <= DELAY_MAX_MS && takes(p, "ms");
}

static bool parse_one(const char **p, struct fault *ret)
{
	size_t i, k;
	char *end;

	for (i = 0; i < sizeof calls / sizeof *calls && !takes(p, calls[i].word); i++)
		continue;
	if (i == sizeof calls / sizeof *calls)
		return false;
	ret->call = calls[i].call;
	if (takes(p, "*")) {
		ret->at = EVERY_CALL;
	} else {
		if (**p < '1' || **p > '9')
			return false;
		ret->at = strtoul(*p, &end, 10);
		if (*end != ':')
			return false;
		*p = end + 1;
	}
	if (!strncmp(*p, "delay=", 6))
		return parse_delay(p, ret);
	for (k = 0; k < sizeof acts / sizeof *acts && !takes(p, acts[k].word); k++)
		continue;
	if (k == sizeof acts / sizeof *acts)
		return false;
	ret->act = acts[k].act;
	ret->sys = acts[k].sys;
	return true;
}

int device_fault_wrap(struct device **d, const char *spec, struct err *e)
{
	struct device_fault *f = calloc(1, sizeof *f);
	const char *p = spec;

	if (!f)
		return err_set(e, ERR_SYS, ENOMEM, "fault device");
	while (*p) {
		if (f->n_faults == FAULTS_MAX || !parse_one(&p, &f->faults[f->n_faults++])) {
			free(f);
			return err_set(e, ERR_USAGE, EINVAL, "fault '%s' is not KIND:N:WHAT", spec);
		}
	}
	for (size_t i = 0; i < N_CALLS; i++)
		(void)pthread_mutex_init(&f->lock[i], NULL);
	f->base.ops = &ops;
	f->base.info = (*d)->info;
	f->base.info.kind = DEVICE_WRAPPER;
	f->inner = *d;
	*d = &f->base;
	return 0;
}
