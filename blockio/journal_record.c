/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "journal_internal.h"

static const char header_magic[8] = { 'T', 'R', 'N', 'S', 'J', 'R', 'N', 'L' };

void journal_header_encode(const struct journal_disk *d, uint64_t id,
			   uint8_t out[static JOURNAL_PAGE])
{
	memset(out, 0, JOURNAL_PAGE);
	memcpy(out, header_magic, sizeof header_magic);
	put_be32(out + 8, JOURNAL_VERSION);
	put_be32(out + 12, d->disk);
	memcpy(out + 16, d->task, TASK_ID_LEN);
	put_be32(out + 32, d->block_size);
	put_be64(out + 40, d->size);
	put_be64(out + 48, d->target_size);
	put_be64(out + 56, id);
	memcpy(out + 64, d->serial, strnlen(d->serial, sizeof d->serial - 1));
	put_be64(out + JOURNAL_PAGE - 8, digest_record(out, JOURNAL_PAGE - 8));
}

bool journal_header_decode(const uint8_t in[static JOURNAL_PAGE], struct journal_disk *ret,
			   uint64_t *ret_id, uint64_t *ret_sum)
{
	struct journal_disk d = { 0 };
	uint64_t sum = get_be64(in + JOURNAL_PAGE - 8);

	if (memcmp(in, header_magic, sizeof header_magic) != 0 ||
	    get_be32(in + 8) != JOURNAL_VERSION || sum != digest_record(in, JOURNAL_PAGE - 8))
		return false;
	d.disk = get_be32(in + 12);
	memcpy(d.task, in + 16, TASK_ID_LEN);
	d.block_size = get_be32(in + 32);
	d.size = get_be64(in + 40);
	d.target_size = get_be64(in + 48);
	memcpy(d.serial, in + 64, sizeof d.serial);
	if (d.disk >= DISKS_MAX || !is_power_of_two(d.block_size) ||
	    d.block_size < BLOCK_SIZE_MIN || d.block_size > BLOCK_SIZE_MAX || !d.size ||
	    d.size > DISK_SIZE_MAX || d.serial[sizeof d.serial - 1])
		return false;
	*ret = d;
	*ret_id = get_be64(in + 56);
	*ret_sum = sum;
	return true;
}

void journal_entry_encode(const struct journal_entry *m, uint8_t out[static ENTRY_LEN])
{
	put_be64(out, (uint64_t)m->claim.kind << 56 | m->block);
	put_be32(out + 8, m->count);
	put_be32(out + 12, m->claim.gen);
	if (m->claim.kind == CLAIM_DATA)
		memcpy(out + 16, m->claim.digest, DIGEST_LEN);
	else
		memset(out + 16, 0, DIGEST_LEN);
}

bool journal_entry_decode(const uint8_t *p, uint64_t blocks, struct journal_entry *ret)
{
	uint64_t word = get_be64(p);
	struct journal_entry m = { .block = word & (UINT64_MAX >> 8),
				   .count = get_be32(p + 8),
				   .claim = { .gen = get_be32(p + 12) } };

	if (word >> 56 > CLAIM_ZERO || !m.count || m.block >= blocks || m.count > blocks - m.block)
		return false;
	m.claim.kind = (enum claim_kind)(word >> 56);
	if (m.claim.kind == CLAIM_DATA && m.count != 1)
		return false;
	memcpy(m.claim.digest, p + 16, DIGEST_LEN);
	*ret = m;
	return true;
}

uint32_t journal_record_pages(size_t n)
{
	return (uint32_t)div_round_up(RECORD_HEAD + n * ENTRY_LEN, JOURNAL_PAGE);
}

bool journal_record_head(const uint8_t *p, struct record *ret)
{
	struct record r = { .pages = get_be16(p + 6),
			    .seq = get_be64(p + 8),
			    .synced = get_be64(p + 16),
			    .epoch = get_be64(p + 24),
			    .prev = get_be64(p + 32),
			    .id = get_be64(p + 40),
			    .n = get_be32(p + 48),
			    .checksum = get_be64(p + 56) };

	if (get_be32(p) != RECORD_MAGIC || p[4] < RECORD_CLAIMS || p[4] > RECORD_TRUSTED)
		return false;
	r.type = (enum record_type)p[4];
	if (p[5] || get_be32(p + 52) || r.n > ENTRIES_MAX || r.pages != journal_record_pages(r.n) ||
	    r.synced >= r.seq)
		return false;
	if (r.type != RECORD_CLAIMS && r.n)
		return false;
	*ret = r;
	return true;
}

bool journal_record_whole(uint8_t *p, const struct record *r)
{
	uint64_t sum;

	put_be64(p + 56, 0);
	sum = digest_record(p, (size_t)r->pages * JOURNAL_PAGE);
	put_be64(p + 56, r->checksum);
	return sum == r->checksum;
}
