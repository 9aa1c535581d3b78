/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "progress.h"
#include "usage_round.h"

static const char *result_word(const struct err *e)
{
	switch (err_exit_code(e)) {
	case 0:
		return "done";
	case 2:
		return "usage";
	case 3:
		return "interrupted";
	case 4:
		return "refused";
	default:
		return "failed";
	}
}

static void set(json_t *o, const char *key, json_t *v)
{
	(void)json_object_set_new(o, key, v ? v : json_null());
}

static void set_number(json_t *o, const char *key, uint64_t v)
{
	set(o, key, json_integer((json_int_t)v));
}

static void set_hex(json_t *o, const char *key, const uint8_t digest[static DIGEST_LEN])
{
	char hex[2 * DIGEST_LEN + 1];

	digest_hex(digest, DIGEST_LEN, hex);
	set(o, key, json_string(hex));
}

static json_t *skipped_json(uint64_t holes, uint64_t unused)
{
	json_t *o = json_object();

	set_number(o, "hole", holes);
	set_number(o, "free", unused);
	return o;
}

json_t *report_parts(const struct usage *u)
{
	json_t *list = json_array();

	for (unsigned i = 0; u && i < u->n_parts; i++) {
		const struct usage_part *p = &u->parts[i];
		json_t *o = json_object();

		set(o, "name", json_string(p->name));
		set(o, "type", p->type[0] ? json_string(p->type) : json_null());
		set_number(o, "offset", p->off);
		set_number(o, "size", p->size);
		set_number(o, "free", p->free);
		set(o, "map", json_string(usage_verdict_word(p->verdict)));
		set(o, "why", p->why[0] ? json_string(p->why) : json_null());
		(void)json_array_append_new(list, o);
	}
	return list;
}

static json_t *disks_json(const struct move *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct move_disk *d = &m->disks[i];
		const struct disk_gauge *g = &m->gauge.disk[i];
		json_t *o = json_object();

		set_number(o, "n", d->n);
		set(o, "source", json_string(source_info(d->source)->path));
		set_number(o, "size", source_info(d->source)->size);
		set_number(o, "blocks", d->table ? table_blocks(d->table) : 0);
		set_number(o, "data_blocks", atomic_load(&g->data_blocks));
		set_number(o, "zero_blocks", atomic_load(&g->zero_blocks));
		set_number(o, "unchanged_blocks", atomic_load(&g->unchanged_blocks));
		set_number(o, "durable_bytes", atomic_load(&g->durable));
		set(o, "tracking", json_string(d->tracking.traced ? "trace" : "digests"));
		set(o, "trace_lost",
		    d->tracking.lost ? json_string(d->tracking.lost) : json_null());
		set(o, "tracked_bytes",
		    d->tracking.traced ? json_integer((json_int_t)d->tracking.to_read)
				       : json_null());
		set(o, "bytes_skipped",
		    skipped_json(atomic_load(&g->hole_bytes), atomic_load(&g->free_bytes)));
		set(o, "parts", report_parts(usage_round_look(d)));
		if (m->sealed)
			set_hex(o, "list_sha256", d->list_digest);
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* JSON knows no "not known" among numbers: null. */
static void set_known(json_t *o, const char *key, bool known, double v)
{
	set(o, key, known ? json_real(v) : json_null());
}

static json_t *prediction_json(const struct prediction *p)
{
	json_t *o = json_object();

	set_known(o, "seconds", !p->missing, p->total_s);
	set_known(o, "freeze", !p->missing, p->freeze_s);
	set_known(o, "read", !p->missing, p->read_s);
	set_known(o, "hash", !p->missing, p->hash_s);
	set_known(o, "send", !p->missing, p->send_s);
	set_known(o, "durable", !p->missing, p->settle_s);
	set_known(o, "seal", !p->missing, p->seal_s);
	set_known(o, "changed_bytes", !p->missing, p->changed);
	set(o, "missing", p->missing ? json_string(p->missing) : json_null());
	return o;
}

static json_t *rounds_json(const struct rounds *log)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < log->n; i++) {
		const struct round_record *x = &log->list[i];
		json_t *o = json_object();

		set_number(o, "round", x->n);
		set(o, "final", json_boolean(x->final));
		set(o, "seconds", json_real(x->seconds));
		set_number(o, "changed_bytes", x->changed);
		set_number(o, "read_bytes", x->read);
		set_number(o, "wire_bytes", x->wire);
		set_known(o, "wire_rate", x->wire_rate > 0, x->wire_rate);
		set_known(o, "read_rate", x->measured.read_rate > 0, x->measured.read_rate);
		set_known(o, "change_rate", x->measured.change_known, x->measured.change_rate);
		set(o, "downtime", prediction_json(&x->at_once));
		(void)json_array_append_new(list, o);
	}
	return list;
}

static json_t *downtime_json(const struct move *m)
{
	const struct rounds *log = &m->log;
	json_t *o = json_object();

	set_known(o, "predicted", log->predicted_s >= 0, log->predicted_s);
	set_known(o, "limit", m->o->max_downtime_s > 0, m->o->max_downtime_s);
	set_known(o, "seconds", log->downtime_s >= 0, log->downtime_s);
	set_known(o, "frozen", log->frozen_s >= 0, log->frozen_s);
	set_known(o, "verify", log->verify_s >= 0, log->verify_s);
	return o;
}

static json_t *freeze_json(const struct freeze_report *f)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < f->n; i++) {
		json_t *o = json_object();

		set(o, "mount", json_string(f->points[i].point));
		set(o, "type", json_string(f->points[i].type));
		set(o, "frozen", json_boolean(f->points[i].frozen));
		if (!f->points[i].frozen)
			set(o, "why", json_string(f->points[i].why));
		(void)json_array_append_new(list, o);
	}
	return list;
}

void report_put_result(json_t *o, const struct err *e)
{
	json_t *j;

	set(o, "result", json_string(result_word(e)));
	if (e->kind == ERR_NONE)
		return;
	j = json_object();
	set(j, "kind", json_string(err_kind_word(e->kind)));
	set(j, "name", e->name ? json_string(e->name) : json_null());
	set(j, "text", json_string(e->text));
	set(o, "error", j);
}

static void print_json(const struct report *r, const struct err *e)
{
	const struct move *m = r->m;
	char proxy[PROXY_TEXT_MAX];
	uint64_t source = 0, holes = 0, unused = 0;
	json_t *o = json_object();

	for (unsigned i = 0; i < m->n_disks; i++) {
		source += source_info(m->disks[i].source)->size;
		holes += atomic_load(&m->gauge.disk[i].hole_bytes);
		unused += atomic_load(&m->gauge.disk[i].free_bytes);
	}
	report_put_result(o, e);
	set_number(o, "rounds", m->rounds);
	set(o, "rounds_list", rounds_json(&m->log));
	set(o, "converged", m->log.stopped ? json_string(m->log.stopped) : json_null());
	if (r->final)
		set(o, "downtime", downtime_json(m));
	set(o, "disks", disks_json(m));
	set_number(o, "bytes_source", source);
	set(o, "bytes_skipped", skipped_json(holes, unused));
	set_number(o, "bytes_read", atomic_load(&m->gauge.read));
	set_number(o, "bytes_sent_plain", atomic_load(&m->gauge.plain));
	set_number(o, "bytes_sent_twice", atomic_load(&m->gauge.twice));
	set_number(o, "bytes_wire", atomic_load(&m->gauge.wire));
	set(o, "proxy",
	    m->proxy.kind == PROXY_NONE ? NULL
					: json_string(proxy_text(&m->proxy, proxy, sizeof proxy)));
	set(o, "congestion",
	    atomic_load(&m->gauge.cubic) ? json_string("cubic")
	    : m->congestion[0]           ? json_string(m->congestion)
					 : NULL);
	set_number(o, "connections", atomic_load(&m->connections));
	set_number(o, "connections_lost", atomic_load(&m->gauge.lost));
	set(o, "seconds", json_real(r->seconds));
	set(o, "verified", json_boolean(m->verified));
	if (m->sealed)
		set_hex(o, "manifest_sha256", m->seal_digest);
	else
		set(o, "manifest_sha256", json_null());
	if (r->freeze)
		set(o, "file_systems", freeze_json(r->freeze));
	(void)json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	(void)fputc('\n', stdout);
	json_decref(o);
}

/* Free space arrives as zeros: that target and source differ there must be no surprise. */
static void say_skipped(const struct move *m)
{
	char a[32], b[32];

	for (unsigned i = 0; i < m->n_disks; i++) {
		uint64_t holes = atomic_load(&m->gauge.disk[i].hole_bytes);
		uint64_t unused = atomic_load(&m->gauge.disk[i].free_bytes);

		if (holes || unused)
			(void)printf(
			    "disk %u  not read: %s of holes, %s of free space (zero on the "
			    "target)\n",
			    m->disks[i].n, progress_bytes(a, sizeof a, holes),
			    progress_bytes(b, sizeof b, unused));
	}
}

static void print_text(const struct report *r)
{
	const struct move *m = r->m;
	char a[32], b[32], c[32];

	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct disk_gauge *g = &m->gauge.disk[i];

		(void)printf("disk %u  %s, %s: %llu blocks sent, %llu zero, %llu unchanged\n",
			     m->disks[i].n, source_info(m->disks[i].source)->path,
			     progress_bytes(a, sizeof a, source_info(m->disks[i].source)->size),
			     (unsigned long long)atomic_load(&g->data_blocks),
			     (unsigned long long)atomic_load(&g->zero_blocks),
			     (unsigned long long)atomic_load(&g->unchanged_blocks));
	}
	say_skipped(m);
	(void)printf("%s on the wire in %s, %s read\n",
		     progress_bytes(a, sizeof a, atomic_load(&m->gauge.wire)),
		     progress_time(b, sizeof b, (uint64_t)(r->seconds + 0.5)),
		     progress_bytes(c, sizeof c, atomic_load(&m->gauge.read)));
	if (m->log.downtime_s >= 0) {
		(void)printf("downtime %.1f s until everything was sealed", m->log.downtime_s);
		if (m->log.predicted_s >= 0)
			(void)printf(", predicted %.1f s", m->log.predicted_s);
		(void)puts("");
	}
	for (unsigned i = 0; r->freeze && i < r->freeze->n; i++) {
		const struct freeze_point *p = &r->freeze->points[i];

		if (!p->frozen)
			(void)printf("not frozen: %s (%s): %s\n", p->point, p->type, p->why);
	}
	if (r->final)
		(void)puts(
		    "Verified: the receiver read its disks again and found what was signed.\n"
		    "Next: 'receiverctl finalize' on the receiver.");
	else
		(void)puts(
		    "Next: 'transit-send sync' as often as you like; then stop the services and\n"
		    "run 'transit-send sync --final'.");
}

void report_print(const struct report *r, const struct err *e)
{
	if (r->m->o->json)
		print_json(r, e);
	else if (e->kind == ERR_NONE)
		print_text(r);
}

void report_error(const struct err *e)
{
	int code = err_exit_code(e);

	if (code == 4 && e->name)
		log_error("refused (%s): %s", e->name, e->text);
	else if (code == 3)
		log_error("interrupted: %s; run the same command again to go on", e->text);
	else
		log_error("%s", e->text);
}
