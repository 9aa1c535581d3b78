/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <sys/mman.h>

#include "clock.h"
#include "codec.h"
#include "conn_internal.h"

/* ---- channels that may be full ---- */

static int wait_for(struct conn *c, enum conn_wait wait, uint8_t disk)
{
	c->wait = wait;
	c->wait_disk = disk;
	return -EAGAIN;
}

static int to_keeper(struct conn *c, const struct ipc_msg *m)
{
	int r = ipc_try_send(c->keeper, m, NULL, 0, NULL);

	if (r == -EAGAIN)
		return wait_for(c, WAIT_KEEPER_ROOM, 0);
	return r < 0 ? conn_drop(c, CONN_END_FAILED, "keeper-gone") : 0;
}

/* A writer that ended is told about by the keeper, which knows why: see conn_from_writer(). */
static int to_writer(struct conn *c, uint8_t disk, const struct ipc_msg *m)
{
	struct conn_disk *d = &c->disk[disk];
	int r = ipc_try_send(d->channel, m, NULL, 0, NULL);

	if (r == -EAGAIN)
		return wait_for(c, WAIT_WRITER_ROOM, disk);
	if (r < 0 && !d->lost_ms)
		d->lost_ms = clock_ms();
	return r < 0 ? wait_for(c, WAIT_WRITER, disk) : 0;
}

/* ---- slots ---- */

static uint64_t touched_bytes(const struct conn *c)
{
	uint64_t slots = 0;

	for (int i = 0; i < DISKS_MAX; i++)
		slots += (uint64_t)__builtin_popcountll(c->disk[i].touched);
	return slots * c->block_size;
}

/* The lowest free slot: what was used before is used again, and stays in the cache. */
int conn_slot_take(struct conn *c, uint8_t disk, uint32_t *ret)
{
	struct conn_disk *d = &c->disk[disk];
	uint64_t usable = d->ring.slots < 64 ? (UINT64_C(1) << d->ring.slots) - 1 : ~UINT64_C(0);
	uint64_t open = usable & ~d->busy;
	uint32_t slot;

	if (!open)
		return wait_for(c, WAIT_WRITER, disk);
	slot = (uint32_t)__builtin_ctzll(open);
	if (d->busy && !(d->touched >> slot & 1) && touched_bytes(c) >= TOUCHED_MAX)
		return wait_for(c, WAIT_WRITER, disk);
	d->busy |= UINT64_C(1) << slot;
	d->touched |= UINT64_C(1) << slot;
	*ret = slot;
	return 0;
}

void conn_slot_free(struct conn *c, uint8_t disk, uint32_t slot)
{
	struct conn_disk *d = &c->disk[disk];

	if (slot >= d->ring.slots)
		return;
	d->busy &= ~(UINT64_C(1) << slot);
	/* with many disks open their rings share one allowance: memory goes back to the system */
	if (touched_bytes(c) <= TOUCHED_MAX ||
	    madvise(ring_slot(&d->ring, slot), d->ring.block_size, MADV_REMOVE))
		return;
	d->touched &= ~(UINT64_C(1) << slot);
}

/* ---- checks ---- */

static struct conn_disk *open_disk(struct conn *c, const struct frame *f)
{
	struct conn_disk *d = &c->disk[f->disk];

	if (d->open)
		return d;
	if (d->opening) /* it was asked for: the answer decides */
		(void)wait_for(c, WAIT_KEEPER_WORD, 0);
	else
		(void)conn_error(c, WIRE_NO_TICKET, "disk %u is not open", f->disk);
	return NULL;
}

static int not_open(const struct conn *c)
{
	return c->stage == CONN_ENDING || c->done ? -EPROTO : -EAGAIN;
}

static int check_seq(struct conn *c, const struct conn_disk *d, const struct frame *f)
{
	if (f->seq != d->seq + 1)
		return conn_error(c, WIRE_PROTOCOL, "%s frame with sequence %ju after %ju",
				  frame_kind_word(f->kind), (uintmax_t)f->seq, (uintmax_t)d->seq);
	return 0;
}

static int check_run(struct conn *c, const struct conn_disk *d, const struct frame *f,
		     uint64_t block, uint64_t count)
{
	if (block >= d->blocks || count > d->blocks - block)
		return conn_error(c, WIRE_PROTOCOL, "%s frame for blocks %ju and %ju more of %ju",
				  frame_kind_word(f->kind), (uintmax_t)block, (uintmax_t)count,
				  (uintmax_t)d->blocks);
	return 0;
}

static uint32_t block_length(const struct conn *c, const struct conn_disk *d, uint64_t block)
{
	uint64_t rest = d->size - block * c->block_size;

	return rest < c->block_size ? (uint32_t)rest : c->block_size;
}

/* ---- the header is here: may it come, and where does it go ---- */

static bool allowed(const struct conn *c, enum frame_kind kind)
{
	switch (kind) {
	case FRAME_PAIR:
	case FRAME_LOGIN:
		return c->stage == CONN_LOGIN;
	case FRAME_ERROR:
	case FRAME_BYE:
		return true;
	case FRAME_FACTS:
	case FRAME_OPEN:
	case FRAME_HAVE_ASK:
	case FRAME_DATA:
	case FRAME_ZERO:
	case FRAME_UNCHANGED:
	case FRAME_FLUSH:
	case FRAME_MANIFEST:
	case FRAME_SEAL:
		return c->stage == CONN_TASK;
	case FRAME_PING:
	case FRAME_PONG:
		return c->stage == CONN_TASK || c->stage == CONN_PROBE;
	case FRAME_PROBE:
		return c->stage == CONN_PROBE;
	case FRAME_HELLO:
	case FRAME_WELCOME:
	case FRAME_OPENED:
	case FRAME_HAVE:
	case FRAME_DURABLE:
	case FRAME_STATE:
	case FRAME_PROBED:
		return false;
	}
	return false;
}

static int place_data(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = open_disk(c, f);
	uint32_t len = f->length - DIGEST_LEN;
	int r;

	if (!d)
		return not_open(c);
	r = check_seq(c, d, f);
	if (!r)
		r = check_run(c, d, f, f->block, 1);
	if (r < 0)
		return r;
	c->plain_len = block_length(c, d, f->block);
	if (f->codec == CODEC_RAW ? len != c->plain_len : len >= c->plain_len)
		return conn_error(c, WIRE_PROTOCOL, "%u bytes (%s) for block %ju of %u", len,
				  codec_word((enum codec)f->codec), (uintmax_t)f->block,
				  c->plain_len);
	r = f->codec == CODEC_RAW ? 0 : conn_buffer(c, c->block_size);
	if (!r)
		r = conn_slot_take(c, f->disk, &c->slot);
	if (!r)
		c->into = f->codec == CODEC_RAW ? ring_slot(&d->ring, c->slot) : c->buf;
	return r;
}

int conn_place(struct conn *c)
{
	const struct frame *f = &c->decoder.head;

	if (!allowed(c, f->kind))
		return conn_error(c, WIRE_PROTOCOL, "%s frame %s", frame_kind_word(f->kind),
				  c->stage == CONN_LOGIN   ? "before the login"
				  : c->stage == CONN_PROBE ? "on a probe"
							   : "after the login");
	if (f->kind == FRAME_PROBE)
		return conn_buffer(c, PROBE_CHUNK);
	return f->kind == FRAME_DATA ? place_data(c) : conn_buffer(c, f->length);
}

/* ---- the frame is complete ---- */

/* Expands, compares, and only then is the block the writer's. */
static int check_data(struct conn *c, struct conn_disk *d)
{
	const struct frame *f = &c->decoder.head;
	uint8_t *plain = ring_slot(&d->ring, c->slot), digest[DIGEST_LEN];
	struct err e = { 0 };

	if (f->codec != CODEC_RAW &&
	    codec_decode(c->codec, (enum codec)f->codec, c->buf, f->length - DIGEST_LEN, plain,
			 c->plain_len, &e) < 0)
		return conn_error(c, WIRE_PROTOCOL, "block %ju: %s", (uintmax_t)f->block, e.text);
	if (digest_block(c->hash, digest_kind_of(c->digest), plain, c->plain_len, digest) < 0)
		return conn_error(c, WIRE_INTERNAL, "digest of block %ju", (uintmax_t)f->block);
	if (memcmp(digest, c->digest, DIGEST_LEN) != 0)
		return conn_error(c, WIRE_DIGEST, "block %ju is not what its digest says",
				  (uintmax_t)f->block);
	c->progress = 1;
	return 0;
}

static int deliver_data(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = &c->disk[f->disk];
	struct ipc_msg m;
	int r = c->progress ? 0 : check_data(c, d);

	if (r < 0)
		return r;
	ipc_init(&m, IPC_PUT);
	m.slot = c->slot;
	m.a = f->block;
	m.b = f->gen;
	m.c = c->plain_len;
	m.d = f->seq;
	memcpy(m.digest, c->digest, DIGEST_LEN);
	r = to_writer(c, f->disk, &m);
	if (!r)
		d->seq = f->seq;
	return r;
}

static int deliver_run(struct conn *c, enum ipc_type type)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = open_disk(c, f);
	struct err e = { 0 };
	struct ipc_msg m;
	int r;

	if (!d)
		return not_open(c);
	ipc_init(&m, type);
	m.a = f->block;
	m.b = f->gen;
	m.d = f->seq;
	if (msg_run_decode(c->buf, f->length, &m.c, &e) < 0)
		return conn_error(c, WIRE_PROTOCOL, "%s", e.text);
	r = check_seq(c, d, f);
	if (!r)
		r = check_run(c, d, f, m.a, m.c);
	if (!r)
		r = to_writer(c, f->disk, &m);
	if (!r)
		d->seq = f->seq;
	return r;
}

static int deliver_flush(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = open_disk(c, f);
	struct ipc_msg m;
	int r;

	if (!d)
		return not_open(c);
	ipc_init(&m, IPC_FLUSH);
	m.d = f->seq;
	r = check_seq(c, d, f);
	if (!r)
		r = to_writer(c, f->disk, &m);
	if (!r)
		d->seq = f->seq;
	return r;
}

/* Digests go through slots of the ring like blocks do, as many in each as fit. */
static int deliver_manifest(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = open_disk(c, f);
	uint64_t n = f->length / DIGEST_LEN, fit;
	struct ipc_msg m;
	int r = d ? check_run(c, d, f, f->block, n) : not_open(c);

	if (r < 0)
		return r;
	fit = c->block_size / DIGEST_LEN;
	while (c->progress < n) {
		ipc_init(&m, IPC_LIST);
		m.a = f->block + c->progress;
		m.b = n - c->progress < fit ? n - c->progress : fit;
		r = conn_slot_take(c, f->disk, &m.slot);
		if (r < 0)
			return r;
		memcpy(ring_slot(&d->ring, m.slot), c->buf + c->progress * DIGEST_LEN,
		       m.b * DIGEST_LEN);
		r = to_writer(c, f->disk, &m);
		if (r < 0) {
			conn_slot_free(c, f->disk, m.slot);
			return r;
		}
		c->progress += m.b;
	}
	return 0;
}

static int deliver_have_ask(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = open_disk(c, f);
	struct msg_have_ask ask;
	struct err e = { 0 };
	int r;

	if (!d)
		return not_open(c);
	if (c->have.asking)
		return wait_for(c, WAIT_WRITER, c->have.disk);
	if (msg_have_ask_decode(c->buf, f->length, &ask, &e) < 0)
		return conn_error(c, WIRE_PROTOCOL, "%s", e.text);
	r = check_run(c, d, f, ask.block, ask.count);
	if (r < 0)
		return r;
	c->have = (struct conn_have){ .asking = true,
				      .due = true,
				      .disk = f->disk,
				      .next = ask.block,
				      .end = ask.block + ask.count };
	return 0;
}

int conn_have_ask(struct conn *c)
{
	struct conn_have *h = &c->have;
	struct ipc_msg m;
	int r;

	ipc_init(&m, IPC_HAVE_ASK);
	m.a = h->next;
	m.b = h->end - h->next;
	r = conn_slot_take(c, h->disk, &m.slot);
	if (r < 0)
		return r;
	r = to_writer(c, h->disk, &m);
	if (r < 0)
		conn_slot_free(c, h->disk, m.slot);
	else
		h->due = false;
	return r;
}

/* PAIR and LOGIN: carried to the keeper, who judges them; nothing more is read before it did. */
static int deliver_proof(struct conn *c, enum ipc_type type)
{
	const struct frame *f = &c->decoder.head;
	struct ipc_msg m;
	int r;

	if (c->progress == 2)
		return 0;
	if (c->progress == 1)
		return wait_for(c, WAIT_KEEPER_WORD, 0);
	ipc_init(&m, type);
	m.blob_len = f->length;
	memcpy(m.blob, c->buf, f->length);
	memcpy(m.digest2, c->channel.exporter, EXPORTER_LEN);
	r = to_keeper(c, &m);
	if (r < 0)
		return r;
	c->progress = 1;
	return wait_for(c, WAIT_KEEPER_WORD, 0);
}

static int deliver_facts(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct ipc_msg m;

	while (c->progress < f->length) {
		uint64_t rest = f->length - c->progress;
		int r;

		ipc_init(&m, IPC_FACTS);
		m.blob_len = (uint32_t)(rest < sizeof m.blob ? rest : sizeof m.blob);
		m.a = m.blob_len;
		m.b = c->progress;
		m.c = f->length;
		memcpy(m.blob, c->buf + c->progress, m.blob_len);
		r = to_keeper(c, &m);
		if (r < 0)
			return r;
		c->progress += m.blob_len;
	}
	return 0;
}

static int deliver_open(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct conn_disk *d = &c->disk[f->disk];
	struct err e = { 0 };
	struct msg_open open;
	struct ipc_msg m;
	int r;

	if (d->open || d->opening)
		return conn_error(c, WIRE_PROTOCOL, "disk %u is open already", f->disk);
	if (msg_open_decode(c->buf, f->length, &open, &e) < 0)
		return conn_error(c, WIRE_PROTOCOL, "%s", e.text);
	ipc_init(&m, IPC_OPEN);
	m.disk = f->disk;
	m.blob_len = f->length;
	memcpy(m.blob, c->buf, f->length);
	r = to_keeper(c, &m);
	if (r < 0)
		return r;
	d->opening = true;
	d->size = open.size;
	return 0;
}

static int deliver_seal(struct conn *c)
{
	const struct frame *f = &c->decoder.head;
	struct ipc_msg m;

	ipc_init(&m, IPC_SEAL);
	m.blob_len = f->length;
	memcpy(m.blob, c->buf, f->length);
	return to_keeper(c, &m);
}

static int deliver_ping(struct conn *c)
{
	struct frame f = { .kind = FRAME_PONG, .disk = FRAME_NO_DISK, .length = MSG_PING_LEN };

	return conn_out_frame(c, &f, c->buf);
}

static int deliver_bye(struct conn *c)
{
	struct frame f = { .kind = FRAME_BYE, .disk = FRAME_NO_DISK };
	int r = conn_out_frame(c, &f, NULL);

	conn_finish(c, CONN_END_BYE, "bye");
	return r;
}

int conn_deliver(struct conn *c)
{
	switch (c->decoder.head.kind) {
	case FRAME_PAIR:
		return deliver_proof(c, IPC_PAIR);
	case FRAME_LOGIN:
		return deliver_proof(c, IPC_LOGIN);
	case FRAME_FACTS:
		return deliver_facts(c);
	case FRAME_OPEN:
		return deliver_open(c);
	case FRAME_HAVE_ASK:
		return deliver_have_ask(c);
	case FRAME_DATA:
		return deliver_data(c);
	case FRAME_ZERO:
		return deliver_run(c, IPC_PUT_ZERO);
	case FRAME_UNCHANGED:
		return deliver_run(c, IPC_PUT_SAME);
	case FRAME_FLUSH:
		return deliver_flush(c);
	case FRAME_MANIFEST:
		return deliver_manifest(c);
	case FRAME_SEAL:
		return deliver_seal(c);
	case FRAME_PING:
		return deliver_ping(c);
	case FRAME_PONG:
		return 0;
	case FRAME_ERROR:
		return conn_drop(c, CONN_END_INTERRUPTED, "sender-error");
	case FRAME_BYE:
		return deliver_bye(c);
	case FRAME_PROBE:
		return conn_probe_deliver(c);
	case FRAME_HELLO:
	case FRAME_WELCOME:
	case FRAME_OPENED:
	case FRAME_HAVE:
	case FRAME_DURABLE:
	case FRAME_STATE:
	case FRAME_PROBED:
		break;
	}
	return conn_error(c, WIRE_PROTOCOL, "%s frame", frame_kind_word(c->decoder.head.kind));
}
