/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damage: bits of the metadata of real file systems are flipped, one at a time. Nothing may crash,
 * and where checksums are, what is called free afterwards must have been free before. The right
 * answers of undamaged images are compared with other tools' in cli/usage.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "lvm_text.h"
#include "usage.h"
#include "usage_internal.h"

#define SKIPPED 77

struct fixture {
	char dir[64], path[96];
	uint64_t seed;
};

static int set_up(void **state)
{
	const char *seed = getenv("TRANSIT_SEED");
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->seed = seed ? strtoull(seed, NULL, 10) : 1;
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/transit-usage.XXXXXX");
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

static uint64_t next_random(struct fixture *f)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return f->seed;
}

/* Makes an image with a tool of the system, in ${words} its path is $1; skips the test where the
 * tool is missing. */
static void make_image(struct fixture *f, const char *size, const char *tool, const char *words)
{
	char command[512];
	int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)close(fd);
	(void)snprintf(command, sizeof command,
		       "PATH=$PATH:/usr/sbin:/sbin; command -v %s >/dev/null || exit 77; "
		       "set -- '%s'; exec >/dev/null 2>&1; truncate -s %s \"$1\" && %s",
		       tool, f->path, size, words);
	int status = system(command); /* NOLINT(cert-env33-c): words of this test */
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(status, 0);
}

static void look(struct fixture *f, struct usage *u)
{
	struct usage_context c = { .phase = USAGE_FINAL };
	struct source *s;

	assert_int_equal(source_open(f->path, &s, NULL), 0);
	assert_int_equal(usage_look(s, &c, u), 0);
	source_close(s);
}

/* Offsets of bytes that are not zero: the metadata, in an image without files. */
static size_t used_bytes(struct fixture *f, uint64_t *offs, size_t room)
{
	static uint8_t buf[65536];
	size_t n = 0;
	ssize_t got;
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);

	for (uint64_t at = 0; n < room && (got = pread(fd, buf, sizeof buf, (off_t)at)) > 0;
	     at += (uint64_t)got) {
		for (ssize_t i = 0; i < got && n < room; i++) {
			if (buf[i])
				offs[n++] = at + (uint64_t)i;
		}
	}
	(void)close(fd);
	return n;
}

static void flip(struct fixture *f, uint64_t off, unsigned bit)
{
	uint8_t b;
	int fd = open(f->path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pread(fd, &b, 1, (off_t)off), 1);
	b = (uint8_t)(b ^ (1u << bit));
	assert_int_equal(pwrite(fd, &b, 1, (off_t)off), 1);
	(void)close(fd);
}

static bool is_subset(const struct extent_set *a, const struct extent_set *b)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!extent_set_contains(b, a->v[i]))
			return false;
	}
	return true;
}

/* ${rounds} single flips. ${ret_doubted}: after how many the disk was not believed any more. */
static void damage(struct fixture *f, unsigned rounds, bool checksums, unsigned *ret_doubted)
{
	static uint64_t offs[1 << 20];
	static struct usage whole, u;
	size_t n = used_bytes(f, offs, sizeof offs / sizeof *offs);

	*ret_doubted = 0;
	look(f, &whole);
	assert_true(whole.free.n > 0 && n > 20);
	for (unsigned i = 0; n && i < rounds; i++) {
		/* The first bytes of each kind are the busiest: half of all go there. */
		uint64_t off =
		    i % 2 ? offs[next_random(f) % n] : offs[next_random(f) % (n < 100 ? n : 100)];
		unsigned bit = (unsigned)(next_random(f) % 8);

		flip(f, off, bit);
		look(f, &u);
		if (checksums && !is_subset(&u.free, &whole.free)) {
			print_error("byte %llu, bit %u\n", (unsigned long long)off, bit);
			fail();
		}
		*ret_doubted += !u.free.n;
		usage_release(&u);
		flip(f, off, bit);
	}
	usage_release(&whole);
}

static void damaged_ext4_never_shows_used_blocks_as_free(void **state)
{
	unsigned doubted;

	make_image(*state, "24M", "mke2fs", "mke2fs -q -F -t ext4 $1");
	damage(*state, 700, true, &doubted);
	assert_true(doubted > 100);
}

static void damaged_ext2_without_checksums_is_survived(void **state)
{
	unsigned doubted;

	make_image(*state, "16M", "mke2fs", "mke2fs -q -F -t ext2 -b 1024 $1");
	damage(*state, 500, false, &doubted);
	assert_true(doubted > 50);
}

static void damaged_xfs_never_shows_used_blocks_as_free(void **state)
{
	unsigned doubted;

	make_image(*state, "300M", "mkfs.xfs", "mkfs.xfs -q $1");
	damage(*state, 500, true, &doubted);
	assert_true(doubted > 100);
}

static void damaged_xfs_without_checksums_is_survived(void **state)
{
	unsigned doubted;

	make_image(*state, "300M", "mkfs.xfs", "mkfs.xfs -q -m crc=0 $1");
	damage(*state, 400, false, &doubted);
	assert_true(doubted > 50);
}

static void damaged_btrfs_never_shows_used_blocks_as_free(void **state)
{
	unsigned doubted;

	make_image(*state, "200M", "mkfs.btrfs", "mkfs.btrfs -q $1");
	damage(*state, 500, true, &doubted);
	assert_true(doubted > 100);
}

static void damaged_swap_and_tables_are_survived(void **state)
{
	unsigned doubted;

	make_image(*state, "24M", "mkswap", "mkswap $1");
	/* A kind without checksums, whose header has hardly any redundancy. */
	damage(*state, 60, false, &doubted);
	make_image(*state, "64M", "sfdisk", "echo start=2048,size=8192 | sfdisk -q -X gpt $1");
	/* The second table stands in for the first, so that most damage changes nothing. */
	damage(*state, 300, true, &doubted);
	assert_true(doubted > 0);
}

/* ---- LVM text ---- */

static const struct lvm_node *parse(char *text, struct lvm_text **t)
{
	return lvm_text_parse(text, t) ? NULL : lvm_text_root(*t);
}

static void lvm_text_is_a_tree(void **state)
{
	char text[] = "# a comment\nvg {\n id = \"a\\\"b\"\n n = 18446744073709551615\n"
		      " list = [\"x\", 2]\n sub { deep = 1 }\n}\nversion = 1\n";
	struct lvm_text *t = NULL;
	const struct lvm_node *root = parse(text, &t), *vg, *list;
	uint64_t v;

	(void)state;
	assert_non_null(root);
	vg = lvm_child(root, "vg", LVM_SECTION);
	assert_non_null(vg);
	assert_string_equal(lvm_string(vg, "id"), "a\"b");
	assert_true(lvm_number(vg, "n", UINT64_MAX, &v) && v == UINT64_MAX);
	assert_false(lvm_number(vg, "n", UINT64_MAX - 1, &v));
	assert_false(lvm_number(vg, "id", UINT64_MAX, &v));
	list = lvm_child(vg, "list", LVM_LIST);
	assert_string_equal(list->child->string, "x");
	assert_int_equal(list->child->next->number, 2);
	assert_null(list->child->next->next);
	assert_true(lvm_number(lvm_child(vg, "sub", LVM_SECTION), "deep", 1, &v));
	lvm_text_free(t);
}

static void lvm_text_that_is_no_tree_is_refused(void **state)
{
	static const char *const bad[] = {
		"vg {",
		"vg }",
		"}",
		"a = ",
		"a = \"open",
		"a = [1",
		"a = [1 2]",
		"a = -1",
		"= 1",
		"a b = 1",
		"a = 1.5 }",
		"a = \"x\\",
		"a = [[1]]",
		"a = 18446744073709551616",
		"a{a{a{a{a{a{a{a{a{a{}}}}}}}}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *text = strdup(bad[i]);
		struct lvm_text *t = NULL;

		assert_non_null(text);
		if (lvm_text_parse(text, &t) != -EUCLEAN) {
			print_error("taken: %s\n", bad[i]);
			fail();
		}
		free(text);
	}
}

/* ---- views ---- */

static void a_view_is_pieces_of_the_disk_in_its_own_order(void **state)
{
	struct fixture *f = *state;
	struct source *s;
	struct view *v;
	struct extent x;
	char buf[8] = "";
	int fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(pwrite(fd, "tail", 4, (1 << 20) - 4), 4);
	assert_int_equal(pwrite(fd, "head", 4, 0), 4);
	(void)close(fd);
	assert_int_equal(source_open(f->path, &s, NULL), 0);
	assert_int_equal(view_new(s, &v), 0);
	assert_int_equal(view_add(v, (struct extent){ .off = (1 << 20) - 4, .len = 4 }), 0);
	assert_int_equal(view_add(v, (struct extent){ .off = 0, .len = 4 }), 0);
	assert_int_equal(view_add(v, (struct extent){ .off = (1 << 20) - 4, .len = 5 }), -ERANGE);
	assert_int_equal(view_size(v), 8);
	assert_int_equal(view_read(v, buf, 6, 1), 0);
	assert_memory_equal(buf, "ailhea", 6);
	assert_int_equal(view_read(v, buf, 8, 1), -ERANGE);
	assert_int_equal(view_on_disk(v, 5, &x), 0);
	assert_true(x.off == 1 && x.len == 3);
	assert_int_equal(view_on_disk(v, 8, &x), -ERANGE);
	view_free(v);
	source_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(damaged_ext4_never_shows_used_blocks_as_free,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_ext2_without_checksums_is_survived, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(damaged_xfs_never_shows_used_blocks_as_free, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(damaged_xfs_without_checksums_is_survived, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(damaged_btrfs_never_shows_used_blocks_as_free,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_swap_and_tables_are_survived, set_up,
						tear_down),
		cmocka_unit_test(lvm_text_is_a_tree),
		cmocka_unit_test(lvm_text_that_is_no_tree_is_refused),
		cmocka_unit_test_setup_teardown(a_view_is_pieces_of_the_disk_in_its_own_order,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
