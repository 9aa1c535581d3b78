/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace_reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

#define BUFFER_BYTES (256 * KIB)

struct trace_reader {
	struct trace_disk *disks;
	unsigned n;
	bool lazy;
	pthread_t thread;
	int wake;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	uint64_t asked, done;
	bool quit;
	/* Of the thread alone: poll[0] is wake, then every file of every disk. */
	struct pollfd *poll;
	unsigned n_poll;
	uint8_t *buf;
};

static void reader_free(struct trace_reader *r)
{
	if (r->wake >= 0)
		(void)close(r->wake);
	(void)pthread_cond_destroy(&r->answered);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->poll);
	free(r->buf);
	free(r);
}

/* Anew after each request: CPUs may have come. */
static void list_files(struct trace_reader *r)
{
	unsigned n = 1;

	r->poll[0] = (struct pollfd){ .fd = r->wake, .events = POLLIN };
	for (unsigned d = 0; d < r->n; d++) {
		for (unsigned i = 0; i < r->disks[d].n_files; i++) {
			bool wanted = !r->lazy && !atomic_load(&r->disks[d].off);

			r->poll[n++] = (struct pollfd){ .fd = wanted ? r->disks[d].files[i].fd : -1,
							.events = POLLIN };
		}
	}
}

static void read_ready(struct trace_reader *r)
{
	unsigned n = 1;

	for (unsigned d = 0; d < r->n; d++) {
		for (unsigned i = 0; i < r->disks[d].n_files; i++, n++) {
			if (r->poll[n].fd < 0)
				continue;
			if (r->poll[n].revents & POLLIN) {
				trace_disk_read(&r->disks[d], i, r->buf, BUFFER_BYTES);
			} else if (r->poll[n].revents) {
				/* Removed by someone; poll() would return at once for ever. */
				trace_disk_lose(&r->disks[d], TRACE_GONE);
				r->poll[n].fd = -1;
			}
		}
	}
}

static void read_all(struct trace_reader *r)
{
	for (unsigned d = 0; d < r->n; d++) {
		struct trace_disk *t = &r->disks[d];

		if (atomic_load(&t->off))
			continue;
		trace_disk_more_files(t);
		for (unsigned i = 0; i < t->n_files; i++) {
			if (t->files[i].fd >= 0)
				trace_disk_read(t, i, r->buf, BUFFER_BYTES);
		}
	}
	list_files(r);
}

/* False: it is over. */
static bool answer(struct trace_reader *r)
{
	uint64_t count, asked;
	bool quit;

	if (read(r->wake, &count, sizeof count) < 0 && errno != EAGAIN)
		return false;
	(void)pthread_mutex_lock(&r->lock);
	asked = r->asked;
	quit = r->quit;
	(void)pthread_mutex_unlock(&r->lock);
	if (quit)
		return false;
	read_all(r);
	(void)pthread_mutex_lock(&r->lock);
	r->done = asked;
	(void)pthread_cond_broadcast(&r->answered);
	(void)pthread_mutex_unlock(&r->lock);
	return true;
}

static void *reader_main(void *arg)
{
	struct trace_reader *r = arg;

	(void)pthread_setname_np(pthread_self(), "transit-trace");
	list_files(r);
	for (;;) {
		if (poll(r->poll, r->n_poll, -1) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		read_ready(r);
		if (r->poll[0].revents && !answer(r))
			break;
	}
	return NULL;
}

static void wake(struct trace_reader *r)
{
	uint64_t one = 1;

	/* Only a full counter fails, and that wakes as well. */
	if (write(r->wake, &one, sizeof one) < 0)
		return;
}

int trace_reader_start(struct trace_disk *disks, unsigned n, bool lazy, struct trace_reader **ret,
		       struct err *e)
{
	struct trace_reader *r = calloc(1, sizeof *r);
	pthread_condattr_t attr;
	int failed = ENOMEM;

	if (!r)
		return err_set(e, ERR_SYS, ENOMEM, "reader of the trace");
	*r = (struct trace_reader){ .disks = disks, .n = n, .lazy = lazy, .n_poll = 1 };
	for (unsigned d = 0; d < n; d++)
		r->n_poll += disks[d].n_files;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	r->poll = calloc(r->n_poll, sizeof *r->poll);
	r->buf = malloc(BUFFER_BYTES);
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->poll && r->buf && r->wake >= 0)
		failed = pthread_create(&r->thread, NULL, reader_main, r);
	if (failed) {
		reader_free(r);
		return err_set(e, ERR_SYS, failed, "reader of the trace");
	}
	*ret = r;
	return 0;
}

bool trace_reader_drain(struct trace_reader *r, unsigned timeout_ms)
{
	struct timespec end;
	uint64_t mine;
	int waited = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	(void)pthread_mutex_lock(&r->lock);
	mine = ++r->asked;
	wake(r);
	while (r->done < mine && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&r->answered, &r->lock, &end);
	bool done = r->done >= mine;
	(void)pthread_mutex_unlock(&r->lock);
	return done;
}

void trace_reader_stop(struct trace_reader *r)
{
	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->quit = true;
	(void)pthread_mutex_unlock(&r->lock);
	wake(r);
	(void)pthread_join(r->thread, NULL);
	reader_free(r);
}
