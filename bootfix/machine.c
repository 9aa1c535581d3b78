/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "facts.h"
#include "guest_open.h"
#include "machine_argv.h"
#include "machine_claim.h"
#include "report.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum {
	TIME_LIMIT_S = 3600,
	STATE_SIZE_MIB = 512,
	MAX_OUT = 16 << 20,
	MAX_FILE = 64 << 20, /* any file that the machine writes to */
	MAX_RELAY = 1 << 20, /* of its log, at a time */
	MAX_LOG_LINES = 20000,
};

/* Everything on this host that lives as long as the machine. */
struct machine {
	const struct options *o;
	char work[PATH_MAX]; /* out, log, exit, console, job */
	struct machine_claim disks;
	int statefd; /* state.img, locked; or -1 */
	pid_t pid;
	FILE *log;
	char line[512];
	size_t line_len;
	unsigned n_lines;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

bool machine_needed(const struct options *o)
{
	struct stat st;

	for (size_t i = 0; i < o->n_disks; i++)
		if (!stat(o->disks[i], &st) && S_ISREG(st.st_mode))
			return true;
	return false;
}

/* ---- the work folder and the state disk --------------------------------------------------------
 */

static int in_work(const struct machine *m, const char *name, char ret[static PATH_MAX])
{
	int n = snprintf(ret, PATH_MAX, "%s/%s", m->work, name);

	return n < 0 || n >= PATH_MAX ? -1 : 0;
}

static void machine_clear(struct machine *m)
{
	static const char *const names[] = { "out", "log", "exit", "console", "job", "facts.json" };
	char path[PATH_MAX];

	if (m->pid > 0) {
		(void)kill(m->pid, SIGKILL);
		(void)waitpid(m->pid, NULL, 0);
	}
	fclosep(&m->log);
	close_fdp(&m->statefd);
	machine_unclaim(&m->disks);
	if (!m->work[0])
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!in_work(m, names[i], path))
			(void)unlink(path);
	(void)rmdir(m->work);
}

static int make_work(struct machine *m, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(m->work, sizeof m->work, "%.4000s/bootfix-machine.XXXXXX",
		       tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(m->work)) {
		int sys = errno;

		m->work[0] = 0;
		return err_set(e, ERR_SYS, sys, "folder for the machine's files");
	}
	return 0;
}

static int run_mke2fs(const char *path, struct err *e)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		if (null >= 0)
			(void)(dup2(null, 0) + dup2(null, 1));
		/* sbin is not in everybody's PATH. */
		(void)execl("/sbin/mke2fs", "mke2fs", "-q", "-F", "-t", "ext4", path, (char *)NULL);
		(void)execlp("mke2fs", "mke2fs", "-q", "-F", "-t", "ext4", path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		return err_set(e, ERR_SYS, pid < 0 ? errno : 0,
			       "mke2fs of the state disk failed (is e2fsprogs installed?)");
	return 0;
}

/* The name must not be lost after the first change is on the disks. */
static int sync_folder_of(const char *path, struct err *e)
{
	char folder[PATH_MAX];

	(void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	scoped(close_fdp) int fd =
	    open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? err_set(e, ERR_SYS, errno, "state folder '%s'", folder)
				       : 0;
}

static int make_state_image(const char *path, struct err *e)
{
	char fresh[PATH_MAX];
	int r, n = snprintf(fresh, sizeof fresh, "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof fresh)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "'%s'", path);
	scoped(close_fdp) int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)STATE_SIZE_MIB << 20) < 0)
		return err_set(e, ERR_SYS, errno, "state disk '%s'", fresh);
	r = run_mke2fs(fresh, e);
	if (!r && (fsync(fd) < 0 || rename(fresh, path) < 0))
		r = err_set(e, ERR_SYS, errno, "state disk '%s'", path);
	return r < 0 ? r : sync_folder_of(path, e);
}

/* The state disk belongs to one run at a time; the lock is ours, QEMU has its own. */
static int open_state(struct machine *m, char ret[static PATH_MAX], struct err *e)
{
	bool undo = m->o->command == CMD_UNDO;
	int n, r;

	ret[0] = 0;
	if (m->o->command != CMD_APPLY && !undo)
		return 0;
	if (!undo && mkdir(m->o->state, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "state folder '%s'", m->o->state);
	char folder[PATH_MAX];
	if (!realpath(m->o->state, folder))
		return err_refuse(e, "nothing-to-undo", ENOENT, "no state folder '%s': %s",
				  m->o->state, strerror(errno));
	n = snprintf(ret, PATH_MAX, "%s/state.img", folder);
	if (n < 0 || n >= PATH_MAX)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "'%s'", m->o->state);
	if (access(ret, F_OK) < 0) {
		if (undo)
			return err_refuse(
			    e, "nothing-to-undo", ENOENT,
			    "'%s' is not there: nothing was ever done with this --state", ret);
		r = make_state_image(ret, e);
		if (r < 0)
			return r;
	}
	m->statefd = open(ret, O_RDWR | O_CLOEXEC);
	if (m->statefd < 0)
		return err_set(e, ERR_SYS, errno, "state disk '%s'", ret);
	if (flock(m->statefd, LOCK_EX | LOCK_NB) < 0)
		return err_refuse(e, "state-busy", EBUSY, "another bootfix is using '%s'", ret);
	return 0;
}

/* ---- running -----------------------------------------------------------------------------------
 */

static int start(struct machine *m, const struct machine_argv *a, struct err *e)
{
	pid_t parent = getpid();

	assert(a->argv[0]);
	m->pid = fork();
	if (m->pid < 0)
		return err_set(e, ERR_SYS, errno, "start QEMU");
	if (m->pid)
		return 0;
	/* If we are killed the machine must not go on writing behind our back. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || chdir(m->work) < 0)
		_exit(126);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(126);
	(void)execvp(a->argv[0], a->argv);
	_exit(127);
}

/* A line of the inner bootfix goes to standard error as it is, made harmless. */
static void relay_line(struct machine *m)
{
	char safe[2100];

	m->line[m->line_len] = 0;
	(void)log_safe(safe, sizeof safe, m->line, m->line_len);
	m->line_len = 0;
	if (m->n_lines++ > MAX_LOG_LINES || !safe[0])
		return;
	if (!strncmp(safe, "bootfix: ", 9))
		log_info("%s", safe + 9);
	else
		log_debug("machine", "%s", safe);
}

static void relay_log(struct machine *m)
{
	char path[PATH_MAX], chunk[4096];
	size_t n;

	if (!m->log && !in_work(m, "log", path))
		m->log = fopen(path, "re");
	if (!m->log)
		return;
	clearerr(m->log);
	for (size_t all = 0; all < MAX_RELAY; all += n) {
		n = fread(chunk, 1, sizeof chunk, m->log);
		if (!n)
			break;
		for (size_t i = 0; i < n; i++) {
			if (chunk[i] == '\n' || m->line_len + 1 == sizeof m->line)
				relay_line(m);
			if (chunk[i] != '\n' && chunk[i] != '\r')
				m->line[m->line_len++] = chunk[i];
		}
	}
}

/* A machine that was taken over could fill this host's disk. */
static int refuse_flood(const struct machine *m, struct err *e)
{
	static const char *const names[] = { "out", "log", "exit", "console" };
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!in_work(m, names[i], path) && !stat(path, &st) && st.st_size > MAX_FILE)
			return err_set(e, ERR_PEER, EFBIG,
				       "the machine's %s is longer than %d bytes: ended", names[i],
				       MAX_FILE);
	return 0;
}

static int may_go_on(const struct machine *m, time_t deadline, struct err *e)
{
	if (stopped)
		return err_set(e, ERR_NET, EINTR,
			       "stopped by signal %d; run the same command again", (int)stopped);
	if (time(NULL) > deadline)
		return err_set(e, ERR_SYS, ETIMEDOUT, "the machine did not end in %d s",
			       TIME_LIMIT_S);
	return refuse_flood(m, e);
}

static int wait_for_end(struct machine *m, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100000000L };
	time_t deadline = time(NULL) + TIME_LIMIT_S;
	int status, r;

	for (;;) {
		pid_t pid = waitpid(m->pid, &status, WNOHANG);

		relay_log(m);
		if (pid == m->pid)
			break;
		if (pid < 0 && errno != EINTR)
			return err_set(e, ERR_SYS, errno, "wait for QEMU");
		r = may_go_on(m, deadline, e);
		if (r < 0)
			return r;
		(void)nanosleep(&pause, NULL);
	}
	m->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_refuse(
		    e, "no-qemu", ENOENT,
		    "qemu-system-x86_64 is not installed here (Debian: qemu-system-x86)");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_SYS, 0, "QEMU ended with status 0x%x, see its message above",
			       (unsigned)status);
	return 0;
}

/* ---- what came out ------------------------------------------------------------------------------
 */

static int read_work(const struct machine *m, const char *name, size_t cap, struct buf *ret,
		     struct err *e)
{
	char path[PATH_MAX], chunk[65536];

	scoped(close_fdp) int fd =
	    in_work(m, name, path) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "the machine's %s", name);
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		int r;

		if (n < 0)
			return err_set(e, ERR_SYS, errno, "the machine's %s", name);
		if (!n)
			return 0;
		if (ret->len + (size_t)n > cap)
			return err_set(e, ERR_PEER, EFBIG, "the machine's %s is too long", name);
		r = buf_add(ret, chunk, (size_t)n, e);
		if (r < 0)
			return r;
	}
}

/* "exit N\n" is the last thing the machine says; without it, it crashed. */
static int read_exit(const struct machine *m, int *ret, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 }, console = { 0 };
	char safe[256], *end = NULL;
	long code = -1;
	int r = read_work(m, "exit", 64, &text, e);

	if (r < 0)
		return r;
	if (text.len > 5 && !memcmp(text.data, "exit ", 5))
		code = strtol((const char *)text.data + 5, &end, 10);
	if (end && *end == '\n' && code >= 0 && code <= 124) {
		*ret = code <= 4 ? (int)code : 1;
		return 0;
	}
	if (code == 125)
		return err_set(e, ERR_SYS, 0,
			       "the machine could not run its job: "
			       "TRANSIT_DEBUG=machine shows why");
	if (read_work(m, "console", MAX_OUT, &console, NULL) < 0 || !console.len)
		return err_set(e, ERR_SYS, 0, "the machine crashed without a word");
	size_t tail = console.len < 150 ? console.len : 150;
	return err_set(
	    e, ERR_SYS, 0, "the machine crashed; its console ends: %s",
	    log_safe(safe, sizeof safe, (const char *)console.data + console.len - tail, tail));
}

static int pass_on(const struct machine *m, FILE *out, int *ret_code, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	int code = 1, r = read_exit(m, &code, e);

	if (!r)
		r = read_work(m, "out", MAX_OUT, &text, e);
	if (!r && text.len)
		r = report_pass_on((const char *)text.data, text.len, m->o->json, out, e);
	if (!r)
		*ret_code = code;
	return r;
}

/* The facts are read here only for the sector sizes; the machine reads them for itself. */
static int load_facts(const struct options *o, struct facts *f, struct err *e)
{
	return o->facts ? facts_load(o->facts, f, e) : 0;
}

int machine_run(const struct options *o, FILE *out, int *ret_code, struct err *e)
{
	const struct sigaction act = { .sa_handler = on_signal };
	scoped(machine_clear) struct machine m = { .o = o, .statefd = -1 };
	scoped(machine_argv_free) struct machine_argv a = { 0 };
	scoped(facts_free) struct facts facts = { 0 };
	char state[PATH_MAX];
	int r = load_facts(o, &facts, e);

	if (!r)
		r = machine_argv_check(o, e);
	if (!r)
		r = machine_claim(o, &m.disks, e);
	if (!r)
		r = open_state(&m, state, e);
	if (!r)
		r = make_work(&m, e);
	if (!r)
		r = machine_argv_make(&a, o, &facts, m.work, state, e);
	if (r < 0)
		return r;
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
	r = start(&m, &a, e);
	if (!r)
		r = wait_for_end(&m, e);
	return r < 0 ? r : pass_on(&m, out, ret_code, e);
}
