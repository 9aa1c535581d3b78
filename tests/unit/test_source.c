/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source.h"

struct fixture {
	char dir[64], path[96];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/transit-source.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof f->path, "%s/disk", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* 4 MiB: data, then a hole, then data in the last MiB. */
static void make_image(const struct fixture *f)
{
	static char mib[1 << 20];
	int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(mib, 'x', sizeof mib);
	assert_int_equal(pwrite(fd, mib, sizeof mib, 0), sizeof mib);
	assert_int_equal(pwrite(fd, mib, sizeof mib, 3 << 20), sizeof mib);
	(void)close(fd);
}

static void an_image_tells_its_size_data_and_holes(void **state)
{
	struct fixture *f = *state;
	struct source *s;
	uint64_t end;
	bool hole;

	make_image(f);
	assert_int_equal(source_open(f->path, &s, NULL), 0);
	assert_true(source_info(s)->size == 4 << 20);
	assert_int_equal(source_info(s)->kind, SOURCE_FILE);
	assert_int_equal(source_extent(s, 0, &hole, &end, NULL), 0);
	assert_true(!hole && end >= 1 << 20);
	if (end == 1 << 20) { /* a file system that knows holes */
		assert_int_equal(source_extent(s, end, &hole, &end, NULL), 0);
		assert_true(hole && end == 3 << 20);
	}
	source_close(s);
}

static void reading_past_the_end_is_an_error_with_the_offset(void **state)
{
	struct fixture *f = *state;
	struct source *s;
	struct err e = { 0 };
	static char buf[4096];

	make_image(f);
	assert_int_equal(source_open(f->path, &s, NULL), 0);
	assert_int_equal(truncate(f->path, 1000), 0);
	assert_true(source_read(s, buf, sizeof buf, 0, &e) < 0);
	assert_int_equal(e.kind, ERR_DISK);
	assert_non_null(strstr(e.text, "byte 1000"));
	assert_non_null(strstr(e.text, f->path));
	source_close(s);
}

static void a_changed_image_has_another_stamp(void **state)
{
	struct fixture *f = *state;
	uint64_t a[4], b[4];
	struct source *s;

	make_image(f);
	assert_int_equal(source_open(f->path, &s, NULL), 0);
	assert_true(source_stamp(s, a) && source_stamp(s, b));
	assert_memory_equal(a, b, sizeof a);
	assert_int_equal(truncate(f->path, 5 << 20), 0);
	assert_true(source_stamp(s, b));
	assert_memory_not_equal(a, b, sizeof a);
	source_close(s);
}

static void what_is_no_disk_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	struct source *s;
	struct err e = { 0 };

	assert_true(source_open(f->path, &s, &e) < 0);
	assert_int_equal(e.kind, ERR_DISK);
	err_clear(&e);
	assert_true(source_open(f->dir, &s, &e) < 0);
	assert_string_equal(e.name, "source-not-a-disk");
	err_clear(&e);
	assert_true(source_open("/dev/null", &s, &e) < 0);
	assert_string_equal(e.name, "source-not-a-disk");
	err_clear(&e);
	(void)close(open(f->path, O_RDWR | O_CREAT, 0600));
	assert_true(source_open(f->path, &s, &e) < 0);
	assert_string_equal(e.name, "source-empty");
}

/* The descriptor itself says that nothing can be written through it. */
static void a_source_is_open_for_reading_only(void **state)
{
	struct fixture *f = *state;
	struct source *s;
	char link[64], target[256];
	bool seen = false;

	make_image(f);
	assert_int_equal(source_open(f->path, &s, NULL), 0);
	for (int fd = 3; fd < 64; fd++) {
		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = 0;
		if (strcmp(target, f->path) != 0)
			continue;
		seen = true;
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	}
	assert_true(seen);
	source_close(s);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_image_tells_its_size_data_and_holes),
		TEST(reading_past_the_end_is_an_error_with_the_offset),
		TEST(a_changed_image_has_another_stamp),
		TEST(what_is_no_disk_is_refused_by_name),
		TEST(a_source_is_open_for_reading_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
