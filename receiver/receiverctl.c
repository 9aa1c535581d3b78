/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "receiverctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"

#define STANDARD_SOCKET "/var/lib/transit/control.sock"

/* Returns the exit status; *e is printed when it is not 0 and has words. */
typedef int run_fn(struct ctl *c, struct err *e);

struct subcommand {
	const char *name, *arguments, *what;
	run_fn *run;
};

/* ---- asking ---- */

static int finish_json(const json_t *answer)
{
	(void)json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	(void)putchar('\n');
	return 0;
}

static int no_arguments(const struct ctl *c, struct err *e)
{
	if (c->argc <= 1)
		return 0;
	(void)err_set(e, ERR_USAGE, EINVAL, "%s takes no '%.60s'", c->argv[0], c->argv[1]);
	return 2;
}

/* A command without arguments whose success needs no words but its name. */
static int run_plain(struct ctl *c, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	int status = no_arguments(c, e);

	if (status)
		return status;
	if (ctl_request(c, ctl_simple(c->argv[0]), &answer, &status, e))
		return status;
	/* abort and clean are done when nobody holds a disk any more */
	if (wait_while_ending(c, e))
		return 1;
	if (c->json)
		return finish_json(answer);
	printf("%s: done\n", c->argv[0]);
	return 0;
}

static int run_status(struct ctl *c, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	int status = no_arguments(c, e);

	if (status)
		return status;
	if (c->watch)
		return watch_status(c, e) ? 1 : 0;
	if (ctl_request(c, ctl_simple("status"), &answer, &status, e))
		return status;
	if (c->json)
		return finish_json(answer);
	show_status(answer);
	return 0;
}

static int run_disks(struct ctl *c, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	int status = no_arguments(c, e);

	if (status)
		return status;
	if (ctl_request(c, ctl_simple("disks"), &answer, &status, e))
		return status;
	if (c->json)
		return finish_json(answer);
	show_disks(json_object_get(answer, "disks"));
	return 0;
}

static int run_logs(struct ctl *c, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	int status = no_arguments(c, e);
	const json_t *v;
	size_t i;

	if (status)
		return status;
	if (ctl_request(c, ctl_simple("logs"), &answer, &status, e))
		return status;
	if (c->json)
		return finish_json(answer);
	json_array_foreach(json_object_get(answer, "lines"), i, v) puts(json_string_value(v));
	return 0;
}

/* ---- pair ---- */

struct pair_options {
	json_t *request; /* owned */
	const char *out;
};

static const struct option pair_long[] = {
	{ "disk", required_argument, NULL, 'd' },    { "ttl", required_argument, NULL, 't' },
	{ "erase", required_argument, NULL, 'e' },   { "out", required_argument, NULL, 'o' },
	{ "address", required_argument, NULL, 'a' }, { NULL, 0, NULL, 0 },
};

/* "0,1": numbers that receiverd then judges. */
static int add_disks(json_t *list, const char *text, struct err *e)
{
	const char *p = text;

	for (;;) {
		char *end;
		unsigned long n = strtoul(p, &end, 10);

		if (*p < '0' || *p > '9' || (*end && *end != ',') || n > 1000)
			return err_set(e, ERR_USAGE, EINVAL,
				       "--disk '%.60s': N or N,N,... is needed", text);
		json_array_append_new(list, json_integer((json_int_t)n));
		if (!*end)
			return 0;
		p = end + 1;
	}
}

static int parse_ttl(const char *text, json_int_t *ret, struct err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	unsigned long unit = !strcmp(end, "s") || !*end ? 1
			     : !strcmp(end, "m")        ? 60
			     : !strcmp(end, "h")        ? 3600
							: 0;

	if (*text < '0' || *text > '9' || !unit || !v || v > 604800)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--ttl '%.40s': a time as 90s, 60m or 2h is needed", text);
	*ret = (json_int_t)v * (json_int_t)unit;
	return 0;
}

static void append_to(json_t *request, const char *key, json_t *v)
{
	json_t *list = json_object_get(request, key);

	if (!list) {
		list = json_array();
		(void)json_object_set_new(request, key, list);
	}
	json_array_append_new(list, v);
}

static int pair_option(int which, struct pair_options *p, struct err *e)
{
	json_int_t ttl = 0;
	json_t *disks;
	int r;

	switch (which) {
	case 'd':
		disks = json_object_get(p->request, "disks");
		if (!disks) {
			disks = json_array();
			(void)json_object_set_new(p->request, "disks", disks);
		}
		return add_disks(disks, optarg, e);
	case 't':
		r = parse_ttl(optarg, &ttl, e);
		if (!r)
			(void)json_object_set_new(p->request, "ttl", json_integer(ttl));
		return r;
	case 'e':
		append_to(p->request, "erase", json_string(optarg));
		return 0;
	case 'a':
		append_to(p->request, "addresses", json_string(optarg));
		return 0;
	case 'o':
		p->out = optarg;
		return 0;
	default:
		return err_set(e, ERR_USAGE, EINVAL,
			       "pair: option not known, or its value is missing; see receiverctl "
			       "--help");
	}
}

static int pair_options(struct ctl *c, struct pair_options *p, struct err *e)
{
	int which, r = 0;

	optind = 1;
	while (!r && (which = getopt_long(c->argc, c->argv, "", pair_long, NULL)) != -1)
		r = pair_option(which, p, e);
	if (!r && optind < c->argc)
		r = err_set(e, ERR_USAGE, EINVAL, "pair takes no '%.60s'", c->argv[optind]);
	return r;
}

/* The invite holds the one-time code: nobody else may read it, and it replaces what was there. */
static int write_invite(const char *path, const json_t *invite, struct err *e)
{
	scoped(freep) char *text = json_dumps(invite, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	struct stat st;

	if (!text)
		return err_set(e, ERR_SYS, ENOMEM, "write '%s'", path);
	scoped(close_fdp) int fd =
	    open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0 || fstat(fd, &st))
		return err_set(e, ERR_SYS, errno, "write '%s'", path);
	if (S_ISREG(st.st_mode) && (fchmod(fd, 0600) || ftruncate(fd, 0)))
		return err_set(e, ERR_SYS, errno, "write '%s'", path);
	if (dprintf(fd, "%s\n", text) < 0)
		return err_set(e, ERR_SYS, errno, "write '%s'", path);
	return 0;
}

static int run_pair(struct ctl *c, struct err *e)
{
	struct pair_options p = { .request = ctl_simple("pair") };
	scoped(json_decrefp) json_t *answer = NULL;
	int status;

	if (pair_options(c, &p, e)) {
		json_decref(p.request);
		return 2;
	}
	if (ctl_request(c, p.request, &answer, &status, e))
		return status;
	if (p.out && write_invite(p.out, json_object_get(answer, "invite"), e))
		return 1;
	if (c->json)
		return finish_json(answer);
	show_pair(answer, p.out);
	return 0;
}

/* ---- verify, plan, finalize, undo ---- */

static bool state_is(const json_t *status, const char *state)
{
	const char *s = json_string_value(json_object_get(status, "state"));

	return s && !strcmp(s, state);
}

static int run_verify(struct ctl *c, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	scoped(json_decrefp) json_t *after = NULL;
	int status = no_arguments(c, e);
	bool good;

	if (status)
		return status;
	if (ctl_request(c, ctl_simple("verify"), &answer, &status, e))
		return status;
	if (c->no_wait)
		return 0;
	if (wait_while(c, "verifying", &after, e))
		return 1;
	good = state_is(after, "verified");
	if (c->json)
		(void)finish_json(after);
	else if (good)
		printf("verified: every block was read again and equals the signed manifest\n");
	else
		show_bad_blocks(after);
	if (!good)
		(void)err_set(e, ERR_DISK, 0, "not verified: %s; %s",
			      json_string_value(json_object_get(after, "reason")),
			      json_string_value(json_object_get(after, "next")));
	return good ? 0 : 1;
}

static int fix_outcome(const json_t *status, struct err *e)
{
	const json_t *fix = json_object_get(status, "fix");
	int code = (int)json_integer_value(json_object_get(fix, "exit"));
	const char *error = json_string_value(json_object_get(fix, "error"));

	if (!code)
		return 0;
	(void)err_set(e, ERR_GUEST, 0, "%s; next: %s", error ? error : "",
		      json_string_value(json_object_get(status, "next")));
	return code == 4 ? 4 : 1;
}

/* A run that ended without a report leaves the one before, which would tell of something else. */
static void show_report(const struct ctl *c, const json_t *answer, const char *of)
{
	const json_t *report = json_object_get(answer, "report");
	const char *is = json_string_value(json_object_get(report, "command"));

	if (!is || strcmp(is, of) != 0)
		return;
	if (c->json)
		(void)finish_json(report);
	else
		show_plan(report);
}

/* ${of}: "plan", "apply" or "undo". */
static int follow_fix(struct ctl *c, json_t *request, const char *of, struct err *e)
{
	scoped(json_decrefp) json_t *answer = NULL;
	scoped(json_decrefp) json_t *after = NULL;
	scoped(json_decrefp) json_t *report = NULL;
	int status, result;

	if (ctl_request(c, request, &answer, &status, e))
		return status;
	if (c->no_wait)
		return 0;
	if (!c->json && isatty(STDERR_FILENO))
		(void)fprintf(stderr, "bootfix is at work; receiverctl logs shows what it says\n");
	if (wait_while_fix(c, &after, e))
		return 1;
	result = fix_outcome(after, e);
	if (ctl_request(c, json_pack("{s:s, s:s}", "command", "report", "of", of), &report, &status,
			NULL))
		return result;
	show_report(c, report, of);
	return result;
}

static int run_plan(struct ctl *c, struct err *e)
{
	int status = no_arguments(c, e);

	return status ? status : follow_fix(c, ctl_simple("plan"), "plan", e);
}

static int run_finalize(struct ctl *c, struct err *e)
{
	static const struct option skip[] = { { "skip", required_argument, NULL, 's' },
					      { NULL, 0, NULL, 0 } };
	json_t *request = ctl_simple("finalize");
	int which;

	optind = 1;
	while ((which = getopt_long(c->argc, c->argv, "", skip, NULL)) == 's')
		append_to(request, "skip", json_string(optarg));
	if (which != -1 || optind < c->argc) {
		json_decref(request);
		(void)err_set(e, ERR_USAGE, EINVAL, "finalize [--skip STEP]...");
		return 2;
	}
	return follow_fix(c, request, "apply", e);
}

static int run_undo(struct ctl *c, struct err *e)
{
	json_t *request = ctl_simple("undo");

	if (c->argc > 2 || (c->argc == 2 && c->argv[1][0] == '-')) {
		json_decref(request);
		(void)err_set(e, ERR_USAGE, EINVAL, "undo [STEP]");
		return 2;
	}
	if (c->argc == 2)
		append_to(request, "steps", json_string(c->argv[1]));
	return follow_fix(c, request, "undo", e);
}

static int run_later(struct ctl *c, struct err *e)
{
	(void)err_set(e, ERR_SYS, ENOSYS, "%s is not in this version", c->argv[0]);
	e->sys = ENOSYS;
	return 1;
}

/* ---- the table ---- */

/* clang-format off */
static const struct subcommand subcommands[] = {
	{ "status",   "[--watch]", "the task, its disks, what to do next", run_status },
	{ "disks",    "", "the disks of this machine that may be written, and why not", run_disks },
	{ "pair",     "--disk N[,N...] [--ttl 60m] [--erase SERIAL]... [--out FILE]\n"
	              "                       [--address ADDR:PORT]...",
	              "open a one-time code for one sender", run_pair },
	{ "unpair",   "", "close the code, drop the paired sender", run_plain },
	{ "pause",    "", "send the sender away until resume", run_plain },
	{ "resume",   "", "leave paused, failed or aborted: go on where it was", run_plain },
	{ "abort",    "", "end the task; its state is kept until clean", run_plain },
	{ "verify",   "", "read the whole target again and compare with the manifest", run_verify },
	{ "plan",     "", "what bootfix would change; writes nothing", run_plan },
	{ "finalize", "[--skip STEP]...", "let bootfix make the disks bootable here", run_finalize },
	{ "undo",     "[STEP]", "take back what finalize changed", run_undo },
	{ "clean",    "", "forget the task; the disks stay as they are", run_plain },
	{ "logs",     "", "what happened", run_logs },
	{ "rehearse", "", "not in this version", run_later },
	{ "handback", "", "not in this version", run_later },
	{ "stage",    "prepare|finish FILE", "not in this version", run_later },
	{ "bundle",   "FILE", "not in this version", run_later },
	{ "takeover", "", "not in this version", run_later },
};
/* clang-format on */
#define N_SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static void usage(void)
{
	printf("usage: receiverctl [--socket PATH] [--json] [--no-wait] COMMAND\n\n"
	       "Talks to receiverd on this machine (socket STATE/control.sock, "
	       "standard\n" STANDARD_SOCKET ").\n\n");
	for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
		const struct subcommand *s = &subcommands[i];

		printf("  %s%s%s\n          %s\n", s->name, *s->arguments ? " " : "", s->arguments,
		       s->what);
	}
	printf("\n  --json     facts as JSON, stable keys (docs/control-socket.md)\n"
	       "  --no-wait  begin verify, plan, finalize or undo and return\n"
	       "  --help, --version\n\n"
	       "Exit: 0 done, 1 failed, 2 usage, 3 interrupted, 4 refused by a check.\n");
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
		if (!strcmp(subcommands[i].name, name))
			return &subcommands[i];
	}
	return NULL;
}

/* Options that mean the same everywhere may stand anywhere; what is left is the command's. */
struct general {
	bool help, version, remote;
};

static int take_general(int argc, char **argv, struct ctl *c, struct general *g, struct err *e)
{
	c->argc = 0;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--json"))
			c->json = true;
		else if (!strcmp(a, "--watch"))
			c->watch = true;
		else if (!strcmp(a, "--no-wait"))
			c->no_wait = true;
		else if (!strcmp(a, "--help") || !strcmp(a, "-h"))
			g->help = true;
		else if (!strcmp(a, "--version"))
			g->version = true;
		else if (!strcmp(a, "--connect") || !strcmp(a, "--key"))
			g->remote = true;
		else if (!strcmp(a, "--socket") && i + 1 < argc)
			c->socket = argv[++i];
		else if (!strncmp(a, "--socket=", 9))
			c->socket = a + 9;
		else if (!c->argc && a[0] == '-')
			return err_set(e, ERR_USAGE, EINVAL,
				       "option '%.60s' not known, or its value is missing; see "
				       "receiverctl --help",
				       a);
		else
			c->argv[c->argc++] = argv[i];
	}
	return 0;
}

static int run(struct ctl *c, const struct general *g, struct err *e)
{
	const struct subcommand *s;

	if (g->help || g->version) {
		if (g->help)
			usage();
		else
			puts("receiverctl " TRANSIT_VERSION);
		return 0;
	}
	if (g->remote) {
		(void)err_set(e, ERR_SYS, 0,
			      "--connect and --key are not in this version: run "
			      "receiverctl on the receiver");
		return 1;
	}
	if (!c->argc) {
		(void)err_set(e, ERR_USAGE, EINVAL, "which command? see receiverctl --help");
		return 2;
	}
	s = find(c->argv[0]);
	if (!s) {
		(void)err_set(e, ERR_USAGE, EINVAL, "no command '%.60s'; see receiverctl --help",
			      c->argv[0]);
		return 2;
	}
	opterr = 0;
	return s->run(c, e);
}

int main(int argc, char **argv)
{
	struct ctl c = { .socket = STANDARD_SOCKET, .fd = -1 };
	struct general g = { 0 };
	struct err e = { 0 };
	int status;

	c.argv = calloc((size_t)argc + 1, sizeof *c.argv);
	if (!c.argv)
		return 1;
	log_open("receiverctl", LOG_LEVEL_WARN);
	status = take_general(argc, argv, &c, &g, &e) ? 2 : run(&c, &g, &e);
	close_fdp(&c.fd);
	free(c.argv);
	if (status && e.text[0])
		(void)fprintf(stderr, "receiverctl: %s\n", e.text);
	return status;
}
