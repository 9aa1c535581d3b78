/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "initramfs.h"

/* A folder that is all of PATH, with a stand-in for the lister. */
static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/transit-lister.XXXXXX");
	return mkdtemp(dir) && !setenv("PATH", dir, 1) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/lsinitramfs", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s/lsinitrd", dir);
	(void)unlink(path);
	return rmdir(dir);
}

static void put_lister(const char *name, const char *script)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "#!/bin/sh\n%s\n", script) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static const char *const names[] = { "virtio_pci", "virtio_blk" };

static void modules_are_found_by_their_file_names(void **state)
{
	struct err e = { 0 };
	bool found[2];

	(void)state;
	put_lister("lsinitramfs",
		   "echo usr/lib/modules/6.1/kernel/drivers/virtio/virtio-pci.ko.xz\n"
		   "echo usr/lib/modules/6.1/kernel/not_virtio_blk.ko\n"
		   "echo usr/lib/modules/6.1/kernel/virtio_blk_other.ko");
	assert_int_equal(initramfs_has("/boot/x", names, 2, found, &e), 0);
	assert_true(found[0]);
	assert_false(found[1]);
}

static void the_lister_of_dracut_is_second_choice(void **state)
{
	struct err e = { 0 };
	bool found[2];

	(void)state;
	put_lister("lsinitrd", "echo '-rw-r--r-- 1 root root 9 x/virtio_blk.ko.zst'");
	assert_int_equal(initramfs_has("/boot/x", names, 2, found, &e), 0);
	assert_false(found[0]);
	assert_true(found[1]);
}

static void no_lister_is_said(void **state)
{
	struct err e = { 0 };
	bool found[2];

	(void)state;
	assert_int_equal(initramfs_has("/boot/x", names, 2, found, &e), -ENOENT);
	assert_non_null(strstr(e.text, "lsinitramfs"));
}

static void a_lister_that_fails_or_lists_nothing_is_no_answer(void **state)
{
	struct err e = { 0 };
	bool found[2];

	(void)state;
	put_lister("lsinitramfs", "echo virtio_blk.ko; exit 3");
	assert_int_equal(initramfs_has("/boot/x", names, 2, found, &e), -EIO);
	put_lister("lsinitramfs", "exit 0");
	assert_int_equal(initramfs_has("/boot/x", names, 2, found, NULL), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(modules_are_found_by_their_file_names, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(the_lister_of_dracut_is_second_choice, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(no_lister_is_said, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_lister_that_fails_or_lists_nothing_is_no_answer,
						make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
