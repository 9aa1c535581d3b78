/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "clock.h"
#include "congestion.h"

#define RUN_BYTES (128 * MIB)
/* SHA-256 of so many bytes a second is a twentieth of a core. */
#define CHEAP_RATE 80e6
#define WATCH_NS UINT64_C(200000000)

int scanner_open(struct scanner *sc, struct move *m, uint32_t block_size, struct err *e)
{
	*sc = (struct scanner){ .m = m, .block_size = block_size };
	pace_init(&sc->pace, m->o->codec, m->o->codec_level, (unsigned)get_nprocs());
	sc->strong_must = options_need_strong(m->o);
	sc->strong_cheap = m->o->digest == DIGEST_CHOICE_AUTO;
	sc->codec = codec_new();
	sc->digest = digest_new();
	sc->packed = malloc(block_size);
	if (sc->digest)
		digest_seed(sc->digest, m->store->task);
	int r = ahead_new(m, block_size, false, &sc->ahead, e);
	if (!r && sc->codec && sc->digest && sc->packed)
		return 0;
	scanner_close(sc);
	return r ? r : err_set(e, ERR_SYS, ENOMEM, "buffers of a connection");
}

void scanner_close(struct scanner *sc)
{
	codec_free(sc->codec);
	digest_free(sc->digest);
	ahead_free(sc->ahead);
	free(sc->packed);
	*sc = (struct scanner){ 0 };
}

void scanner_use(struct scanner *sc, struct stream *s)
{
	struct link_path p;

	sc->stream = s;
	sc->run.count = 0;
	sc->piece.count = 0;
	struct link_load l = link_load(s->link);
	pace_restart(&sc->pace, l.wire, l.wait_ns, clock_ns());
	sc->waited_ns = l.wait_ns;
	sc->path = link_path(s->link, &p) ? p.tcp : (struct tcp_path){ 0 };
}

/* Tells the round what holds this connection back. */
static void watch_line(struct scanner *sc, const struct link_load *l, uint64_t now)
{
	struct gauge *g = &sc->m->gauge;
	struct link_path p;

	if (now - sc->watched_ns < WATCH_NS)
		return;
	sc->watched_ns = now;
	atomic_fetch_add(&g->wait_ns, l->wait_ns - sc->waited_ns);
	sc->waited_ns = l->wait_ns;
	if (!link_path(sc->stream->link, &p))
		return;
	atomic_fetch_add(&g->busy_us, p.tcp.busy_us - sc->path.busy_us);
	atomic_fetch_add(&g->window_us, p.tcp.window_us - sc->path.window_us);
	atomic_store(&g->long_path, p.tcp.min_rtt_us >= CONGESTION_LONG_US);
	atomic_store(&g->sole, p.sole);
	atomic_store(&g->cubic, p.cubic);
	sc->path = p.tcp;
}

static int end_run(struct scanner *sc, struct err *e)
{
	struct run run = sc->run;
	struct move_disk *d = &sc->m->disks[run.d];
	struct disk_gauge *g = &sc->m->gauge.disk[run.d];
	int r;

	if (!run.count)
		return 0;
	r = stream_run(sc->stream, run.d, run.kind, run.block, run.count, run.gen, e);
	if (r)
		return r;
	sc->run.count = 0;
	if (run.kind == FRAME_UNCHANGED) {
		atomic_fetch_add(&g->unchanged_blocks, run.count);
		return 0;
	}
	atomic_fetch_add(&g->zero_blocks, run.count);
	/* The wire said one generation for the run; none may be reused with other content. */
	for (uint64_t b = run.block; b < run.block + run.count; b++) {
		struct table_entry entry = { .kind = ENTRY_ZERO, .gen = run.gen };

		table_set(d->table, b, &entry);
	}
	return 0;
}

static int extend_run(struct scanner *sc, enum frame_kind kind, unsigned d, uint64_t block,
		      uint32_t gen, struct err *e)
{
	struct run *run = &sc->run;
	int r = 0;

	if (run->count && (run->kind != kind || run->d != d || run->block + run->count != block ||
			   run->count * sc->block_size >= RUN_BYTES))
		r = end_run(sc, e);
	if (r)
		return r;
	if (!run->count)
		*run = (struct run){ .kind = kind, .d = d, .block = block };
	run->count++;
	if (gen > run->gen)
		run->gen = gen;
	return 0;
}

static int zero_block(struct scanner *sc, unsigned d, uint64_t block, struct err *e)
{
	struct table_entry entry;

	table_get(sc->m->disks[d].table, block, &entry);
	if (entry.kind == ENTRY_ZERO)
		return extend_run(sc, FRAME_UNCHANGED, d, block, entry.gen, e);
	return extend_run(sc, FRAME_ZERO, d, block, entry.gen + 1, e);
}

static int send_data(struct scanner *sc, unsigned d, uint64_t block, const uint8_t *p, size_t len,
		     struct table_entry *entry, bool again, struct err *e)
{
	size_t out_len = len;
	enum codec codec =
	    pace_encode(&sc->pace, sc->codec, p, len, sc->packed, sc->block_size, &out_len);
	int r = end_run(sc, e);

	if (!r)
		r = stream_data(sc->stream, d, block, entry->gen + 1, codec, entry->digest,
				codec == CODEC_RAW ? p : sc->packed, out_len, e);
	if (r)
		return r;
	entry->kind = ENTRY_DATA;
	entry->gen++;
	table_set(sc->m->disks[d].table, block, entry);
	atomic_fetch_add(&sc->m->gauge.disk[d].data_blocks, 1);
	atomic_fetch_add(&sc->m->gauge.plain, len);
	if (again)
		atomic_fetch_add(&sc->m->gauge.twice, len);
	struct link_load l = link_load(sc->stream->link);
	uint64_t now = clock_ns();

	pace_share(&sc->pace, atomic_load(&sc->m->connections));
	pace_tick(&sc->pace, len, l.wire, l.wait_ns, now);
	watch_line(sc, &l, now);
	return 0;
}

/* Whoever cannot wait gets it in every case; a push takes it where the line is slower than that. */
static bool takes_strong(const struct scanner *sc)
{
	return sc->strong_must || (sc->strong_cheap && pace_plain_rate(&sc->pace) < CHEAP_RATE);
}

/* The manifest's digest of a block whose content is in the entry's digest. */
static int know_strong(struct scanner *sc, const uint8_t *p, size_t len, struct table_entry *entry)
{
	int r = 0;

	if (digest_kind_of(entry->digest) == DIGEST_STRONG) {
		memcpy(entry->strong, entry->digest, DIGEST_LEN);
		entry->strong_known = true;
	} else if ((entry->strong_known = takes_strong(sc))) {
		r = digest_of(sc->digest, p, len, entry->strong);
	}
	return r;
}

/* The kind in which the claim is to be compared; what is strong already stays so. */
static enum digest_kind wanted_kind(const struct scanner *sc, const struct table_entry *entry)
{
	if (sc->m->o->digest == DIGEST_CHOICE_STRONG)
		return DIGEST_STRONG;
	return entry->kind == ENTRY_DATA ? digest_kind_of(entry->digest) : DIGEST_FAST;
}

static int same_block(struct scanner *sc, unsigned d, uint64_t block, const uint8_t *p, size_t len,
		      struct table_entry *entry, struct err *e)
{
	if (!entry->strong_known && sc->strong_must) {
		if (know_strong(sc, p, len, entry))
			return err_set(e, ERR_SYS, EIO, "SHA-256 of block %llu",
				       (unsigned long long)block);
		table_set(sc->m->disks[d].table, block, entry);
	}
	return extend_run(sc, FRAME_UNCHANGED, d, block, entry->gen, e);
}

static int one_block(struct scanner *sc, unsigned d, uint64_t block, const uint8_t *p, size_t len,
		     struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	struct table_entry entry;
	bool again;

	ceiling_pay(&sc->m->ceiling, sc->m->stop);
	if (all_zero(p, len))
		return zero_block(sc, d, block, e);
	table_get(sc->m->disks[d].table, block, &entry);
	if (digest_block(sc->digest, wanted_kind(sc, &entry), p, len, digest))
		return err_set(e, ERR_SYS, EIO, "digest of block %llu", (unsigned long long)block);
	again = entry.gen && !memcmp(entry.digest, digest, DIGEST_LEN);
	if (again && entry.kind == ENTRY_DATA)
		return same_block(sc, d, block, p, len, &entry, e);
	memcpy(entry.digest, digest, DIGEST_LEN);
	if (know_strong(sc, p, len, &entry))
		return err_set(e, ERR_SYS, EIO, "SHA-256 of block %llu", (unsigned long long)block);
	return send_data(sc, d, block, p, len, &entry, again, e);
}

static void step(struct scanner *sc)
{
	sc->piece.block++;
	sc->piece.count--;
}

static int zero_piece(struct scanner *sc, struct err *e)
{
	int r = 0;

	while (!r && sc->piece.count) {
		r = zero_block(sc, sc->piece.d, sc->piece.block, e);
		if (!r)
			step(sc);
	}
	return r;
}

/* A claim that can be sealed as it is: one with a digest of the wanted kind, and the SHA-256 that
 * the manifest needs. */
static bool claim_is_enough(const struct scanner *sc, const struct table_entry *entry)
{
	if (entry->kind != ENTRY_DATA)
		return entry->kind == ENTRY_ZERO;
	return digest_kind_of(entry->digest) == wanted_kind(sc, entry) &&
	       (entry->strong_known || !sc->strong_must);
}

/* Up to the first block that is not claimed, or not well enough: it must be read after all. */
static int same_blocks(struct scanner *sc, struct err *e)
{
	struct piece *p = &sc->piece;
	int r = 0;

	while (!r && p->count) {
		struct table_entry entry;

		table_get(sc->m->disks[p->d].table, p->block, &entry);
		if (!claim_is_enough(sc, &entry))
			break;
		r = extend_run(sc, FRAME_UNCHANGED, p->d, p->block, entry.gen, e);
		if (!r)
			step(sc);
	}
	return r;
}

/* The oldest block that was read ahead. 1, or 0 when there is none. */
static int send_one(struct scanner *sc, struct err *e)
{
	struct ahead_block b;
	int r = ahead_next(sc->ahead, &b, e);

	if (r <= 0)
		return r;
	r = one_block(sc, b.d, b.block, b.data, b.len, e);
	if (r)
		return r;
	ahead_done(sc->ahead);
	return 1;
}

/* Begins reading from the piece on; what is in the way of that goes out first. */
static int ask_blocks(struct scanner *sc, struct err *e)
{
	struct piece *p = &sc->piece;
	uint64_t count;
	int r = 0;

	while (!(count = ahead_room(sc->ahead, p))) {
		r = send_one(sc, e);
		if (r < 0)
			return r;
	}
	if (p->kind == PIECE_SAME)
		count = 1;
	r = ahead_ask(sc->ahead, p->d, p->block, count, e);
	if (r)
		return r;
	p->block += count;
	p->count -= count;
	return 0;
}

/* On a slow line the rest of a piece, and what was read ahead, would take many seconds. */
static bool is_surplus(const struct scanner *sc)
{
	return sc->stream->slot >= atomic_load(&sc->m->connections);
}

int scanner_piece(struct scanner *sc, const struct piece *p, struct err *e)
{
	int r;

	sc->piece = *p;
	r = stream_open_disk(sc->stream, p->d, e);
	if (!r && p->kind == PIECE_ZERO)
		r = zero_piece(sc, e);
	while (!r && sc->piece.count && !is_surplus(sc)) {
		if (p->kind == PIECE_SAME)
			r = same_blocks(sc, e);
		if (!r && sc->piece.count)
			r = ask_blocks(sc, e);
	}
	return r;
}

int scanner_end(struct scanner *sc, struct err *e)
{
	int r;

	while ((r = send_one(sc, e)) > 0)
		continue;
	return r ? r : end_run(sc, e);
}

/* What was found out about a run stays true for this round. */
static enum piece_kind kind_again(unsigned frame_kind)
{
	switch (frame_kind) {
	case FRAME_ZERO:
		return PIECE_ZERO;
	case FRAME_UNCHANGED:
		return PIECE_SAME;
	default:
		return PIECE_READ;
	}
}

static bool give_back_frame(struct scanner *sc, const struct sent *x, struct cursor *c)
{
	/* The claim behind an UNCHANGED still holds; others are as if never sent. */
	if (x->kind != FRAME_UNCHANGED)
		table_unclaim(sc->m->disks[x->disk].table, x->block, x->count);
	return cursor_give_back(c, &(struct piece){ .d = x->disk,
						    .block = x->block,
						    .count = x->count,
						    .kind = kind_again(x->kind) });
}

bool scanner_give_up(struct scanner *sc, struct cursor *c)
{
	bool room = ahead_give_back(sc->ahead, c) & cursor_give_back(c, &sc->piece);

	sc->piece.count = 0;
	return room;
}

bool scanner_give_back(struct scanner *sc, struct cursor *c)
{
	const struct stream *s = sc->stream;
	bool room = scanner_give_up(sc, c);

	/* Its blocks were taken from the piece, but no frame says so. */
	if (sc->run.count)
		room &= cursor_give_back(c, &(struct piece){ .d = sc->run.d,
							     .block = sc->run.block,
							     .count = sc->run.count,
							     .kind = kind_again(sc->run.kind) });
	for (unsigned d = 0; d < sc->m->n_disks; d++) {
		for (uint16_t i = s->disks[d].first; i != SENT_NONE; i = s->sent[i].next)
			room &= give_back_frame(sc, &s->sent[i], c);
	}
	sc->run.count = 0;
	return room;
}
