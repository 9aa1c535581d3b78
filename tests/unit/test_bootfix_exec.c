/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Apply, undo, and a kill at every boundary between them, on a folder that stands for a guest. */
#include "tree.h"

#include "base/log.h"
#include "exec.h"
#include "guest.h"
#include "plan.h"

#include <errno.h>
#include <sys/wait.h>

struct fixture {
	char dir[64], state[64];
	struct guest g;
	struct journal *j;
};

static void open_all(struct fixture *f)
{
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	struct err e = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(guest_open_tree(&f->g, fd, &e), 0);
	(void)close(fd);
	if (journal_open(f->state, &f->j, &e) < 0)
		fail_msg("%s", e.text);
}

static void close_all(struct fixture *f)
{
	f->j = journal_close(f->j);
	guest_free(&f->g);
}

static void fill(const char *dir)
{
	char a[512], b[512];

	tree_folder(dir, "/etc");
	tree_folder(dir, "/boot");
	tree_file(dir, "/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n", 0640);
	tree_file(dir, "/etc/real", "old\n", 0600);
	tree_link(dir, "/etc/real", "/etc/alias");
	tree_file(dir, "/etc/twin", "twin\n", 0644);
	tree_path(dir, "/etc/twin", a);
	tree_path(dir, "/etc/other-twin", b);
	assert_int_equal(link(a, b), 0);
	tree_file(dir, "/etc/stale", "stale\n", 0644);
	tree_link(dir, "/usr/lib/x", "/etc/unit");
	tree_file(dir, "/boot/initrd", "image", 0644);
	tree_file(dir, "/boot/grubx64.efi", "loader", 0700);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	tree_make(f->dir);
	tree_make(f->state);
	fill(f->dir);
	open_all(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_all(f);
	tree_remove(f->dir);
	tree_remove(f->state);
	free(f);
	return 0;
}

static void write_text(struct plan *p, const char *path, const char *text)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	assert_int_equal(buf_add_str(&b, text, &e), 0);
	if (plan_write(p, "test", path, &b, 0644, "because", &e) < 0)
		fail_msg("%s", e.text);
}

/* One of each kind that works on files, and of each way a file can be written. */
static void make_plan(const struct guest *g, struct plan *p)
{
	struct buf tail = { 0 }, image = { 0 };
	struct err e = { 0 };

	plan_init(p, g);
	write_text(p, "/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
	write_text(p, "/etc/alias", "new\n");
	write_text(p, "/etc/twin", "a longer twin\n");
	write_text(p, "/etc/systemd/network/10-x.link", "[Match]\n");
	assert_int_equal(guest_read(g, "/boot/initrd", 1024, &image, &e), 0);
	if (image.len == 5) {
		assert_int_equal(buf_add(&tail, "\0\0\0070701", 8, &e), 0);
		assert_int_equal(plan_append(p, "test", "/boot/initrd", &tail, "more", &e), 0);
	}
	buf_free(&image);
	assert_int_equal(
	    plan_copy(p, "test", "/boot/grubx64.efi", "/boot/EFI/BOOT/BOOTX64.EFI", "fallback", &e),
	    0);
	if (guest_has(g, "/etc/stale"))
		assert_int_equal(
		    plan_rename(p, "test", "/etc/stale", "/etc/stale.bootfix-saved", "stale", &e),
		    0);
	assert_int_equal(plan_link(p, "test", "/dev/null", "/etc/unit", "mask", &e), 0);
	assert_int_equal(plan_link(p, "test", "/dev/null", "/etc/fresh", "mask", &e), 0);
}

static int apply(struct fixture *f, int (*on_point)(void *, const char *), void *arg, struct err *e)
{
	struct exec x = { .g = &f->g, .j = f->j, .on_point = on_point, .arg = arg };
	struct plan p;
	int r = exec_recover(&x, e);

	if (r < 0)
		return r;
	make_plan(&f->g, &p);
	r = exec_apply(&x, &p, e);
	plan_free(&p);
	return r;
}

static int undo(struct fixture *f, int (*on_point)(void *, const char *), void *arg, struct err *e)
{
	struct exec x = { .g = &f->g, .j = f->j, .on_point = on_point, .arg = arg };
	int r = exec_recover(&x, e);

	return r < 0 ? r : exec_undo(&x, NULL, e);
}

static void an_applied_plan_leaves_nothing_for_a_second_one(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct plan p;
	char *text;

	if (apply(f, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	make_plan(&f->g, &p);
	assert_int_equal(p.n_actions, 0);
	plan_free(&p);
	text = tree_text(f->dir, "/etc/real");
	assert_string_equal(text, "new\n");
	free(text);
	text = tree_text(f->dir, "/etc/other-twin");
	assert_string_equal(text, "a longer twin\n");
	free(text);
}

static void a_rewritten_file_keeps_mode_and_times(void **state)
{
	struct fixture *f = *state;
	const struct timespec then[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct err e = { 0 };
	char path[512];
	struct stat st;

	tree_path(f->dir, "/etc/fstab", path);
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
	if (apply(f, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
}

static void undo_gives_the_same_tree_back(void **state)
{
	struct fixture *f = *state;
	char *before = tree_state(f->dir), *after;
	struct err e = { 0 };

	if (apply(f, NULL, NULL, &e) < 0 || undo(f, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	after = tree_state(f->dir);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void undo_refuses_a_file_that_somebody_else_changed(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	char *before, *after;

	if (apply(f, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	tree_file(f->dir, "/etc/fstab", "edited by hand\n", 0640);
	before = tree_state(f->dir);
	assert_int_equal(undo(f, NULL, NULL, &e), -ESTALE);
	assert_string_equal(e.name, "changed-since-apply");
	after = tree_state(f->dir);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void apply_refuses_a_file_that_changed_since_the_plan(void **state)
{
	struct fixture *f = *state;
	struct exec x = { .g = &f->g, .j = f->j };
	struct err e = { 0 };
	struct plan p;

	make_plan(&f->g, &p);
	tree_file(f->dir, "/etc/fstab", "changed meanwhile\n", 0640);
	assert_int_equal(exec_apply(&x, &p, &e), -ESTALE);
	assert_string_equal(e.name, "changed-since-plan");
	plan_free(&p);
}

static void apply_text(struct fixture *f, const char *step, const char *path, const char *text)
{
	struct exec x = { .g = &f->g, .j = f->j };
	struct buf b = { 0 };
	struct err e = { 0 };
	struct plan p;

	plan_init(&p, &f->g);
	assert_int_equal(buf_add_str(&b, text, &e), 0);
	assert_int_equal(plan_write(&p, step, path, &b, 0644, "because", &e), 0);
	if (exec_apply(&x, &p, &e) < 0)
		fail_msg("%s", e.text);
	plan_free(&p);
}

static void a_step_is_not_undone_below_a_later_one_on_the_same_file(void **state)
{
	struct fixture *f = *state;
	struct exec x = { .g = &f->g, .j = f->j };
	char *before = tree_state(f->dir), *after;
	struct err e = { 0 };

	apply_text(f, "first", "/etc/fstab", "1\n");
	apply_text(f, "second", "/etc/fstab", "2\n");
	assert_int_equal(exec_undo(&x, "first", &e), -EBUSY);
	assert_string_equal(e.name, "later-step");
	err_clear(&e);
	assert_int_equal(exec_undo(&x, "second", &e), 0);
	assert_int_equal(exec_undo(&x, "first", &e), 0);
	after = tree_state(f->dir);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void record_done(struct fixture *f, enum act kind, const char *step)
{
	struct entry entry = { .kind = kind, .disk = 0, .number = 1, .tool = TOOL_GROW_EXT };
	struct err e = { 0 };

	(void)snprintf(entry.step, sizeof entry.step, "%s", step);
	assert_int_equal(journal_start(f->j, &entry, NULL, &e), 0);
	assert_int_equal(journal_mark(f->j, entry.seq, ENTRY_DONE, &e), 0);
}

/* The partition would end in the middle of its file system. */
static void a_partition_is_not_shrunk_below_its_grown_file_system(void **state)
{
	struct fixture *f = *state;
	struct exec x = { .g = &f->g, .j = f->j };
	struct err e = { 0 };

	record_done(f, A_SECTORS, "growpart");
	record_done(f, A_TOOL, "growfs");
	assert_int_equal(exec_undo(&x, "growpart", &e), -EBUSY);
	assert_string_equal(e.name, "later-step");
}

static void a_file_made_behind_a_link_is_what_undo_removes(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	char *before, *after;

	tree_link(f->dir, "/boot/not-yet", "/etc/dangling");
	before = tree_state(f->dir);
	apply_text(f, "test", "/etc/dangling", "made\n");
	assert_true(guest_has(&f->g, "/boot/not-yet"));
	if (undo(f, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	after = tree_state(f->dir);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* ---- kills -------------------------------------------------------------------------------------
 */

static int die_at(void *arg, const char *name)
{
	int *left = arg;

	(void)name;
	if (--*left == 0)
		_exit(99);
	return 0;
}

/* Runs ${what} in a child that dies at its ${n}-th point; true when it came to its end first. */
static bool ends_before(struct fixture *f, int n,
			int (*what)(struct fixture *, int (*)(void *, const char *), void *,
				    struct err *))
{
	int status;
	pid_t pid;

	close_all(f);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct err e = { 0 };

		open_all(f);
		_exit(what(f, die_at, &n, &e) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	open_all(f);
	if (WEXITSTATUS(status) == 99)
		return false;
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void start_again(struct fixture *f)
{
	close_all(f);
	tree_remove(f->dir);
	tree_remove(f->state);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	assert_int_equal(mkdir(f->state, 0700), 0);
	fill(f->dir);
	open_all(f);
}

static void a_kill_at_any_point_of_apply_is_made_good_by_the_next_run(void **state)
{
	struct fixture *f = *state;
	char *before = tree_state(f->dir), *want, *got;
	struct err e = { 0 };
	int n;

	assert_int_equal(apply(f, NULL, NULL, &e), 0);
	want = tree_state(f->dir);
	for (n = 1; n < 200; n++) {
		start_again(f);
		if (ends_before(f, n, apply))
			break;
		if (apply(f, NULL, NULL, &e) < 0)
			fail_msg("point %d: %s", n, e.text);
		got = tree_state(f->dir);
		assert_string_equal(want, got);
		free(got);
		if (undo(f, NULL, NULL, &e) < 0)
			fail_msg("undo after point %d: %s", n, e.text);
		got = tree_state(f->dir);
		assert_string_equal(before, got);
		free(got);
	}
	/* Nine actions with three points each. */
	assert_int_equal(n, 28);
	free(before);
	free(want);
}

static void a_kill_at_any_point_of_undo_is_made_good_by_the_next_undo(void **state)
{
	struct fixture *f = *state;
	char *before = tree_state(f->dir), *got;
	struct err e = { 0 };
	int n;

	for (n = 1; n < 200; n++) {
		start_again(f);
		assert_int_equal(apply(f, NULL, NULL, &e), 0);
		if (ends_before(f, n, undo))
			break;
		if (undo(f, NULL, NULL, &e) < 0)
			fail_msg("point %d: %s", n, e.text);
		got = tree_state(f->dir);
		assert_string_equal(before, got);
		free(got);
	}
	assert_int_equal(n, 19);
	free(before);
}

static int stop_started(void *arg, const char *name)
{
	int *left = arg;

	return !strcmp(name, "started") && --*left == 0 ? -EINTR : 0;
}

/* What a power cut leaves of a write in place and of an append: neither old nor new. */
static void a_half_written_file_is_put_back(void **state)
{
	struct fixture *f = *state;
	char *want, *got;
	struct err e = { 0 };

	assert_int_equal(apply(f, NULL, NULL, &e), 0);
	want = tree_state(f->dir);
	for (int n = 3; n <= 5; n += 2) {
		int left = n;

		start_again(f);
		assert_int_equal(apply(f, stop_started, &left, &e), -EINTR);
		close_all(f);
		if (n == 3)
			tree_file(f->dir, "/etc/twin", "a lon", 0644);
		else
			tree_file(f->dir, "/boot/initrd",
				  "image\0\0"
				  "0",
				  0644);
		open_all(f);
		err_clear(&e);
		if (apply(f, NULL, NULL, &e) < 0)
			fail_msg("%s", e.text);
		got = tree_state(f->dir);
		assert_string_equal(want, got);
		free(got);
	}
	free(want);
}

static void a_torn_journal_line_is_cut_and_a_damaged_one_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[512], *text;
	struct err e = { 0 };
	FILE *file;
	size_t n;

	assert_int_equal(apply(f, NULL, NULL, &e), 0);
	f->j = journal_close(f->j);
	tree_path(f->state, "/bootfix.journal", path);
	file = fopen(path, "a");
	assert_non_null(file);
	assert_true(fputs("0123456789abcdef {\"rec\":\"do", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(journal_open(f->state, &f->j, &e), 0);
	(void)journal_entries(f->j, &n);
	assert_int_equal(n, 9);
	f->j = journal_close(f->j);
	text = tree_text(f->state, "/bootfix.journal");
	text[40] ^= 1;
	tree_file(f->state, "/bootfix.journal", text, 0600);
	assert_true(journal_open(f->state, &f->j, &e) < 0);
	assert_int_equal(e.kind, ERR_WRONG_STATE);
	text[40] ^= 1;
	tree_file(f->state, "/bootfix.journal", text, 0600);
	free(text);
	err_clear(&e);
	assert_int_equal(journal_open(f->state, &f->j, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_applied_plan_leaves_nothing_for_a_second_one),
		T(a_rewritten_file_keeps_mode_and_times),
		T(undo_gives_the_same_tree_back),
		T(undo_refuses_a_file_that_somebody_else_changed),
		T(apply_refuses_a_file_that_changed_since_the_plan),
		T(a_step_is_not_undone_below_a_later_one_on_the_same_file),
		T(a_partition_is_not_shrunk_below_its_grown_file_system),
		T(a_file_made_behind_a_link_is_what_undo_removes),
		T(a_kill_at_any_point_of_apply_is_made_good_by_the_next_run),
		T(a_kill_at_any_point_of_undo_is_made_good_by_the_next_undo),
		T(a_half_written_file_is_put_back),
		T(a_torn_journal_line_is_cut_and_a_damaged_one_is_refused),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
