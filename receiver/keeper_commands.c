/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_commands.c - what the operator may ask for: one function a command
 *
 * Shape   docs/control-socket.md. Each fills the answer or *e; long work only begins here, and is
 *         followed by asking for the status.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "invitation.h"
#include "keeper_parts.h"

struct command {
	const char *name;
	int (*run)(struct keeper *k, json_t *request, json_t *answer, struct err *e);
};

static int bad_request(struct err *e, const json_error_t *je)
{
	return err_set(e, ERR_USAGE, EINVAL, "request: %s", je->text);
}

/* Most commands take nothing; a key that is not known is a mistake somewhere. */
static int takes_nothing(json_t *request, struct err *e)
{
	json_error_t je;
	const char *name;

	if (json_unpack_ex(request, &je, JSON_STRICT, "{s:s}", "command", &name))
		return bad_request(e, &je);
	return 0;
}

static void put(json_t *to, const char *key, json_t *v)
{
	(void)json_object_set_new(to, key, v);
}

/* ---- status, disks, logs ---- */

static int run_status(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	scoped(json_decrefp) json_t *status = NULL;
	int r = takes_nothing(request, e);

	if (r)
		return r;
	status = status_to_json(k);
	return json_object_update(answer, status) ? err_set(e, ERR_SYS, ENOMEM, "status") : 0;
}

static json_t *fact_to_json(const struct keeper *k, const struct disk_fact *f)
{
	bool ours = k->writers[f->n].phase != WRITER_NONE;

	return json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:s, s:s, s:s}", "n",
			 (json_int_t)f->n, "path", f->path, "serial", f->serial, "model", f->model,
			 "size", (json_int_t)f->size, "logical_sector",
			 (json_int_t)f->logical_sector, "physical_sector",
			 (json_int_t)f->physical_sector, "in_task", k->task.disk[f->n].used,
			 "usable", f->usable || ours, "refusal", ours ? "" : f->refusal, "text",
			 ours ? "held by this task" : f->text, "holds",
			 ours            ? ""
			 : f->blank == 1 ? "nothing"
					 : f->holds);
}

static int run_disks(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	struct disk_fact facts[DISKS_MAX];
	json_t *list = json_array();
	int r = takes_nothing(request, e);

	if (!r)
		r = keeper_disks_look(k->o, UINT32_MAX, facts, e);
	for (uint32_t n = 0; !r && n < DISKS_MAX; n++) {
		if (facts[n].path[0])
			json_array_append_new(list, fact_to_json(k, &facts[n]));
	}
	put(answer, "disks", list);
	return r;
}

static int run_logs(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	json_int_t lines = 200;
	json_error_t je;
	const char *name;

	if (json_unpack_ex(request, &je, JSON_STRICT, "{s:s, s?I}", "command", &name, "lines",
			   &lines) ||
	    lines < 0)
		return bad_request(e, &je);
	put(answer, "lines", events_tail(k->events, (size_t)lines));
	return 0;
}

/* ---- pair ---- */

struct pair_wish {
	uint32_t mask;
	uint32_t ttl_s;
	json_t *erase;     /* borrowed; array of serials */
	json_t *addresses; /* borrowed */
};

static int read_disks(const json_t *disks, const struct receiver_options *o, struct pair_wish *w,
		      struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(disks, i, v)
	{
		json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;

		if (n < 0 || n >= DISKS_MAX || !o->disk[n][0])
			return err_refuse(e, "disk-unknown", ENOENT,
					  "disk %lld: receiverd was not started with --disk "
					  "%lld=PATH; receiverctl disks shows which there are",
					  (long long)n, (long long)n);
		if (w->mask >> n & 1)
			return err_refuse(e, "disk-given-twice", EINVAL, "disk %lld is named twice",
					  (long long)n);
		w->mask |= UINT32_C(1) << n;
	}
	return 0;
}

static int read_wish(struct keeper *k, json_t *request, struct pair_wish *w, struct err *e)
{
	json_int_t ttl = (json_int_t)k->o->code_ttl_s;
	json_t *disks = NULL;
	json_error_t je;
	const char *name;
	int r;

	*w = (struct pair_wish){ 0 };
	if (json_unpack_ex(request, &je, JSON_STRICT, "{s:s, s?o, s?I, s?o, s?o}", "command", &name,
			   "disks", &disks, "ttl", &ttl, "erase", &w->erase, "addresses",
			   &w->addresses))
		return bad_request(e, &je);
	if (ttl < TICKET_TTL_MIN || ttl > TICKET_TTL_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "the code lives %d s to %d s, not %lld s",
			       TICKET_TTL_MIN, TICKET_TTL_MAX, (long long)ttl);
	w->ttl_s = (uint32_t)ttl;
	r = read_disks(disks, k->o, w, e);
	if (r)
		return r;
	if (!w->mask)
		w->mask = task_disks(&k->task);
	if (!w->mask)
		return err_set(e, ERR_USAGE, EINVAL,
			       "which disk? receiverctl disks lists them; then pair --disk N");
	return 0;
}

static bool named(const json_t *list, const char *serial)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (s && !strcmp(s, serial))
			return true;
	}
	return false;
}

static int check_twins(const struct disk_fact *facts, uint32_t n, struct err *e)
{
	for (uint32_t i = 0; i < n; i++) {
		if (facts[i].path[0] && facts[n].path[0] && facts[i].id_major &&
		    facts[i].id_major == facts[n].id_major &&
		    facts[i].id_minor == facts[n].id_minor)
			return err_refuse(e, "disk-given-twice", EINVAL,
					  "disks %u and %u are the same disk ('%s' and '%s')", i, n,
					  facts[i].path, facts[n].path);
	}
	return 0;
}

/* A refusal's name lives as long as the program; the child's copy of it does not. */
static const char *lasting(const char *name)
{
	static const char *const names[] = {
		"disk-mounted", "disk-in-use", "disk-read-only",   "disk-is-partition",
		"disk-missing", "disk-is-own", "disk-not-regular", "disk-failed",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!strcmp(name, names[i]))
			return names[i];
	}
	return "disk-refused";
}

static int check_disk(const struct disk_fact *f, const struct pair_wish *w, struct err *e)
{
	bool erase = named(w->erase, f->serial);

	if (!f->usable)
		return err_refuse(e, lasting(f->refusal), EBUSY, "disk %u: %s", f->n, f->text);
	if (!f->serial[0])
		return err_refuse(e, "disk-no-serial", EINVAL,
				  "disk %u ('%s') has no serial, so it could not be told from "
				  "another one after a restart",
				  f->n, f->path);
	if (!f->blank && !erase)
		return err_refuse(e, "disk-holds-data", EEXIST,
				  "disk %u ('%.80s', %ju bytes) holds data (%s), which would be "
				  "lost; if that is meant: --erase %s",
				  f->n, f->path, (uintmax_t)f->size, f->holds, f->serial);
	return 0;
}

/* Each serial given with --erase must be one of the disks: a typing error is not a consent. */
static int check_erase(const struct disk_fact *facts, const struct pair_wish *w, struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(w->erase, i, v)
	{
		const char *s = json_string_value(v);
		bool found = false;

		for (uint32_t n = 0; s && n < DISKS_MAX; n++)
			found |= facts[n].path[0] && !strcmp(facts[n].serial, s);
		if (!found)
			return err_refuse(e, "wrong-serial", EINVAL,
					  "--erase %.90s: none of the disks has this serial; "
					  "receiverctl disks shows them",
					  s ? s : "?");
	}
	return 0;
}

static int check_disks(const struct keeper *k, const struct pair_wish *w,
		       struct disk_fact facts[static DISKS_MAX], struct err *e)
{
	int r = keeper_disks_look(k->o, w->mask, facts, e);

	for (uint32_t n = 0; !r && n < DISKS_MAX; n++) {
		if (w->mask >> n & 1)
			r = check_twins(facts, n, e);
	}
	if (!r)
		r = check_erase(facts, w, e);
	for (uint32_t n = 0; !r && n < DISKS_MAX; n++) {
		if (w->mask >> n & 1)
			r = check_disk(&facts[n], w, e);
	}
	return r;
}

static int new_task(struct keeper *k, const struct pair_wish *w,
		    const struct disk_fact facts[static DISKS_MAX], struct err *e)
{
	struct task before = k->task;
	int r;

	task_init(&k->task);
	if (getrandom(k->task.id, TASK_ID_LEN, 0) != TASK_ID_LEN)
		return err_set(e, ERR_SYS, errno, "make a task number");
	k->task.exists = true;
	k->task.block_size = k->o->block_size;
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		struct task_disk *d = &k->task.disk[n];

		if (!(w->mask >> n & 1))
			continue;
		d->used = true;
		d->size = facts[n].size;
		d->logical_sector = facts[n].logical_sector;
		d->may_erase = named(w->erase, facts[n].serial);
		(void)snprintf(d->path, sizeof d->path, "%s", facts[n].path);
		(void)snprintf(d->serial, sizeof d->serial, "%s", facts[n].serial);
	}
	/* what an earlier choice of disks left behind is not this task's */
	r = task_store_clean(k->o->state_dir, e);
	if (!r)
		r = keeper_save(k, e);
	if (r)
		k->task = before;
	return r;
}

/* A task that runs keeps its disks: only another sender may be paired with it. */
static int same_disks(const struct keeper *k, const struct pair_wish *w, struct err *e)
{
	if (w->mask != task_disks(&k->task))
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "the task has other disks; receiverctl clean ends it, pair without "
			       "--disk keeps its disks");
	if (json_array_size(w->erase))
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "--erase belongs to a new task; this one has its disks already");
	return 0;
}

static int answer_pair(struct keeper *k, const struct pair_wish *w, json_t *answer, struct err *e)
{
	uint64_t expires = (uint64_t)time(NULL) + w->ttl_s;
	char spki[2 * DIGEST_LEN + 1];
	json_t *invite;
	int r = invitation_make(k, w->addresses, expires, &invite, e);

	if (r)
		return r;
	digest_hex(keeper_key_spki(k->key), DIGEST_LEN, spki);
	put(answer, "fingerprint", json_string(spki));
	put(answer, "expires", json_integer((json_int_t)expires));
	put(answer, "code", json_incref(json_object_get(invite, "code")));
	put(answer, "invite", invite);
	return 0;
}

static int run_pair(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	struct disk_fact facts[DISKS_MAX];
	struct pair_wish w;
	int r;

	if (k->task.pinned)
		return err_refuse(e, "already-paired", EEXIST,
				  "a sender is paired already; receiverctl unpair drops it, "
				  "receiverctl clean ends its task");
	r = read_wish(k, request, &w, e);
	if (!r && k->task.state == TASK_WAITING)
		r = check_disks(k, &w, facts, e);
	if (!r)
		r = k->task.state == TASK_WAITING ? new_task(k, &w, facts, e)
						  : same_disks(k, &w, e);
	if (!r)
		r = tickets_make(&k->tickets, w.ttl_s, tickets_now_ms(), e);
	if (!r)
		r = answer_pair(k, &w, answer, e);
	if (r)
		tickets_retire(&k->tickets);
	else
		events_add(k->events, LOG_LEVEL_INFO, "a pairing code is open for %u s", w.ttl_s);
	return r;
}

static int run_unpair(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	struct task before = k->task;
	int r = takes_nothing(request, e);

	(void)answer;
	if (r)
		return r;
	tickets_retire(&k->tickets);
	if (!k->task.pinned)
		return 0;
	if (k->task.state == TASK_VERIFYING || k->task.state == TASK_FINALIZING)
		return err_set(e, ERR_WRONG_STATE, EBUSY, "unpair has to wait: the task is %s",
			       task_state_word(k->task.state));
	k->task.pinned = false;
	memset(k->task.pub, 0, sizeof k->task.pub);
	if (k->task.state == TASK_PAIRED)
		r = keeper_move(k, TASK_EV_UNPAIRED, NULL, e);
	else
		r = keeper_save(k, e);
	if (r) {
		k->task = before;
		return r;
	}
	events_add(k->events, LOG_LEVEL_INFO, "the sender is no longer paired");
	keeper_peers_refuse(k, WIRE_NOT_PAIRED, "the operator dropped the pairing");
	return 0;
}

/* ---- pause, resume, abort, clean ---- */

static int run_pause(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	int r = takes_nothing(request, e);

	(void)answer;
	if (r || k->task.state == TASK_PAUSED)
		return r;
	r = keeper_move(k, TASK_EV_PAUSE, NULL, e);
	if (!r)
		keeper_peers_refuse(k, WIRE_PAUSED, "the operator paused the task");
	return r;
}

/* Which way back: to where the task was when it failed or was aborted. */
static enum task_event way_back(const struct task *t)
{
	if (t->touched)
		return TASK_EV_RETRY_FIX;
	if (t->state == TASK_FAILED && t->failed_from == TASK_VERIFYING)
		return TASK_EV_RETRY_VERIFY;
	return TASK_EV_RETRY_DATA;
}

static int run_resume(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	int r = takes_nothing(request, e);

	(void)answer;
	if (r)
		return r;
	switch ((int)k->task.state) {
	case TASK_PAUSED:
		r = keeper_move(k, TASK_EV_RESUME, NULL, e);
		break;
	case TASK_FAILED:
	case TASK_ABORTED:
		r = keeper_move(k, way_back(&k->task), NULL, e);
		break;
	case TASK_INTERRUPTED:
	case TASK_RECEIVING:
		return 0;
	default:
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "nothing to resume: the task is %s; next: %s",
			       task_state_word(k->task.state), task_state_next(k->task.state));
	}
	if (!r)
		keeper_weigh(k);
	return r;
}

static int run_abort(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	int r = takes_nothing(request, e);

	(void)answer;
	if (r)
		return r;
	tickets_retire(&k->tickets);
	if (k->task.state == TASK_WAITING || k->task.state == TASK_ABORTED)
		return 0;
	r = keeper_move(k, TASK_EV_ABORT, NULL, e);
	if (r)
		return r;
	keeper_verify_cancel(k);
	keeper_peers_refuse(k, WIRE_ABORTED, "the operator ended the task");
	keeper_writers_stop(k);
	fix_stop(k);
	return 0;
}

/* Taking the folder away is the change itself, in one step. */
static int save_clean(const struct task *t, void *arg, struct err *e)
{
	const struct keeper *k = arg;

	(void)t;
	return task_store_clean(k->o->state_dir, e);
}

/* The disks stay as they are. */
static int run_clean(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	enum task_state to;
	int r = takes_nothing(request, e);

	(void)answer;
	if (r)
		return r;
	if (k->task.state != TASK_WAITING && task_edge(k->task.state, TASK_EV_CLEAN, &to))
		return err_set(e, ERR_WRONG_STATE, EBUSY, "the task is %s: receiverctl abort first",
			       task_state_word(k->task.state));
	if (k->fix.what != FIX_NONE)
		return err_set(e, ERR_WRONG_STATE, EBUSY, "bootfix has not ended yet");
	tickets_retire(&k->tickets);
	keeper_peers_refuse(k, WIRE_ABORTED, "the operator ended the task");
	keeper_writers_stop(k);
	keeper_writers_forget(k);
	if (k->task.state == TASK_WAITING)
		r = task_store_clean(k->o->state_dir, e);
	else
		r = task_move(&k->task, TASK_EV_CLEAN, NULL, save_clean, k, e);
	if (r)
		return r;
	task_init(&k->task);
	for (uint32_t n = 0; n < DISKS_MAX; n++)
		k->writers[n].written = 0;
	events_add(k->events, LOG_LEVEL_INFO, "state=waiting event=clean");
	return 0;
}

/* ---- verify, plan, finalize, undo ---- */

static int run_verify(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	int r = takes_nothing(request, e);

	(void)answer;
	if (!r && k->fix.what != FIX_NONE)
		return err_set(e, ERR_WRONG_STATE, EBUSY, "bootfix is running");
	return r ? r : keeper_verify_stored(k, e);
}

static int run_plan(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	int r = takes_nothing(request, e);

	(void)answer;
	return r ? r : fix_start(k, FIX_PLAN, e);
}

static int take_steps(struct task *t, const json_t *steps, struct err *e)
{
	const json_t *v;
	size_t i;

	t->n_fix_args = 0;
	if (json_array_size(steps) > TASK_ARGS_MAX)
		return err_set(e, ERR_USAGE, E2BIG, "at most %d steps", TASK_ARGS_MAX);
	json_array_foreach(steps, i, v)
	{
		const char *s = json_string_value(v);

		/* The names are bootfix's to know; that they are words is ours. */
		if (!s || !*s || strlen(s) >= TASK_ARG_MAX ||
		    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s))
			return err_set(e, ERR_USAGE, EINVAL, "'%.40s' is not the name of a step",
				       s ? s : "?");
		(void)snprintf(t->fix_args[t->n_fix_args++], TASK_ARG_MAX, "%s", s);
	}
	return 0;
}

/* A failed repair may be tried again at once. */
static int leave_failed_fix(struct keeper *k, struct err *e)
{
	if (k->task.state == TASK_FAILED && k->task.touched)
		return keeper_move(k, TASK_EV_RETRY_FIX, NULL, e);
	return 0;
}

static int run_fix(struct keeper *k, json_t *request, enum fix_what what, const char *key,
		   struct err *e)
{
	struct task before = k->task;
	json_t *steps = NULL;
	json_error_t je;
	const char *name;
	int r;

	if (json_unpack_ex(request, &je, JSON_STRICT, "{s:s, s?o}", "command", &name, key, &steps))
		return bad_request(e, &je);
	r = leave_failed_fix(k, e);
	if (!r)
		r = take_steps(&k->task, steps, e);
	if (!r)
		r = fix_start(k, what, e);
	if (r) {
		memcpy(k->task.fix_args, before.fix_args, sizeof before.fix_args);
		k->task.n_fix_args = before.n_fix_args;
	}
	return r;
}

static int run_finalize(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	(void)answer;
	return run_fix(k, request, FIX_APPLY, "skip", e);
}

static int run_undo(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	(void)answer;
	if (!k->task.touched)
		return err_set(e, ERR_WRONG_STATE, EINVAL,
			       "nothing to undo: bootfix has changed nothing");
	return run_fix(k, request, FIX_UNDO, "steps", e);
}

static int run_report(struct keeper *k, json_t *request, json_t *answer, struct err *e)
{
	json_error_t je;
	json_t *report;
	const char *name, *of;
	int r;

	if (json_unpack_ex(request, &je, JSON_STRICT, "{s:s, s:s}", "command", &name, "of", &of))
		return bad_request(e, &je);
	r = fix_report(k, strcmp(of, "plan") ? FIX_APPLY : FIX_PLAN, &report, e);
	if (r == -ENOENT)
		return err_set(e, ERR_WRONG_STATE, ENOENT, "there is no report yet");
	if (!r)
		put(answer, "report", report);
	return r;
}

/* ---- the table ---- */

static const struct command commands[] = {
	{ "status", run_status }, { "disks", run_disks },   { "logs", run_logs },
	{ "pair", run_pair },     { "unpair", run_unpair }, { "pause", run_pause },
	{ "resume", run_resume }, { "abort", run_abort },   { "clean", run_clean },
	{ "verify", run_verify }, { "plan", run_plan },     { "finalize", run_finalize },
	{ "undo", run_undo },     { "report", run_report },
};

static void put_error(json_t *answer, const struct err *e)
{
	put(answer, "ok", json_false());
	put(answer, "error",
	    json_pack("{s:s, s:s, s:s}", "kind", err_kind_word(e->kind), "name",
		      e->name ? e->name : "", "text", e->text));
	put(answer, "exit", json_integer(err_exit_code(e)));
}

json_t *keeper_command(struct keeper *k, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	json_t *answer = json_pack("{s:b}", "ok", 1);
	struct err e = { 0 };

	if (k->quitting) {
		(void)err_set(&e, ERR_SYS, ESHUTDOWN, "receiverd is ending");
		put_error(answer, &e);
		return answer;
	}
	for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (commands[i].run(k, request, answer, &e))
			put_error(answer, &e);
		return answer;
	}
	(void)err_set(&e, ERR_USAGE, EINVAL, "no such command: '%.40s'", name ? name : "");
	put_error(answer, &e);
	return answer;
}
