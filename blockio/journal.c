/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "journal_internal.h"

void journal_close(struct journal *j)
{
	if (!j)
		return;
	close_fdp(&j->tail.fd);
	close_fdp(&j->table_fd);
	close_fdp(&j->dirfd);
	free(j->tail.buf);
	free(j->bitmap);
	free(j->chunk);
	free(j);
}

static int new_journal(const char *dir, struct journal **ret, struct err *e)
{
	scoped(journal_closep) struct journal *j = calloc(1, sizeof *j);

	if (!j)
		return err_set(e, ERR_SYS, ENOMEM, "journal '%s'", dir);
	j->tail.fd = j->table_fd = j->dirfd = -1;
	(void)snprintf(j->dir, sizeof j->dir, "%s", dir);
	j->tail.buf = malloc((size_t)RECORD_PAGES_MAX * JOURNAL_PAGE);
	j->chunk = malloc(JOURNAL_CHUNK);
	if (!j->tail.buf || !j->chunk)
		return err_set(e, ERR_SYS, ENOMEM, "journal '%s'", dir);
	j->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dirfd < 0)
		return err_set(e, ERR_SYS, errno, "state folder '%s'", dir);
	*ret = take_ptr(&j);
	return 0;
}

static int set_disk(struct journal *j, const struct journal_disk *d, struct err *e)
{
	j->disk = *d;
	j->blocks = div_round_up(d->size, d->block_size);
	free(j->bitmap);
	j->bitmap = calloc(1, (size_t)div_round_up(j->blocks, 8));
	return j->bitmap ? 0 : err_set(e, ERR_SYS, ENOMEM, "journal '%s'", j->dir);
}

static int open_existing(struct journal *j, int mode, struct err *e)
{
	int r;

	j->tail.fd = openat(j->dirfd, "journal", mode | O_CLOEXEC | O_NOFOLLOW);
	if (j->tail.fd < 0)
		return errno == ENOENT ? -ENOENT
				       : err_set(e, ERR_SYS, errno, "open '%s/journal'", j->dir);
	r = journal_read(j->tail.fd, j->tail.buf, JOURNAL_PAGE, 0);
	if (r < 0 && r != -EIO)
		return err_set(e, ERR_SYS, -r, "read '%s/journal'", j->dir);
	if (r < 0 || !journal_header_decode(j->tail.buf, &j->disk, &j->tail.id, &j->tail.chain))
		return err_set(e, ERR_SYS, EUCLEAN, "'%s/journal' has no good header", j->dir);
	return 0;
}

static int refuse_other(const struct journal *j, const struct journal_disk *want, struct err *e)
{
	const struct journal_disk *d = &j->disk;
	const char *what = NULL;

	if (memcmp(d->task, want->task, TASK_ID_LEN) != 0)
		what = "another task";
	else if (strcmp(d->serial, want->serial) != 0)
		what = "a disk of another serial number";
	else if (d->disk != want->disk)
		what = "another disk number";
	else if (d->size != want->size || d->block_size != want->block_size)
		what = "a source of another size";
	else if (d->target_size != want->target_size)
		what = "a target of another size";
	if (!what)
		return 0;
	return err_refuse(e, "disk-not-the-journals", ESTALE,
			  "'%s/journal' belongs to %s (serial %s, disk %u, %llu bytes)", j->dir,
			  what, d->serial, d->disk, (unsigned long long)d->size);
}

static int create(struct journal *j, const struct journal_disk *want, struct err *e)
{
	struct journal_tail t;
	int r = set_disk(j, want, e);

	if (r < 0 || (r = journal_create(j, &t, e)) < 0)
		return r;
	close_fdp(&j->tail.fd);
	j->tail = t;
	return journal_publish(j, t.fd, e);
}

static int open_table(struct journal *j, struct err *e)
{
	uint64_t want = j->blocks * TABLE_ENTRY;

	j->table_fd =
	    openat(j->dirfd, "table", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->table_fd < 0)
		return err_set(e, ERR_SYS, errno, "create '%s/table'", j->dir);
	if (fallocate(j->table_fd, 0, 0, (off_t)want) < 0 && errno != EOPNOTSUPP)
		return err_set(e, ERR_SYS, errno,
			       "the state folder '%s' has no room for the table of disk %u: %llu "
			       "MiB are needed",
			       j->dir, j->disk.disk, (unsigned long long)(want / MIB + 1));
	return 0;
}

static bool disk_is_sane(const struct journal_disk *d)
{
	return d->disk < DISKS_MAX && is_power_of_two(d->block_size) &&
	       d->block_size >= BLOCK_SIZE_MIN && d->block_size <= BLOCK_SIZE_MAX && d->size &&
	       d->size <= DISK_SIZE_MAX && memchr(d->serial, 0, sizeof d->serial);
}

int journal_open(const char *dir, const struct journal_disk *want, struct journal **ret,
		 struct err *e)
{
	scoped(journal_closep) struct journal *j = NULL;
	int r;

	if (!disk_is_sane(want))
		return err_set(e, ERR_USAGE, EINVAL, "journal '%s' for an impossible disk", dir);
	if ((r = new_journal(dir, &j, e)) < 0)
		return r;
	if (flock(j->dirfd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_SYS, EBUSY, "another program has the journal '%s' open", dir);
	(void)unlinkat(j->dirfd, "journal.new", 0);
	r = open_existing(j, O_RDWR, e);
	if (r == -ENOENT)
		r = create(j, want, e);
	else if (!r && !(r = refuse_other(j, want, e)))
		r = set_disk(j, want, e); /* nothing is allocated by what a file says */
	if (r < 0 || (r = open_table(j, e)) < 0 || (r = journal_reserve(j, j->tail.fd, e)) < 0 ||
	    (r = journal_replay(j, e)) < 0)
		return r;
	if (journal_wants_compaction(j) && (r = journal_compact(j, e)) < 0)
		return r;
	*ret = take_ptr(&j);
	return 0;
}

int journal_open_readonly(const char *dir, struct journal **ret, struct err *e)
{
	scoped(journal_closep) struct journal *j = NULL;
	int r = new_journal(dir, &j, e);

	if (r < 0)
		return r;
	j->readonly = true;
	r = open_existing(j, O_RDONLY, e);
	if (r == -ENOENT)
		return err_set(e, ERR_SYS, ENOENT, "open '%s/journal'", dir);
	if (r < 0)
		return r;
	const struct journal_disk disk = j->disk;
	if ((r = set_disk(j, &disk, e)) < 0)
		return r;
	/* DIR/table is the writer's: this one lives in memory, eight bytes a block. */
	j->table_fd = memfd_create("transit-journal-table", MFD_CLOEXEC);
	if (j->table_fd < 0 || ftruncate(j->table_fd, (off_t)(j->blocks * TABLE_ENTRY)) < 0)
		return err_set(e, ERR_SYS, errno, "table of '%s'", dir);
	if ((r = journal_replay(j, e)) < 0)
		return r;
	*ret = take_ptr(&j);
	return 0;
}

const struct journal_disk *journal_disk(const struct journal *j)
{
	return &j->disk;
}

uint64_t journal_blocks(const struct journal *j)
{
	return j->blocks;
}

uint64_t journal_claimed(const struct journal *j)
{
	return j->claimed;
}

bool journal_is_claimed(const struct journal *j, uint64_t block)
{
	return block < j->blocks && (j->bitmap[block / 8] >> (block % 8) & 1);
}

int journal_get(struct journal *j, uint64_t block, struct claim *ret, struct err *e)
{
	uint8_t at[TABLE_ENTRY], raw[ENTRY_LEN];
	struct journal_entry m;
	int r;

	if (block >= j->blocks)
		return err_set(e, ERR_PEER, ERANGE, "block %llu is past the disk's last",
			       (unsigned long long)block);
	if (!journal_is_claimed(j, block)) {
		*ret = (struct claim){ .kind = CLAIM_NONE };
		return 0;
	}
	r = journal_read(j->table_fd, at, sizeof at, block * TABLE_ENTRY);
	if (!r)
		r = journal_read(j->tail.fd, raw, sizeof raw, get_be64(at));
	if (r < 0)
		return err_set(e, ERR_SYS, -r, "read '%s/journal'", j->dir);
	if (!journal_entry_decode(raw, j->blocks, &m) || m.claim.kind == CLAIM_NONE ||
	    block < m.block || block - m.block >= m.count)
		return err_set(e, ERR_SYS, EUCLEAN, "'%s/table' does not fit its journal", j->dir);
	*ret = m.claim;
	return 0;
}

static int fail(struct journal *j, int r, const char *what, struct err *e)
{
	j->failed = -r;
	return err_set(e, ERR_SYS, -r, "%s '%s/journal'", what, j->dir);
}

static int check_alive(const struct journal *j, struct err *e)
{
	assert(!j->readonly);
	if (j->failed)
		return err_set(e, ERR_SYS, j->failed, "the journal '%s' failed before", j->dir);
	return 0;
}

static int append_one(struct journal *j, const struct journal_entry *v, size_t n, struct err *e)
{
	uint64_t at = j->tail.end + RECORD_HEAD;
	int r = journal_tail_append(&j->tail, RECORD_CLAIMS, v, n);

	if (r < 0)
		return fail(j, r, "write", e);
	for (size_t i = 0; i < n; i++) {
		r = journal_apply(j, v + i, at + i * ENTRY_LEN);
		if (r < 0)
			return fail(j, r, "write the table of", e);
	}
	return 0;
}

/* Weeks of small batches at a page each would fill a small state folder: begin again in time. */
static int keep_short(struct journal *j, struct err *e)
{
	/* The file that is being synced stays. */
	if (j->syncing || j->tail.end < 2 * journal_need(j->blocks) + 16 * MIB)
		return 0;
	int r = journal_compact(j, e);
	if (r < 0)
		j->failed = -r;
	return r;
}

int journal_append(struct journal *j, const struct journal_entry *v, size_t n, struct err *e)
{
	bool claims = false;
	int r = check_alive(j, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].count || v[i].block >= j->blocks || v[i].count > j->blocks - v[i].block)
			return err_set(e, ERR_PEER, ERANGE,
				       "a claim of %u blocks from block %llu on ends past the disk",
				       v[i].count, (unsigned long long)v[i].block);
		assert(v[i].claim.kind != CLAIM_DATA || v[i].count == 1);
		claims |= v[i].claim.kind != CLAIM_NONE;
	}
	if ((r = keep_short(j, e)) < 0)
		return r;
	if (claims) {
		journal_note_batch(j);
		journal_note_recent(j, v, n);
	}
	for (size_t done = 0; done < n;) {
		size_t some = n - done < ENTRIES_MAX ? n - done : ENTRIES_MAX;

		if ((r = append_one(j, v + done, some, e)) < 0)
			return r;
		done += some;
	}
	return 0;
}

int journal_sync(struct journal *j, struct err *e)
{
	int r = check_alive(j, e);

	assert(!j->syncing);
	if (r < 0)
		return r;
	if (j->tail.synced == j->tail.seq)
		return 0;
	if (fdatasync(j->tail.fd) < 0)
		return fail(j, -errno, "sync", e);
	j->tail.synced = j->tail.seq;
	return 0;
}

int journal_sync_begin(struct journal *j, int *ret_fd, struct err *e)
{
	int r = check_alive(j, e);

	assert(!j->syncing);
	if (r < 0)
		return r;
	j->syncing = true;
	j->sync_seq = j->tail.seq;
	*ret_fd = j->tail.fd;
	return 0;
}

int journal_sync_end(struct journal *j, int res, struct err *e)
{
	assert(j->syncing);
	j->syncing = false;
	if (res < 0)
		return fail(j, res, "sync", e);
	j->tail.synced = j->sync_seq;
	return check_alive(j, e);
}

static int mark(struct journal *j, enum record_type type, struct err *e)
{
	assert(!j->syncing);
	int r = journal_tail_append(&j->tail, type, NULL, 0);

	return r < 0 ? fail(j, r, "write", e) : journal_sync(j, e);
}

int journal_set_epoch(struct journal *j, uint64_t epoch, struct err *e)
{
	int r = check_alive(j, e);

	if (r < 0)
		return r;
	if (epoch <= j->tail.epoch)
		return err_set(e, ERR_WRONG_STATE, ESTALE, "epoch %llu is not above %llu",
			       (unsigned long long)epoch, (unsigned long long)j->tail.epoch);
	j->tail.epoch = epoch;
	return mark(j, RECORD_EPOCH, e);
}

uint64_t journal_epoch(const struct journal *j)
{
	return j->tail.epoch;
}

int journal_set_suspect(struct journal *j, bool suspect, struct err *e)
{
	int r = check_alive(j, e);

	if (r < 0 || j->suspect == suspect)
		return r;
	j->suspect = suspect;
	return mark(j, suspect ? RECORD_SUSPECT : RECORD_TRUSTED, e);
}

bool journal_is_suspect(const struct journal *j)
{
	return j->suspect;
}

size_t journal_recent(const struct journal *j, uint64_t *ret_blocks, size_t room)
{
	size_t n = 0;

	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < j->recent[k].n && n < room; i++) {
			if (journal_is_claimed(j, j->recent[k].blocks[i]))
				ret_blocks[n++] = j->recent[k].blocks[i];
		}
	}
	return n;
}
