/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * receiverctl_wait.c - following long work: a bar on a terminal, a line every ten seconds elsewhere
 */
#include "receiverctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 300
#define LINE_EVERY_S 10
#define ENDING_LIMIT_S 15

struct view {
	bool terminal;
	int lines;
	double last_s, last_line_s;
	double rate[DISKS_MAX]; /* bytes a second, by place in the list of disks */
	long long bytes[DISKS_MAX];
};

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *state_of(const json_t *status)
{
	const char *s = json_string_value(json_object_get(status, "state"));

	return s ? s : "";
}

/* Bytes of one disk that are done, of whatever is being done. */
static long long bytes_done(const json_t *status, const json_t *disk)
{
	if (!strcmp(state_of(status), "verifying"))
		return json_integer_value(json_object_get(disk, "verify_done"));
	return json_integer_value(json_object_get(disk, "claimed")) *
	       json_integer_value(json_object_get(status, "block_size"));
}

static void measure(struct view *v, const json_t *status)
{
	double now = now_s(), since = now - v->last_s;
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(status, "disks"), i, d)
	{
		long long bytes = bytes_done(status, d);

		if (i >= DISKS_MAX)
			break;
		if (v->last_s > 0 && since > 0 && bytes >= v->bytes[i]) {
			double rate = (double)(bytes - v->bytes[i]) / since;

			v->rate[i] = v->rate[i] > 0 ? 0.8 * v->rate[i] + 0.2 * rate : rate;
		}
		v->bytes[i] = bytes;
	}
	v->last_s = now;
}

static void draw(struct view *v, const json_t *status)
{
	char done[24], rate[24];
	long long sum = 0;
	double all = 0;

	measure(v, status);
	if (v->terminal) {
		v->lines = show_bars(status, v->rate, v->lines);
		return;
	}
	if (v->last_line_s > 0 && v->last_s - v->last_line_s < LINE_EVERY_S)
		return;
	v->last_line_s = v->last_s;
	for (size_t i = 0; i < DISKS_MAX; i++) {
		sum += v->bytes[i];
		all += v->rate[i];
	}
	printf("%s: %s done, %s/s\n", state_of(status), show_size(done, sum),
	       show_size(rate, (long long)all));
	(void)fflush(stdout);
}

static int ask(struct ctl *c, json_t **ret, struct err *e)
{
	int status;

	return ctl_request(c, ctl_simple("status"), ret, &status, e);
}

static void pause_a_moment(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
}

typedef bool busy_fn(const json_t *status, const void *arg);

static int wait_for(struct ctl *c, busy_fn *busy, const void *arg, bool drawn, json_t **ret,
		    struct err *e)
{
	struct view v = { .terminal = isatty(STDOUT_FILENO) == 1 };

	for (;;) {
		json_t *status;
		int r = ask(c, &status, e);

		if (r)
			return r;
		if (!busy(status, arg)) {
			*ret = status;
			return 0;
		}
		if (drawn && !c->json)
			draw(&v, status);
		json_decref(status);
		pause_a_moment();
	}
}

static bool is_in(const json_t *status, const void *arg)
{
	return !strcmp(state_of(status), arg);
}

int wait_while(struct ctl *c, const char *state, json_t **ret_status, struct err *e)
{
	return wait_for(c, is_in, state, true, ret_status, e);
}

static bool is_fixing(const json_t *status, const void *arg)
{
	const json_t *fix = json_object_get(status, "fix");
	const char *s = json_string_value(json_object_get(fix, "running"));

	(void)arg;
	return s && strcmp(s, "none") != 0;
}

int wait_while_fix(struct ctl *c, json_t **ret_status, struct err *e)
{
	return wait_for(c, is_fixing, NULL, false, ret_status, e);
}

static bool is_ending(const json_t *status, const void *arg)
{
	const double *limit = arg;

	return json_is_true(json_object_get(status, "ending")) && now_s() < *limit;
}

int wait_while_ending(struct ctl *c, struct err *e)
{
	double limit = now_s() + ENDING_LIMIT_S;
	json_t *status;
	int r = wait_for(c, is_ending, &limit, false, &status, e);

	if (!r)
		json_decref(status);
	return r;
}

/* Until interrupted. */
int watch_status(struct ctl *c, struct err *e)
{
	struct view v = { .terminal = isatty(STDOUT_FILENO) == 1 };

	for (;;) {
		json_t *status;
		int r = ask(c, &status, e);

		if (r)
			return r;
		if (c->json) {
			(void)json_dumpf(status, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
			(void)putchar('\n');
			(void)fflush(stdout);
		} else {
			draw(&v, status);
		}
		json_decref(status);
		if (c->json)
			(void)sleep(1);
		else
			pause_a_moment();
	}
}
