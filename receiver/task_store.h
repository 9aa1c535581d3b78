/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * task_store.h - the task on disk: STATE/task/task.json
 *
 * Shape   JSON, version 1, all keys always there; nothing secret (the pin is a public key).
 * Order   store.h: the old file or the new one. Beside it in STATE/task: facts.json,
 *         manifest.json, disk-N/ (journal and lists, the writers'), bootfix/ and its reports.
 * Trust   a file that does not fit in every key, type and range is refused at start, in
 *         words: a task that is half understood must not write disks.
 */
#ifndef RECEIVER_TASK_STORE_H
#define RECEIVER_TASK_STORE_H

#include "store.h"
#include "task.h"

#define TASK_FOLDER "task"
#define TASK_FILE "task.json"

int task_store_save(const char *state_dir, const struct task *t, struct err *e);
/* Absent: *ret is task_init()'s. -EUCLEAN when the file is there and not ours. */
int task_store_load(const char *state_dir, struct task *ret, struct err *e);
/* Removes STATE/task with all that is in it. Disks are not touched. Absent is success. */
int task_store_clean(const char *state_dir, struct err *e);

/* Pure halves of the two above. */
json_t *task_to_json(const struct task *t);
int task_from_json(json_t *j, struct task *ret, struct err *e);

/* Exactly 2 * ${len} hexadecimal characters. */
int hex_bytes(const char *text, uint8_t *ret, size_t len);

#endif
