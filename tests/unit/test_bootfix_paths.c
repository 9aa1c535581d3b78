/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest whose links, devices and sizes try to lead us out of it or to stop us. */
#include "tree.h"

#include "guest.h"
#include "guest_edit.h"

#include <errno.h>

struct fixture {
	char dir[64], outside[64];
	struct guest g;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char path[512];
	int fd;

	if (!f)
		return -1;
	tree_make(f->dir);
	tree_make(f->outside);
	tree_file(f->outside, "/fstab", "of this machine\n", 0644);
	tree_folder(f->dir, "/real");
	tree_file(f->dir, "/real/fstab", "of the guest\n", 0644);
	(void)snprintf(path, sizeof path, "%s/fstab", f->outside);
	tree_link(f->dir, path, "/absolute");
	tree_link(f->dir, "../../../../../../../../etc/passwd", "/dots");
	tree_link(f->dir, "/real", "/etc");
	tree_link(f->dir, "/loop", "/loop");
	tree_link(f->dir, "/proc/self/root", "/magic");
	tree_link(f->dir, f->outside, "/folder");
	tree_path(f->dir, "/fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(guest_open_tree(&f->g, fd, NULL), 0);
	(void)close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_free(&f->g);
	tree_remove(f->dir);
	tree_remove(f->outside);
	free(f);
	return 0;
}

static void absolute_links_begin_at_the_guests_root(void **state)
{
	struct fixture *f = *state;
	struct buf b = { 0 };
	struct err e = { 0 };

	assert_int_equal(guest_read(&f->g, "/etc/fstab", 1024, &b, &e), 0);
	assert_string_equal((const char *)b.data, "of the guest\n");
	buf_free(&b);
	assert_int_equal(guest_read(&f->g, "/absolute", 1024, &b, &e), -ENOENT);
	assert_int_equal(guest_read(&f->g, "/dots", 1024, &b, &e), -ENOENT);
	assert_int_equal(guest_read(&f->g, "/../../../../etc/passwd", 1024, &b, &e), -ENOENT);
	assert_int_equal(guest_read(&f->g, "/magic/etc/passwd", 1024, &b, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NONE);
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	struct buf b = { 0 };
	struct err e = { 0 };

	assert_int_equal(guest_read(&f->g, "/fifo", 1024, &b, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_GUEST);
	err_clear(&e);
	assert_int_equal(guest_read(&f->g, "/real", 1024, &b, &e), -EINVAL);
	err_clear(&e);
	assert_int_equal(guest_read(&f->g, "/loop", 1024, &b, &e), -ELOOP);
	err_clear(&e);
	assert_int_equal(guest_read(&f->g, "/etc/fstab", 5, &b, &e), -EFBIG);
}

static void an_edit_through_a_link_stays_inside(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	char *text;

	assert_int_equal(edit_replace(&f->g, "/etc/fstab", "new\n", 4, 0644, &e), 0);
	text = tree_text(f->dir, "/real/fstab");
	assert_string_equal(text, "new\n");
	free(text);
	/* The folder the link names is not in the guest, so there is nothing to write to. */
	assert_int_equal(edit_replace(&f->g, "/absolute", "x", 1, 0644, &e), -ENOENT);
	assert_int_equal(edit_replace(&f->g, "/folder/fstab", "x", 1, 0644, &e), -ENOENT);
	assert_true(edit_replace(&f->g, "/loop", "x", 1, 0644, &e) < 0);
	err_clear(&e);
	assert_true(edit_append(&f->g, "/fifo", "x", 1, &e) < 0);
	err_clear(&e);
	assert_true(edit_rename(&f->g, "/real/fstab", "/folder/stolen", &e) < 0);
	text = tree_text(f->outside, "/fstab");
	assert_string_equal(text, "of this machine\n");
	free(text);
}

static void removing_a_link_leaves_what_it_names(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	assert_int_equal(edit_remove(&f->g, "/etc", &e), 0);
	assert_true(guest_has(&f->g, "/real/fstab"));
	assert_false(guest_has(&f->g, "/etc"));
	assert_true(edit_remove(&f->g, "/real/..", &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(absolute_links_begin_at_the_guests_root),
		T(what_is_no_regular_file_is_refused_at_once),
		T(an_edit_through_a_link_stays_inside),
		T(removing_a_link_leaves_what_it_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
