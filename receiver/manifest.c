/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "task_store.h"

#define MANIFEST_MAX (64 * KIB)
#define LABEL "transit-manifest-1"

static json_t *disk_to_json(const struct manifest *m, uint32_t i)
{
	const struct msg_seal_disk *d = &m->seal.disks[i];
	char list[2 * DIGEST_LEN + 1], disk[2 * DIGEST_LEN + 1] = "";

	digest_hex(d->list_digest, DIGEST_LEN, list);
	if (!all_zero(m->disk_digest[i], DIGEST_LEN))
		digest_hex(m->disk_digest[i], DIGEST_LEN, disk);
	return json_pack("{s:I, s:I, s:I, s:s, s:s}", "n", (json_int_t)d->disk, "size",
			 (json_int_t)d->size, "blocks", (json_int_t)d->blocks, "list_sha256", list,
			 "disk_sha256", disk);
}

json_t *manifest_to_json(const struct manifest *m)
{
	char task[2 * TASK_ID_LEN + 1], pub[2 * PUBKEY_LEN + 1], sig[2 * SIGNATURE_LEN + 1];
	uint8_t text[sizeof LABEL + MSG_SEAL_MAX];
	char text_hex[2 * sizeof text + 1];
	const size_t label = sizeof LABEL - 1;
	json_t *disks = json_array();
	size_t len;

	memcpy(text, LABEL, label);
	len = msg_seal_statement(&m->seal, text + label, sizeof text - label);
	digest_hex(text, label + len, text_hex);
	digest_hex(m->seal.task, TASK_ID_LEN, task);
	digest_hex(m->pub, PUBKEY_LEN, pub);
	digest_hex(m->seal.sig, SIGNATURE_LEN, sig);
	for (uint32_t i = 0; i < m->seal.n_disks; i++)
		json_array_append_new(disks, disk_to_json(m, i));
	return json_pack("{s:i, s:s, s:I, s:I, s:o, s:s, s:s, s:s, s:b, s:I}", "version", 1, "task",
			 task, "sealed_at", (json_int_t)m->seal.sealed_at, "block_size",
			 (json_int_t)m->seal.block_size, "disks", disks, "public_key", pub,
			 "signature", sig, "signed", text_hex, "verified", m->verified,
			 "verified_at", (json_int_t)m->verified_at);
}

static int broken(struct err *e, const char *key)
{
	return err_set(e, ERR_SYS, EUCLEAN, "'%s' is out of range", key);
}

static int take_disk(json_t *j, struct manifest *m, uint32_t i, struct err *e)
{
	struct msg_seal_disk *d = &m->seal.disks[i];
	json_int_t n, size, blocks;
	const char *list, *disk;
	json_error_t je;

	if (json_unpack_ex(j, &je, JSON_STRICT, "{s:I, s:I, s:I, s:s, s:s}", "n", &n, "size", &size,
			   "blocks", &blocks, "list_sha256", &list, "disk_sha256", &disk))
		return err_set(e, ERR_SYS, EUCLEAN, "disks[%u]: %s", i, je.text);
	if (n < 0 || n >= DISKS_MAX || size <= 0 || blocks <= 0)
		return broken(e, "disks");
	d->disk = (uint8_t)n;
	d->size = (uint64_t)size;
	d->blocks = (uint64_t)blocks;
	if (hex_bytes(list, d->list_digest, DIGEST_LEN) ||
	    (*disk && hex_bytes(disk, m->disk_digest[i], DIGEST_LEN)))
		return broken(e, "disks");
	return 0;
}

int manifest_from_json(json_t *j, struct manifest *ret, struct err *e)
{
	json_int_t version, sealed_at, block_size, verified_at;
	const char *task, *pub, *sig, *text;
	struct manifest m = { 0 };
	json_error_t je;
	json_t *disks;
	int verified, r = 0;

	if (json_unpack_ex(j, &je, JSON_STRICT,
			   "{s:I, s:s, s:I, s:I, s:o, s:s, s:s, s:s, s:b, s:I}", "version",
			   &version, "task", &task, "sealed_at", &sealed_at, "block_size",
			   &block_size, "disks", &disks, "public_key", &pub, "signature", &sig,
			   "signed", &text, "verified", &verified, "verified_at", &verified_at))
		return err_set(e, ERR_SYS, EUCLEAN, "%s", je.text);
	if (version != 1 || sealed_at < 0 || block_size <= 0 ||
	    block_size > (json_int_t)BLOCK_SIZE_MAX)
		return broken(e, "version");
	if (!json_is_array(disks) || !json_array_size(disks) || json_array_size(disks) > DISKS_MAX)
		return broken(e, "disks");
	if (hex_bytes(task, m.seal.task, TASK_ID_LEN) || hex_bytes(pub, m.pub, PUBKEY_LEN) ||
	    hex_bytes(sig, m.seal.sig, SIGNATURE_LEN))
		return broken(e, "signature");
	m.seal.sealed_at = (uint64_t)sealed_at;
	m.seal.block_size = (uint32_t)block_size;
	m.seal.n_disks = (uint32_t)json_array_size(disks);
	m.verified = verified;
	m.verified_at = (uint64_t)verified_at;
	for (uint32_t i = 0; !r && i < m.seal.n_disks; i++)
		r = take_disk(json_array_get(disks, i), &m, i, e);
	if (!r && pairing_seal_check(m.pub, &m.seal))
		r = err_set(e, ERR_SYS, EUCLEAN, "the signature does not fit: it was altered");
	if (!r)
		*ret = m;
	return r;
}

int manifest_save(const char *task_dir, const struct manifest *m, struct err *e)
{
	scoped(json_decrefp) json_t *j = manifest_to_json(m);

	if (!j)
		return err_set(e, ERR_SYS, ENOMEM, "store the manifest");
	return store_write_json(task_dir, MANIFEST_FILE, j, e);
}

int manifest_load(const char *task_dir, struct manifest *ret, struct err *e)
{
	scoped(json_decrefp) json_t *j = NULL;
	int r = store_read_json(task_dir, MANIFEST_FILE, MANIFEST_MAX, &j, e);

	if (!r)
		r = manifest_from_json(j, ret, e);
	return r == -ENOENT ? r : err_under(e, r, "'%s/" MANIFEST_FILE "'", task_dir);
}
