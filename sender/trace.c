/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "trace_reader.h"

#define LATE_MS 30000
#define KERNEL_BYTES (32 * MIB) /* of buffers, all disks and CPUs */
#define BUFFER_MIN (16 * KIB)
#define BUFFER_MAX (256 * KIB)
#define BUFFER_NUMBER 8

/* In memory that the guard shares: it sees which traces there are at the moment when we die. */
struct trace {
	struct move *m;
	int debugfs;
	struct trace_disk disks[DISKS_MAX]; /* in the order of move.disks */
	enum trace_why unsaid[DISKS_MAX];   /* losses that a frozen log could not take */
	struct trace_reader *reader;
	bool lazy;
	pid_t guard;
	int guard_fd; /* closing it lets the guard remove what is left */
};

/* ---- a process that outlives us ---- */

/* It allocates nothing: at the fork another thread may have held the allocator's lock. */
static void guard_main(struct trace *t, int fd)
{
	ssize_t n;
	char c;

	(void)setsid();
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	/* The next run of this store need not wait for us. */
	(void)close(t->m->store->lockfd);
	do
		n = read(fd, &c, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	for (unsigned i = 0; i < t->m->n_disks; i++)
		trace_disk_remove(&t->disks[i]);
	_exit(0);
}

static bool start_guard(struct trace *t)
{
	int fds[2];

	t->guard_fd = -1;
	if (pipe2(fds, O_CLOEXEC))
		return false;
	t->guard = fork();
	if (!t->guard) {
		(void)close(fds[1]);
		guard_main(t, fds[0]);
	}
	(void)close(fds[0]);
	t->guard_fd = fds[1];
	return t->guard > 0;
}

static void end_guard(struct trace *t)
{
	close_fdp(&t->guard_fd);
	while (t->guard > 0 && waitpid(t->guard, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- begin ---- */

/* TRANSIT_TRACE_BUFFERS=SIZExNUMBER (tests): buffers that small, and nobody reads them while a
 * round runs. */
static struct trace_buffers choose_buffers(struct trace *t)
{
	const char *text = getenv("TRANSIT_TRACE_BUFFERS");
	uint64_t files = (uint64_t)sysconf(_SC_NPROCESSORS_CONF) * t->m->n_disks, size = BUFFER_MIN;
	char *times;

	if (text) {
		t->lazy = true;
		size = strtoul(text, &times, 10);
		return (struct trace_buffers){
			.size = (uint32_t)size,
			.number = *times ? (uint32_t)strtoul(times + 1, NULL, 10) : 0
		};
	}
	while (size < BUFFER_MAX && 2 * size * BUFFER_NUMBER * files <= KERNEL_BYTES)
		size *= 2;
	return (struct trace_buffers){ .size = (uint32_t)size, .number = BUFFER_NUMBER };
}

/* From now on the disk is compared by digests. */
static void give_up(struct trace_disk *t, enum trace_why why)
{
	atomic_store(&t->off, true);
	trace_disk_remove(t);
	t->d->tracking = (struct tracking){ .lost = trace_why_word(why) };
}

static void say(struct trace *t, unsigned i, enum trace_why why, bool silent)
{
	if (!why || why == TRACE_IMAGE)
		return;
	if (silent)
		t->unsaid[i] = why;
	else
		log_info("disk %u: changes are found by digests%s: %s", t->m->disks[i].n,
			 trace_why_is_final(why) ? "" : " in this round", trace_why_text(why));
}

static bool any_on(const struct trace *t)
{
	for (unsigned i = 0; i < t->m->n_disks; i++) {
		if (!atomic_load(&t->disks[i].off))
			return true;
	}
	return false;
}

/* A file for each CPU of each disk may be more than the usual soft limit. */
static void allow_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static void open_all(struct trace *t)
{
	struct trace_buffers buffers = choose_buffers(t);

	allow_files();
	for (unsigned i = 0; i < t->m->n_disks; i++) {
		struct trace_disk *d = &t->disks[i];
		enum trace_why why;

		why = trace_disk_open(d, &t->m->disks[i], t->m->store, t->debugfs, buffers);
		if (!why)
			why = trace_disk_start(d);
		if (why)
			give_up(d, why);
		say(t, i, why, false);
	}
}

void trace_open(struct move *m)
{
	void *shared = mmap(NULL, sizeof(struct trace), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct trace *t = shared;

	if (shared == MAP_FAILED)
		return;
	*t = (struct trace){ .m = m, .debugfs = trace_debugfs() };
	m->trace = t;
	if (!start_guard(t)) {
		trace_close(m);
		return;
	}
	open_all(t);
	if (!any_on(t) || !trace_reader_start(t->disks, m->n_disks, t->lazy, &t->reader, NULL))
		return;
	for (unsigned i = 0; i < m->n_disks; i++) {
		if (!atomic_load(&t->disks[i].off))
			give_up(&t->disks[i], TRACE_SETUP);
	}
}

/* ---- a round ---- */

static void set_same(struct trace_disk *t)
{
	struct move_disk *d = t->d;
	struct extent_set same = { 0 };

	if (dirty_same(t->dirty, &same, NULL))
		same = (struct extent_set){ 0 };
	if (!d->same_map)
		d->same_map = calloc(1, sizeof *d->same_map);
	if (!d->same_map) {
		extent_set_free(&same);
		return;
	}
	extent_set_free(d->same_map);
	*d->same_map = same;
	d->tracking.traced = same.n != 0;
	d->tracking.to_read = source_info(d->source)->size - extent_set_total(&same);
}

static void turn_disk(struct trace *t, unsigned i, bool in_time, bool silent)
{
	struct trace_disk *d = &t->disks[i];
	enum trace_why why;

	why = in_time ? trace_disk_check(d) : TRACE_LATE;
	if (why)
		trace_disk_lose(d, why);
	dirty_turn(d->dirty);
	why = (enum trace_why)atomic_exchange(&d->lost, TRACE_FINE);
	d->d->tracking = (struct tracking){ .lost = why ? trace_why_word(why) : NULL };
	set_same(d);
	if (trace_why_is_final(why))
		give_up(d, why);
	say(t, i, why, silent);
}

void trace_round_begin(struct trace *t, bool silent)
{
	if (!t || !any_on(t))
		return;
	/* What others wrote through the page cache of the disk itself is an event only now. A
	 * failure is found again when the disk is read. */
	for (unsigned i = 0; i < t->m->n_disks; i++)
		(void)source_flush(t->m->disks[i].source, NULL);
	bool in_time = trace_reader_drain(t->reader, LATE_MS);
	for (unsigned i = 0; i < t->m->n_disks; i++) {
		if (!atomic_load(&t->disks[i].off))
			turn_disk(t, i, in_time, silent);
	}
}

void trace_round_end(struct trace *t)
{
	for (unsigned i = 0; t && i < t->m->n_disks; i++) {
		const struct extent_set *unread = t->m->disks[i].free_map;
		struct dirty *dirty = t->disks[i].dirty;

		if (!dirty)
			continue;
		dirty_settled(dirty);
		for (size_t k = 0; unread && k < unread->n; k++)
			dirty_unread(dirty, unread->v[k]);
	}
}

void trace_close(struct move *m)
{
	struct trace *t = m->trace;

	if (!t)
		return;
	m->trace = NULL;
	trace_reader_stop(t->reader);
	for (unsigned i = 0; i < m->n_disks; i++) {
		say(t, i, t->unsaid[i], false);
		trace_disk_close(&t->disks[i]);
	}
	end_guard(t);
	close_fdp(&t->debugfs);
	(void)munmap(t, sizeof *t);
}
