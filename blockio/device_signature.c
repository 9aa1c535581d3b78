/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * device_signature.c - is there something on this disk, in a word
 *
 * Any byte that is not zero is "something"; the words only help a person to see what. No probing
 * library looks at a disk that may be hostile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "device_internal.h"

#define EDGE MIB

struct signature {
	const char *word;
	size_t off;
	const char *magic;
	size_t len;
};

/* clang-format off */
static const struct signature signatures[] = { /* the first that fits names it */
	{ "GPT",   512,     "EFI PART", 8 },
	{ "GPT",   4096,    "EFI PART", 8 },
	{ "LUKS",  0,       "LUKS\xba\xbe", 6 },
	{ "LVM",   512,     "LABELONE", 8 },
	{ "LVM",   0,       "LABELONE", 8 },
	{ "LVM",   1024,    "LABELONE", 8 },
	{ "LVM",   1536,    "LABELONE", 8 },
	{ "md",    4096,    "\xfc\x4e\x2b\xa9", 4 },
	{ "md",    0,       "\xfc\x4e\x2b\xa9", 4 },
	{ "xfs",   0,       "XFSB", 4 },
	{ "btrfs", 0x10040, "_BHRfS_M", 8 },
	{ "ext4",  0x438,   "\x53\xef", 2 },
	{ "swap",  4086,    "SWAPSPACE2", 10 },
	{ "NTFS",  3,       "NTFS    ", 8 },
	{ "MBR",   510,     "\x55\xaa", 2 },
};
/* clang-format on */

static int read_edge(int fd, const char *path, uint64_t off, uint8_t *out, size_t len,
		     struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, out + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_DISK, n ? errno : EIO, "read '%s' at byte %llu", path,
				       (unsigned long long)(off + done));
		done += (size_t)n;
	}
	return 0;
}

static const char *word_for(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
		const struct signature *s = signatures + i;

		if (s->off + s->len <= len && !memcmp(p + s->off, s->magic, s->len))
			return s->word;
	}
	return "data";
}

int device_is_blank(const char *path, const char **ret_what, struct err *e)
{
	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	scoped(freep) uint8_t *edge = malloc(EDGE);

	if (fd < 0)
		return err_set(e, ERR_DISK, errno, "open '%s'", path);
	if (!edge)
		return err_set(e, ERR_SYS, ENOMEM, "read '%s'", path);
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return err_set(e, ERR_DISK, errno, "size of '%s'", path);
	size_t len = (uint64_t)end < EDGE ? (size_t)end : (size_t)EDGE;

	/* A disk that was used a moment ago may still have old bytes in the cache. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	int r = read_edge(fd, path, 0, edge, len, e);
	if (r < 0)
		return r;
	if (!all_zero(edge, len)) {
		*ret_what = word_for(edge, len);
		return 0;
	}
	r = read_edge(fd, path, (uint64_t)end - len, edge, len, e);
	if (r < 0)
		return r;
	if (all_zero(edge, len)) {
		*ret_what = "blank";
		return 1;
	}
	bool gpt = (len >= 512 && !memcmp(edge + len - 512, "EFI PART", 8)) ||
		   (len >= 4096 && !memcmp(edge + len - 4096, "EFI PART", 8));
	*ret_what = gpt ? "GPT" : "data";
	return 0;
}
