/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "govern.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"

#define LOOK_MS 1000
#define TASK_PASSES 3

struct stamp { /* of the file that was read last */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct govern {
	const struct bounds *options;
	const char *path;
	struct limit *limit;
	struct ceiling *ceiling;
	struct bounds now; /* what was applied */
	uint64_t rate;
	int nice_before, ionice_before; /* as the process was started */
	struct stamp stamp;
	bool gone; /* that was said */
	int wakefd;
	atomic_bool stop, hold;
	pthread_t thread;
	bool started;
};

/* Set by a signal handler, which must not follow a pointer that a run's end frees. */
static atomic_bool reread;

/* ---- nice and I/O class, of each thread: Linux has them per thread, not per process ---- */

struct priority {
	int nice, ionice;
	int failed; /* errno of the first that was not let */
};

static void set_task(pid_t tid, struct priority *p)
{
	errno = 0;
	if (setpriority(PRIO_PROCESS, (id_t)tid, p->nice) && errno != ESRCH && !p->failed)
		p->failed = errno;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, p->ionice) && errno != ESRCH &&
	    !p->failed)
		p->failed = errno;
}

static int set_tasks(struct priority *p)
{
	scoped(closedirp) DIR *d = opendir("/proc/self/task");
	int n = 0;

	for (struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d)) {
		pid_t tid = (pid_t)strtol(x->d_name, NULL, 10);

		if (tid > 0) {
			set_task(tid, p);
			n++;
		}
	}
	return n;
}

/* A thread takes both from the one that started it, so a second pass finds those that were born
 * during the first. */
static void set_priority(const struct govern *g, const struct bounds *b)
{
	struct priority p = {
		.nice = b->nice == NICE_KEEP ? g->nice_before : b->nice,
		.ionice = b->ionice == IONICE_KEEP ? g->ionice_before : b->ionice,
	};

	for (int pass = 0; pass < TASK_PASSES; pass++)
		if (!set_tasks(&p))
			set_task(0, &p); /* no /proc: at least the caller */
	if (p.failed)
		log_warn("nice %d and I/O class %d: %s; they stay as they are", p.nice, p.ionice,
			 strerror(p.failed));
}

/* ---- changes, each with its line ---- */

static void apply_rate(struct govern *g, bool tell)
{
	uint64_t rate = rate_plan_now(&g->now.limit, time(NULL));
	char text[RATE_TEXT_MAX];

	if (rate == g->rate)
		return;
	g->rate = rate;
	limit_set(g->limit, rate);
	if (tell)
		log_info("limit: %s from now on", rate_text(rate, text));
}

static void apply_priority(struct govern *g, const struct bounds *b, bool tell)
{
	char text[RATE_TEXT_MAX];

	if (b->nice == g->now.nice && b->ionice == g->now.ionice)
		return;
	set_priority(g, b);
	if (tell && b->nice != g->now.nice)
		log_info("nice: %d from now on", b->nice == NICE_KEEP ? g->nice_before : b->nice);
	if (tell && b->ionice != g->now.ionice)
		log_info("ionice: %s from now on", bounds_ionice_text(b->ionice, text));
}

static void apply(struct govern *g, const struct bounds *b, bool tell)
{
	apply_priority(g, b, tell);
	if (b->cpu != g->now.cpu) {
		ceiling_set(g->ceiling, b->cpu, ceiling_cpu_ns());
		if (tell && b->cpu)
			log_info("cpu: %u %% from now on", b->cpu);
		else if (tell)
			log_info("cpu: no ceiling from now on");
	}
	g->now = *b;
	apply_rate(g, tell);
}

/* ---- the file ---- */

static bool stamp_of(const char *path, struct stamp *ret)
{
	struct stat st;

	memset(ret, 0, sizeof *ret);
	if (stat(path, &st))
		return false;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = st.st_size;
	ret->changed = st.st_mtim;
	return true;
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void look_at_file(struct govern *g)
{
	bool asked = atomic_exchange(&reread, false);
	struct bounds b = BOUNDS_NONE;
	struct stamp stamp;
	struct err e = { 0 };

	if (!g->path)
		return;
	if (!stamp_of(g->path, &stamp)) {
		if (!g->gone)
			log_warn("--limits '%s': %s; the values stay", g->path, strerror(errno));
		g->gone = true;
		return;
	}
	if (!asked && !g->gone && is_same(&stamp, &g->stamp))
		return;
	g->gone = false;
	g->stamp = stamp;
	if (bounds_load(g->path, g->options, &b, &e))
		log_warn("%s; the values stay as they were", e.text);
	else
		apply(g, &b, true);
}

/* ---- the thread ---- */

static void *govern_main(void *arg)
{
	struct govern *g = arg;

	while (!atomic_load(&g->stop)) {
		struct pollfd p = { .fd = g->wakefd, .events = POLLIN };
		uint64_t drop;

		if (poll(&p, 1, LOOK_MS) > 0 && read(g->wakefd, &drop, sizeof drop) < 0)
			continue;
		if (atomic_load(&g->stop) || atomic_load(&g->hold))
			continue;
		look_at_file(g);
		apply_rate(g, true);
	}
	return NULL;
}

static int first_bounds(struct govern *g, struct err *e)
{
	struct bounds b = *g->options;
	int r = 0;

	if (g->path) {
		(void)stamp_of(g->path, &g->stamp);
		r = bounds_load(g->path, g->options, &b, e);
	}
	if (!r)
		apply(g, &b, false);
	return r;
}

int govern_start(const struct bounds *options, const char *path, struct limit *limit,
		 struct ceiling *ceiling, struct govern **ret, struct err *e)
{
	scoped(govern_stopp) struct govern *g = calloc(1, sizeof *g);
	int r;

	if (!g)
		return err_set(e, ERR_SYS, ENOMEM, "limits");
	g->options = options;
	g->path = path;
	g->limit = limit;
	g->ceiling = ceiling;
	g->now = BOUNDS_NONE;
	g->rate = LIMIT_NONE;
	g->nice_before = getpriority(PRIO_PROCESS, 0);
	g->ionice_before = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	if (g->ionice_before < 0)
		g->ionice_before = 0;
	g->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wakefd < 0)
		return err_set(e, ERR_SYS, errno, "limits");
	r = first_bounds(g, e);
	if (r)
		return r;
	r = pthread_create(&g->thread, NULL, govern_main, g);
	if (r)
		return err_set(e, ERR_SYS, r, "start a thread");
	g->started = true;
	*ret = take_ptr(&g);
	return 0;
}

void govern_stop(struct govern *g)
{
	uint64_t one = 1;

	if (!g)
		return;
	atomic_store(&g->stop, true);
	if (g->started && write(g->wakefd, &one, sizeof one) < 0)
		log_debug("govern", "wake: %s", strerror(errno)); /* a second later, then */
	if (g->started)
		(void)pthread_join(g->thread, NULL);
	if (g->wakefd > 0)
		(void)close(g->wakefd);
	free(g);
}

void govern_hold(struct govern *g, bool hold)
{
	if (g)
		atomic_store(&g->hold, hold);
}

void govern_reread(void)
{
	atomic_store(&reread, true);
}
