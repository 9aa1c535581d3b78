/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "task_store.h"

struct fixture {
	char dir[80];
	struct task task;
};

static void fill(struct task *t)
{
	task_init(t);
	t->state = TASK_FAILED;
	t->exists = true;
	memset(t->id, 0xa5, sizeof t->id);
	t->epoch = 9007199254740993; /* more than a double holds */
	t->pinned = true;
	memset(t->pub, 0x5a, sizeof t->pub);
	t->block_size = 262144;
	t->sealed = true;
	t->touched = true;
	t->fix = TASK_FIX_APPLY;
	t->n_fix_args = 2;
	(void)snprintf(t->fix_args[0], TASK_ARG_MAX, "grow");
	(void)snprintf(t->fix_args[1], TASK_ARG_MAX, "selinux");
	t->failed_from = TASK_FINALIZING;
	(void)snprintf(t->reason, sizeof t->reason, "bootfix: \"quoted\"");
	(void)snprintf(t->next, sizeof t->next, "again");
	t->disk[3] = (struct task_disk){ .used = true,
					 .path = "/dev/vda",
					 .serial = "S1",
					 .size = 1 << 20,
					 .logical_sector = 512,
					 .may_erase = true,
					 .source_size = 1 << 19,
					 .identity = "WD",
					 .claimed = 1,
					 .written = 77,
					 .bad = { 0, 1 },
					 .n_bad = 2,
					 .n_different = 5 };
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	(void)snprintf(f->dir, sizeof f->dir, "%s/transit-store.XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	fill(&f->task);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(task_store_clean(f->dir, NULL), 0);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void no_file_is_no_task_and_no_error(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct task t;

	assert_int_equal(task_store_load(f->dir, &t, &e), 0);
	assert_int_equal(t.state, TASK_WAITING);
	assert_false(t.exists);
	assert_int_equal(e.kind, ERR_NONE);
}

static void what_was_saved_comes_back_to_the_bit(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct task t;

	assert_int_equal(task_store_save(f->dir, &f->task, &e), 0);
	assert_int_equal(task_store_load(f->dir, &t, &e), 0);
	assert_memory_equal(&t, &f->task, sizeof t);
}

static void every_state_comes_back(void **state)
{
	struct fixture *f = *state;

	for (int s = TASK_WAITING; s <= TASK_ABORTED; s++) {
		struct task t;

		f->task.state = (enum task_state)s;
		assert_int_equal(task_store_save(f->dir, &f->task, NULL), 0);
		assert_int_equal(task_store_load(f->dir, &t, NULL), 0);
		assert_int_equal(t.state, s);
	}
}

/* Puts ${value} in the place of ${key}, or takes the key away when it is NULL. */
static int load_with(struct fixture *f, const char *key, json_t *value, struct err *e)
{
	scoped(json_decrefp) json_t *j = task_to_json(&f->task);
	struct task t;

	if (value)
		json_object_set_new(j, key, value);
	else
		json_object_del(j, key);
	return task_from_json(j, &t, e);
}

static void a_missing_key_is_named_and_a_strange_value_is_refused(void **state)
{
	static const char *const keys[] = { "version",     "state",  "task",    "epoch", "pin",
					    "block_size",  "sealed", "touched", "fix",   "fix_args",
					    "failed_from", "reason", "next",    "disks" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct err e = { 0 };

		assert_int_equal(load_with(f, keys[i], NULL, &e), -EUCLEAN);
		if (!strstr(e.text, keys[i]))
			fail_msg("'%s' is not named in '%s'", keys[i], e.text);
		assert_int_equal(load_with(f, keys[i], json_null(), NULL), -EUCLEAN);
	}
	assert_int_equal(load_with(f, "version", json_integer(2), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "state", json_string("fine"), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "task", json_string("a5"), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "epoch", json_integer(-1), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "block_size", json_integer(4095), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "fix", json_string("sudo"), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "disks", json_array(), NULL), -EUCLEAN);
	assert_int_equal(load_with(f, "surprise", json_true(), NULL), -EUCLEAN);
}

static void a_disk_number_out_of_range_or_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	scoped(json_decrefp) json_t *j = task_to_json(&f->task);
	json_t *disks = json_object_get(j, "disks"), *first = json_array_get(disks, 0);
	struct task t;

	json_array_append(disks, first);
	assert_int_equal(task_from_json(j, &t, NULL), -EUCLEAN);
	json_array_remove(disks, 1);
	json_object_set_new(first, "n", json_integer(DISKS_MAX));
	assert_int_equal(task_from_json(j, &t, NULL), -EUCLEAN);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/task/%s", f->dir, name);
	scoped(close_fdp) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void half_a_file_is_refused_and_a_leftover_of_a_crash_is_not_read(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct task t;

	assert_int_equal(task_store_save(f->dir, &f->task, NULL), 0);
	write_file(f, "task.json.new", "{ \"version\": 1,");
	assert_int_equal(task_store_load(f->dir, &t, NULL), 0);
	write_file(f, "task.json", "{ \"version\": 1,");
	assert_int_equal(task_store_load(f->dir, &t, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "task.json"));
}

static void only_the_owner_can_read_a_task(void **state)
{
	struct fixture *f = *state;
	char path[STORE_PATH_MAX];
	struct stat st;

	assert_int_equal(task_store_save(f->dir, &f->task, NULL), 0);
	(void)snprintf(path, sizeof path, "%s/task", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	(void)snprintf(path, sizeof path, "%s/task/task.json", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void clean_leaves_nothing_and_works_any_number_of_times(void **state)
{
	struct fixture *f = *state;
	char path[STORE_PATH_MAX];
	struct task t;

	assert_int_equal(task_store_save(f->dir, &f->task, NULL), 0);
	(void)snprintf(path, sizeof path, "%s/task/disk-0", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(f, "disk-0/journal", "x");
	for (int i = 0; i < 3; i++)
		assert_int_equal(task_store_clean(f->dir, NULL), 0);
	assert_int_equal(task_store_load(f->dir, &t, NULL), 0);
	assert_false(t.exists);
	assert_int_equal(rmdir(f->dir), 0); /* empty: no trash was left */
	assert_int_equal(mkdir(f->dir, 0700), 0);
}

static void trash_of_a_clean_that_was_killed_goes_with_the_next_one(void **state)
{
	struct fixture *f = *state;
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/trash-1-2", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(task_store_clean(f->dir, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_file_is_no_task_and_no_error),
		TEST(what_was_saved_comes_back_to_the_bit),
		TEST(every_state_comes_back),
		TEST(a_missing_key_is_named_and_a_strange_value_is_refused),
		TEST(a_disk_number_out_of_range_or_twice_is_refused),
		TEST(half_a_file_is_refused_and_a_leftover_of_a_crash_is_not_read),
		TEST(only_the_owner_can_read_a_task),
		TEST(clean_leaves_nothing_and_works_any_number_of_times),
		TEST(trash_of_a_clean_that_was_killed_goes_with_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
