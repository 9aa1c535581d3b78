/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "checks.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "choose.h"
#include "clock.h"
#include "progress.h"
#include "report.h"
#include "route.h"
#include "usage_round.h"

static const char *const level_words[] = { "ok", "warning", "critical" };

void finding_ok(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	*f = (struct finding){ .level = CHECK_OK };
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
}

void finding_bad(struct finding *f, enum check_level level, const char *fix, const char *fmt, ...)
{
	va_list ap;

	*f = (struct finding){ .level = level };
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	(void)snprintf(f->fix, sizeof f->fix, "%s", fix);
}

/* ---- the disks that would be sent ---- */

static void disks_found(struct move *m, struct finding *f)
{
	char names[512] = "";
	struct err e = { 0 };

	if (choose_disks(m, &e)) {
		finding_bad(f, CHECK_CRITICAL,
			    "name each whole disk, or an image file, with --disk SRC=N", "%s",
			    e.text);
		return;
	}
	for (unsigned i = 0; i < m->n_disks; i++) {
		size_t len = strlen(names);

		(void)snprintf(names + len, sizeof names - len, "%s%s=%u", i ? ", " : "",
			       source_info(m->disks[i].source)->path, m->disks[i].n);
	}
	finding_ok(f, "%u: %.300s", m->n_disks, names);
}

/* The cause is said once, by disks-found. */
static bool no_disks(const struct move *m, struct finding *f)
{
	if (!m->n_disks)
		finding_bad(f, CHECK_WARNING, "see disks-found", "there is no disk to look at");
	return !m->n_disks;
}

static void disks_identified(struct move *m, struct finding *f)
{
	if (no_disks(m, f))
		return;
	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct source_info *s = source_info(m->disks[i].source);

		if (!s->serial[0]) {
			finding_bad(f, CHECK_WARNING,
				    "names can change between boots: compare size and content of "
				    "the disk before you send it",
				    "'%s' has no serial number", s->path);
			return;
		}
	}
	finding_ok(f, "each has a serial number or an identity of its own");
}

static void disks_readable(struct move *m, struct finding *f)
{
	struct err e = { 0 };

	if (no_disks(m, f))
		return;

	scoped(freep) void *buf = aligned_alloc(SOURCE_ALIGN, SOURCE_ALIGN);
	for (unsigned i = 0; buf && i < m->n_disks; i++) {
		const struct source_info *s = source_info(m->disks[i].source);
		size_t len = s->size < SOURCE_ALIGN ? (size_t)s->size : SOURCE_ALIGN;

		if (!source_read(m->disks[i].source, buf, len, 0, &e))
			continue;
		finding_bad(f, CHECK_CRITICAL,
			    "repair or replace the disk, or copy it with a tool "
			    "that works around read errors, and send that image",
			    "%s", e.text);
		return;
	}
	finding_ok(f, "the beginning of each disk can be read");
}

static void add_doubts(const struct move_disk *d, char *text, size_t room)
{
	const struct usage_part *p;

	for (unsigned at = 0; (p = usage_round_doubt(d, &at));) {
		size_t len = strlen(text);

		(void)snprintf(text + len, room - len, "%s%s of disk %u: %s", len ? "; " : "",
			       p->name, d->n, p->why);
	}
}

/* A look as a live round would take it: what is free now may not be so later. */
static void used_blocks(struct move *m, struct finding *f)
{
	struct usage_context c = { .phase = USAGE_LIVE, .grain = USAGE_GRAIN };
	uint64_t size = 0, unused = 0;
	char doubt[300] = "", a[32], b[32];

	if (no_disks(m, f))
		return;
	for (unsigned i = 0; i < m->n_disks; i++) {
		struct move_disk *d = &m->disks[i];
		struct err e = { 0 };

		size += source_info(d->source)->size;
		if (usage_round_disk(d, &c, &e))
			continue;
		unused += extent_set_total(d->free_map);
		add_doubts(d, doubt, sizeof doubt);
	}
	(void)progress_bytes(a, sizeof a, unused);
	(void)progress_bytes(b, sizeof b, size);
	if (doubt[0])
		finding_bad(f, CHECK_WARNING,
			    "nothing is lost: what cannot be proved free is sent as it is; repair "
			    "the file system to send less",
			    "%s of %s are free and need not be sent; not all is known: %s", a, b,
			    doubt);
	else
		finding_ok(f, "%s of %s are free and need not be sent", a, b);
}

/* ---- the invite ---- */

#define NO_INVITE_FIX "give --invite FILE, which 'receiverctl pair --out FILE' writes"

static void invite_valid(struct move *m, struct finding *f)
{
	time_t now = time(NULL);

	if (!m->o->invite)
		finding_bad(f, CHECK_WARNING, NO_INVITE_FIX, "no invite was given");
	else if (now > 0 && (uint64_t)now > m->invite.expires)
		finding_bad(f, CHECK_WARNING,
			    "pair again on the receiver, unless this source is paired already; "
			    "or set the clock",
			    "the pairing code is past its time");
	else
		finding_ok(f, "good for %llu more minutes",
			   (unsigned long long)((m->invite.expires - (uint64_t)now) / 60));
}

static void target_size(struct move *m, struct finding *f)
{
	struct err e = { 0 };

	if (!m->o->invite)
		finding_bad(f, CHECK_WARNING, NO_INVITE_FIX, "no invite: target sizes not known");
	else if (choose_check(m, &e))
		finding_bad(f, CHECK_CRITICAL,
			    "attach a target disk at least as large, pair it, and map it with "
			    "--disk SRC=N",
			    "%s", e.text);
	else
		finding_ok(f, "each target disk is as large as its source");
}

static void sector_size(struct move *m, struct finding *f)
{
	for (unsigned i = 0; m->o->invite && i < m->n_disks; i++) {
		const struct source_info *s = source_info(m->disks[i].source);
		const struct invite_disk *t = invite_disk(&m->invite, m->disks[i].n);

		if (!t || s->kind != SOURCE_BLOCK || t->logical_sector == s->logical_sector)
			continue;
		finding_bad(f, CHECK_CRITICAL,
			    "use a target disk with the same logical sectors: partition tables and "
			    "file systems count in them",
			    "'%s' has sectors of %u bytes, target disk %u of %u", s->path,
			    s->logical_sector, t->n, t->logical_sector);
		return;
	}
	finding_ok(f, "sector sizes fit");
}

/* ---- the way to the receiver ---- */

/* 0 when the receiver of the invite answers there. */
static int try_address(struct move *m, const struct address *a, struct err *e)
{
	struct link_options lo = route_link(m);
	struct link *l = NULL;
	int r;

	lo.addresses = a;
	lo.n_addresses = 1;
	memcpy(lo.spki, m->invite.spki, DIGEST_LEN);
	r = link_open(&lo, &l, e);
	if (!r)
		(void)link_bye(l, NULL);
	link_close(l);
	return r;
}

static void reach_port(struct move *m, uint16_t port, struct finding *f)
{
	struct err e = { 0 };

	if (!m->o->invite || (!m->invite.n_addresses && !m->o->to)) {
		finding_bad(f, CHECK_WARNING, NO_INVITE_FIX, "no address to try");
		return;
	}
	for (unsigned i = 0; i < (m->o->to ? 1 : m->invite.n_addresses); i++) {
		struct address a = m->o->to ? m->to : m->invite.addresses[i];

		a.port = port;
		err_clear(&e);
		if (!try_address(m, &a, &e)) {
			finding_ok(f, "the receiver answers at %s port %u", a.host, port);
			return;
		}
	}
	finding_bad(f, CHECK_WARNING,
		    "open the port from this machine to the receiver in firewalls and security "
		    "groups; one of 443 and 80 is enough",
		    "port %u: %.300s", port, e.text);
}

static void reach_443(struct move *m, struct finding *f)
{
	reach_port(m, 443, f);
}

static void reach_80(struct move *m, struct finding *f)
{
	reach_port(m, 80, f);
}

static void reach_receiver(struct move *m, struct finding *f)
{
	struct err e = { 0 };

	if (!m->o->invite || (!m->invite.n_addresses && !m->o->to)) {
		finding_bad(f, CHECK_WARNING, NO_INVITE_FIX, "no address to try");
		return;
	}
	for (unsigned i = 0; i < (m->o->to ? 1 : m->invite.n_addresses); i++) {
		const struct address *a = m->o->to ? &m->to : &m->invite.addresses[i];

		err_clear(&e);
		if (!try_address(m, a, &e)) {
			finding_ok(f, "the receiver of the invite answers at %s port %u", a->host,
				   a->port);
			return;
		}
	}
	finding_bad(
	    f, CHECK_CRITICAL,
	    "start the receiver, open its ports towards this machine, or give --to HOST:PORT",
	    "%.350s", e.text);
}

static void state_space(struct move *m, struct finding *f)
{
	char path[4000];
	struct statvfs v;
	uint64_t need = MIB, have;

	for (unsigned i = 0; i < m->n_disks; i++)
		need += TABLE_ENTRY_LEN * (source_info(m->disks[i].source)->size / BLOCK_SIZE_MIN);
	(void)snprintf(path, sizeof path, "%s",
		       m->o->state    ? m->o->state
		       : m->o->invite ? m->o->invite
				      : "./x");
	char *dir = dirname(path);
	if (statvfs(dir, &v)) {
		finding_bad(f, CHECK_CRITICAL, "give --state DIR", "'%s': %s", dir,
			    strerror(errno));
		return;
	}
	have = (uint64_t)v.f_bavail * v.f_frsize;
	if (have < need)
		finding_bad(f, CHECK_CRITICAL, "free some space, or give --state DIR elsewhere",
			    "digest tables need up to %llu MiB in '%s', which has %llu",
			    (unsigned long long)(need / MIB), dir,
			    (unsigned long long)(have / MIB));
	else
		finding_ok(f, "%llu MiB free in '%s', at most %llu needed",
			   (unsigned long long)(have / MIB), dir, (unsigned long long)(need / MIB));
}

/* In this order: later ones use what earlier ones found. */
static const struct check run_checks[] = {
	{ "disks-found", disks_found },
	{ "disks-identified", disks_identified },
	{ "disks-readable", disks_readable },
	{ "used-blocks", used_blocks },
	{ "invite", invite_valid },
	{ "target-size", target_size },
	{ "sector-size", sector_size },
	{ "state-space", state_space },
	{ "reach-receiver", reach_receiver },
	{ "reach-443", reach_443 },
	{ "reach-80", reach_80 },
	{ 0 },
};

/* ---- output ---- */

struct tally {
	unsigned n[3];
	json_t *list; /* NULL for text */
};

static void one(struct move *m, const struct check *c, struct tally *t)
{
	struct finding f = { 0 };

	c->look(m, &f);
	t->n[f.level]++;
	if (!t->list) {
		(void)printf("%-8s  %-18s %s\n", level_words[f.level], c->id, f.text);
		if (f.fix[0])
			(void)printf("%8s  %-18s fix: %s\n", "", "", f.fix);
		return;
	}
	json_t *o = json_object();
	(void)json_object_set_new(o, "id", json_string(c->id));
	(void)json_object_set_new(o, "level", json_string(level_words[f.level]));
	(void)json_object_set_new(o, "text", json_string(f.text));
	(void)json_object_set_new(o, "fix", json_string(f.fix));
	(void)json_array_append_new(t->list, o);
}

/* Of each disk its parts, with what a round would leave out. */
static json_t *used_json(const struct move *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->n_disks; i++) {
		json_t *o = json_object();

		(void)json_object_set_new(o, "n", json_integer(m->disks[i].n));
		(void)json_object_set_new(o, "source",
					  json_string(source_info(m->disks[i].source)->path));
		(void)json_object_set_new(o, "parts", report_parts(usage_round_look(&m->disks[i])));
		(void)json_array_append_new(list, o);
	}
	return list;
}

static void print_tally(const struct move *m, const struct tally *t)
{
	if (!t->list) {
		(void)printf("%u critical, %u warnings\n", t->n[CHECK_CRITICAL],
			     t->n[CHECK_WARNING]);
		return;
	}
	json_t *o = json_object();
	(void)json_object_set_new(o, "critical", json_integer(t->n[CHECK_CRITICAL]));
	(void)json_object_set_new(o, "warnings", json_integer(t->n[CHECK_WARNING]));
	(void)json_object_set(o, "checks", t->list);
	(void)json_object_set_new(o, "disks", used_json(m));
	(void)json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	(void)fputc('\n', stdout);
	json_decref(o);
}

static int load(struct move *m, struct err *e)
{
	int r = m->o->invite ? invite_load(m->o->invite, &m->invite, e) : 0;

	return r ? r : route_find(m, e);
}

int checks_run(const struct sender_options *o)
{
	struct tally t = { .list = o->json ? json_array() : NULL };
	struct err e = { 0 };

	scoped(freep) struct move *m = calloc(1, sizeof *m);
	if (!m)
		return 1;
	m->o = o;
	limit_init(&m->limit, LIMIT_NONE, clock_ns());
	ceiling_init(&m->ceiling, 0, 0, 0);
	if (load(m, &e)) {
		json_decref(t.list);
		report_error(&e);
		return err_exit_code(&e);
	}
	for (const struct check *c = run_checks; c->id; c++)
		one(m, c, &t);
	for (const struct check *c = host_checks; c->id; c++)
		one(m, c, &t);
	print_tally(m, &t);
	json_decref(t.list);
	for (unsigned i = 0; i < m->n_disks; i++) {
		usage_round_free(&m->disks[i]);
		source_close(m->disks[i].source);
	}
	invite_wipe(&m->invite);
	proxy_wipe(&m->proxy);
	return t.n[CHECK_CRITICAL] ? 4 : 0;
}
