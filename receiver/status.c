/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * status.c - the task as a person or a program sees it; keys are added, never changed
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "keeper_parts.h"

#define LISTEN_FILE_MAX (4 * KIB)

json_t *status_listen(const struct keeper *k)
{
	scoped(freep) char *text = NULL;
	json_t *list = json_array();
	char *save = NULL;
	size_t len;

	if (store_read(k->o->state_dir, "listen", LISTEN_FILE_MAX, &text, &len, NULL))
		return list;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		json_array_append_new(list, json_string(l));
	return list;
}

/* What the disk is doing, in one word. */
static const char *disk_word(const struct keeper *k, uint32_t n)
{
	const struct keeper_writer *w = &k->writers[n];

	if (k->verify.active && w->verify_asked)
		return w->verify_ended ? "verified" : "verifying";
	switch (w->phase) {
	case WRITER_NONE:
		return k->fix.what == FIX_NONE ? "idle" : "with-bootfix";
	case WRITER_STARTING:
		return "opening";
	case WRITER_READY:
		return "open";
	case WRITER_ENDING:
		return "closing";
	}
	return "idle";
}

static json_t *bad_blocks(const struct keeper *k, uint32_t n)
{
	const struct task_disk *d = &k->task.disk[n];
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->n_bad; i++)
		json_array_append_new(
		    list, json_pack("{s:I, s:I}", "block", (json_int_t)d->bad[i], "offset",
				    (json_int_t)d->bad[i] * (json_int_t)k->task.block_size));
	return list;
}

static json_t *disk_to_json(const struct keeper *k, uint32_t n)
{
	const struct keeper_writer *w = &k->writers[n];
	const struct task_disk *d = &k->task.disk[n];

	return json_pack(
	    "{s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, "
	    "s:o}",
	    "n", (json_int_t)n, "path", d->path, "serial", d->serial, "size", (json_int_t)d->size,
	    "source_size", (json_int_t)d->source_size, "source", d->identity, "blocks",
	    (json_int_t)task_disk_blocks(&k->task, n), "claimed", (json_int_t)d->claimed, "written",
	    (json_int_t)keeper_written(k, n), "pending", (json_int_t)w->pending, "state",
	    disk_word(k, n), "verify_done", (json_int_t)w->verify_done, "verify_total",
	    (json_int_t)(w->verify_total ? w->verify_total : d->source_size), "bad",
	    (json_int_t)d->n_different, "bad_blocks", bad_blocks(k, n));
}

static void add_peer(struct keeper *k, json_t *to)
{
	const struct keeper_peer *p = keeper_session(k);
	char key[2 * PUBKEY_LEN + 1];

	if (p)
		json_object_set_new(to, "peer", json_string(p->name));
	if (k->task.pinned) {
		digest_hex(k->task.pub, sizeof k->task.pub, key);
		json_object_set_new(to, "sender_key", json_string(key));
	}
}

static void add_code(const struct keeper *k, json_t *to)
{
	uint64_t now = tickets_now_ms();

	if (k->tickets.open)
		json_object_set_new(
		    to, "code_seconds_left",
		    json_integer(k->tickets.expires_ms > now
				     ? (json_int_t)(k->tickets.expires_ms - now) / 1000
				     : 0));
}

/* In short: "receiverctl plan" and the file have all of it. */
static void add_report(struct keeper *k, json_t *to)
{
	json_t *report = NULL;

	if (!k->task.touched || fix_report(k, FIX_APPLY, &report, NULL))
		return;
	json_object_set_new(
	    to, "report",
	    json_pack("{s:O?, s:O?, s:O?, s:I, s:I}", "command", json_object_get(report, "command"),
		      "result", json_object_get(report, "result"), "error",
		      json_object_get(report, "error"), "actions",
		      (json_int_t)json_array_size(json_object_get(report, "actions")), "findings",
		      (json_int_t)json_array_size(json_object_get(report, "findings"))));
	json_decref(report);
}

/* Something that was told to end has not ended yet: a disk may still be held. */
static bool is_ending(const struct keeper *k)
{
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (k->writers[n].phase == WRITER_ENDING)
			return true;
	}
	return k->fix.what != FIX_NONE && k->task.state == TASK_ABORTED;
}

static const char *next_step(const struct keeper *k)
{
	if (k->task.next[0])
		return k->task.next;
	if (k->task.state == TASK_WAITING && k->tickets.open)
		return "carry the invite to the source, there: transit-send push --invite FILE";
	if (!k->task.pinned &&
	    (k->task.state == TASK_INTERRUPTED || k->task.state == TASK_RECEIVED))
		return k->tickets.open ? "carry the invite to the source, there: transit-send sync "
					 "--invite FILE"
				       : "no sender is paired: receiverctl pair --out invite";
	return task_state_next(k->task.state);
}

json_t *status_to_json(struct keeper *k)
{
	char spki[2 * DIGEST_LEN + 1], id[2 * TASK_ID_LEN + 1] = "";
	const struct task *t = &k->task;
	json_t *disks = json_array(), *to;

	digest_hex(keeper_key_spki(k->key), DIGEST_LEN, spki);
	if (t->exists)
		digest_hex(t->id, sizeof t->id, id);
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used)
			json_array_append_new(disks, disk_to_json(k, n));
	}
	to = json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:b, s:I, s:o, s:s, s:o, s:o, s:s}",
		       "state", task_state_word(t->state), "reason", t->reason, "next",
		       next_step(k), "task", id, "epoch", (json_int_t)t->epoch, "paired", t->pinned,
		       "sealed", t->sealed, "ending", is_ending(k), "block_size",
		       (json_int_t)t->block_size, "disks", disks, "verify", k->verify.result, "fix",
		       fix_to_json(k), "listen", status_listen(k), "fingerprint", spki);
	add_peer(k, to);
	add_code(k, to);
	add_report(k, to);
	return to;
}
