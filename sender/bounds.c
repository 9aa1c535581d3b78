/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bounds.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int number(const char *what, const char *text, unsigned min, unsigned max, unsigned *ret,
		  struct err *e)
{
	char *end = NULL;
	unsigned long v = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;

	if (!end || *end || v < min || v > max)
		return err_set(e, ERR_USAGE, EINVAL, "%s '%.40s': a number from %u to %u is needed",
			       what, text, min, max);
	*ret = (unsigned)v;
	return 0;
}

static int set_nice(struct bounds *b, const char *what, const char *text, struct err *e)
{
	unsigned v;
	int r = number(what, text, 0, 19, &v, e);

	if (!r)
		b->nice = (int)v;
	return r;
}

static int set_ionice(struct bounds *b, const char *what, const char *text, struct err *e)
{
	static const char best[] = "best-effort:";
	const char *level = text + sizeof best - 1;

	if (!strcmp(text, "idle")) {
		b->ionice = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
		return 0;
	}
	if (strncmp(text, best, sizeof best - 1) != 0 || level[0] < '0' || level[0] > '7' ||
	    level[1])
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s '%.40s': idle, or best-effort:0 to best-effort:7", what, text);
	b->ionice = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, level[0] - '0');
	return 0;
}

static int set_cpu(struct bounds *b, const char *what, const char *text, struct err *e)
{
	if (!strcmp(text, "none")) {
		b->cpu = 0;
		return 0;
	}
	return number(what, text, CPU_MIN, CPU_MAX, &b->cpu, e);
}

int bounds_set(struct bounds *b, const char *name, const char *what, const char *text,
	       struct err *e)
{
	if (!strcmp(name, "limit"))
		return rate_plan_parse(what, text, &b->limit, e);
	if (!strcmp(name, "nice"))
		return set_nice(b, what, text, e);
	if (!strcmp(name, "ionice"))
		return set_ionice(b, what, text, e);
	if (!strcmp(name, "cpu"))
		return set_cpu(b, what, text, e);
	return err_set(e, ERR_USAGE, EINVAL, "unknown key '%.40s': limit, nice, ionice and cpu are",
		       name);
}

#define SEEN_MAX 4

struct reading {
	struct bounds *b;
	char seen[SEEN_MAX][8];
	unsigned n_seen;
	struct err e;
};

static bool seen_before(struct reading *r, const char *name)
{
	for (unsigned i = 0; i < r->n_seen; i++) {
		if (!strcmp(r->seen[i], name))
			return true;
	}
	if (r->n_seen < SEEN_MAX)
		(void)snprintf(r->seen[r->n_seen++], sizeof r->seen[0], "%s", name);
	return false;
}

/* inih's callback: 1 is good, 0 makes ini_parse() return this line's number. */
static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;

	if (r->e.kind != ERR_NONE)
		return 0; /* the first mistake is the one that is told */
	if (section[0])
		(void)err_set(&r->e, ERR_USAGE, EINVAL, "there are no sections here");
	else if (bounds_set(r->b, name, name, value, &r->e))
		return 0;
	else if (seen_before(r, name))
		(void)err_set(&r->e, ERR_USAGE, EINVAL, "'%s' is there twice", name);
	return r->e.kind == ERR_NONE;
}

int bounds_load(const char *path, const struct bounds *base, struct bounds *ret, struct err *e)
{
	struct bounds b = *base;
	struct reading r = { .b = &b };
	int line;

	scoped(fclosep) FILE *f = fopen(path, "re");
	if (!f)
		return err_set(e, ERR_USAGE, errno, "--limits '%s': %s", path, strerror(errno));
	line = ini_parse_file(f, on_key, &r);
	if (line || ferror(f))
		return err_set(e, ERR_USAGE, EINVAL, "--limits '%s' line %d: %s", path, line,
			       r.e.kind ? r.e.text : "KEY = VALUE is needed");
	*ret = b;
	return 0;
}

const char *bounds_ionice_text(int ionice, char buf[static RATE_TEXT_MAX])
{
	if (ionice == IONICE_KEEP)
		(void)snprintf(buf, RATE_TEXT_MAX, "as started");
	else if (IOPRIO_PRIO_CLASS(ionice) == IOPRIO_CLASS_IDLE)
		(void)snprintf(buf, RATE_TEXT_MAX, "idle");
	else
		(void)snprintf(buf, RATE_TEXT_MAX, "best-effort:%d", ionice & 7);
	return buf;
}
