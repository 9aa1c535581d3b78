/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "crash_fs.h"
#include "journal.h"
#include "journal_internal.h"

#define BLOCKS 1000

struct fixture {
	char dir[64];
	struct journal *j;
	struct journal_disk disk;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	(void)snprintf(f->dir, sizeof f->dir, "/dev/shm/transit-journal-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->disk = (struct journal_disk){ .task = "task-0123456789",
					 .disk = 2,
					 .block_size = 65536,
					 .size = (uint64_t)BLOCKS * 65536 - 1,
					 .target_size = (uint64_t)BLOCKS * 65536,
					 .serial = "SERIAL-1" };
	crash_fs_watch(NULL, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	journal_close(f->j);
	crash_fs_watch(NULL, 1);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", f->dir);
	int r = system(cmd); /* NOLINT(cert-env33-c): a test's own folder */
	free(f);
	return r;
}

static void reopen(struct fixture *f)
{
	struct err e = { 0 };

	journal_close(f->j);
	f->j = NULL;
	if (journal_open(f->dir, &f->disk, &f->j, &e))
		fail_msg("%s", e.text);
}

static struct journal_entry data(uint64_t block, uint32_t gen, uint8_t mark)
{
	struct journal_entry m = { .block = block, .count = 1 };

	m.claim.kind = CLAIM_DATA;
	m.claim.gen = gen;
	memset(m.claim.digest, mark, DIGEST_LEN);
	return m;
}

static struct journal_entry run(uint64_t block, uint32_t count, enum claim_kind kind)
{
	return (struct journal_entry){ .block = block,
				       .count = count,
				       .claim = { .kind = kind, .gen = 1 } };
}

static void append(struct fixture *f, struct journal_entry m)
{
	struct err e = { 0 };

	if (journal_append(f->j, &m, 1, &e) || journal_sync(f->j, &e))
		fail_msg("%s", e.text);
}

static struct claim get(struct fixture *f, uint64_t block)
{
	struct claim c;
	struct err e = { 0 };

	if (journal_get(f->j, block, &c, &e))
		fail_msg("%s", e.text);
	return c;
}

static void path_of(const struct fixture *f, char *ret, size_t room)
{
	(void)snprintf(ret, room, "%s/journal", f->dir);
}

static uint64_t size_of(const struct fixture *f)
{
	char path[128];
	struct stat st;

	path_of(f, path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void flip(const struct fixture *f, uint64_t off)
{
	char path[128];
	uint8_t b;

	path_of(f, path, sizeof path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &b, 1, (off_t)off), 1);
	b ^= 0x20;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)off), 1);
	(void)close(fd);
}

static int open_result(struct fixture *f, struct err *e)
{
	journal_close(f->j);
	f->j = NULL;
	err_clear(e);
	return journal_open(f->dir, &f->disk, &f->j, e);
}

static void claims_survive_a_reopen(void **state)
{
	struct fixture *f = *state;

	reopen(f);
	assert_true(journal_blocks(f->j) == BLOCKS);
	append(f, data(7, 3, 0xaa));
	append(f, run(100, 800, CLAIM_ZERO));
	append(f, run(150, 10, CLAIM_NONE));
	append(f, data(999, 4, 0xbb));
	for (int i = 0; i < 2; i++) {
		assert_true(journal_claimed(f->j) == 1 + 790 + 1);
		struct claim c = get(f, 7);
		assert_int_equal(c.kind, CLAIM_DATA);
		assert_int_equal(c.gen, 3);
		assert_int_equal(c.digest[31], 0xaa);
		assert_int_equal(get(f, 149).kind, CLAIM_ZERO);
		assert_int_equal(get(f, 150).kind, CLAIM_NONE);
		assert_int_equal(get(f, 160).kind, CLAIM_ZERO);
		assert_int_equal(get(f, 899).kind, CLAIM_ZERO);
		assert_int_equal(get(f, 900).kind, CLAIM_NONE);
		assert_int_equal(get(f, 999).gen, 4);
		assert_false(journal_is_claimed(f->j, 1000));
		reopen(f);
	}
}

static void a_record_of_many_entries_is_found_entry_by_entry(void **state)
{
	struct fixture *f = *state;
	struct journal_entry *m = calloc(BLOCKS, sizeof *m);

	assert_non_null(m);
	reopen(f);
	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t b = 0; b < BLOCKS; b++)
			m[b] = data(b, b + 1 + pass, (uint8_t)b);
		assert_int_equal(journal_append(f->j, m, BLOCKS, NULL), 0);
		for (uint32_t b = 0; b < BLOCKS; b++) {
			assert_int_equal(get(f, b).gen, b + 1 + pass);
			assert_int_equal(get(f, b).digest[9], (uint8_t)b);
		}
	}
	assert_int_equal(journal_sync(f->j, NULL), 0);
	free(m);
	reopen(f);
	assert_int_equal(get(f, BLOCKS - 1).gen, BLOCKS + 1);
}

static void nothing_past_the_disk_can_be_claimed(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct claim c;

	reopen(f);
	struct journal_entry m = run(999, 2, CLAIM_ZERO);
	assert_int_equal(journal_append(f->j, &m, 1, &e), -ERANGE);
	assert_int_equal(e.kind, ERR_PEER);
	m = run(0, 0, CLAIM_ZERO);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), -ERANGE);
	m = data(UINT64_MAX, 1, 1);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), -ERANGE);
	assert_int_equal(journal_get(f->j, 1000, &c, NULL), -ERANGE);
	assert_true(journal_claimed(f->j) == 0);
}

static void a_tail_cut_anywhere_loses_the_last_record_only(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	reopen(f);
	append(f, data(1, 1, 1));
	append(f, data(2, 1, 2));
	uint64_t whole = size_of(f);
	for (uint64_t cut = whole - JOURNAL_PAGE; cut <= whole; cut += 256) {
		char path[128];

		path_of(f, path, sizeof path);
		assert_int_equal(truncate(path, (off_t)cut), 0);
		if (open_result(f, &e))
			fail_msg("cut at %llu: %s", (unsigned long long)cut, e.text);
		assert_true(journal_is_claimed(f->j, 1));
		assert_int_equal(journal_is_claimed(f->j, 2), cut == whole);
		if (cut < whole)
			assert_true(size_of(f) == whole - JOURNAL_PAGE);
		append(f, data(2, 1, 2));
	}
	reopen(f);
	assert_true(journal_claimed(f->j) == 2);
}

static void any_flipped_byte_of_the_last_record_drops_it_whole(void **state)
{
	struct fixture *f = *state;

	for (uint64_t off = 0; off < JOURNAL_PAGE; off += off < 160 ? 1 : 97) {
		reopen(f);
		append(f, data(1, 1, 1));
		uint64_t at = size_of(f);
		append(f, data(2, 1, 2));
		flip(f, at + off);
		reopen(f);
		assert_true(journal_is_claimed(f->j, 1));
		assert_false(journal_is_claimed(f->j, 2));
	}
}

static void a_good_record_after_a_bad_one_is_damage(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	reopen(f);
	append(f, data(1, 1, 1));
	append(f, data(2, 1, 2));
	append(f, data(3, 1, 3));
	flip(f, 2 * JOURNAL_PAGE + 70); /* in the second record */
	assert_int_equal(open_result(f, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "good records follow a bad one"));
	struct journal *r = NULL;
	assert_int_equal(journal_open_readonly(f->dir, &r, NULL), -EUCLEAN);
	flip(f, 2 * JOURNAL_PAGE + 70);
	reopen(f);
	assert_true(journal_claimed(f->j) == 3);
}

static void a_group_that_was_never_synced_may_be_torn_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct journal_entry m;

	reopen(f);
	append(f, data(1, 1, 1));
	uint64_t at = size_of(f);
	m = data(2, 1, 2);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), 0);
	m = data(3, 1, 3);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), 0);
	flip(f, at + 70); /* the first of the two did not reach the disk; the second did */
	reopen(f);
	assert_true(journal_claimed(f->j) == 1);
	assert_true(size_of(f) == at);
}

static void a_wrong_header_is_damage(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	reopen(f);
	for (uint64_t off = 0; off < JOURNAL_PAGE; off += 131) {
		flip(f, off);
		assert_int_equal(open_result(f, &e), -EUCLEAN);
		flip(f, off);
	}
	char path[128];
	path_of(f, path, sizeof path);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(open_result(f, &e), -EUCLEAN);
}

static void a_journal_of_another_disk_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct journal_disk was = f->disk;

	reopen(f);
	for (int i = 0; i < 6; i++) {
		struct err e = { 0 };

		f->disk = was;
		switch (i) {
		case 0:
			f->disk.task[0] ^= 1;
			break;
		case 1:
			f->disk.disk++;
			break;
		case 2:
			f->disk.block_size *= 2;
			break;
		case 3:
			f->disk.size--;
			break;
		case 4:
			f->disk.target_size++;
			break;
		default:
			strcpy(f->disk.serial, "SERIAL-2");
		}
		assert_int_equal(open_result(f, &e), -ESTALE);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_string_equal(e.name, "disk-not-the-journals");
	}
	f->disk = was;
	reopen(f);
}

static void epochs_only_rise_and_are_durable(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	reopen(f);
	assert_true(journal_epoch(f->j) == 0);
	assert_int_equal(journal_set_epoch(f->j, 5, &e), 0);
	assert_int_equal(journal_set_epoch(f->j, 5, &e), -ESTALE);
	assert_int_equal(journal_set_epoch(f->j, 4, NULL), -ESTALE);
	reopen(f);
	assert_true(journal_epoch(f->j) == 5);
	assert_int_equal(journal_set_epoch(f->j, UINT64_MAX, NULL), 0);
}

static void suspicion_survives_until_it_is_lifted(void **state)
{
	struct fixture *f = *state;

	reopen(f);
	assert_false(journal_is_suspect(f->j));
	assert_int_equal(journal_set_suspect(f->j, true, NULL), 0);
	reopen(f);
	assert_true(journal_is_suspect(f->j));
	assert_int_equal(journal_set_suspect(f->j, false, NULL), 0);
	reopen(f);
	assert_false(journal_is_suspect(f->j));
}

static void a_failed_sync_is_final(void **state)
{
	struct fixture *f = *state;
	struct journal_entry m = data(1, 1, 1);
	struct err e = { 0 };

	reopen(f);
	crash_fs_watch(f->dir, 1);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), 0);
	crash_fs.fail_sync = 1;
	assert_int_equal(journal_sync(f->j, &e), -EIO);
	/* the kernel would say yes now */
	assert_int_equal(journal_sync(f->j, NULL), -EIO);
	assert_int_equal(journal_append(f->j, &m, 1, NULL), -EIO);
	assert_int_equal(journal_set_epoch(f->j, 9, NULL), -EIO);
	assert_int_equal(journal_set_suspect(f->j, true, NULL), -EIO);
}

static void two_programs_cannot_have_one_journal(void **state)
{
	struct fixture *f = *state;
	struct journal *second = NULL;

	reopen(f);
	append(f, data(1, 1, 1));
	assert_int_equal(journal_open(f->dir, &f->disk, &second, NULL), -EBUSY);
	/* looking is allowed */
	assert_int_equal(journal_open_readonly(f->dir, &second, NULL), 0);
	assert_true(journal_claimed(second) == 1);
	assert_string_equal(journal_disk(second)->serial, "SERIAL-1");
	journal_close(second);
	assert_int_equal(journal_open_readonly("/dev/shm/no-such-folder", &second, NULL), -ENOENT);
}

static void a_full_state_disk_shows_at_once(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	if (mount("tmpfs", f->dir, "tmpfs", 0, "size=1m") < 0)
		skip();
	int r = journal_open(f->dir, &f->disk, &f->j, &e);
	(void)umount2(f->dir, MNT_DETACH);
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(e.text, "no room"));
}

static void the_last_two_batches_are_remembered(void **state)
{
	struct fixture *f = *state;
	uint64_t v[16];

	reopen(f);
	append(f, data(1, 1, 1));
	append(f, data(2, 1, 2));
	append(f, run(50, 10, CLAIM_ZERO));
	append(f, run(2, 1, CLAIM_NONE));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(journal_recent(f->j, v, 16), 2);
		assert_true(v[0] == 50 && v[1] == 59);
		assert_int_equal(journal_recent(f->j, v, 1), 1);
		reopen(f);
	}
}

/* Four blocks claimed again and again: much journal, little to say. */
static void grow(struct fixture *f)
{
	for (uint32_t i = 0; i < 1300; i++) {
		struct journal_entry m = data(i % 4, i + 1, (uint8_t)i);

		assert_int_equal(journal_append(f->j, &m, 1, NULL), 0);
	}
	struct journal_entry z = run(500, 100, CLAIM_ZERO);
	assert_int_equal(journal_append(f->j, &z, 1, NULL), 0);
	assert_int_equal(journal_sync(f->j, NULL), 0);
	assert_int_equal(journal_set_epoch(f->j, journal_epoch(f->j) + 7, NULL), 0);
}

static void check_grown(struct fixture *f)
{
	assert_true(journal_claimed(f->j) == 104);
	for (uint32_t i = 1296; i < 1300; i++) {
		struct claim c = get(f, i % 4);

		assert_int_equal(c.kind, CLAIM_DATA);
		assert_int_equal(c.gen, i + 1);
		assert_int_equal(c.digest[0], (uint8_t)i);
	}
	assert_int_equal(get(f, 599).kind, CLAIM_ZERO);
	assert_true(journal_epoch(f->j) == 7);
}

static void a_journal_past_need_is_made_short_at_open(void **state)
{
	struct fixture *f = *state;
	uint64_t v[16];

	reopen(f);
	grow(f);
	assert_int_equal(journal_set_suspect(f->j, true, NULL), 0);
	uint64_t before = size_of(f);
	reopen(f);
	assert_true(size_of(f) < before / 50);
	check_grown(f);
	assert_true(journal_is_suspect(f->j));
	assert_int_equal(journal_recent(f->j, v, 16), 3);
	reopen(f);
	check_grown(f);
	assert_int_equal(journal_recent(f->j, v, 16), 3);
	append(f, data(600, 1, 1));
	reopen(f);
	assert_true(journal_claimed(f->j) == 105);
}

static void a_power_cut_at_any_line_of_a_compaction_loses_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned long k = 0;
	bool died;

	do {
		for (uint64_t seed = 1; seed <= 6; seed++) {
			char path[128];
			struct err e = { 0 };

			journal_close(f->j);
			f->j = NULL;
			path_of(f, path, sizeof path);
			(void)unlink(path);
			crash_fs_watch(f->dir, seed + 100 * k);
			reopen(f);
			grow(f);
			journal_close(f->j);
			f->j = NULL;
			crash_fs_arm(k + 1);
			int r = journal_open(f->dir, &f->disk, &f->j, &e);
			died = crash_fs.dead;
			assert_true(died || r == 0);
			journal_close(f->j);
			f->j = NULL;
			crash_fs_cut();
			reopen(f);
			check_grown(f);
		}
		k++;
	} while (died);
	assert_true(k > 6); /* write header, records, fsync, rename, fsync folder, ... */
}

/* Appends and syncs by chance, then a power cut: what was synced is claimed, and nothing is
 * claimed that was never appended. */
static void one_history(struct fixture *f, uint64_t seed)
{
	uint8_t synced[BLOCKS] = { 0 }, appended[BLOCKS] = { 0 }, tried[BLOCKS] = { 0 };

	journal_close(f->j);
	f->j = NULL;
	char path[128];
	path_of(f, path, sizeof path);
	(void)unlink(path);
	crash_fs_watch(f->dir, seed);
	reopen(f);
	crash_fs_arm(1 + crash_random() % 60);
	for (uint8_t step = 1; step < 60 && !crash_fs.dead; step++) {
		struct journal_entry m[200];
		size_t n = 1 + crash_random() % (crash_random() % 4 ? 3 : 200);

		for (size_t i = 0; i < n; i++) {
			uint64_t block = crash_random() % BLOCKS;

			m[i] = data(block, step, step);
			tried[block] = step;
		}
		if (journal_append(f->j, m, n, NULL))
			break;
		for (size_t i = 0; i < n; i++)
			appended[m[i].block] = step;
		if (crash_random() % 3)
			continue;
		if (journal_sync(f->j, NULL))
			break;
		memcpy(synced, appended, sizeof synced);
	}
	journal_close(f->j);
	f->j = NULL;
	crash_fs_cut();
	reopen(f);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		struct claim c = get(f, b);

		if (c.gen < synced[b] || c.gen > tried[b] || (c.gen && c.digest[5] != c.gen))
			fail_msg("seed %llu, block %llu: generation %u, synced %u, tried %u",
				 (unsigned long long)seed, (unsigned long long)b, c.gen, synced[b],
				 tried[b]);
	}
}

static void after_a_power_cut_all_that_was_synced_is_claimed(void **state)
{
	const char *seeds = getenv("TRANSIT_SEEDS");
	uint64_t n = seeds ? strtoull(seeds, NULL, 10) : 300;

	for (uint64_t seed = 1; seed <= n; seed++)
		one_history(*state, seed);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(claims_survive_a_reopen),
		T(a_record_of_many_entries_is_found_entry_by_entry),
		T(nothing_past_the_disk_can_be_claimed),
		T(a_tail_cut_anywhere_loses_the_last_record_only),
		T(any_flipped_byte_of_the_last_record_drops_it_whole),
		T(a_good_record_after_a_bad_one_is_damage),
		T(a_group_that_was_never_synced_may_be_torn_in_any_order),
		T(a_wrong_header_is_damage),
		T(a_journal_of_another_disk_is_refused),
		T(epochs_only_rise_and_are_durable),
		T(suspicion_survives_until_it_is_lifted),
		T(a_failed_sync_is_final),
		T(two_programs_cannot_have_one_journal),
		T(a_full_state_disk_shows_at_once),
		T(the_last_two_batches_are_remembered),
		T(a_journal_past_need_is_made_short_at_open),
		T(a_power_cut_at_any_line_of_a_compaction_loses_nothing),
		T(after_a_power_cut_all_that_was_synced_is_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
