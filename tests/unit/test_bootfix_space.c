/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan that does not fit is blocked before its first byte is written. */
#include "tree.h"

#include "guest.h"
#include "plan.h"
#include "space.h"

#include <errno.h>

struct fixture {
	char dir[64];
	struct guest g;
	struct plan p;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	int fd;

	if (!f)
		return -1;
	tree_make(f->dir);
	tree_folder(f->dir, "/boot");
	tree_file(f->dir, "/boot/initrd", "image", 0644);
	fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(guest_open_tree(&f->g, fd, NULL), 0);
	(void)close(fd);
	plan_init(&f->p, &f->g);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plan_free(&f->p);
	guest_free(&f->g);
	tree_remove(f->dir);
	free(f);
	return 0;
}

/* The one blocked finding, in words; "" when there is none. */
static void blocked(const struct plan *p, char ret[static 1024])
{
	ret[0] = 0;
	for (size_t i = 0; i < p->n_findings; i++) {
		const struct finding *f = &p->findings[i];

		if (f->level == LEVEL_BLOCKED)
			(void)snprintf(ret, 1024, "%s %s %s", f->step, f->path ? f->path : "",
				       f->why);
	}
}

static void a_tenth_is_kept_to_spare(void **state)
{
	(void)state;
	assert_int_equal(space_missing(1000, 1100), 0);
	assert_int_equal(space_missing(1000, 1099), 1);
	assert_int_equal(space_missing(1000, 0), 1100);
	assert_int_equal(space_missing(0, 0), 0);
}

static void a_small_plan_fits(void **state)
{
	struct fixture *f = *state;
	struct buf tail = { 0 };
	struct err e = { 0 };
	char why[1024];

	assert_int_equal(buf_add_str(&tail, "more", &e), 0);
	assert_int_equal(plan_append(&f->p, "virtio", "/boot/initrd", &tail, "more", &e), 0);
	assert_int_equal(space_plan(&f->p, &e), 0);
	blocked(&f->p, why);
	assert_string_equal(why, "");
}

/* A copy of a file with a huge hole: more than any file system here has. Put into the plan by hand,
 * because plan_copy() reads what it copies. */
static void a_plan_that_does_not_fit_is_blocked_by_name(void **state)
{
	static char step[] = "esp", from[] = "/boot/huge", to[] = "/boot/efi/EFI/BOOT/copy";
	struct action a = { .kind = A_COPY, .step = step, .from = from, .path = to };
	struct fixture *f = *state;
	struct err e = { 0 };
	char path[512], why[1024];
	int r;

	tree_file(f->dir, "/boot/huge", "", 0644);
	tree_path(f->dir, "/boot/huge", path);
	if (truncate(path, (off_t)8 << 40) < 0)
		skip();
	f->p.actions = &a;
	f->p.n_actions = 1;
	r = space_plan(&f->p, &e);
	f->p.actions = NULL;
	f->p.n_actions = 0;
	assert_int_equal(r, 0);
	blocked(&f->p, why);
	assert_non_null(strstr(why, "esp /boot/efi/EFI/BOOT/copy no room"));
	assert_non_null(strstr(why, "bytes are missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_tenth_is_kept_to_spare),
		T(a_small_plan_fits),
		T(a_plan_that_does_not_fit_is_blocked_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
