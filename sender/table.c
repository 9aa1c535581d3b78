/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define HEADER_LEN 64
#define KNOWS_STRONG 1
#define CLAIMS_STRONG 2
static const uint8_t magic[8] = { 0x54, 0x52, 0x41, 0x4e, 0x53, 0x54, 0x42, 0x32 }; /* "TRANSTB2" */

struct table {
	int fd;
	uint8_t *map;
	size_t len;
	uint64_t blocks;
	bool detached;
};

static uint8_t *entry_at(const struct table *t, uint64_t block)
{
	return t->map + HEADER_LEN + block * TABLE_ENTRY_LEN;
}

/* 0 magic | 8 task | 24 size u64 | 32 block size u32 | zeros */
static void header_make(uint8_t h[static HEADER_LEN], const uint8_t task[static TASK_ID_LEN],
			uint64_t size, uint32_t block_size)
{
	memset(h, 0, HEADER_LEN);
	memcpy(h, magic, sizeof magic);
	memcpy(h + 8, task, TASK_ID_LEN);
	put_be64(h + 24, size);
	put_be32(h + 32, block_size);
}

/* Space is taken at once: a full state folder must show before the copy, not as a signal in it. */
static int begin_anew(struct table *t, const uint8_t h[static HEADER_LEN], const char *name,
		      struct err *e)
{
	if (ftruncate(t->fd, 0) || ftruncate(t->fd, (off_t)t->len))
		return err_set(e, ERR_SYS, errno, "size digest table '%s'", name);
	int r = posix_fallocate(t->fd, 0, (off_t)t->len);
	if (r)
		return err_set(e, ERR_SYS, r, "digest table '%s' of %zu bytes", name, t->len);
	if (pwrite(t->fd, h, HEADER_LEN, 0) != HEADER_LEN)
		return err_set(e, ERR_SYS, errno, "write digest table '%s'", name);
	return 0;
}

static void table_closep(struct table **t)
{
	table_close(*t);
	*t = NULL;
}

int table_open(int dirfd, const char *name, const uint8_t task[static TASK_ID_LEN], uint64_t size,
	       uint32_t block_size, struct table **ret, struct err *e)
{
	uint8_t want[HEADER_LEN], have[HEADER_LEN];
	struct stat st;

	header_make(want, task, size, block_size);
	scoped(table_closep) struct table *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_SYS, ENOMEM, "digest table '%s'", name);
	t->blocks = div_round_up(size, block_size);
	t->len = HEADER_LEN + t->blocks * TABLE_ENTRY_LEN;
	t->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0 || fstat(t->fd, &st))
		return err_set(e, ERR_SYS, errno, "open digest table '%s'", name);
	if ((uint64_t)st.st_size != t->len || pread(t->fd, have, HEADER_LEN, 0) != HEADER_LEN ||
	    memcmp(have, want, HEADER_LEN) != 0) {
		int r = begin_anew(t, want, name, e);
		if (r)
			return r;
	}
	void *map = mmap(NULL, t->len, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, ERR_SYS, errno, "map digest table '%s'", name);
	t->map = map;
	*ret = take_ptr(&t);
	return 0;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	if (t->map)
		(void)munmap(t->map, t->len);
	if (t->fd >= 0)
		(void)close(t->fd);
	free(t);
}

uint64_t table_blocks(const struct table *t)
{
	return t->blocks;
}

void table_get(const struct table *t, uint64_t block, struct table_entry *ret)
{
	const uint8_t *p = entry_at(t, block);

	/* A damaged file must not invent a kind. */
	ret->kind = p[0] == ENTRY_DATA || p[0] == ENTRY_ZERO ? (enum entry_kind)p[0] : ENTRY_NONE;
	ret->gen = get_be32(p + 4);
	ret->strong_known = p[1] & KNOWS_STRONG;
	memset(ret->strong, 0, DIGEST_LEN);
	if (ret->strong_known)
		memcpy(ret->strong, p + 24, DIGEST_LEN);
	memset(ret->digest, 0, DIGEST_LEN);
	if (p[1] & CLAIMS_STRONG)
		memcpy(ret->digest, p + 24, DIGEST_LEN);
	else
		memcpy(ret->digest, p + 8, DIGEST_FAST_LEN);
}

void table_set(struct table *t, uint64_t block, const struct table_entry *entry)
{
	bool strong = digest_kind_of(entry->digest) == DIGEST_STRONG;
	uint8_t *p = entry_at(t, block);

	p[0] = (uint8_t)entry->kind;
	p[1] = strong ? KNOWS_STRONG | CLAIMS_STRONG : entry->strong_known ? KNOWS_STRONG : 0;
	put_be32(p + 4, entry->gen);
	memset(p + 8, 0, TABLE_ENTRY_LEN - 8);
	if (!strong)
		memcpy(p + 8, entry->digest, DIGEST_FAST_LEN);
	if (p[1])
		memcpy(p + 24, strong ? entry->digest : entry->strong, DIGEST_LEN);
}

void table_unclaim(struct table *t, uint64_t first, uint64_t count)
{
	for (uint64_t b = first; b < first + count; b++) {
		uint8_t *p = entry_at(t, b);

		/* Not written when it is so already: a fresh table keeps its pages untouched. */
		if (p[0])
			p[0] = ENTRY_NONE;
	}
}

void table_forget_claims(struct table *t)
{
	table_unclaim(t, 0, t->blocks);
}

int table_claim(struct table *t, const struct have_entry *have, struct err *e)
{
	if (have->block >= t->blocks || have->count > t->blocks - have->block)
		return err_set(e, ERR_PEER, EPROTO,
			       "claims %u blocks from %llu on, of a disk with %llu", have->count,
			       (unsigned long long)have->block, (unsigned long long)t->blocks);
	for (uint64_t b = have->block; b < have->block + have->count; b++) {
		struct table_entry entry;

		table_get(t, b, &entry);
		entry.kind = (enum entry_kind)have->kind;
		if (have->gen > entry.gen)
			entry.gen = have->gen;
		/* Another content than the one whose SHA-256 we know. */
		if (memcmp(entry.digest, have->digest, DIGEST_LEN) != 0)
			entry.strong_known = false;
		memcpy(entry.digest, have->digest, DIGEST_LEN);
		table_set(t, b, &entry);
	}
	return 0;
}

uint64_t table_without_strong(const struct table *t)
{
	uint64_t n = 0;

	for (uint64_t b = 0; b < t->blocks; b++) {
		struct table_entry entry;

		table_get(t, b, &entry);
		n += entry.kind == ENTRY_DATA && !entry.strong_known;
	}
	return n;
}

static int remap(struct table *t, int flags, struct err *e)
{
	void *map = mmap(NULL, t->len, PROT_READ | PROT_WRITE, flags, t->fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, ERR_SYS, errno, "map digest table");
	if (flags & MAP_SHARED)
		memcpy(map, t->map, t->len);
	(void)munmap(t->map, t->len);
	t->map = map;
	return 0;
}

int table_detach(struct table *t, struct err *e)
{
	int r = t->detached ? 0 : remap(t, MAP_PRIVATE, e);

	if (!r)
		t->detached = true;
	return r;
}

int table_attach(struct table *t, struct err *e)
{
	int r = t->detached ? remap(t, MAP_SHARED, e) : 0;

	if (!r)
		t->detached = false;
	return r;
}
