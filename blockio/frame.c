/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "frame.h"

#include <errno.h>

#include "codec.h"
#include "message.h"

enum disk_rule { DISK_NO, DISK_YES, DISK_MAYBE };

/* One row a kind: what its header may hold. A field that has no use must be zero. */
struct kind_rule {
	const char *word;
	uint32_t min, max; /* payload bytes */
	uint32_t unit;     /* payload is a multiple of it; 0: any length within min and max */
	enum disk_rule disk;
	bool block, gen, seq;
	uint8_t flags; /* those allowed */
};

/* clang-format off */
static const struct kind_rule rules[] = {
	[FRAME_HELLO]     = { "hello",     MSG_HELLO_LEN,   MSG_HELLO_LEN,   0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_PAIR]      = { "pair",      MSG_PAIR_LEN,    MSG_PAIR_LEN,    0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_LOGIN]     = { "login",     MSG_LOGIN_LEN,   MSG_LOGIN_LEN,   0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_WELCOME]   = { "welcome",   MSG_WELCOME_LEN, MSG_WELCOME_LEN, 0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_FACTS]     = { "facts",     2,               FACTS_MAX,       0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_OPEN]      = { "open",      MSG_OPEN_LEN,    MSG_OPEN_LEN,    0, DISK_YES, 0, 0, 0, 0 },
	[FRAME_OPENED]    = { "opened",    MSG_OPENED_LEN,  MSG_OPENED_LEN,  0, DISK_YES, 0, 0, 0, 0 },
	[FRAME_HAVE_ASK]  = { "have-ask",  MSG_HAVE_ASK_LEN, MSG_HAVE_ASK_LEN, 0, DISK_YES, 0, 0, 0, 0 },
	[FRAME_HAVE]      = { "have",      0, HAVE_ENTRIES_MAX * HAVE_ENTRY_LEN, HAVE_ENTRY_LEN,
			      DISK_YES, 0, 0, 0, FRAME_FLAG_LAST },
	[FRAME_DATA]      = { "data",      DIGEST_LEN + 1,  FRAME_PAYLOAD_MAX, 0, DISK_YES, 1, 1, 1, 0 },
	[FRAME_ZERO]      = { "zero",      MSG_RUN_LEN,     MSG_RUN_LEN,     0, DISK_YES, 1, 1, 1, 0 },
	[FRAME_UNCHANGED] = { "unchanged", MSG_RUN_LEN,     MSG_RUN_LEN,     0, DISK_YES, 1, 1, 1, 0 },
	[FRAME_FLUSH]     = { "flush",     0,               0,               0, DISK_YES, 0, 0, 1, 0 },
	[FRAME_DURABLE]   = { "durable",   MSG_DURABLE_LEN, MSG_DURABLE_LEN, 0, DISK_YES, 0, 0, 1, 0 },
	[FRAME_MANIFEST]  = { "manifest",  DIGEST_LEN, MANIFEST_DIGESTS_MAX * DIGEST_LEN, DIGEST_LEN,
			      DISK_YES, 1, 0, 0, 0 },
	[FRAME_SEAL]      = { "seal",      40 + MSG_SEAL_DISK_LEN + SIGNATURE_LEN, MSG_SEAL_MAX, 0,
			      DISK_NO, 0, 0, 0, 0 },
	[FRAME_STATE]     = { "state",     32, 32 + WIRE_TEXT_MAX, 0, DISK_MAYBE, 0, 0, 0, 0 },
	[FRAME_PING]      = { "ping",      MSG_PING_LEN,    MSG_PING_LEN,    0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_PONG]      = { "pong",      MSG_PING_LEN,    MSG_PING_LEN,    0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_ERROR]     = { "error",     4, 4 + WIRE_TEXT_MAX, 0, DISK_MAYBE, 0, 0, 0, 0 },
	[FRAME_BYE]       = { "bye",       0,               0,               0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_PROBE]     = { "probe",     0,               PROBE_MAX,       0, DISK_NO,  0, 0, 0, 0 },
	[FRAME_PROBED]    = { "probed",    MSG_PROBED_LEN,  MSG_PROBED_LEN,  0, DISK_NO,  0, 0, 0, 0 },
};
/* clang-format on */

#define BLOCK_NUMBER_END (DISK_SIZE_MAX / BLOCK_SIZE_MIN)

static const struct kind_rule *rule_of(unsigned kind)
{
	if (kind >= sizeof rules / sizeof *rules || !rules[kind].word)
		return NULL;
	return &rules[kind];
}

void frame_encode(const struct frame *f, uint8_t out[static FRAME_HEADER_LEN])
{
	put_be32(out, FRAME_MAGIC);
	out[4] = (uint8_t)f->kind;
	out[5] = f->disk;
	out[6] = f->codec;
	out[7] = f->flags;
	put_be32(out + 8, f->length);
	put_be32(out + 12, f->gen);
	put_be64(out + 16, f->block);
	put_be64(out + 24, f->seq);
}

static int bad(struct err *e, const struct kind_rule *k, const char *field, uint64_t value)
{
	return err_set(e, ERR_PEER, EPROTO, "%s frame with %s %llu", k->word, field,
		       (unsigned long long)value);
}

static int check_length(const struct kind_rule *k, const struct frame *f, struct err *e)
{
	if (f->length < k->min || f->length > k->max)
		return bad(e, k, "length", f->length);
	if (k->unit && f->length % k->unit)
		return bad(e, k, "length", f->length);
	/* An empty answer must at least be the last one, or an answer could go on for ever. */
	if (f->kind == FRAME_HAVE && !f->length && !(f->flags & FRAME_FLAG_LAST))
		return bad(e, k, "length", f->length);
	return 0;
}

static int check_disk(const struct kind_rule *k, const struct frame *f, struct err *e)
{
	bool named = f->disk < DISKS_MAX, none = f->disk == FRAME_NO_DISK;

	if (k->disk == DISK_YES ? !named : k->disk == DISK_NO ? !none : !named && !none)
		return bad(e, k, "disk", f->disk);
	return 0;
}

static int check_fields(const struct kind_rule *k, const struct frame *f, struct err *e)
{
	if (f->codec > (f->kind == FRAME_DATA ? CODEC_LAST : 0))
		return bad(e, k, "codec", f->codec);
	if (f->flags & ~k->flags)
		return bad(e, k, "flags", f->flags);
	if (f->gen && !k->gen)
		return bad(e, k, "generation", f->gen);
	if (f->block >= (k->block ? BLOCK_NUMBER_END : 1))
		return bad(e, k, "block", f->block);
	if (f->seq && !k->seq)
		return bad(e, k, "sequence", f->seq);
	if (!f->seq && k->seq && f->kind != FRAME_DURABLE)
		return bad(e, k, "sequence", f->seq);
	return 0;
}

int frame_decode(const uint8_t in[static FRAME_HEADER_LEN], struct frame *ret, struct err *e)
{
	const struct kind_rule *k = rule_of(in[4]);
	struct frame f = { .kind = (enum frame_kind)in[4],
			   .disk = in[5],
			   .codec = in[6],
			   .flags = in[7],
			   .length = get_be32(in + 8),
			   .gen = get_be32(in + 12),
			   .block = get_be64(in + 16),
			   .seq = get_be64(in + 24) };
	int r;

	if (get_be32(in) != FRAME_MAGIC)
		return err_set(e, ERR_PEER, EPROTO, "frame with magic %08x", get_be32(in));
	if (!k)
		return err_set(e, ERR_PEER, EPROTO, "frame of unknown kind %u", in[4]);
	if ((r = check_length(k, &f, e)) < 0 || (r = check_disk(k, &f, e)) < 0 ||
	    (r = check_fields(k, &f, e)) < 0)
		return r;
	*ret = f;
	return 0;
}

const char *frame_kind_word(enum frame_kind kind)
{
	const struct kind_rule *k = rule_of((unsigned)kind);

	return k ? k->word : "unknown";
}

void frame_payload_bounds(enum frame_kind kind, uint32_t *ret_min, uint32_t *ret_max)
{
	const struct kind_rule *k = rule_of((unsigned)kind);

	*ret_min = k ? k->min : 0;
	*ret_max = k ? k->max : 0;
}
