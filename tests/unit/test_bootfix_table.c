/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partition tables on image files; sfdisk, sgdisk and mke2fs make them and are the witnesses. */
#include "tree.h"

#include "base/log.h"
#include "disk.h"
#include "exec.h"
#include "guest.h"
#include "plan.h"
#include "steps.h"
#include "table.h"

#include <errno.h>

struct fixture {
	char dir[64], state[64], image[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	tree_make(f->dir);
	tree_make(f->state);
	(void)snprintf(f->image, sizeof f->image, "%s/disk", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tree_remove(f->dir);
	tree_remove(f->state);
	free(f);
	return 0;
}

/* Runs a shell line with $I as the image; its exit code. */
static int sh(const struct fixture *f, const char *line)
{
	char command[1024];

	(void)snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin; I=%s; D=%s; %s",
		       f->image, f->dir, line);
	return system(command); /* NOLINT: the test's own words */
}

static void need(const struct fixture *f, const char *tool)
{
	char line[128];

	(void)snprintf(line, sizeof line, "command -v %s >/dev/null", tool);
	if (sh(f, line) != 0) {
		print_message("skipped: no %s here\n", tool);
		skip();
	}
}

static const char make_gpt[] =
    "truncate -s 64M $I && printf 'label: gpt\\n"
    "size=16M, name=\"first\", attrs=\"RequiredPartition GUID:60\"\\nsize=32M, name=\"root\"\\n' |"
    "sfdisk -q $I && mke2fs -q -t ext4 -E offset=17825792 $I 32m";

static void look(struct guest *g, const struct fixture *f)
{
	const char *const paths[] = { f->image };
	struct err e = { 0 };

	memset(g, 0, sizeof *g);
	g->rootfd = g->root_vol = -1;
	if (disks_open(g, paths, 1, &e) < 0)
		fail_msg("%s", e.text);
}

static size_t plan_tables(struct guest *g, struct plan *p)
{
	struct err e = { 0 };

	plan_init(p, g);
	if (step_growpart.plan(g, p, &e) < 0 || step_gpt.plan(g, p, &e) < 0)
		fail_msg("%s", e.text);
	return p->n_actions;
}

static void apply(const struct fixture *f, bool grow)
{
	struct guest g;
	struct plan p;
	struct exec x = { .g = &g };
	struct err e = { 0 };

	assert_int_equal(journal_open(f->state, &x.j, &e), 0);
	look(&g, f);
	g.wishes.grow = grow;
	assert_true(plan_tables(&g, &p) > 0);
	if (exec_apply(&x, &p, &e) < 0)
		fail_msg("%s", e.text);
	plan_free(&p);
	guest_free(&g);
	look(&g, f);
	g.wishes.grow = grow;
	assert_int_equal(plan_tables(&g, &p), 0);
	plan_free(&p);
	guest_free(&g);
	x.j = journal_close(x.j);
}

static void undo(const struct fixture *f)
{
	struct guest g;
	struct exec x = { .g = &g };
	struct err e = { 0 };

	assert_int_equal(journal_open(f->state, &x.j, &e), 0);
	look(&g, f);
	if (exec_undo(&x, NULL, &e) < 0)
		fail_msg("%s", e.text);
	guest_free(&g);
	x.j = journal_close(x.j);
}

static void the_backup_moves_to_the_end_and_back(void **state)
{
	struct fixture *f = *state;

	need(f, "sfdisk");
	need(f, "sgdisk");
	assert_int_equal(sh(f, make_gpt), 0);
	assert_int_equal(sh(f, "truncate -s 100M $I && cp $I $D/before &&"
			       "sfdisk --dump $I 2>/dev/null | grep start= >$D/parts"),
			 0);
	apply(f, false);
	assert_int_equal(sh(f, "sgdisk -v $I | grep -q 'No problems found'"), 0);
	/* Ids, names and attributes included. */
	assert_int_equal(sh(f, "sfdisk --dump $I | grep start= | cmp - $D/parts"), 0);
	undo(f);
	assert_int_equal(sh(f, "cmp $I $D/before"), 0);
}

static void the_last_partition_grows_and_keeps_its_names(void **state)
{
	struct fixture *f = *state;

	need(f, "sfdisk");
	need(f, "sgdisk");
	need(f, "mke2fs");
	assert_int_equal(sh(f, make_gpt), 0);
	assert_int_equal(sh(f, "truncate -s 100M $I && cp $I $D/before &&"
			       "sfdisk --dump $I 2>/dev/null | grep start= |"
			       "sed 's/size= *[0-9]*//' >$D/parts"),
			 0);
	apply(f, true);
	assert_int_equal(sh(f, "sgdisk -v $I | grep -q 'No problems found'"), 0);
	assert_int_equal(sh(f, "sfdisk --dump $I | grep start= | sed 's/size= *[0-9]*//' |"
			       "cmp - $D/parts"),
			 0);
	/* 100 MiB less 17 in front and one for the backup. */
	assert_int_equal(sh(f, "sfdisk --dump $I | grep -q 'size= *167936,'"), 0);
	undo(f);
	assert_int_equal(sh(f, "cmp $I $D/before"), 0);
}

static void an_mbr_partition_grows_and_keeps_id_and_boot_code(void **state)
{
	struct fixture *f = *state;

	need(f, "sfdisk");
	need(f, "mke2fs");
	assert_int_equal(
	    sh(f, "truncate -s 64M $I && printf 'label: dos\\nlabel-id: 0xcafebabe\\n"
		  "start=2048, size=32M, type=83, bootable\\n' | sfdisk -q $I &&"
		  "printf 'GRUB boot code' | dd of=$I bs=1 seek=384 conv=notrunc status=none &&"
		  "mke2fs -q -t ext4 -E offset=1048576 $I 32m && cp $I $D/before"),
	    0);
	apply(f, true);
	assert_int_equal(sh(f, "sfdisk --dump $I | grep -q 'label-id: 0xcafebabe'"), 0);
	assert_int_equal(
	    sh(f, "sfdisk --dump $I | grep -q 'start= *2048, size= *129024, type=83, bootable'"),
	    0);
	assert_int_equal(sh(f, "cmp -n 446 $I $D/before"), 0);
	undo(f);
	assert_int_equal(sh(f, "cmp $I $D/before"), 0);
}

static void without_being_asked_nothing_grows(void **state)
{
	struct fixture *f = *state;
	struct guest g;
	struct plan p;

	need(f, "sfdisk");
	need(f, "mke2fs");
	assert_int_equal(sh(f, make_gpt), 0);
	look(&g, f);
	assert_int_equal(plan_tables(&g, &p), 0);
	plan_free(&p);
	guest_free(&g);
}

static void a_hybrid_mbr_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct guest g;
	struct plan p;

	need(f, "sfdisk");
	need(f, "sgdisk");
	need(f, "mke2fs");
	assert_int_equal(sh(f, make_gpt), 0);
	assert_int_equal(sh(f, "sgdisk -h 1 $I >/dev/null && truncate -s 100M $I"), 0);
	look(&g, f);
	assert_true(g.disks[0].hybrid_mbr);
	g.wishes.grow = true;
	assert_int_equal(plan_tables(&g, &p), 0);
	assert_int_equal(p.findings[0].level, LEVEL_WARN);
	plan_free(&p);
	guest_free(&g);
}

static void a_partition_behind_the_end_of_the_disk_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *const paths[] = { f->image };
	struct guest g = { .rootfd = -1, .root_vol = -1 };
	struct err e = { 0 };

	need(f, "sfdisk");
	assert_int_equal(sh(f,
			    "truncate -s 64M $I && printf 'label: dos\\nstart=2048, size=60M\\n' |"
			    "sfdisk -q $I && truncate -s 32M $I"),
			 0);
	assert_int_equal(disks_open(&g, paths, 1, &e), -ERANGE);
	assert_string_equal(e.name, "disk-too-small");
	guest_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(the_backup_moves_to_the_end_and_back),
		T(the_last_partition_grows_and_keeps_its_names),
		T(an_mbr_partition_grows_and_keeps_id_and_boot_code),
		T(without_being_asked_nothing_grows),
		T(a_hybrid_mbr_is_left_alone),
		T(a_partition_behind_the_end_of_the_disk_is_refused),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
