/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "journal_internal.h"

int journal_read(int fd, void *p, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (uint8_t *)p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int journal_write(int fd, const void *p, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const uint8_t *)p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

int journal_table_set(struct journal *j, uint64_t block, uint64_t count, uint64_t value)
{
	uint64_t fill = count * TABLE_ENTRY < JOURNAL_CHUNK ? count * TABLE_ENTRY : JOURNAL_CHUNK;

	for (uint64_t i = 0; i < fill; i += TABLE_ENTRY)
		put_be64(j->chunk + i, value);
	for (uint64_t left = count * TABLE_ENTRY, off = block * TABLE_ENTRY; left;) {
		uint64_t n = left < fill ? left : fill;
		int r = journal_write(j->table_fd, j->chunk, (size_t)n, off);

		if (r < 0)
			return r;
		off += n;
		left -= n;
	}
	return 0;
}

int journal_tail_append(struct journal_tail *t, enum record_type type,
			const struct journal_entry *v, size_t n)
{
	uint32_t pages = journal_record_pages(n);
	size_t len = (size_t)pages * JOURNAL_PAGE;
	uint8_t *p = t->buf;

	memset(p, 0, len);
	put_be32(p, RECORD_MAGIC);
	p[4] = (uint8_t)type;
	put_be16(p + 6, (uint16_t)pages);
	put_be64(p + 8, t->seq + 1);
	put_be64(p + 16, t->synced);
	put_be64(p + 24, t->epoch);
	put_be64(p + 32, t->chain);
	put_be64(p + 40, t->id);
	put_be32(p + 48, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		journal_entry_encode(v + i, p + RECORD_HEAD + i * ENTRY_LEN);
	uint64_t sum = digest_record(p, len);
	put_be64(p + 56, sum);

	int r = journal_write(t->fd, p, len, t->end);
	if (r < 0)
		return r;
	t->seq++;
	t->chain = sum;
	t->end += len;
	return 0;
}

uint64_t journal_need(uint64_t blocks)
{
	uint64_t records = div_round_up(blocks, ENTRIES_MAX);

	return JOURNAL_PAGE + records * RECORD_PAGES_MAX * JOURNAL_PAGE + MIB;
}

static int no_room(const struct journal *j, int sys, uint64_t want, struct err *e)
{
	return err_set(e, ERR_SYS, sys,
		       "the state folder '%s' has no room for the journal of disk %u: %llu MiB are "
		       "needed",
		       j->dir, j->disk.disk, (unsigned long long)(want / MIB + 1));
}

/* The worst case of a whole pass is promised by the file system now, not found missing later. */
int journal_reserve(struct journal *j, int fd, struct err *e)
{
	uint64_t want = journal_need(j->blocks);
	struct statvfs v;

	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)want))
		return 0;
	if (errno != EOPNOTSUPP)
		return no_room(j, errno, want, e);
	if (fstatvfs(fd, &v) < 0)
		return err_set(e, ERR_SYS, errno, "state folder '%s'", j->dir);
	if ((uint64_t)v.f_bavail * v.f_frsize < want)
		return no_room(j, ENOSPC, want, e);
	return 0;
}

int journal_create(struct journal *j, struct journal_tail *ret, struct err *e)
{
	struct journal_tail t = { .fd = -1, .buf = j->tail.buf };
	scoped(close_fdp) int fd = openat(
	    j->dirfd, "journal.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "create '%s/journal.new'", j->dir);
	if ((r = journal_reserve(j, fd, e)) < 0) {
		(void)unlinkat(j->dirfd, "journal.new", 0);
		return r;
	}
	if (getrandom(&t.id, sizeof t.id, 0) != (ssize_t)sizeof t.id)
		return err_set(e, ERR_SYS, errno, "random bytes for a journal");
	journal_header_encode(&j->disk, t.id, t.buf);
	t.chain = get_be64(t.buf + JOURNAL_PAGE - 8);
	t.end = JOURNAL_PAGE;
	if ((r = journal_write(fd, t.buf, JOURNAL_PAGE, 0)) < 0)
		return err_set(e, ERR_SYS, -r, "write '%s/journal.new'", j->dir);
	t.fd = take_fd(&fd);
	*ret = t;
	return 0;
}

int journal_publish(struct journal *j, int fd, struct err *e)
{
	/* Content before name: a name on unwritten pages would be a journal with a bad header. */
	if (fsync(fd) < 0)
		return err_set(e, ERR_SYS, errno, "sync '%s/journal.new'", j->dir);
	if (renameat(j->dirfd, "journal.new", j->dirfd, "journal") < 0)
		return err_set(e, ERR_SYS, errno, "rename '%s/journal.new'", j->dir);
	if (fsync(j->dirfd) < 0)
		return err_set(e, ERR_SYS, errno, "sync folder '%s'", j->dir);
	return 0;
}
