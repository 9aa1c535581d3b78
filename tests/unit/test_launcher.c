/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * receiverd as a whole: which processes it is, and that none of them outlives the launcher.
 */
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

struct fixture {
	char dir[64], state[80];
	pid_t pid;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)strcpy(f->dir, "/tmp/transit-launcher-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->state, sizeof f->state, "%s/state", f->dir);
	*state = f;
	return 0;
}

static int ended(struct fixture *f, int limit_ms)
{
	uint64_t by = clock_ms() + (uint64_t)limit_ms;
	int status = -1;

	while (waitpid(f->pid, &status, WNOHANG) != f->pid) {
		if (!clock_left_ms(by))
			return -1;
		(void)usleep(5000);
	}
	f->pid = 0;
	return status;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->pid > 0) {
		(void)kill(f->pid, SIGKILL);
		(void)ended(f, 5000);
	}
	(void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* Starts it; returns the port once it says where it listens. */
static unsigned start(struct fixture *f)
{
	char path[128], line[128] = "";
	FILE *in = NULL;

	(void)snprintf(path, sizeof path, "%s/listen", f->state);
	(void)unlink(path);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		execl(RECEIVERD, "receiverd", "--state", f->state, "--listen", "127.0.0.1:0",
		      "--disk", "0=/nonexistent", (char *)NULL);
		_exit(1);
	}
	for (int i = 0; i < 1000 && !in; i++) {
		(void)usleep(10000);
		in = fopen(path, "re");
	}
	assert_non_null(in);
	assert_non_null(fgets(line, sizeof line, in));
	(void)fclose(in);
	assert_int_equal(strncmp(line, "127.0.0.1:", 10), 0);
	return (unsigned)strtoul(line + 10, NULL, 10);
}

static void read_file(const char *pid, const char *name, char *buf, size_t size)
{
	char path[64];
	FILE *in;
	size_t n = 0;

	(void)snprintf(path, sizeof path, "/proc/%.20s/%s", pid, name);
	in = fopen(path, "re");
	if (in) {
		n = fread(buf, 1, size - 1, in);
		(void)fclose(in);
	}
	buf[n] = 0;
}

/* The process whose title is ${title} and whose parent is ${parent} (0: any that has this state
 * directory); 0: none. A dead one that nobody reaped yet does not count. */
static pid_t find(const struct fixture *f, pid_t parent, const char *title)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	pid_t found = 0;

	assert_non_null(proc);
	while (!found && (d = readdir(proc))) {
		char args[512] = "", stat[512] = "", *end;
		long pid = strtol(d->d_name, &end, 10);

		if (*end || pid <= 0)
			continue;
		read_file(d->d_name, "cmdline", args, sizeof args);
		if (strcmp(args, title) != 0)
			continue;
		read_file(d->d_name, "stat", stat, sizeof stat);
		end = strrchr(stat, ')');
		if (!end || strlen(end) < 5 || end[2] == 'Z')
			continue; /* ") STATE PARENT ..." */
		for (size_t i = 0; i + 1 < sizeof args; i++)
			if (!args[i])
				args[i] = ' ';
		if (parent ? strtol(end + 4, NULL, 10) == parent : strstr(args, f->state) != NULL)
			found = (pid_t)pid;
	}
	(void)closedir(proc);
	return found;
}

static pid_t wait_for(const struct fixture *f, pid_t parent, const char *title, pid_t other_than)
{
	for (int i = 0; i < 500; i++) {
		pid_t pid = find(f, parent, title);

		if (pid && pid != other_than)
			return pid;
		(void)usleep(10000);
	}
	fail_msg("no %s", title);
	return 0;
}

static int dial(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* How many descriptors above ${last} the process has. */
static int open_above(pid_t pid, int last)
{
	char path[64];
	int n = 0;

	for (int fd = last + 1; fd < 64; fd++) {
		(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
		n += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	}
	return n;
}

/* ---- */

static void each_role_is_a_process_and_says_which(void **state)
{
	struct fixture *f = *state;
	unsigned port = start(f);
	int fd = dial(port);
	pid_t conn;

	(void)wait_for(f, f->pid, "receiverd [keeper]", 0);
	(void)wait_for(f, f->pid, "receiverd [listener]", 0);
	assert_int_equal(write(fd, "\x16\x03\x01\x01\x00", 5), 5);
	conn = wait_for(f, f->pid, "receiverd [conn 1]", 0);
	/* 0, 1, 2, its keeper and its socket: nothing else came along. The loader opens and closes
	 * libraries while the process begins, so that none for a moment is no end of that. */
	for (int i = 0, calm = 0; i < 500 && calm < 50; i++) {
		calm = open_above(conn, 4) ? 0 : calm + 1;
		(void)usleep(10000);
	}
	assert_int_equal(open_above(conn, 4), 0);
	assert_int_equal(open_above(conn, 2), 2); /* those two are seen: the check can fail */
	(void)close(fd);
}

static void sigterm_ends_all_of_them_with_zero(void **state)
{
	struct fixture *f = *state;
	int status;

	(void)start(f);
	(void)wait_for(f, f->pid, "receiverd [keeper]", 0);
	(void)kill(f->pid, SIGTERM);
	status = ended(f, 12000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(find(f, 0, "receiverd [keeper]"), 0);
	assert_int_equal(find(f, 0, "receiverd [listener]"), 0);
}

static void kill_9_of_the_launcher_leaves_nobody_behind(void **state)
{
	struct fixture *f = *state;
	uint64_t from;
	unsigned port;
	int fd;

	port = start(f);
	fd = dial(port);
	assert_int_equal(write(fd, "\x16\x03\x01\x01\x00", 5), 5);
	(void)wait_for(f, f->pid, "receiverd [conn 1]", 0);
	(void)kill(f->pid, SIGKILL);
	assert_true(WIFSIGNALED(ended(f, 2000)));
	from = clock_ms();
	while (find(f, 0, "receiverd [keeper]") || find(f, 0, "receiverd [listener]"))
		assert_true(clock_ms() - from < 2000);
	/* and the next one starts at once, on the same state */
	(void)start(f);
	(void)wait_for(f, f->pid, "receiverd [keeper]", 0);
	(void)close(fd);
}

static void a_listener_that_dies_is_started_again(void **state)
{
	struct fixture *f = *state;
	unsigned port = start(f);
	pid_t listener = wait_for(f, f->pid, "receiverd [listener]", 0);
	int fd;

	(void)kill(listener, SIGKILL);
	(void)wait_for(f, f->pid, "receiverd [listener]", listener);
	fd = dial(port);
	assert_int_equal(write(fd, "\x16\x03\x01\x01\x00", 5), 5);
	(void)wait_for(f, f->pid, "receiverd [conn 1]", 0);
	(void)close(fd);
}

static void without_the_keeper_everything_ends_with_one(void **state)
{
	struct fixture *f = *state;
	pid_t keeper;
	int status;

	(void)start(f);
	keeper = wait_for(f, f->pid, "receiverd [keeper]", 0);
	(void)kill(keeper, SIGKILL);
	status = ended(f, 5000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(find(f, 0, "receiverd [listener]"), 0);
}

static void a_role_started_by_hand_is_refused(void **state)
{
	struct fixture *f = *state;
	int status;

	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		(void)!freopen("/dev/null", "w", stderr);
		(void)close_range(3, ~0U, 0);
		execl(RECEIVERD, "receiverd", "--role", "writer", (char *)NULL);
		_exit(1);
	}
	status = ended(f, 5000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(each_role_is_a_process_and_says_which),
		T(sigterm_ends_all_of_them_with_zero),
		T(kill_9_of_the_launcher_leaves_nobody_behind),
		T(a_listener_that_dies_is_started_again),
		T(without_the_keeper_everything_ends_with_one),
		T(a_role_started_by_hand_is_refused),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("launcher", tests, NULL, NULL);
}
