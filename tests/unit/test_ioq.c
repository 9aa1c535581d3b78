/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The I/O queue in the mode that TRANSIT_IO names: the same words must be true of both.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "io_mode.h"

#define DEPTH 16
#define PIECE 65536
#define LIMIT_MS 30000 /* only a hang is this slow */

struct fixture {
	struct ioq *q;
	int fd;
	uint8_t *buf; /* DEPTH pieces */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f || ioq_new(IOQ_AUTO, DEPTH, &f->q, NULL))
		return -1;
	f->fd = memfd_create("ioq", MFD_CLOEXEC);
	f->buf = malloc((size_t)DEPTH * PIECE);
	*state = f;
	return f->fd >= 0 && f->buf ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ioq_free(f->q);
	(void)close(f->fd);
	free(f->buf);
	free(f);
	return 0;
}

static void submit(struct fixture *f, struct ioq_op op)
{
	assert_int_equal(ioq_submit(f->q, &op), 0);
}

static ssize_t result(struct fixture *f, uint64_t tag)
{
	struct ioq_done done;

	assert_true(ioq_wait(f->q, &done));
	assert_true(done.tag == tag);
	return done.res;
}

static struct ioq_op write_op(struct fixture *f, unsigned i)
{
	uint8_t *p = f->buf + (size_t)i * PIECE;

	memset(p, (int)i + 1, PIECE);
	return (struct ioq_op){ .kind = IOQ_WRITE,
				.fd = f->fd,
				.off = (uint64_t)i * PIECE,
				.len = PIECE,
				.from = p,
				.tag = i };
}

static struct ioq_op read_op(struct fixture *f, unsigned i)
{
	uint8_t *p = f->buf + (size_t)i * PIECE;

	memset(p, 0xee, PIECE);
	return (struct ioq_op){ .kind = IOQ_READ,
				.fd = f->fd,
				.off = (uint64_t)i * PIECE,
				.len = PIECE,
				.to = p,
				.tag = i };
}

static void reap_all(struct fixture *f, ssize_t res)
{
	unsigned seen = 0;
	struct ioq_done done;

	while (ioq_wait(f->q, &done)) {
		assert_true(done.tag < DEPTH && !(seen >> done.tag & 1));
		assert_true(done.res == res);
		seen |= 1u << done.tag;
	}
	assert_int_equal(seen, (1u << DEPTH) - 1);
}

static void what_is_written_is_read_back_whatever_comes_first(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < DEPTH; i++)
		submit(f, write_op(f, (i * 7) % DEPTH));
	reap_all(f, PIECE);
	submit(f, (struct ioq_op){ .kind = IOQ_DATASYNC, .fd = f->fd, .tag = 77 });
	assert_int_equal(result(f, 77), 0);
	for (unsigned i = 0; i < DEPTH; i++)
		submit(f, read_op(f, (i * 5) % DEPTH));
	reap_all(f, PIECE);
	for (unsigned i = 0; i < DEPTH * PIECE; i++)
		assert_int_equal(f->buf[i], i / PIECE + 1);
}

static void a_full_queue_says_so_until_something_is_reaped(void **state)
{
	struct fixture *f = *state;
	struct ioq_op op = read_op(f, 0);
	struct ioq_done done;

	assert_int_equal(ioq_room(f->q), DEPTH);
	for (unsigned i = 0; i < DEPTH; i++)
		submit(f, read_op(f, i));
	assert_int_equal(ioq_room(f->q), 0);
	assert_int_equal(ioq_in_flight(f->q), DEPTH);
	assert_int_equal(ioq_submit(f->q, &op), -EAGAIN);
	assert_true(ioq_wait(f->q, &done));
	assert_int_equal(ioq_submit(f->q, &op), 0);
	assert_int_equal(ioq_submit(f->q, &op), -EAGAIN);
	while (ioq_wait(f->q, &done))
		continue;
	assert_int_equal(ioq_room(f->q), DEPTH);
	assert_false(ioq_reap(f->q, &done));
}

static void a_read_ends_at_the_end_of_the_file(void **state)
{
	struct fixture *f = *state;
	struct ioq_op op = read_op(f, 1);

	assert_int_equal(ftruncate(f->fd, PIECE + 1000), 0);
	submit(f, op);
	assert_int_equal(result(f, 1), 1000);
	assert_int_equal(f->buf[PIECE + 999], 0);
	assert_int_equal(f->buf[PIECE + 1000], 0xee);
	op.off = 10 * (uint64_t)PIECE;
	submit(f, op);
	assert_int_equal(result(f, 1), 0);
}

static void errors_come_with_the_completion(void **state)
{
	struct fixture *f = *state;
	scoped(close_fdp) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	scoped(close_fdp) int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ioq_op op = write_op(f, 3);

	op.fd = full;
	submit(f, op);
	assert_int_equal(result(f, 3), -ENOSPC);
	op.fd = dir;
	submit(f, op);
	assert_int_equal(result(f, 3), -EBADF);
	op = read_op(f, 4);
	op.fd = dir;
	submit(f, op);
	assert_int_equal(result(f, 4), -EISDIR);
	submit(f, (struct ioq_op){ .kind = IOQ_DATASYNC, .fd = 9999, .tag = 5 });
	assert_int_equal(result(f, 5), -EBADF);
}

/* The first part fits and is written; the rest is asked for and refused. */
static void a_write_is_whole_or_failed(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, now;
	char path[] = "/var/tmp/transit-ioq-XXXXXX";
	scoped(close_fdp) int fd = mkstemp(path);
	struct ioq_op op = write_op(f, 0);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	now = (struct rlimit){ .rlim_cur = 20000, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	op.fd = fd;
	submit(f, op);
	assert_int_equal(result(f, 0), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 20000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	submit(f, op);
	assert_int_equal(result(f, 0), PIECE);
	assert_int_equal(lseek(fd, 0, SEEK_END), PIECE);
}

/* A cold file on a descriptor that does not wait: io_uring says EAGAIN, and nobody hears of it. */
static void a_descriptor_that_does_not_wait_is_waited_for(void **state)
{
	struct fixture *f = *state;
	char path[] = "/var/tmp/transit-ioq-XXXXXX";
	scoped(close_fdp) int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	for (unsigned i = 0; i < DEPTH; i++) {
		struct ioq_op op = write_op(f, i);

		op.fd = fd;
		submit(f, op);
	}
	reap_all(f, PIECE);
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (unsigned i = 0; i < DEPTH; i++) {
		struct ioq_op op = read_op(f, i);

		op.fd = fd;
		submit(f, op);
	}
	reap_all(f, PIECE);
	assert_int_equal(f->buf[DEPTH * PIECE - 1], DEPTH);
}

/* A call that stays until the gate is opened. */
struct gate {
	int pipe[2];
	int begun, ended; /* atomically */
};

static int pass(void *arg)
{
	struct gate *g = arg;
	char c;

	(void)__atomic_add_fetch(&g->begun, 1, __ATOMIC_SEQ_CST);
	ssize_t n = read(g->pipe[0], &c, 1);
	(void)__atomic_add_fetch(&g->ended, 1, __ATOMIC_SEQ_CST);
	return n == 1 ? -EXDEV : -EIO;
}

static bool readable(const struct fixture *f, int ms)
{
	struct pollfd p = { .fd = ioq_fd(f->q), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void the_descriptor_is_readable_when_something_is_done(void **state)
{
	struct fixture *f = *state;
	struct gate g = { 0 };
	struct ioq_done done;

	assert_int_equal(pipe(g.pipe), 0);
	assert_false(readable(f, 0));
	submit(f, (struct ioq_op){ .kind = IOQ_CALL, .call = pass, .arg = &g, .tag = 8 });
	assert_false(ioq_reap(f->q, &done));
	assert_false(readable(f, 0));
	submit(f, write_op(f, 2));
	assert_true(readable(f, LIMIT_MS));
	assert_true(ioq_reap(f->q, &done)); /* overtakes the call */
	assert_true(done.tag == 2 && done.res == PIECE);
	assert_false(ioq_reap(f->q, &done));
	assert_false(readable(f, 0));
	assert_int_equal(write(g.pipe[1], "x", 1), 1);
	assert_true(readable(f, LIMIT_MS));
	assert_true(ioq_reap(f->q, &done));
	assert_true(done.tag == 8 && done.res == -EXDEV);
	/* Who polls and finds nothing is not woken by it again. */
	assert_false(ioq_reap(f->q, &done));
	assert_false(readable(f, 0));
	(void)close(g.pipe[0]);
	(void)close(g.pipe[1]);
}

/* Both kinds of completions, told while nobody reaps: none is lost, none comes twice. */
static void calls_and_transfers_share_one_queue(void **state)
{
	struct fixture *f = *state;
	struct gate g = { 0 };

	assert_int_equal(pipe(g.pipe), 0);
	for (unsigned round = 0; round < 200; round++) {
		unsigned seen = 0;
		struct ioq_done done;

		for (unsigned i = 0; i < DEPTH; i++) {
			if (i % 2)
				submit(f, write_op(f, i));
			else
				submit(f,
				       (struct ioq_op){
					   .kind = IOQ_CALL, .call = pass, .arg = &g, .tag = i });
		}
		assert_int_equal(write(g.pipe[1], "xxxxxxxx", 8), 8);
		while (seen != (1u << DEPTH) - 1) {
			while (ioq_reap(f->q, &done)) {
				assert_false(seen >> done.tag & 1);
				assert_true(done.res == (done.tag % 2 ? PIECE : -EXDEV));
				seen |= 1u << done.tag;
			}
			assert_true(seen == (1u << DEPTH) - 1 || readable(f, LIMIT_MS));
		}
	}
	(void)close(g.pipe[0]);
	(void)close(g.pipe[1]);
}

static void no_more_threads_work_than_they_are_told(void **state)
{
	struct fixture *f = *state;
	struct gate g = { 0 };
	struct ioq_done done;

	assert_int_equal(pipe(g.pipe), 0);
	for (unsigned limit = IOQ_THREADS_MAX; limit; limit /= 2) {
		g.begun = g.ended = 0;
		ioq_limit_threads(f->q, limit);
		for (unsigned i = 0; i < DEPTH; i++)
			submit(f, (struct ioq_op){ .kind = IOQ_CALL, .call = pass, .arg = &g });
		for (unsigned i = 1; i <= DEPTH; i++) {
			assert_int_equal(write(g.pipe[1], "x", 1), 1);
			assert_true(ioq_wait(f->q, &done));
			assert_true((unsigned)__atomic_load_n(&g.begun, __ATOMIC_SEQ_CST) <=
				    i + limit);
		}
	}
	(void)close(g.pipe[0]);
	(void)close(g.pipe[1]);
}

static void *open_gate(void *arg)
{
	struct gate *g = arg;

	(void)usleep(50000); /* the other thread is in ioq_free() by now, most likely */
	if (write(g->pipe[1], "xxxxxxxxxxxxxxxx", DEPTH) != DEPTH)
		abort();
	return NULL;
}

static void ending_waits_for_what_runs_and_drops_what_waits(void **state)
{
	struct fixture *f = *state;
	struct gate g = { 0 };
	pthread_t t;

	assert_int_equal(pipe(g.pipe), 0);
	for (unsigned i = 0; i < DEPTH; i++)
		submit(f, (struct ioq_op){ .kind = IOQ_CALL, .call = pass, .arg = &g, .tag = i });
	for (int ms = 0; __atomic_load_n(&g.begun, __ATOMIC_SEQ_CST) < IOQ_THREADS_MAX; ms++) {
		assert_true(ms < LIMIT_MS);
		(void)usleep(1000);
	}
	assert_int_equal(pthread_create(&t, NULL, open_gate, &g), 0);
	ioq_free(take_ptr(&f->q));
	assert_int_equal(g.begun, IOQ_THREADS_MAX);
	assert_int_equal(g.ended, IOQ_THREADS_MAX);
	assert_int_equal(pthread_join(t, NULL), 0);
	(void)close(g.pipe[0]);
	(void)close(g.pipe[1]);
}

static void *write_late(void *arg)
{
	(void)usleep(50000);
	if (write(*(int *)arg, "y", 1) != 1)
		abort();
	return NULL;
}

/* The kernel writes into the buffer of a read: it must be over before the buffer goes. */
static void ending_waits_for_the_kernel(void **state)
{
	struct fixture *f = *state;
	int p[2];
	pthread_t t;

	if (ioq_backend(f->q) != IOQ_URING)
		skip();
	assert_int_equal(pipe(p), 0);
	f->buf[0] = 0;
	submit(f, (struct ioq_op){ .kind = IOQ_READ, .fd = p[0], .len = 1, .to = f->buf });
	assert_int_equal(pthread_create(&t, NULL, write_late, &p[1]), 0);
	ioq_free(take_ptr(&f->q));
	assert_int_equal(f->buf[0], 'y');
	assert_int_equal(pthread_join(t, NULL), 0);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* ---- the choice ---- */

/* io_uring_setup() says EPERM from here on, as container runtimes have it. */
static int forbid_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* What a process without io_uring gets; -1: its word did not do what it says. */
static int backend_without_uring(void)
{
	struct err e = { 0 };
	struct ioq *q;
	int kind;

	if (forbid_uring())
		return 77;
	(void)setenv("TRANSIT_IO", "uring", 1);
	if (ioq_new(IOQ_AUTO, 4, &q, &e) != -EPERM || !strstr(e.text, "io_uring"))
		return 100;
	(void)setenv("TRANSIT_IO", "auto", 1);
	if (ioq_new(IOQ_URING, 4, &q, NULL) != -EPERM || ioq_new(IOQ_AUTO, 4, &q, NULL))
		return 101;
	kind = (int)ioq_backend(q);
	ioq_free(q);
	return kind;
}

static void where_io_uring_is_forbidden_threads_do_it(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(backend_without_uring());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), IOQ_THREADS);
}

static void the_choice_is_one_of_three_words(void **state)
{
	const char *now = getenv("TRANSIT_IO");
	struct fixture *f = *state;
	enum ioq_backend want = ioq_backend(f->q);
	scoped(freep) char *keep = now ? strdup(now) : NULL;
	struct err e = { 0 };
	struct ioq *q;

	assert_true(!keep || (ioq_backend_parse(keep, &want) && want == ioq_backend(f->q)));
	assert_int_equal(setenv("TRANSIT_IO", "fast", 1), 0);
	assert_int_equal(ioq_new(IOQ_AUTO, 1, &q, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.text, "'fast'"));
	if (keep)
		assert_int_equal(setenv("TRANSIT_IO", keep, 1), 0);
	assert_int_equal(ioq_new(IOQ_THREADS, 0, &q, NULL), -EINVAL);
	assert_int_equal(ioq_new(IOQ_THREADS, IOQ_DEPTH_MAX + 1, &q, NULL), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_back_whatever_comes_first),
		TEST(a_full_queue_says_so_until_something_is_reaped),
		TEST(a_read_ends_at_the_end_of_the_file),
		TEST(errors_come_with_the_completion),
		TEST(a_write_is_whole_or_failed),
		TEST(a_descriptor_that_does_not_wait_is_waited_for),
		TEST(the_descriptor_is_readable_when_something_is_done),
		TEST(calls_and_transfers_share_one_queue),
		TEST(no_more_threads_work_than_they_are_told),
		TEST(ending_waits_for_what_runs_and_drops_what_waits),
		TEST(ending_waits_for_the_kernel),
		TEST(where_io_uring_is_forbidden_threads_do_it),
		TEST(the_choice_is_one_of_three_words),
	};
	int missing = io_mode_missing();

	return missing ? missing : cmocka_run_group_tests(tests, NULL, NULL);
}
