/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal file made of the input. Random bytes never have a good checksum, so the harness builds
 * a good file and lets the input say what is wrong with it: byte 0 & 1: the input is the whole
 * file; else it is a list of (place, value) changes, after which, by byte 0 & 2, the checksums are
 * made right again.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GOOD_MAX (64 * KIB)

static char dir[64];
static uint8_t good[GOOD_MAX];
static size_t good_len;
static const struct journal_disk disk = { .task = "fuzz",
					  .block_size = 65536,
					  .size = 100 * 65536,
					  .target_size = 100 * 65536,
					  .serial = "FUZZ" };

static void leave(void)
{
	char path[96];
	static const char *const names[] = { "journal", "journal.new", "table" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void make_good(void)
{
	struct journal *j = NULL;
	char path[96];

	(void)snprintf(dir, sizeof dir, "/dev/shm/transit-fuzz-XXXXXX");
	if (!mkdtemp(dir) || journal_open(dir, &disk, &j, NULL) < 0)
		abort();
	(void)atexit(leave);
	for (uint32_t i = 0; i < 6; i++) {
		struct journal_entry m[100] = { 0 };

		for (uint32_t k = 0; k < 100; k++)
			m[k] = (struct journal_entry){ .block = k,
						       .count = 1,
						       .claim = { .kind = CLAIM_DATA, .gen = i } };
		m[99] =
		    (struct journal_entry){ .block = 50,
					    .count = 50,
					    .claim = { .kind = i % 3 ? CLAIM_ZERO : CLAIM_NONE } };
		if (journal_append(j, m, i % 2 ? 100 : 3, NULL) < 0 || journal_sync(j, NULL) < 0)
			abort();
	}
	if (journal_set_epoch(j, 7, NULL) < 0 || journal_set_suspect(j, true, NULL) < 0)
		abort();
	journal_close(j);
	(void)snprintf(path, sizeof path, "%s/journal", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, good, sizeof good);
	if (n <= 0)
		abort();
	(void)close(fd);
	good_len = (size_t)n;
}

static void mend(uint8_t *p, size_t len)
{
	put_be64(p + JOURNAL_PAGE - 8, digest_record(p, JOURNAL_PAGE - 8));
	for (size_t at = JOURNAL_PAGE; at + JOURNAL_PAGE <= len; at += JOURNAL_PAGE) {
		size_t pages = get_be16(p + at + 6);

		if (get_be32(p + at) != RECORD_MAGIC || !pages || pages > (len - at) / JOURNAL_PAGE)
			continue;
		put_be64(p + at + 56, 0);
		put_be64(p + at + 56, digest_record(p + at, pages * JOURNAL_PAGE));
	}
}

static void write_file(const uint8_t *p, size_t len)
{
	char path[96];

	(void)snprintf(path, sizeof path, "%s/journal", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, p, len) != (ssize_t)len)
		abort();
	(void)close(fd);
}

/* What opens must be usable, and must open again with the same claims. */
static void check_open(void)
{
	struct journal *j = NULL;
	struct claim c;

	if (journal_open(dir, &disk, &j, NULL) < 0)
		return;
	uint64_t claimed = journal_claimed(j), seen = 0;
	for (uint64_t b = 0; b < journal_blocks(j); b++) {
		if (journal_get(j, b, &c, NULL) < 0)
			abort();
		seen += c.kind != CLAIM_NONE;
	}
	journal_close(j);
	if (seen != claimed || journal_open(dir, &disk, &j, NULL) < 0 ||
	    journal_claimed(j) != claimed)
		abort();
	journal_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[GOOD_MAX];

	if (!good_len)
		make_good();
	if (size < 2 || size > sizeof file)
		return 0;
	if (data[0] & 1) {
		write_file(data + 1, size - 1);
	} else {
		memcpy(file, good, good_len);
		for (size_t i = 1; i + 3 <= size; i += 3) {
			size_t at = ((size_t)data[i] << 8 | data[i + 1]) % good_len;

			/* Most of a record is entries: half the changes go to the heads. */
			if (data[i] & 0x80)
				at = at / JOURNAL_PAGE * JOURNAL_PAGE + at % 112;
			file[at] = data[i + 2];
		}
		if (data[0] & 2)
			mend(file, good_len);
		write_file(file, good_len - (data[0] & 4 ? data[1] * 7u : 0));
	}
	check_open();
	return 0;
}
