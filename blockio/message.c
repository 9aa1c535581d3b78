/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "message.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
static const char *const state_words[] = {
	[TASK_WAITING] = "waiting",         [TASK_PAIRED] = "paired",
	[TASK_RECEIVING] = "receiving",     [TASK_PAUSED] = "paused",
	[TASK_INTERRUPTED] = "interrupted", [TASK_RECEIVED] = "received",
	[TASK_VERIFYING] = "verifying",     [TASK_VERIFIED] = "verified",
	[TASK_FINALIZING] = "finalizing",   [TASK_READY] = "ready",
	[TASK_HANDED_BACK] = "handed-back", [TASK_FAILED] = "failed",
	[TASK_ABORTED] = "aborted",
};

static const char *const error_words[] = {
	[WIRE_PROTOCOL] = "protocol",         [WIRE_VERSION_RANGE] = "version-range",
	[WIRE_WRONG_CODE] = "wrong-code",     [WIRE_CODE_EXPIRED] = "code-expired",
	[WIRE_CODE_USED] = "code-used",       [WIRE_NOT_PAIRED] = "not-paired",
	[WIRE_BAD_LOGIN] = "bad-login",       [WIRE_BUSY] = "busy",
	[WIRE_STALE_EPOCH] = "stale-epoch",   [WIRE_NO_TICKET] = "no-ticket",
	[WIRE_TOO_SMALL] = "too-small",       [WIRE_SECTOR_SIZE] = "sector-size",
	[WIRE_DISK_FAILED] = "disk-failed",   [WIRE_DIGEST] = "digest",
	[WIRE_PAUSED] = "paused",             [WIRE_STATE] = "state",
	[WIRE_SEAL] = "seal",                 [WIRE_LIMIT] = "limit",
	[WIRE_INTERNAL] = "internal",         [WIRE_GENERATION] = "generation",
	[WIRE_DISK_REFUSED] = "disk-refused", [WIRE_ABORTED] = "aborted",
};
/* clang-format on */

#define N_OF(v) (sizeof(v) / sizeof *(v))

const char *task_state_word(enum task_state s)
{
	unsigned i = (unsigned)s;

	return i < N_OF(state_words) && state_words[i] ? state_words[i] : "unknown";
}

int task_state_from_word(const char *word, enum task_state *ret)
{
	for (unsigned i = 1; i < N_OF(state_words); i++) {
		if (!strcmp(word, state_words[i])) {
			*ret = (enum task_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *wire_error_word(enum wire_error code)
{
	unsigned i = (unsigned)code;

	return i < N_OF(error_words) && error_words[i] ? error_words[i] : "unknown";
}

static int bad(struct err *e, const char *message, const char *field, uint64_t value)
{
	return err_set(e, ERR_PEER, EPROTO, "%s with %s %llu", message, field,
		       (unsigned long long)value);
}

static bool is_state(unsigned v)
{
	return v >= TASK_WAITING && v <= TASK_ABORTED;
}

static bool is_block_size(uint64_t v)
{
	return v >= BLOCK_SIZE_MIN && v <= BLOCK_SIZE_MAX && is_power_of_two(v);
}

static bool is_sector_size(uint64_t v)
{
	return v >= 512 && v <= 64 * KIB && is_power_of_two(v);
}

static bool is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Text goes over the wire without control or non-ASCII bytes, so that no log or terminal of the
 * other side has to trust us to keep them out. */
static size_t put_text(uint8_t *out, size_t room, const char *text)
{
	size_t n = strnlen(text, room);

	for (size_t i = 0; i < n; i++)
		out[i] = is_printable((uint8_t)text[i]) ? (uint8_t)text[i] : '?';
	return n;
}

static int get_text(const uint8_t *p, size_t len, char *ret, const char *message, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_printable(p[i]))
			return bad(e, message, "a byte in its text of value", p[i]);
	}
	memcpy(ret, p, len);
	ret[len] = 0;
	return 0;
}

void msg_hello_encode(const struct msg_hello *m, uint8_t out[static MSG_HELLO_LEN])
{
	memset(out, 0, MSG_HELLO_LEN);
	put_be16(out, m->version_min);
	put_be16(out + 2, m->version_max);
	memcpy(out + 32, m->nonce, NONCE_LEN);
}

int msg_hello_decode(const uint8_t *p, size_t len, struct msg_hello *ret, struct err *e)
{
	struct msg_hello m = { 0 };

	if (len != MSG_HELLO_LEN)
		return bad(e, "hello", "length", len);
	m.version_min = get_be16(p);
	m.version_max = get_be16(p + 2);
	if (!m.version_min)
		return bad(e, "hello", "lowest version", m.version_min);
	if (m.version_max < m.version_min)
		return bad(e, "hello", "highest version", m.version_max);
	if (!all_zero(p + 4, 28))
		return bad(e, "hello", "reserved bytes after byte", 4);
	memcpy(m.nonce, p + 32, NONCE_LEN);
	*ret = m;
	return 0;
}

void msg_pair_encode(const struct msg_pair *m, uint8_t out[static MSG_PAIR_LEN])
{
	memset(out, 0, MSG_PAIR_LEN);
	put_be16(out, m->version);
	memcpy(out + 8, m->ticket, TICKET_LEN);
	memcpy(out + 16, m->pub, PUBKEY_LEN);
	memcpy(out + 48, m->proof, PROOF_LEN);
}

int msg_pair_decode(const uint8_t *p, size_t len, struct msg_pair *ret, struct err *e)
{
	struct msg_pair m = { 0 };

	if (len != MSG_PAIR_LEN)
		return bad(e, "pair", "length", len);
	m.version = get_be16(p);
	if (!m.version)
		return bad(e, "pair", "version", m.version);
	if (!all_zero(p + 2, 6) || !all_zero(p + 80, 48))
		return bad(e, "pair", "reserved bytes after byte", all_zero(p + 2, 6) ? 80 : 2);
	memcpy(m.ticket, p + 8, TICKET_LEN);
	memcpy(m.pub, p + 16, PUBKEY_LEN);
	memcpy(m.proof, p + 48, PROOF_LEN);
	*ret = m;
	return 0;
}

void msg_login_encode(const struct msg_login *m, uint8_t out[static MSG_LOGIN_LEN])
{
	memset(out, 0, MSG_LOGIN_LEN);
	put_be16(out, m->version);
	out[2] = (uint8_t)m->role;
	put_be64(out + 8, m->epoch);
	memcpy(out + 16, m->task, TASK_ID_LEN);
	memcpy(out + 32, m->pub, PUBKEY_LEN);
	memcpy(out + 64, m->sig, SIGNATURE_LEN);
}

int msg_login_decode(const uint8_t *p, size_t len, struct msg_login *ret, struct err *e)
{
	struct msg_login m = { 0 };

	if (len != MSG_LOGIN_LEN)
		return bad(e, "login", "length", len);
	m.version = get_be16(p);
	if (!m.version)
		return bad(e, "login", "version", m.version);
	if (p[2] < LOGIN_SESSION || p[2] > LOGIN_PROBE)
		return bad(e, "login", "role", p[2]);
	m.role = (enum login_role)p[2];
	m.epoch = get_be64(p + 8);
	if ((m.role == LOGIN_DATA && !m.epoch) || (m.role == LOGIN_PROBE && m.epoch))
		return bad(e, "login", "epoch", m.epoch);
	if (!all_zero(p + 3, 5) || !all_zero(p + 128, 128))
		return bad(e, "login", "reserved bytes after byte", all_zero(p + 3, 5) ? 128 : 3);
	memcpy(m.task, p + 16, TASK_ID_LEN);
	memcpy(m.pub, p + 32, PUBKEY_LEN);
	memcpy(m.sig, p + 64, SIGNATURE_LEN);
	*ret = m;
	return 0;
}

void msg_welcome_encode(const struct msg_welcome *m, uint8_t out[static MSG_WELCOME_LEN])
{
	memset(out, 0, MSG_WELCOME_LEN);
	put_be16(out, m->version);
	out[2] = (uint8_t)m->state;
	put_be32(out + 4, m->block_size);
	put_be64(out + 8, m->epoch);
	memcpy(out + 16, m->task, TASK_ID_LEN);
	put_be32(out + 32, m->disks);
	memcpy(out + 64, m->proof, PROOF_LEN);
}

int msg_welcome_decode(const uint8_t *p, size_t len, struct msg_welcome *ret, struct err *e)
{
	struct msg_welcome m = { 0 };

	if (len != MSG_WELCOME_LEN)
		return bad(e, "welcome", "length", len);
	m.version = get_be16(p);
	if (!m.version)
		return bad(e, "welcome", "version", m.version);
	if (!is_state(p[2]))
		return bad(e, "welcome", "state", p[2]);
	m.state = (enum task_state)p[2];
	m.block_size = get_be32(p + 4);
	if (!is_block_size(m.block_size))
		return bad(e, "welcome", "block size", m.block_size);
	m.epoch = get_be64(p + 8);
	m.disks = get_be32(p + 32);
	if (m.disks >> DISKS_MAX)
		return bad(e, "welcome", "disks", m.disks);
	if (p[3] || !all_zero(p + 36, 28) || !all_zero(p + 96, 32))
		return bad(e, "welcome", "reserved bytes after byte",
			   p[3] ? 3 : (all_zero(p + 36, 28) ? 96 : 36));
	memcpy(m.task, p + 16, TASK_ID_LEN);
	memcpy(m.proof, p + 64, PROOF_LEN);
	*ret = m;
	return 0;
}

void msg_open_encode(const struct msg_open *m, uint8_t out[static MSG_OPEN_LEN])
{
	memset(out, 0, MSG_OPEN_LEN);
	put_be64(out, m->size);
	put_be32(out + 8, m->logical_sector);
	put_be32(out + 12, m->physical_sector);
	(void)put_text(out + 32, IDENTITY_LEN - 1, m->identity);
}

int msg_open_decode(const uint8_t *p, size_t len, struct msg_open *ret, struct err *e)
{
	struct msg_open m = { 0 };
	size_t n;

	if (len != MSG_OPEN_LEN)
		return bad(e, "open", "length", len);
	m.size = get_be64(p);
	if (!m.size || m.size > DISK_SIZE_MAX)
		return bad(e, "open", "size", m.size);
	m.logical_sector = get_be32(p + 8);
	m.physical_sector = get_be32(p + 12);
	if (!is_sector_size(m.logical_sector))
		return bad(e, "open", "logical sector", m.logical_sector);
	if (!is_sector_size(m.physical_sector))
		return bad(e, "open", "physical sector", m.physical_sector);
	if (!all_zero(p + 16, 16))
		return bad(e, "open", "reserved bytes after byte", 16);
	n = strnlen((const char *)p + 32, IDENTITY_LEN);
	if (n == IDENTITY_LEN || !all_zero(p + 32 + n, IDENTITY_LEN - n))
		return bad(e, "open", "an identity not closed by zeros, after", n);
	int r = get_text(p + 32, n, m.identity, "open", e);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

void msg_opened_encode(const struct msg_opened *m, uint8_t out[static MSG_OPENED_LEN])
{
	memset(out, 0, MSG_OPENED_LEN);
	put_be64(out, m->target_size);
	put_be64(out + 8, m->blocks);
	put_be64(out + 16, m->claimed);
	put_be32(out + 24, m->block_size);
}

int msg_opened_decode(const uint8_t *p, size_t len, struct msg_opened *ret, struct err *e)
{
	struct msg_opened m = { 0 };

	if (len != MSG_OPENED_LEN)
		return bad(e, "opened", "length", len);
	m.target_size = get_be64(p);
	m.blocks = get_be64(p + 8);
	m.claimed = get_be64(p + 16);
	m.block_size = get_be32(p + 24);
	if (!is_block_size(m.block_size))
		return bad(e, "opened", "block size", m.block_size);
	if (!m.blocks || m.blocks > DISK_SIZE_MAX / m.block_size)
		return bad(e, "opened", "blocks", m.blocks);
	if (m.claimed > m.blocks)
		return bad(e, "opened", "claimed blocks", m.claimed);
	/* The last block may be short, so the target may end inside it, never before it. */
	if (m.target_size <= (m.blocks - 1) * m.block_size)
		return bad(e, "opened", "target size", m.target_size);
	if (!all_zero(p + 28, 36))
		return bad(e, "opened", "reserved bytes after byte", 28);
	*ret = m;
	return 0;
}

static int check_run(const char *message, uint64_t block, uint64_t count, struct err *e)
{
	const uint64_t end = DISK_SIZE_MAX / BLOCK_SIZE_MIN;

	if (block >= end)
		return bad(e, message, "block", block);
	if (!count || count > end - block)
		return bad(e, message, "count", count);
	return 0;
}

void msg_run_encode(uint64_t count, uint8_t out[static MSG_RUN_LEN])
{
	put_be64(out, count);
}

int msg_run_decode(const uint8_t *p, size_t len, uint64_t *ret_count, struct err *e)
{
	if (len != MSG_RUN_LEN)
		return bad(e, "run", "length", len);
	int r = check_run("run", 0, get_be64(p), e);
	if (r < 0)
		return r;
	*ret_count = get_be64(p);
	return 0;
}

void msg_have_ask_encode(const struct msg_have_ask *m, uint8_t out[static MSG_HAVE_ASK_LEN])
{
	put_be64(out, m->block);
	put_be64(out + 8, m->count);
}

int msg_have_ask_decode(const uint8_t *p, size_t len, struct msg_have_ask *ret, struct err *e)
{
	if (len != MSG_HAVE_ASK_LEN)
		return bad(e, "have-ask", "length", len);
	int r = check_run("have-ask", get_be64(p), get_be64(p + 8), e);
	if (r < 0)
		return r;
	*ret = (struct msg_have_ask){ .block = get_be64(p), .count = get_be64(p + 8) };
	return 0;
}

void have_entry_encode(const struct have_entry *m, uint8_t out[static HAVE_ENTRY_LEN])
{
	memset(out, 0, HAVE_ENTRY_LEN);
	put_be64(out, m->block);
	put_be32(out + 8, m->count);
	put_be32(out + 12, m->gen);
	out[16] = (uint8_t)m->kind;
	if (m->kind == HAVE_DATA)
		memcpy(out + 24, m->digest, DIGEST_LEN);
}

int have_entry_decode(const uint8_t *p, struct have_entry *ret, struct err *e)
{
	struct have_entry m = { .block = get_be64(p),
				.count = get_be32(p + 8),
				.gen = get_be32(p + 12) };
	int r = check_run("have", m.block, m.count, e);

	if (r < 0)
		return r;
	if (p[16] != HAVE_DATA && p[16] != HAVE_ZERO)
		return bad(e, "have", "kind", p[16]);
	m.kind = (enum have_kind)p[16];
	if (m.kind == HAVE_DATA && m.count != 1)
		return bad(e, "have", "count", m.count);
	if (!all_zero(p + 17, 7))
		return bad(e, "have", "reserved bytes after byte", 17);
	if (m.kind == HAVE_ZERO && !all_zero(p + 24, DIGEST_LEN))
		return bad(e, "have", "a digest of zeros, kind", p[16]);
	memcpy(m.digest, p + 24, DIGEST_LEN);
	*ret = m;
	return 0;
}

void msg_probed_encode(const struct msg_probed *m, uint8_t out[static MSG_PROBED_LEN])
{
	put_be64(out, m->bytes);
	put_be64(out + 8, 0);
}

int msg_probed_decode(const uint8_t *p, size_t len, struct msg_probed *ret, struct err *e)
{
	if (len != MSG_PROBED_LEN)
		return bad(e, "probed", "length", len);
	if (get_be64(p + 8))
		return bad(e, "probed", "reserved bytes after byte", 8);
	*ret = (struct msg_probed){ .bytes = get_be64(p) };
	return 0;
}

void msg_durable_encode(const struct msg_durable *m, uint8_t out[static MSG_DURABLE_LEN])
{
	put_be64(out, m->claimed);
	put_be64(out + 8, m->written);
}

int msg_durable_decode(const uint8_t *p, size_t len, struct msg_durable *ret, struct err *e)
{
	if (len != MSG_DURABLE_LEN)
		return bad(e, "durable", "length", len);
	if (get_be64(p) > DISK_SIZE_MAX / BLOCK_SIZE_MIN)
		return bad(e, "durable", "claimed blocks", get_be64(p));
	*ret = (struct msg_durable){ .claimed = get_be64(p), .written = get_be64(p + 8) };
	return 0;
}

size_t msg_seal_statement(const struct msg_seal *m, uint8_t *out, size_t room)
{
	size_t len = 40 + (size_t)m->n_disks * MSG_SEAL_DISK_LEN;

	if (m->n_disks > DISKS_MAX || len > room)
		return 0;
	memset(out, 0, len);
	memcpy(out, m->task, TASK_ID_LEN);
	put_be64(out + 16, m->sealed_at);
	put_be32(out + 24, m->block_size);
	put_be32(out + 28, m->n_disks);
	for (uint32_t i = 0; i < m->n_disks; i++) {
		uint8_t *d = out + 40 + (size_t)i * MSG_SEAL_DISK_LEN;

		d[0] = m->disks[i].disk;
		put_be64(d + 8, m->disks[i].size);
		put_be64(d + 16, m->disks[i].blocks);
		memcpy(d + 24, m->disks[i].list_digest, DIGEST_LEN);
	}
	return len;
}

size_t msg_seal_encode(const struct msg_seal *m, uint8_t out[static MSG_SEAL_MAX])
{
	size_t len = msg_seal_statement(m, out, MSG_SEAL_MAX - SIGNATURE_LEN);

	if (!len)
		return 0;
	memcpy(out + len, m->sig, SIGNATURE_LEN);
	return len + SIGNATURE_LEN;
}

static int seal_disk_decode(const uint8_t *p, const struct msg_seal *m, struct msg_seal_disk *ret,
			    struct err *e)
{
	ret->disk = p[0];
	ret->size = get_be64(p + 8);
	ret->blocks = get_be64(p + 16);
	if (ret->disk >= DISKS_MAX)
		return bad(e, "seal", "disk", ret->disk);
	if (ret != m->disks && ret->disk <= ret[-1].disk)
		return bad(e, "seal", "disks out of order, at disk", ret->disk);
	if (!ret->size || ret->size > DISK_SIZE_MAX)
		return bad(e, "seal", "size", ret->size);
	if (ret->blocks != div_round_up(ret->size, m->block_size))
		return bad(e, "seal", "blocks", ret->blocks);
	if (!all_zero(p + 1, 7))
		return bad(e, "seal", "reserved bytes of disk", ret->disk);
	memcpy(ret->list_digest, p + 24, DIGEST_LEN);
	return 0;
}

int msg_seal_decode(const uint8_t *p, size_t len, struct msg_seal *ret, struct err *e)
{
	struct msg_seal m = { 0 };

	if (len < 40 + MSG_SEAL_DISK_LEN + SIGNATURE_LEN || len > MSG_SEAL_MAX)
		return bad(e, "seal", "length", len);
	memcpy(m.task, p, TASK_ID_LEN);
	m.sealed_at = get_be64(p + 16);
	m.block_size = get_be32(p + 24);
	m.n_disks = get_be32(p + 28);
	if (!is_block_size(m.block_size))
		return bad(e, "seal", "block size", m.block_size);
	if (!m.n_disks || m.n_disks > DISKS_MAX)
		return bad(e, "seal", "number of disks", m.n_disks);
	if (len != 40 + (size_t)m.n_disks * MSG_SEAL_DISK_LEN + SIGNATURE_LEN)
		return bad(e, "seal", "length", len);
	if (!all_zero(p + 32, 8))
		return bad(e, "seal", "reserved bytes after byte", 32);
	for (uint32_t i = 0; i < m.n_disks; i++) {
		int r =
		    seal_disk_decode(p + 40 + (size_t)i * MSG_SEAL_DISK_LEN, &m, m.disks + i, e);
		if (r < 0)
			return r;
	}
	memcpy(m.sig, p + len - SIGNATURE_LEN, SIGNATURE_LEN);
	*ret = m;
	return 0;
}

size_t msg_state_encode(const struct msg_state *m, uint8_t *out, size_t room)
{
	if (room < 32)
		return 0;
	room = room - 32 < WIRE_TEXT_MAX ? room - 32 : WIRE_TEXT_MAX;
	memset(out, 0, 32);
	out[0] = (uint8_t)m->state;
	put_be64(out + 8, m->done);
	put_be64(out + 16, m->total);
	put_be64(out + 24, m->mismatched);
	return 32 + put_text(out + 32, room, m->text);
}

int msg_state_decode(const uint8_t *p, size_t len, struct msg_state *ret, struct err *e)
{
	struct msg_state m = { 0 };

	if (len < 32 || len > 32 + WIRE_TEXT_MAX)
		return bad(e, "state", "length", len);
	if (!is_state(p[0]))
		return bad(e, "state", "state", p[0]);
	m.state = (enum task_state)p[0];
	m.done = get_be64(p + 8);
	m.total = get_be64(p + 16);
	m.mismatched = get_be64(p + 24);
	if (m.done > m.total)
		return bad(e, "state", "bytes done past the total,", m.done);
	if (!all_zero(p + 1, 7))
		return bad(e, "state", "reserved bytes after byte", 1);
	int r = get_text(p + 32, len - 32, m.text, "state", e);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

size_t msg_error_encode(const struct msg_error *m, uint8_t *out, size_t room)
{
	if (room < 4)
		return 0;
	room = room - 4 < WIRE_TEXT_MAX ? room - 4 : WIRE_TEXT_MAX;
	memset(out, 0, 4);
	put_be16(out, (uint16_t)m->code);
	return 4 + put_text(out + 4, room, m->text);
}

int msg_error_decode(const uint8_t *p, size_t len, struct msg_error *ret, struct err *e)
{
	struct msg_error m = { 0 };

	if (len < 4 || len > 4 + WIRE_TEXT_MAX)
		return bad(e, "error", "length", len);
	m.code = (enum wire_error)get_be16(p);
	if (m.code < WIRE_PROTOCOL || m.code > WIRE_ABORTED)
		return bad(e, "error", "code", (uint64_t)m.code);
	if (!all_zero(p + 2, 2))
		return bad(e, "error", "reserved bytes after byte", 2);
	int r = get_text(p + 4, len - 4, m.text, "error", e);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}
