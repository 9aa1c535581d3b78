/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * receiverd.c - one program, five roles: what was asked for decides which one this process is
 *
 * Use     receiverd [OPTIONS]                    the launcher
 *         receiverd --role keeper|listener|conn|writer ...   started by the launcher only
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "roles.h"

#define ARGS_MAX 96

/* --fault N=SPEC is for tests and known to nobody else: taken out before the options are read. */
struct test_options {
	const char *fault[DISKS_MAX];
	char *argv[ARGS_MAX + 1]; /* the rest */
	int argc;
};

static int take_fault(struct test_options *t, const char *text, struct err *e)
{
	char *end;
	unsigned long disk = strtoul(text, &end, 10);

	if (end == text || *end != '=' || disk >= DISKS_MAX || !end[1])
		return err_set(e, ERR_USAGE, EINVAL,
			       "--fault '%s': give N=SPEC, for example 0=write:7:EIO", text);
	t->fault[disk] = end + 1;
	return 0;
}

static int split(int argc, char **argv, struct test_options *t, struct err *e)
{
	int r = 0;

	for (int i = 0; i < argc && !r; i++) {
		if (!strcmp(argv[i], "--fault") && i + 1 < argc)
			r = take_fault(t, argv[++i], e);
		else if (!strncmp(argv[i], "--fault=", 8))
			r = take_fault(t, argv[i] + 8, e);
		else if (t->argc == ARGS_MAX)
			r = err_set(e, ERR_USAGE, E2BIG, "more than %d arguments", ARGS_MAX);
		else
			t->argv[t->argc++] = argv[i];
	}
	return r;
}

/* A role can gain nothing by exec, leaves no core, and cannot be looked into by its siblings. */
static void harden(void)
{
	const struct rlimit none = { 0 };

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}

static void name_process(const char *title)
{
	const char *word = strchr(title, '[');
	char name[16];

	(void)snprintf(name, sizeof name, "rx-%.12s", word ? word + 1 : title);
	name[strcspn(name, "]")] = 0;
	(void)prctl(PR_SET_NAME, name);
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return end != text && !*end && !errno;
}

static bool seconds(const char *text, uint32_t *ret)
{
	uint64_t v;

	if (!number(text, &v) || !v || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* receiverd --role conn NUMBER ACCEPTED_MS HANDSHAKE_S LOGIN_S IDLE_S */
static int run_conn(int argc, char **argv)
{
	struct conn_options o = { 0 };

	if (argc != 8 || !number(argv[3], &o.number) || !number(argv[4], &o.accepted_ms) ||
	    !seconds(argv[5], &o.handshake_timeout_s) || !seconds(argv[6], &o.login_timeout_s) ||
	    !seconds(argv[7], &o.idle_timeout_s))
		return 2;
	return conn_main(ROLE_CHANNEL_FD, ROLE_EXTRA_FD, &o);
}

/* The keeper and the listener read the same options as the launcher did. */
static int with_options(int argc, char **argv, const char *role)
{
	struct receiver_options o;
	int sockets[LISTEN_MAX];
	struct err e = { 0 };

	argv[2] = argv[0];
	if (receiver_options_parse(argc - 2, argv + 2, &o, &e)) {
		log_error("%s", e.text);
		return 2;
	}
	log_open(argv[0], o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (!strcmp(role, "keeper"))
		return keeper_main(ROLE_CHANNEL_FD, &o);
	for (size_t i = 0; i < o.n_listen; i++)
		sockets[i] = ROLE_EXTRA_FD + (int)i;
	return listener_main(ROLE_CHANNEL_FD, sockets, o.n_listen, &o);
}

static int run_role(int argc, char **argv)
{
	const char *role = argv[2];

	log_open(argv[0], LOG_LEVEL_INFO);
	/* started by hand there is no channel: say so before something odd happens */
	if (fcntl(ROLE_CHANNEL_FD, F_GETFD) < 0) {
		log_error("--role is for the launcher");
		return 2;
	}
	name_process(argv[0]);
	harden();
	if (!strcmp(role, "conn"))
		return run_conn(argc, argv);
	if (!strcmp(role, "writer"))
		return writer_main(ROLE_CHANNEL_FD, ROLE_EXTRA_FD);
	if (!strcmp(role, "keeper") || !strcmp(role, "listener"))
		return with_options(argc, argv, role);
	log_error("no role '%s'", role);
	return 2;
}

static int run_launcher(int argc, char **argv)
{
	struct launcher_options l = { 0 };
	struct test_options t = { 0 };
	struct receiver_options o;
	struct err e = { 0 };
	int r;

	log_open("receiverd", LOG_LEVEL_INFO);
	r = split(argc, argv, &t, &e);
	if (!r)
		r = receiver_options_parse(t.argc, t.argv, &o, &e);
	if (r > 0)
		return 0;
	if (r < 0) {
		log_error("%s", e.text);
		return err_exit_code(&e);
	}
	if (o.verbose)
		log_open("receiverd", LOG_LEVEL_DEBUG);
	l.receiver = &o;
	l.argc = t.argc;
	l.argv = t.argv;
	memcpy(l.fault, t.fault, sizeof l.fault);
	return launcher_main(&l);
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc >= 3 && !strcmp(argv[1], "--role"))
		return run_role(argc, argv);
	return run_launcher(argc, argv);
}
