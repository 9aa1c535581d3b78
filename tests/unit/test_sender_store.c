/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

static char dir[64], state_dir[96];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/transit-store.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(state_dir, sizeof state_dir, "%s/state", dir);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "key", "peer", "lock", "key.new", "peer.new" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", state_dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(state_dir);
	(void)rmdir(dir);
	return 0;
}

static void the_key_is_made_once_and_kept_private(void **state)
{
	uint8_t pub[PUBKEY_LEN];
	struct store *s;
	struct stat st;
	char path[128];

	(void)state;
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_false(s->paired);
	memcpy(pub, s->pub, sizeof pub);
	store_close(s);
	(void)snprintf(path, sizeof path, "%s/key", state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_memory_equal(pub, s->pub, sizeof pub);
	store_close(s);
}

static void the_pin_is_remembered(void **state)
{
	static const uint8_t spki[DIGEST_LEN] = { 7, 8 }, task[TASK_ID_LEN] = { 9 };
	struct store *s;

	(void)state;
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_int_equal(store_pin(s, spki, task, NULL), 0);
	store_close(s);
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_true(s->paired);
	assert_memory_equal(s->spki, spki, sizeof spki);
	assert_memory_equal(s->task, task, sizeof task);
	store_close(s);
}

static const struct measured some = { .rounds = 3,
				      .source_bytes = 1 << 20,
				      .mid_ms = UINT64_C(1790000000000),
				      .round_ms = 4000,
				      .read = 1 << 20,
				      .full_read = 1 << 21,
				      .changed = 262144,
				      .change_known = true,
				      .change_rate = 1500,
				      .read_rate = 2.5e9,
				      .wire_rate = 1.25e7,
				      .wire_share = 0.625,
				      .settle_ms = 20,
				      .freeze_ms = 30,
				      .verify_rate = 1000000 };

static struct store *paired_store(uint8_t task_byte)
{
	const uint8_t spki[DIGEST_LEN] = { 7, 8 }, task[TASK_ID_LEN] = { task_byte };
	struct store *s;

	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_int_equal(store_pin(s, spki, task, NULL), 0);
	return s;
}

static void what_rounds_measured_is_remembered(void **state)
{
	struct store *s = paired_store(9);

	(void)state;
	assert_int_equal(s->measured.rounds, 0);
	s->measured = some;
	assert_int_equal(store_save_measured(s, NULL), 0);
	store_close(s);
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_memory_equal(&s->measured, &some, sizeof some);
	store_close(s);
}

static void figures_of_another_task_or_a_damaged_file_count_as_none(void **state)
{
	struct store *s = paired_store(9);
	char path[128];

	(void)state;
	s->measured = some;
	assert_int_equal(store_save_measured(s, NULL), 0);
	store_close(s);
	store_close(paired_store(10));
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_int_equal(s->measured.rounds, 0);
	store_close(s);
	store_close(paired_store(9));
	(void)snprintf(path, sizeof path, "%s/rounds", state_dir);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_int_equal(s->measured.rounds, 0);
	assert_false(s->measured.change_known);
	store_close(s);
}

static void two_runs_do_not_share_a_state(void **state)
{
	struct store *s, *t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	assert_true(store_open(state_dir, &t, &e) < 0);
	assert_string_equal(e.name, "state-in-use");
	store_close(s);
}

static void a_damaged_key_is_not_replaced(void **state)
{
	struct store *s;
	struct err e = { 0 };
	char path[128];

	(void)state;
	assert_int_equal(store_open(state_dir, &s, NULL), 0);
	store_close(s);
	(void)snprintf(path, sizeof path, "%s/key", state_dir);
	assert_int_equal(truncate(path, 10), 0);
	assert_true(store_open(state_dir, &s, &e) < 0);
	assert_non_null(strstr(e.text, "key"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_key_is_made_once_and_kept_private),
		TEST(the_pin_is_remembered),
		TEST(what_rounds_measured_is_remembered),
		TEST(figures_of_another_task_or_a_damaged_file_count_as_none),
		TEST(two_runs_do_not_share_a_state),
		TEST(a_damaged_key_is_not_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
