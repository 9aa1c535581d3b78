/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * image - makes the disks that the benchmarks copy, the same ones on every run
 *
 * Use    image make mixed|dense|random|text FILE BYTES [FOLDER...]
 *        image change FILE BYTES_OF_A_BLOCK PERCENT SEED
 * Kinds  mixed: 29 % holes, 9 % written zeros, 37 % files, 24 % random; dense: 60 % files, 40 %
 * random, no 4 KiB of zeros; random: does not compress; text: compresses about three to one Shape
 * extents of 64 KiB to 5 MiB. Files are the regular ones of FOLDERs (/usr/share and /usr/lib unless
 * said), in the order of their names, over and over: the same on one machine. Exit   0, 1 with
 * words on standard error. "change" prints the number of blocks changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define PAGE ((size_t)(4 * KIB))
#define EXTENT_MIN (64 * KIB)
#define EXTENT_MAX (5 * MIB)
#define SEED UINT64_C(0x7472616e73697431)
#define FOLDERS_MAX 16

/* ---- numbers: splitmix64, because the same bytes must come from every libc ---- */

static uint64_t next_number(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void random_bytes(uint64_t *state, uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		uint64_t v = next_number(state);

		memcpy(p + at, &v, len - at < 8 ? len - at : 8);
	}
}

/* Words of a small alphabet with numbers between them: what logs and tables look like. */
static void text_bytes(uint64_t *state, uint8_t *p, size_t len)
{
	static const char *const words[] = { "error ",    "warning ", "started ", "unit ",
					     "finished ", "GET /",    "status=",  "id=" };
	size_t at = 0;

	while (at < len) {
		char line[64];
		uint64_t v = next_number(state);
		int n = snprintf(line, sizeof line, "%s%s%llx\n", words[v & 7], words[v >> 3 & 7],
				 (unsigned long long)(v >> 32));
		size_t take = len - at < (size_t)n ? len - at : (size_t)n;

		memcpy(p + at, line, take);
		at += take;
	}
}

/* ---- files, one after another, without end ---- */

struct files {
	char *folders[FOLDERS_MAX + 1];
	FTS *walk;
	int fd;
	bool any; /* this walk gave a byte: if not, there is nothing to read */
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int next_file(struct files *f)
{
	FTSENT *entry;

	if (!f->walk) {
		f->any = false;
		f->walk = fts_open(f->folders, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	}
	while (f->walk && (entry = fts_read(f->walk))) {
		if (entry->fts_info != FTS_F || !entry->fts_statp->st_size)
			continue;
		f->fd = open(entry->fts_accpath, O_RDONLY | O_CLOEXEC);
		if (f->fd >= 0)
			return 0;
	}
	if (f->walk)
		(void)fts_close(f->walk);
	f->walk = NULL;
	return f->any ? next_file(f) : -ENOENT;
}

static int file_bytes(struct files *f, uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = f->fd < 0 ? 0 : read(f->fd, p + at, len - at);

		if (n > 0) {
			at += (size_t)n;
			f->any = true;
			continue;
		}
		close_fdp(&f->fd);
		int r = next_file(f);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the image ---- */

enum content { HOLE, ZEROS, FILES, RANDOM, TEXT };

static enum content choose(const char *kind, uint64_t percent)
{
	if (!strcmp(kind, "random"))
		return RANDOM;
	if (!strcmp(kind, "text"))
		return TEXT;
	if (!strcmp(kind, "dense"))
		return percent < 60 ? FILES : RANDOM;
	if (percent < 29)
		return HOLE;
	if (percent < 38)
		return ZEROS;
	return percent < 75 ? FILES : RANDOM;
}

static void no_zero_page(uint64_t *state, uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len; at += PAGE) {
		size_t n = len - at < PAGE ? len - at : PAGE;

		if (all_zero(p + at, n))
			random_bytes(state, p + at, n);
	}
}

static int fill(enum content content, uint64_t *state, struct files *f, uint8_t *p, size_t len)
{
	switch (content) {
	case HOLE:
	case ZEROS:
		memset(p, 0, len);
		return 0;
	case FILES:
		return file_bytes(f, p, len);
	case RANDOM:
		random_bytes(state, p, len);
		return 0;
	case TEXT:
		text_bytes(state, p, len);
		return 0;
	}
	return -EINVAL;
}

static int put(int fd, const uint8_t *p, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

static int make(const char *kind, int fd, uint64_t size, struct files *f)
{
	scoped(freep) uint8_t *buf = malloc(EXTENT_MAX);
	uint64_t state = SEED;
	bool dense = strcmp(kind, "mixed") != 0;

	if (!buf || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	for (uint64_t off = 0; off < size;) {
		enum content content = choose(kind, next_number(&state) % 100);
		uint64_t steps = (EXTENT_MAX - EXTENT_MIN) / EXTENT_MIN + 1;
		uint64_t len = EXTENT_MIN * (1 + next_number(&state) % steps);
		int r;

		len = len < size - off ? len : size - off;
		r = fill(content, &state, f, buf, (size_t)len);
		if (dense)
			no_zero_page(&state, buf, (size_t)len);
		if (!r && content != HOLE)
			r = put(fd, buf, (size_t)len, off);
		if (r)
			return r;
		off += len;
	}
	return 0;
}

/* Other bytes in PERCENT of the blocks, spread by chance: 512 of them in the middle of each. */
static int change(int fd, uint64_t block, double percent, uint64_t seed, uint64_t *ret)
{
	uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END), blocks = size / block, state = seed;
	uint64_t want = (uint64_t)((double)blocks * percent / 100.0), left = blocks;
	uint8_t bytes[512];

	*ret = 0;
	for (uint64_t b = 0; b < blocks && *ret < want; b++, left--) {
		int r;

		if (next_number(&state) % left >= want - *ret)
			continue;
		random_bytes(&state, bytes, sizeof bytes);
		r = put(fd, bytes, sizeof bytes, b * block + block / 2);
		if (r)
			return r;
		++*ret;
	}
	return 0;
}

static bool is_kind(const char *word)
{
	return !strcmp(word, "mixed") || !strcmp(word, "dense") || !strcmp(word, "random") ||
	       !strcmp(word, "text");
}

static int run_make(int argc, char **argv)
{
	static char share[] = "/usr/share", lib[] = "/usr/lib";
	struct files f = { .folders = { share, lib }, .fd = -1 };
	scoped(close_fdp) int fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r;

	for (int i = 5; i < argc && i - 5 < FOLDERS_MAX; i++)
		f.folders[i - 5] = argv[i];
	r = fd < 0 ? -errno : make(argv[2], fd, strtoull(argv[4], NULL, 10), &f);
	if (f.walk)
		(void)fts_close(f.walk);
	close_fdp(&f.fd);
	return r;
}

static int run_change(char **argv)
{
	scoped(close_fdp) int fd = open(argv[2], O_RDWR | O_CLOEXEC);
	uint64_t n = 0;
	int r = fd < 0 ? -errno
		       : change(fd, strtoull(argv[3], NULL, 10), strtod(argv[4], NULL),
				strtoull(argv[5], NULL, 10), &n);

	if (!r)
		printf("%llu\n", (unsigned long long)n);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc >= 5 && !strcmp(argv[1], "make") && is_kind(argv[2]))
		r = run_make(argc, argv);
	else if (argc == 6 && !strcmp(argv[1], "change"))
		r = run_change(argv);
	else {
		fprintf(stderr, "usage: image make KIND FILE BYTES [FOLDER...]\n"
				"       image change FILE BLOCK PERCENT SEED\n");
		return 2;
	}
	if (r)
		fprintf(stderr, "image: %s\n", strerror(-r));
	return r ? 1 : 0;
}
