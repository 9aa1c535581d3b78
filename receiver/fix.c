/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fix.c - runs bootfix for the task and keeps its report
 *
 * Order   "finalizing" and what was asked for are stored; the sender is sent away; every writer
 *         ends and is reaped, so that nobody holds a disk; only then bootfix starts. A restart in
 *         "finalizing" does the same again: bootfix keeps its own journal and goes on in it.
 * Files   STATE/task/bootfix-report.json (apply, undo), bootfix-plan.json, bootfix.log, bootfix/.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "keeper_parts.h"

#define OUT_FILE "bootfix-out.json"
#define LOG_FILE "bootfix.log"
#define LOG_MAX (1 * MIB)
#define REPORT_MAX (8 * MIB)
#define LOG_LINES_KEPT 40

static const char *const words[] = {
	[FIX_NONE] = "none",
	[FIX_PLAN] = "plan",
	[FIX_APPLY] = "apply",
	[FIX_UNDO] = "undo",
};

/* ---- the command line ---- */

struct argv_text { /* argv joined by newlines, as the launcher takes it */
	char text[IPC_TEXT_MAX + 1];
	size_t len;
	bool full;
};

static void add(struct argv_text *a, const char *arg)
{
	int n =
	    snprintf(a->text + a->len, sizeof a->text - a->len, "%s%s", a->len ? "\n" : "", arg);

	if (n < 0 || (size_t)n >= sizeof a->text - a->len)
		a->full = true;
	else
		a->len += (size_t)n;
}

static void add_path(struct keeper *k, struct argv_text *a, const char *option, const char *below)
{
	char path[STORE_PATH_MAX];

	keeper_folder(k, below, path);
	add(a, option);
	add(a, path);
}

static bool has_facts(const struct keeper *k)
{
	char path[STORE_PATH_MAX];

	keeper_folder(k, "facts.json", path);
	return !access(path, R_OK);
}

static bool may_grow(const struct task *t)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used && t->disk[n].size > t->disk[n].source_size)
			return true;
	}
	return false;
}

static void add_asked_for(struct keeper *k, struct argv_text *a)
{
	for (uint32_t i = 0; i < k->task.n_fix_args; i++) {
		add(a, k->fix.what == FIX_UNDO ? "--step" : "--skip");
		add(a, k->task.fix_args[i]);
	}
}

static int command_line(struct keeper *k, struct argv_text *a, struct err *e)
{
	const struct task *t = &k->task;

	add(a, k->o->bootfix);
	add(a, words[k->fix.what]);
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used)
			add(a, k->o->disk[n][0] ? k->o->disk[n] : t->disk[n].path);
	}
	if (has_facts(k))
		add_path(k, a, "--facts", "facts.json");
	add_path(k, a, "--state", "bootfix");
	add(a, "--json");
	if (k->fix.what != FIX_UNDO && may_grow(t))
		add(a, "--grow");
	add_asked_for(k, a);
	if (a->full)
		return err_set(e, ERR_SYS, E2BIG,
			       "the paths of the disks are too long together for bootfix: use "
			       "shorter ones");
	return 0;
}

/* ---- start ---- */

static int open_output(struct keeper *k, const char *name, int *ret, struct err *e)
{
	char path[STORE_PATH_MAX];

	keeper_folder(k, name, path);
	*ret = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret < 0)
		return err_set(e, ERR_SYS, errno, "open '%s'", path);
	return 0;
}

static int launch(struct keeper *k, struct err *e)
{
	scoped(close_fdp) int out = -1;
	scoped(close_fdp) int err = -1;
	struct argv_text a = { 0 };
	char state[STORE_PATH_MAX];
	struct ipc_msg m;
	int r = command_line(k, &a, e);

	keeper_folder(k, "bootfix", state);
	if (!r)
		r = store_folder(state, e);
	if (!r)
		r = open_output(k, OUT_FILE, &out, e);
	if (!r)
		r = open_output(k, LOG_FILE, &err, e);
	if (r)
		return r;
	ipc_init(&m, IPC_START_BOOTFIX);
	m.a = ++k->fix.run;
	memcpy(m.text, a.text, a.len + 1);
	return keeper_tell_launcher(k, &m, (const int[]){ out, err }, 2, e);
}

static void ended(struct keeper *k, int exit_status, const char *why);

void fix_go_on(struct keeper *k)
{
	struct err e = { 0 };

	if (k->fix.what == FIX_NONE || k->fix.started || k->quitting || !keeper_writers_gone(k))
		return;
	k->fix.started = true;
	events_add(k->events, LOG_LEVEL_INFO, "bootfix %s starts", words[k->fix.what]);
	if (launch(k, &e))
		ended(k, 1, e.text);
}

static void begin(struct keeper *k, enum fix_what what)
{
	k->fix.what = what;
	k->fix.started = false;
	keeper_peers_refuse(k, WIRE_STATE, "bootfix has the disks now");
	keeper_writers_stop(k);
	fix_go_on(k);
}

/* The state and the wish in one durable step. */
static int store_wish(struct keeper *k, enum fix_what what, struct err *e)
{
	struct task before = k->task;
	int r;

	k->task.fix = what == FIX_UNDO ? TASK_FIX_UNDO : TASK_FIX_APPLY;
	k->task.touched = true;
	r = keeper_move(k, TASK_EV_FINALIZE, NULL, e);
	if (r)
		k->task = before;
	return r;
}

int fix_start(struct keeper *k, enum fix_what what, struct err *e)
{
	int r = 0;

	if (k->fix.what != FIX_NONE)
		return err_set(e, ERR_WRONG_STATE, EBUSY, "bootfix %s is running",
			       words[k->fix.what]);
	if (what == FIX_PLAN) {
		if (k->task.state != TASK_VERIFIED && k->task.state != TASK_READY)
			return err_set(e, ERR_WRONG_STATE, EINVAL,
				       "plan needs a verified task, it is %s",
				       task_state_word(k->task.state));
	} else {
		r = store_wish(k, what, e);
	}
	if (!r)
		begin(k, what);
	return r;
}

void fix_again(struct keeper *k)
{
	if (k->task.state == TASK_FINALIZING)
		begin(k, k->task.fix == TASK_FIX_UNDO ? FIX_UNDO : FIX_APPLY);
}

void fix_stop(struct keeper *k)
{
	struct ipc_msg m;

	if (k->fix.what == FIX_NONE)
		return;
	if (!k->fix.started) {
		k->fix.what = FIX_NONE;
		return;
	}
	ipc_init(&m, IPC_STOP_BOOTFIX);
	m.a = k->fix.run;
	(void)keeper_tell_launcher(k, &m, NULL, 0, NULL);
}

/* ---- end ---- */

static const char *report_name(enum fix_what what)
{
	return what == FIX_PLAN ? "bootfix-plan.json" : "bootfix-report.json";
}

int fix_report(const struct keeper *k, enum fix_what what, json_t **ret, struct err *e)
{
	char dir[STORE_PATH_MAX];

	keeper_folder(k, "", dir);
	return store_read_json(dir, report_name(what), REPORT_MAX, ret, e);
}

/* A run that was killed leaves half a report, which is none: the one before stays. */
static json_t *keep_report(struct keeper *k, enum fix_what what)
{
	char dir[STORE_PATH_MAX];
	json_t *j = NULL;

	keeper_folder(k, "", dir);
	if (store_read_json(dir, OUT_FILE, REPORT_MAX, &j, NULL))
		return NULL;
	if (!json_is_object(j) || store_write_json(dir, report_name(what), j, NULL)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* What bootfix said goes to the log; the last line is its reason when the report has none. */
static void keep_log(struct keeper *k, char last[static TASK_TEXT_MAX])
{
	scoped(freep) char *text = NULL;
	char dir[STORE_PATH_MAX], *save = NULL;
	size_t len, lines = 0;

	keeper_folder(k, "", dir);
	if (store_read(dir, LOG_FILE, LOG_MAX, &text, &len, NULL))
		return;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (lines++ < LOG_LINES_KEPT)
			events_add(k->events, LOG_LEVEL_INFO, "%s%s",
				   strncmp(l, "bootfix", 7) ? "bootfix: " : "", l);
		(void)snprintf(last, TASK_TEXT_MAX, "%s", l);
	}
}

static void find_reason(const json_t *report, const char *last_line, int exit_status,
			char ret[static TASK_TEXT_MAX])
{
	const json_t *error = json_object_get(report, "error");
	const char *text = json_string_value(json_object_get(error, "text"));
	const char *name = json_string_value(json_object_get(error, "name"));

	if (text)
		(void)snprintf(ret, TASK_TEXT_MAX, "bootfix: %s%s%.300s", name ? name : "",
			       name ? ": " : "", text);
	else if (last_line[0])
		(void)snprintf(ret, TASK_TEXT_MAX, "%s%.380s",
			       strncmp(last_line, "bootfix", 7) ? "bootfix: " : "", last_line);
	else if (exit_status == 127)
		(void)snprintf(ret, TASK_TEXT_MAX,
			       "bootfix could not be started: receiverd --bootfix PROGRAM");
	else
		(void)snprintf(ret, TASK_TEXT_MAX, "bootfix ended with status %d", exit_status);
}

static void move_on(struct keeper *k, enum fix_what what, int exit_status, const char *reason)
{
	static const char undone[] = "bootfix's changes are taken back; its file systems were "
				     "mounted, so a verify would name some blocks";
	bool part = what == FIX_UNDO && k->task.n_fix_args;

	if (what == FIX_PLAN || k->task.state != TASK_FINALIZING)
		return; /* nothing was changed, or the task was aborted meanwhile */
	if (exit_status)
		keeper_fail(k,
			    "receiverctl logs says more; receiverctl finalize [--skip STEP] again, "
			    "or receiverctl undo",
			    "%s", reason);
	else if (what == FIX_UNDO && !part)
		keeper_move_or_log(k, TASK_EV_UNDONE, &(struct task_why){ undone, NULL });
	else
		keeper_move_or_log(k, TASK_EV_FIXED, NULL);
}

static void ended(struct keeper *k, int exit_status, const char *why)
{
	enum fix_what what = k->fix.what;
	char last[TASK_TEXT_MAX] = "";

	scoped(json_decrefp) json_t *report = why ? NULL : keep_report(k, what);
	if (why)
		(void)snprintf(last, sizeof last, "%s", why);
	else
		keep_log(k, last);
	k->fix.what = FIX_NONE;
	k->fix.started = false;
	k->fix.last = what;
	k->fix.last_exit = exit_status;
	k->fix.last_error[0] = 0;
	if (exit_status)
		find_reason(report, last, exit_status, k->fix.last_error);
	events_add(k->events, exit_status ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		   "bootfix %s ended status=%d %s", words[what], exit_status, k->fix.last_error);
	move_on(k, what, exit_status, k->fix.last_error);
}

void fix_reaped(struct keeper *k, uint64_t run, int status)
{
	if (k->fix.what == FIX_NONE || !k->fix.started || run != k->fix.run)
		return;
	ended(k, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), NULL);
}

json_t *fix_to_json(const struct keeper *k)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "running", words[k->fix.what], "last",
			 words[k->fix.last], "exit", k->fix.last_exit, "error", k->fix.last_error);
}
