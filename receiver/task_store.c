/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "task_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define TASK_FILE_MAX (256 * KIB)

static const char *const fix_words[] = {
	[TASK_FIX_NONE] = "none",
	[TASK_FIX_APPLY] = "apply",
	[TASK_FIX_UNDO] = "undo",
};

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int hex_bytes(const char *text, uint8_t *ret, size_t len)
{
	if (strlen(text) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < 2 * len; i++) {
		if (nibble(text[i]) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return 0;
}

static json_t *disk_to_json(const struct task_disk *d, uint32_t n)
{
	json_t *bad = json_array();

	for (uint32_t i = 0; i < d->n_bad; i++)
		json_array_append_new(bad, json_integer((json_int_t)d->bad[i]));
	return json_pack(
	    "{s:I, s:s, s:s, s:I, s:I, s:b, s:I, s:s, s:I, s:I, s:o, s:I}", "n", (json_int_t)n,
	    "path", d->path, "serial", d->serial, "size", (json_int_t)d->size, "logical_sector",
	    (json_int_t)d->logical_sector, "may_erase", d->may_erase, "source_size",
	    (json_int_t)d->source_size, "identity", d->identity, "claimed", (json_int_t)d->claimed,
	    "written", (json_int_t)d->written, "bad", bad, "different", (json_int_t)d->n_different);
}

json_t *task_to_json(const struct task *t)
{
	char id[2 * TASK_ID_LEN + 1], pub[2 * PUBKEY_LEN + 1] = "";
	json_t *disks = json_array(), *args = json_array();

	digest_hex(t->id, sizeof t->id, id);
	if (t->pinned)
		digest_hex(t->pub, sizeof t->pub, pub);
	for (uint32_t i = 0; i < t->n_fix_args; i++)
		json_array_append_new(args, json_string(t->fix_args[i]));
	for (uint32_t n = 0; n < DISKS_MAX; n++) {
		if (t->disk[n].used)
			json_array_append_new(disks, disk_to_json(&t->disk[n], n));
	}
	return json_pack("{s:i, s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:s, s:o, s:s, s:s, s:s, s:o}",
			 "version", 1, "state", task_state_word(t->state), "task", id, "epoch",
			 (json_int_t)t->epoch, "pin", pub, "block_size", (json_int_t)t->block_size,
			 "sealed", t->sealed, "touched", t->touched, "fix", fix_words[t->fix],
			 "fix_args", args, "failed_from",
			 t->failed_from ? task_state_word(t->failed_from) : "", "reason", t->reason,
			 "next", t->next, "disks", disks);
}

static int bad_value(struct err *e, const char *key)
{
	return err_set(e, ERR_SYS, EUCLEAN, "'%s' is out of range", key);
}

static int take_text(const char *src, char *dst, size_t room, const char *key, struct err *e)
{
	if (strlen(src) >= room)
		return bad_value(e, key);
	memcpy(dst, src, strlen(src) + 1);
	return 0;
}

static int take_bad_blocks(json_t *list, struct task_disk *d, struct err *e)
{
	if (!json_is_array(list) || json_array_size(list) > TASK_BAD_MAX)
		return bad_value(e, "bad");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return bad_value(e, "bad");
		d->bad[d->n_bad++] = (uint64_t)json_integer_value(v);
	}
	return 0;
}

static int take_disk(json_t *j, struct task *t, struct err *e)
{
	json_int_t n, size, sector, source, claimed, written, different;
	const char *path, *serial, *identity;
	json_t *bad;
	json_error_t je;
	int erase, r;

	if (json_unpack_ex(
		j, &je, JSON_STRICT, "{s:I, s:s, s:s, s:I, s:I, s:b, s:I, s:s, s:I, s:I, s:o, s:I}",
		"n", &n, "path", &path, "serial", &serial, "size", &size, "logical_sector", &sector,
		"may_erase", &erase, "source_size", &source, "identity", &identity, "claimed",
		&claimed, "written", &written, "bad", &bad, "different", &different))
		return err_set(e, ERR_SYS, EUCLEAN, "disks: %s", je.text);
	if (n < 0 || n >= DISKS_MAX || t->disk[n].used)
		return bad_value(e, "n");
	if (size <= 0 || source < 0 || (uint64_t)source > DISK_SIZE_MAX)
		return bad_value(e, "size");
	if (sector < 512 || sector > 65536 || claimed < 0 || written < 0 || different < 0)
		return bad_value(e, "claimed");
	struct task_disk *d = &t->disk[n];
	*d = (struct task_disk){ .used = true,
				 .size = (uint64_t)size,
				 .logical_sector = (uint32_t)sector,
				 .may_erase = erase,
				 .source_size = (uint64_t)source,
				 .claimed = (uint64_t)claimed,
				 .written = (uint64_t)written,
				 .n_different = (uint64_t)different };
	r = take_text(path, d->path, sizeof d->path, "path", e);
	if (!r)
		r = take_text(serial, d->serial, sizeof d->serial, "serial", e);
	if (!r)
		r = take_text(identity, d->identity, sizeof d->identity, "identity", e);
	return r ? r : take_bad_blocks(bad, d, e);
}

static int take_fix(struct task *t, const char *word, json_t *args, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof fix_words / sizeof fix_words[0]; i++) {
		if (!strcmp(word, fix_words[i]))
			break;
	}
	if (i > TASK_FIX_UNDO)
		return bad_value(e, "fix");
	t->fix = (enum task_fix)i;
	if (!json_is_array(args) || json_array_size(args) > TASK_ARGS_MAX)
		return bad_value(e, "fix_args");
	for (i = 0; i < json_array_size(args); i++) {
		const char *s = json_string_value(json_array_get(args, i));
		int r = s ? take_text(s, t->fix_args[i], TASK_ARG_MAX, "fix_args", e)
			  : bad_value(e, "fix_args");

		if (r)
			return r;
	}
	t->n_fix_args = (uint32_t)i;
	return 0;
}

static int take_words(struct task *t, const char *state, const char *from, const char *id,
		      const char *pin, struct err *e)
{
	if (task_state_from_word(state, &t->state))
		return bad_value(e, "state");
	if (*from && task_state_from_word(from, &t->failed_from))
		return bad_value(e, "failed_from");
	if (hex_bytes(id, t->id, sizeof t->id))
		return bad_value(e, "task");
	t->pinned = *pin != 0;
	if (t->pinned && hex_bytes(pin, t->pub, sizeof t->pub))
		return bad_value(e, "pin");
	return 0;
}

int task_from_json(json_t *j, struct task *ret, struct err *e)
{
	const char *state, *id, *pin, *fix, *from, *reason, *next;
	json_int_t version, epoch, block_size;
	json_t *args, *disks;
	struct task t;
	json_error_t je;
	int sealed, touched, r;

	task_init(&t);
	if (json_unpack_ex(j, &je, JSON_STRICT,
			   "{s:I, s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:s, s:o, s:s, s:s, s:s, s:o}",
			   "version", &version, "state", &state, "task", &id, "epoch", &epoch,
			   "pin", &pin, "block_size", &block_size, "sealed", &sealed, "touched",
			   &touched, "fix", &fix, "fix_args", &args, "failed_from", &from, "reason",
			   &reason, "next", &next, "disks", &disks))
		return err_set(e, ERR_SYS, EUCLEAN, "%s", je.text);
	if (version != 1)
		return bad_value(e, "version");
	if (epoch < 0)
		return bad_value(e, "epoch");
	if (block_size < (json_int_t)BLOCK_SIZE_MIN || block_size > (json_int_t)BLOCK_SIZE_MAX ||
	    !is_power_of_two((uint64_t)block_size))
		return bad_value(e, "block_size");
	if (!json_is_array(disks) || !json_array_size(disks))
		return bad_value(e, "disks");
	t.exists = true;
	t.epoch = (uint64_t)epoch;
	t.block_size = (uint32_t)block_size;
	t.sealed = sealed;
	t.touched = touched;
	r = take_words(&t, state, from, id, pin, e);
	if (!r)
		r = take_fix(&t, fix, args, e);
	if (!r)
		r = take_text(reason, t.reason, sizeof t.reason, "reason", e);
	if (!r)
		r = take_text(next, t.next, sizeof t.next, "next", e);
	for (size_t i = 0; !r && i < json_array_size(disks); i++)
		r = take_disk(json_array_get(disks, i), &t, e);
	if (!r)
		*ret = t;
	return r;
}

static void folder(const char *state_dir, char ret[static STORE_PATH_MAX])
{
	(void)snprintf(ret, STORE_PATH_MAX, "%s/" TASK_FOLDER, state_dir);
}

int task_store_save(const char *state_dir, const struct task *t, struct err *e)
{
	char dir[STORE_PATH_MAX];
	int r;

	scoped(json_decrefp) json_t *j = task_to_json(t);
	if (!j)
		return err_set(e, ERR_SYS, ENOMEM, "store the task");
	folder(state_dir, dir);
	r = store_folder(dir, e);
	if (!r)
		r = store_write_json(dir, TASK_FILE, j, e);
	return err_under(e, r, "store the task");
}

int task_store_load(const char *state_dir, struct task *ret, struct err *e)
{
	scoped(json_decrefp) json_t *j = NULL;
	char dir[STORE_PATH_MAX];
	int r;

	folder(state_dir, dir);
	r = store_read_json(dir, TASK_FILE, TASK_FILE_MAX, &j, e);
	if (r == -ENOENT) {
		task_init(ret);
		return 0;
	}
	if (!r)
		r = task_from_json(j, ret, e);
	return err_under(e, r, "'%s/" TASK_FILE "'", dir);
}

int task_store_clean(const char *state_dir, struct err *e)
{
	return store_discard(state_dir, TASK_FOLDER, e);
}
