/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "writer_role.h"

void channel_close(struct writer_channel *ch)
{
	ring_close(&ch->ring);
	close_fdp(&ch->fd);
	*ch = (struct writer_channel){ .fd = -1, .ring = { .fd = -1 } };
}

static struct writer_channel *free_place(struct writer_role *w)
{
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		if (w->channel[i].fd < 0)
			return &w->channel[i];
	return NULL;
}

void channel_open(struct writer_role *w, const struct ipc_msg *m, int *fds)
{
	struct writer_channel *ch = free_place(w);
	struct ring ring;
	struct err e = { 0 };

	if (!ch) {
		log_warn("conn=%ju refused: %d channels are open", (uintmax_t)m->b, CHANNELS_MAX);
		return;
	}
	if (m->a != journal_epoch(w->journal)) {
		log_warn("conn=%ju refused: epoch %ju, now is %ju", (uintmax_t)m->b,
			 (uintmax_t)m->a, (uintmax_t)journal_epoch(w->journal));
		return;
	}
	if (ring_map(fds[0], w->block_size, true, &ring, &e) < 0) {
		log_error("conn=%ju refused: %s", (uintmax_t)m->b, e.text);
		return;
	}
	fds[0] = -1;
	*ch = (struct writer_channel){
		.fd = take_fd(&fds[1]), .ring = ring, .epoch = m->a, .conn = m->b
	};
}

void channel_fault(struct writer_role *w, struct writer_channel *ch, enum wire_error code,
		   const char *fmt, ...)
{
	struct ipc_msg m;
	va_list ap;

	if (ch->fd < 0 || ch->ended)
		return;
	ipc_init(&m, IPC_FAULT);
	m.a = code;
	va_start(ap, fmt);
	(void)vsnprintf(m.text, sizeof m.text, fmt, ap);
	va_end(ap);
	(void)channel_tell(w, ch);
	(void)ipc_try_send(ch->fd, &m, NULL, 0, NULL);
	log_warn("conn=%ju fault=%s %s", (uintmax_t)ch->conn, wire_error_word(code), m.text);
	ch->ended = ch->faulted = true;
}

/* A verdict is about what lies on the disk from now on, not for the time of reading: the keeper
 * gives the right to write back when it has stored that the task is no longer verified. */
void channels_seal(struct writer_role *w, bool on)
{
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		w->channel[i].sealed = on;
}

/* ---- what a conn says ---- */

static uint64_t block_length(const struct writer_role *w, uint64_t block)
{
	uint64_t rest = w->size - block * w->block_size;

	return rest < w->block_size ? rest : w->block_size;
}

static bool range_fits(const struct writer_role *w, uint64_t block, uint64_t count)
{
	return block < w->blocks && count && count <= w->blocks - block;
}

static bool seq_fits(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m)
{
	if (m->d == ch->seq + 1)
		return true;
	channel_fault(w, ch, WIRE_PROTOCOL, "frame %ju after %ju", (uintmax_t)m->d,
		      (uintmax_t)ch->seq);
	return false;
}

/* Which channel and slot, in one number: what the writer gives back. */
static uint64_t cookie_of(const struct writer_role *w, const struct writer_channel *ch,
			  uint32_t slot)
{
	return (uint64_t)(ch - w->channel) << 8 | slot;
}

void channel_written(struct writer_role *w, uint64_t cookie, bool free_slot)
{
	struct writer_channel *ch = &w->channel[cookie >> 8];
	uint32_t slot = cookie & 0xff;

	ch->in_flight--;
	if (free_slot && slot != NO_SLOT)
		ch->to_free |= UINT64_C(1) << slot;
}

void channels_reap(struct writer_role *w)
{
	for (size_t i = 0; i < CHANNELS_MAX; i++)
		if (w->channel[i].ended && !w->channel[i].in_flight)
			channel_close(&w->channel[i]);
}

static void add_item(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m,
		     const struct writer_item *item)
{
	w->item[w->n_items] = *item;
	w->item[w->n_items].cookie =
	    cookie_of(w, ch, item->kind == WRITER_DATA ? m->slot : NO_SLOT);
	w->n_items++;
	ch->in_flight++;
	ch->seq = m->d;
}

static void put(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m)
{
	struct writer_item item = { .kind = WRITER_DATA, .block = m->a, .count = 1 };

	item.data = ring_slot(&ch->ring, m->slot);
	if (!item.data || !range_fits(w, m->a, 1) || m->c != block_length(w, m->a) ||
	    m->b > UINT32_MAX) {
		channel_fault(w, ch, WIRE_PROTOCOL, "block %ju, generation %ju, %ju bytes, slot %u",
			      (uintmax_t)m->a, (uintmax_t)m->b, (uintmax_t)m->c, m->slot);
		return;
	}
	if (!seq_fits(w, ch, m))
		return;
	item.gen = (uint32_t)m->b;
	item.len = (size_t)m->c;
	memcpy(item.digest, m->digest, DIGEST_LEN);
	add_item(w, ch, m, &item);
}

static void put_run(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m,
		    enum writer_kind kind)
{
	struct writer_item item = { .kind = kind, .block = m->a, .count = m->c };

	if (!range_fits(w, m->a, m->c) || m->c > UINT32_MAX || m->b > UINT32_MAX) {
		channel_fault(w, ch, WIRE_PROTOCOL, "blocks %ju and %ju more, generation %ju",
			      (uintmax_t)m->a, (uintmax_t)m->c, (uintmax_t)m->b);
		return;
	}
	if (!seq_fits(w, ch, m))
		return;
	item.gen = (uint32_t)m->b;
	add_item(w, ch, m, &item);
}

static void list(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m)
{
	const uint8_t *p = ring_slot(&ch->ring, m->slot);
	size_t len;
	off_t off;

	if (!p || !range_fits(w, m->a, m->b) || m->b > w->block_size / DIGEST_LEN) {
		channel_fault(w, ch, WIRE_PROTOCOL, "digests of blocks %ju and %ju more, slot %u",
			      (uintmax_t)m->a, (uintmax_t)m->b, m->slot);
		return;
	}
	len = (size_t)m->b * DIGEST_LEN;
	off = (off_t)(m->a * DIGEST_LEN);
	w->list_changed = true;
	while (len) {
		ssize_t n = pwrite(w->list, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			channel_fault(w, ch, WIRE_INTERNAL, "the manifest cannot be kept: %s",
				      n ? strerror(errno) : "no space");
			return;
		}
		p += n;
		len -= (size_t)n;
		off += n;
	}
	ch->to_free |= UINT64_C(1) << m->slot;
}

static void have_ask(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m)
{
	if (ch->have.asked || !ring_slot(&ch->ring, m->slot) || !range_fits(w, m->a, m->b)) {
		channel_fault(w, ch, WIRE_PROTOCOL, "asked about blocks %ju and %ju more, slot %u",
			      (uintmax_t)m->a, (uintmax_t)m->b, m->slot);
		return;
	}
	ch->have = (struct writer_have){
		.asked = true, .slot = m->slot, .next = m->a, .end = m->a + m->b
	};
}

static bool is_data(uint32_t type)
{
	return type == IPC_PUT || type == IPC_PUT_ZERO || type == IPC_PUT_SAME || type == IPC_LIST;
}

static void obey(struct writer_role *w, struct writer_channel *ch, const struct ipc_msg *m)
{
	if (ch->sealed && is_data(m->type)) {
		channel_fault(w, ch, WIRE_STATE,
			      "the disk is being verified, or is: a new session may write");
		return;
	}
	switch (m->type) {
	case IPC_PUT:
		put(w, ch, m);
		break;
	case IPC_PUT_ZERO:
		put_run(w, ch, m, WRITER_ZERO);
		break;
	case IPC_PUT_SAME:
		put_run(w, ch, m, WRITER_UNCHANGED);
		break;
	case IPC_FLUSH:
		if (seq_fits(w, ch, m)) {
			ch->seq = m->d;
			ch->flush = m->d;
		}
		break;
	case IPC_HAVE_ASK:
		have_ask(w, ch, m);
		break;
	case IPC_LIST:
		list(w, ch, m);
		break;
	default:
		channel_fault(w, ch, WIRE_PROTOCOL, "message %u", m->type);
	}
}

void channel_read(struct writer_role *w, struct writer_channel *ch)
{
	for (int i = 0; i < ITEMS_PER_CHANNEL && !ch->ended; i++) {
		struct ipc_msg m;
		int r;

		if (w->n_items >= w->max_items)
			break;
		r = ipc_recv(ch->fd, &m, NULL, NULL, NULL);
		if (!r)
			return;
		if (r < 0) {
			if (r != -EPIPE)
				log_warn("conn=%ju fault: not a message", (uintmax_t)ch->conn);
			ch->ended = true;
			return;
		}
		obey(w, ch, &m);
	}
	w->more |= !ch->ended;
}

/* ---- answers ---- */

/* Appends a claim: a zero run grows, anything else is an entry of its own. */
static void have_add(struct writer_have *h, uint8_t *slot, const struct claim *c,
		     struct have_entry *last)
{
	struct have_entry entry = { .block = h->next, .count = 1, .gen = c->gen };

	entry.kind = c->kind == CLAIM_ZERO ? HAVE_ZERO : HAVE_DATA;
	memcpy(entry.digest, c->digest, DIGEST_LEN);
	if (h->bytes && entry.kind == HAVE_ZERO && last->kind == HAVE_ZERO &&
	    last->gen == entry.gen && last->block + last->count == h->next &&
	    last->count < UINT32_MAX) {
		last->count++;
		h->bytes -= HAVE_ENTRY_LEN;
	} else {
		*last = entry;
	}
	have_entry_encode(last, slot + h->bytes);
	h->bytes += HAVE_ENTRY_LEN;
}

bool channel_have(struct writer_role *w, struct writer_channel *ch)
{
	struct writer_have *h = &ch->have;
	uint8_t *slot = ring_slot(&ch->ring, h->slot);
	size_t room = w->block_size / HAVE_ENTRY_LEN;
	struct have_entry last = { 0 };
	struct claim c;

	if (!h->asked || h->ready || ch->ended || !slot)
		return false;
	if (room > HAVE_ENTRIES_MAX)
		room = HAVE_ENTRIES_MAX;
	for (int i = 0; i < HAVE_BLOCKS_PER_TURN && h->next < h->end; i++) {
		if (journal_is_claimed(w->journal, h->next)) {
			if (h->bytes / HAVE_ENTRY_LEN == room) {
				h->ready = true;
				return false;
			}
			if (journal_get(w->journal, h->next, &c, NULL) < 0) {
				channel_fault(w, ch, WIRE_INTERNAL, "the journal cannot be read");
				return false;
			}
			have_add(h, slot, &c, &last);
		}
		h->next++;
	}
	h->ready = h->last = h->next == h->end;
	return !h->ready;
}

static bool tell_have(struct writer_channel *ch)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_HAVE);
	m.slot = ch->have.slot;
	m.a = ch->have.bytes;
	m.b = ch->have.last;
	if (ipc_try_send(ch->fd, &m, NULL, 0, NULL) == -EAGAIN)
		return false;
	ch->have = (struct writer_have){ 0 };
	return true;
}

static bool tell_durable(struct writer_role *w, struct writer_channel *ch)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_DURABLE);
	m.d = ch->durable;
	m.a = journal_claimed(w->journal);
	m.b = writer_written_bytes(w->writer);
	if (ipc_try_send(ch->fd, &m, NULL, 0, NULL) == -EAGAIN)
		return false;
	ch->durable_due = false;
	return true;
}

static bool tell_free(struct writer_channel *ch)
{
	while (ch->to_free) {
		struct ipc_msg m;

		ipc_init(&m, IPC_SLOT_FREE);
		m.slot = (uint32_t)__builtin_ctzll(ch->to_free);
		if (ipc_try_send(ch->fd, &m, NULL, 0, NULL) == -EAGAIN)
			return false;
		ch->to_free &= ch->to_free - 1;
	}
	return true;
}

bool channel_tell(struct writer_role *w, struct writer_channel *ch)
{
	if (ch->fd < 0 || ch->ended)
		return false;
	if (!tell_free(ch))
		return true;
	if (ch->durable_due && !tell_durable(w, ch))
		return true;
	return ch->have.ready && !tell_have(ch);
}
