/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "launcher_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "roles.h"

#define EXIT_EXEC 127
#define PARKED_FD 64 /* above every place a descriptor may have to go */

/* First all descriptors out of the way, then each to its place: source and place may overlap. */
static bool place(const int *fds, size_t n, int first)
{
	int parked[CHILD_FDS_MAX];

	for (size_t i = 0; i < n; i++) {
		parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PARKED_FD);
		if (parked[i] < 0)
			return false;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(parked[i], first + (int)i) < 0)
			return false;
	return true;
}

static bool place_all(const struct child_plan *p)
{
	scoped(close_fdp) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int std[] = { null, p->out < 0 ? STDOUT_FILENO : p->out,
			    p->err < 0 ? STDERR_FILENO : p->err };

	/* the roles' descriptors first: they may lie where standard ones go */
	return null >= 0 && place(p->fds, p->n_fds, ROLE_CHANNEL_FD) && place(std, 3, 0) &&
	       !close_range((unsigned)ROLE_CHANNEL_FD + (unsigned)p->n_fds, ~0U, 0);
}

static _Noreturn void become(const struct child_plan *p, pid_t parent)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (p->own_group)
		(void)setpgid(0, 0);
	/* the parent may have died before the signal was asked for */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(EXIT_EXEC);
	if (!place_all(p))
		_exit(EXIT_EXEC);
	(void)execv(p->program, p->argv);
	_exit(EXIT_EXEC);
}

int child_spawn(const struct child_plan *p, pid_t *ret, struct err *e)
{
	pid_t parent = getpid(), pid;

	if (p->n_fds > CHILD_FDS_MAX)
		return err_set(e, ERR_SYS, EINVAL, "%zu descriptors for a child", p->n_fds);
	pid = fork();
	if (pid < 0)
		return err_set(e, ERR_SYS, errno, "start %s", p->argv[0]);
	if (!pid)
		become(p, parent);
	*ret = pid;
	return 0;
}
