/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * manifest.h - the signed statement of what the source disks are, kept beside the task
 *
 * Shape   STATE/task/manifest.json: what the sender sealed, its signature and public key, and the
 *         outcome of the re-read. docs/task-states.md, "Checking the proof", says how a third
 *         party checks it with openssl, sha256sum and jq alone.
 * Order   stored with "verified": false when a good seal arrives, so that a re-read can be repeated
 *         with the source gone; rewritten when the target was found equal.
 */
#ifndef RECEIVER_MANIFEST_H
#define RECEIVER_MANIFEST_H

#include "pairing.h"
#include "store.h"

#define MANIFEST_FILE "manifest.json"

struct manifest {
	struct msg_seal seal;
	uint8_t pub[PUBKEY_LEN];
	bool verified;
	uint64_t verified_at;                       /* seconds since 1970; 0: not yet */
	uint8_t disk_digest[DISKS_MAX][DIGEST_LEN]; /* by place in the seal; zero: not yet */
};

int manifest_save(const char *task_dir, const struct manifest *m, struct err *e);
/* -ENOENT (silent) when there is none; -EUCLEAN when its signature does not fit: it was altered. */
int manifest_load(const char *task_dir, struct manifest *ret, struct err *e);

json_t *manifest_to_json(const struct manifest *m);
int manifest_from_json(json_t *j, struct manifest *ret, struct err *e);

#endif
