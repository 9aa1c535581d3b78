/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store.h - small files that are either the old ones or the new ones, never half of each
 *
 * Order   write NAME.new, fsync it, rename it over NAME, fsync the folder. A crash at any line
 *         leaves the old file or the new one; a leftover NAME.new is overwritten by the next write.
 * Trust   the folder is 0700 and ours: names are constants of the program, never a peer's.
 * Errors  0 or a negative errno; -ENOENT from reads is silent (no *e): absent is not a failure.
 */
#ifndef RECEIVER_STORE_H
#define RECEIVER_STORE_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define STORE_PATH_MAX 320

/* Creates ${dir} with mode 0700 when it is not there; its parent must be. */
int store_folder(const char *dir, struct err *e);
int store_write(const char *dir, const char *name, const void *data, size_t len, struct err *e);
int store_write_json(const char *dir, const char *name, const json_t *j, struct err *e);
/* At most ${max} bytes, NUL-terminated at *ret_len; the caller frees. -EFBIG when longer. */
int store_read(const char *dir, const char *name, size_t max, char **ret, size_t *ret_len,
	       struct err *e);
/* Duplicate keys are refused; the caller gives the reference back. */
int store_read_json(const char *dir, const char *name, size_t max, json_t **ret, struct err *e);

/* Takes ${dir}/${name} away in one step (rename, folder synced), then removes it; what a crash
 * leaves is called "trash-*" and goes with the next call. Absent is success. */
int store_discard(const char *dir, const char *name, struct err *e);

#endif
