/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tree.h - small trees of files for tests: make, read, and put all that counts into one text */
#ifndef TREE_H
#define TREE_H

#include "test.h"

#include "digest.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void tree_make(char dir[static 64])
{
	(void)snprintf(dir, 64, "/tmp/transit-tree.XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static inline int tree_remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static inline void tree_remove(const char *dir)
{
	(void)nftw(dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void tree_path(const char *dir, const char *path, char ret[static 512])
{
	(void)snprintf(ret, 512, "%s%s", dir, path);
}

static inline void tree_folder(const char *dir, const char *path)
{
	char full[512];

	tree_path(dir, path, full);
	assert_int_equal(mkdir(full, 0755), 0);
}

static inline void tree_file(const char *dir, const char *path, const char *text, mode_t mode)
{
	char full[512];
	FILE *f;

	tree_path(dir, path, full);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(full, mode), 0);
}

static inline void tree_link(const char *dir, const char *text, const char *path)
{
	char full[512];

	tree_path(dir, path, full);
	assert_int_equal(symlink(text, full), 0);
}

/* The text of a file; the caller frees it. */
static inline char *tree_text(const char *dir, const char *path)
{
	char full[512], *text = calloc(1, 65536);
	FILE *f;

	tree_path(dir, path, full);
	f = fopen(full, "r");
	assert_non_null(f);
	assert_non_null(text);
	(void)!fread(text, 1, 65535, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* ---- all of it as one text, sorted ------------------------------------------------------------
 */

static char *tree_lines[256];
static size_t tree_n_lines, tree_skip;

static inline int tree_on_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	char line[1200], text[256] = "", hex[DIGEST_HEX] = "";
	uint8_t sha256[DIGEST_LEN];
	ssize_t n;

	(void)flag;
	(void)f;
	if (S_ISLNK(st->st_mode)) {
		n = readlink(path, text, sizeof text - 1);
		text[n > 0 ? n : 0] = 0;
	} else if (S_ISREG(st->st_mode)) {
		int fd = open(path, O_RDONLY);

		assert_true(fd >= 0);
		assert_int_equal(digest_fd(fd, sha256, NULL, NULL), 0);
		(void)close(fd);
		digest_hex(sha256, hex);
	}
	(void)snprintf(line, sizeof line, "%s %o %u %u %s%s", path + tree_skip, st->st_mode,
		       st->st_uid, (unsigned)st->st_nlink, text, hex);
	assert_true(tree_n_lines < 256);
	tree_lines[tree_n_lines++] = strdup(line);
	return 0;
}

static inline int tree_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names, kinds, modes, owners, link counts and contents below ${dir}; the caller frees it. */
static inline char *tree_state(const char *dir)
{
	char *all;
	size_t len = 1, at = 0;

	tree_n_lines = 0;
	tree_skip = strlen(dir);
	assert_int_equal(nftw(dir, tree_on_entry, 16, FTW_PHYS), 0);
	qsort(tree_lines, tree_n_lines, sizeof *tree_lines, tree_compare);
	for (size_t i = 0; i < tree_n_lines; i++)
		len += strlen(tree_lines[i]) + 1;
	all = calloc(1, len);
	assert_non_null(all);
	for (size_t i = 0; i < tree_n_lines; i++) {
		at += (size_t)snprintf(all + at, len - at, "%s\n", tree_lines[i]);
		free(tree_lines[i]);
	}
	return all;
}

#endif
