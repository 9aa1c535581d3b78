/* SPDX-License-Identifier: GPL-3.0-or-later */
/* main.c - the run in order: options, disks, rounds, seal, report; exit codes */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "checks.h"
#include "choose.h"
#include "clock.h"
#include "converge.h"
#include "estimate.h"
#include "facts.h"
#include "final.h"
#include "govern.h"
#include "report.h"
#include "route.h"
#include "trace.h"
#include "transfer.h"
#include "usage_round.h"

static atomic_bool stop_flag;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop_flag, true);
}

static void on_hangup(int sig)
{
	(void)sig;
	govern_reread();
}

static void catch_signals(const struct sender_options *o)
{
	/* With limits that may change, SIGHUP is the word for "look again", as for a daemon. */
	const struct sigaction look = { .sa_handler = on_hangup, .sa_flags = SA_RESTART };
	/* A second signal ends at once. */
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, o->limits_file ? &look : &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void free_set(struct extent_set *s)
{
	extent_set_free(s);
	free(s);
}

static void move_free(struct move *m)
{
	for (unsigned i = 0; i < m->n_disks; i++) {
		usage_round_free(&m->disks[i]);
		free_set(m->disks[i].free_map);
		free_set(m->disks[i].same_map);
		table_close(m->disks[i].table);
		source_close(m->disks[i].source);
	}
	rounds_free(&m->log);
	store_close(m->store);
	invite_wipe(&m->invite);
	proxy_wipe(&m->proxy);
	free(m->facts);
	free(m);
}

static void move_freep(struct move **m)
{
	if (*m)
		move_free(*m);
	*m = NULL;
}

static int open_store(struct move *m, struct err *e)
{
	char dir[4000];

	if (m->o->state)
		return store_open(m->o->state, &m->store, e);
	int n = snprintf(dir, sizeof dir, "%s.state", m->o->invite);
	if (n < 0 || (size_t)n >= sizeof dir)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "invite: path too long");
	return store_open(dir, &m->store, e);
}

/* A typing error in the code is said before any connection is made. */
static int check_code(const struct move *m, struct err *e)
{
	struct pairing_code code;
	int r = m->store->paired ? 0 : pairing_code_parse(m->invite.code_text, &code, e);

	pairing_code_wipe(&code);
	return r ? err_under(e, r, "pairing code of '%s'", m->o->invite) : 0;
}

static int check_pin(const struct move *m, struct err *e)
{
	if (!m->store->paired || !memcmp(m->store->spki, m->invite.spki, DIGEST_LEN))
		return 0;
	return err_refuse(e, "wrong-pin", EACCES,
			  "'%s' belongs to another receiver than the invite: give another --state",
			  m->store->dir);
}

static int prepare(struct move *m, struct err *e)
{
	int r = invite_load(m->o->invite, &m->invite, e);

	if (!r)
		r = route_find(m, e);
	if (!r)
		r = choose_disks(m, e);
	if (!r)
		r = choose_check(m, e);
	if (!r)
		r = open_store(m, e);
	if (!r)
		r = check_pin(m, e);
	if (!r)
		r = check_code(m, e);
	if (!r)
		r = m->o->facts ? facts_load(m->o->facts, &m->facts, e)
				: facts_make(m, &m->facts, e);
	limit_init(&m->limit, LIMIT_NONE, clock_ns());
	ceiling_init(&m->ceiling, 0, 0, clock_ns());
	m->stop = &stop_flag;
	rounds_init(&m->log);
	return r;
}

static int send_all(struct move *m, void *arg, struct err *e)
{
	struct freeze_report *report = arg;
	struct transfer t;
	bool final = m->o->once || m->o->final;
	int r = 0;

	transfer_init(&t, m, &stop_flag);
	/* With one round there is nothing to compare. */
	if (m->o->once || m->o->until_converged)
		trace_open(m);
	t.live = true;
	if (m->o->until_converged)
		r = converge_run(&t, e);
	else if (!m->o->final)
		r = transfer_measured_round(&t, e);
	t.live = false;
	if (!r && final)
		r = final_run(&t, report, e);
	trace_close(m);
	transfer_close(&t, !r || e->kind == ERR_NET);
	return r;
}

/* All of it within the bounds that were asked for. */
static int governed(struct move *m, int (*work)(struct move *m, void *arg, struct err *e),
		    void *arg, struct err *e)
{
	scoped(govern_stopp) struct govern *g = NULL;
	int r = govern_start(&m->o->bounds, m->o->limits_file, &m->limit, &m->ceiling, &g, e);

	if (r)
		return r;
	m->govern = g;
	r = work(m, arg, e);
	m->govern = NULL;
	return r;
}

static int run_send(const struct sender_options *o)
{
	static struct freeze_report freeze;
	uint64_t began = clock_ms();
	struct err e = { 0 };
	int r;

	scoped(move_freep) struct move *m = calloc(1, sizeof *m);
	if (!m)
		return 1;
	m->o = o;
	catch_signals(o);
	r = prepare(m, &e);
	if (!r)
		r = governed(m, send_all, &freeze, &e);
	if (r && e.kind == ERR_NONE)
		(void)err_set(&e, ERR_SYS, -r, "failed");
	struct report report = { .m = m,
				 .freeze = freeze.n ? &freeze : NULL,
				 .seconds = (double)(clock_ms() - began) / 1000.0,
				 .final = o->once || o->final };
	usage_round_warn(m);
	if (r)
		report_error(&e);
	report_print(&report, &e);
	return err_exit_code(&e);
}

static int make_estimate(struct move *m, void *arg, struct err *e)
{
	/* What the first round would leave out. */
	struct usage_context c = { .phase = USAGE_LIVE, .grain = USAGE_GRAIN };
	int r = usage_round_begin(m, &c, e);

	return r ? r : estimate_make(m, arg, e);
}

static int run_estimate(const struct sender_options *o)
{
	static struct estimate x;
	struct err e = { 0 };
	int r;

	scoped(move_freep) struct move *m = calloc(1, sizeof *m);
	if (!m)
		return 1;
	m->o = o;
	catch_signals(o);
	r = prepare(m, &e);
	if (!r)
		r = governed(m, make_estimate, &x, &e);
	if (r && e.kind == ERR_NONE)
		(void)err_set(&e, ERR_SYS, -r, "failed");
	if (r)
		report_error(&e);
	estimate_print(m, &x, &e);
	return err_exit_code(&e);
}

static int not_here(const char *command)
{
	log_error("%s: not in this version; check, estimate, push and sync are", command);
	return 1;
}

int main(int argc, char **argv)
{
	struct sender_options o;
	struct err e = { 0 };

	log_open("transit-send", LOG_LEVEL_INFO);
	if (options_parse(argc, argv, &o, &e)) {
		log_error("%s", e.text);
		return err_exit_code(&e);
	}
	if (o.help) {
		options_help();
		return 0;
	}
	if (o.version) {
		(void)puts("transit-send " TRANSIT_VERSION);
		return 0;
	}
	switch (o.command) {
	case CMD_CHECK:
		return checks_run(&o);
	case CMD_PUSH:
	case CMD_SYNC:
		return run_send(&o);
	case CMD_ESTIMATE:
		return run_estimate(&o);
	case CMD_STAGE:
	case CMD_NONE:
		break;
	}
	return not_here("stage");
}
