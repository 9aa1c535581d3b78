/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/cpio_parse.h"

#include <errno.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Eight hexadecimal digits, as every number of a newc header; false for anything else. */
static bool hex8(const uint8_t *p, uint32_t *ret)
{
	uint32_t v = 0;

	for (int i = 0; i < 8; i++) {
		uint8_t c = p[i];
		uint32_t d;

		if (c >= '0' && c <= '9')
			d = c - (uint32_t)'0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (c | 0x20U) - (uint32_t)'a' + 10;
		else
			return false;
		v = v << 4 | d;
	}
	*ret = v;
	return true;
}

static uint32_t pad4(uint64_t len)
{
	return (uint32_t)(-len & 3);
}

static void pad_then(struct cpio_parser *p, uint64_t len, enum cpio_state next)
{
	p->left = pad4(len);
	p->after_pad = next;
	p->state = p->left ? CPIO_PAD : next;
	p->have = 0;
}

static int on_head(struct cpio_parser *p, struct err *e)
{
	const uint8_t *h = p->head;

	if (memcmp(h, "070701", 6) != 0 && memcmp(h, "070702", 6) != 0)
		return err_set(e, ERR_GUEST, EBADMSG, "no newc header where an archive must go on");
	if (!hex8(h + 14, &p->mode) || !hex8(h + 54, &p->size) || !hex8(h + 94, &p->name_len))
		return err_set(e, ERR_GUEST, EBADMSG, "newc header with a broken number");
	if (p->name_len < 1 || p->name_len > CPIO_NAME_MAX)
		return err_set(e, ERR_GUEST, E2BIG, "member name of %u bytes", p->name_len);
	p->state = CPIO_NAME;
	p->have = 0;
	return 0;
}

static const char *bare_name(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
	}
}

static int on_name(struct cpio_parser *p, struct err *e)
{
	struct cpio_member m = { .mode = p->mode, .size = p->size };
	int r;

	if (p->name[p->name_len - 1])
		return err_set(e, ERR_GUEST, EBADMSG, "member name without an end");
	if (!strcmp(p->name, "TRAILER!!!")) {
		pad_then(p, CPIO_HEAD_LEN + (uint64_t)p->name_len, CPIO_BETWEEN);
		return 0;
	}
	if (++p->n_members > CPIO_MEMBERS_MAX)
		return err_set(e, ERR_GUEST, E2BIG, "more than %u members", CPIO_MEMBERS_MAX);
	m.name = bare_name(p->name);
	r = p->ops->on_member ? p->ops->on_member(p->ctx, &m, e) : 0;
	if (r < 0)
		return r;
	p->wanted = r > 0 && p->ops->on_data;
	pad_then(p, CPIO_HEAD_LEN + (uint64_t)p->name_len, p->size ? CPIO_BODY : CPIO_HEAD);
	if (p->state == CPIO_BODY)
		p->left = p->size;
	return 0;
}

/* One state's share of the bytes; returns how many it took, or a negative errno. */
static int64_t step(struct cpio_parser *p, const uint8_t *data, size_t len, struct err *e)
{
	size_t n = 0;
	int r = 0;

	switch (p->state) {
	case CPIO_BETWEEN:
		while (n < len && !data[n])
			n++;
		if (n < len && data[n] == '0')
			p->state = CPIO_HEAD;
		p->have = 0;
		return (int64_t)n;
	case CPIO_HEAD:
		n = smaller(len, CPIO_HEAD_LEN - p->have);
		memcpy(p->head + p->have, data, n);
		p->have += n;
		r = p->have == CPIO_HEAD_LEN ? on_head(p, e) : 0;
		break;
	case CPIO_NAME:
		n = smaller(len, p->name_len - p->have);
		memcpy(p->name + p->have, data, n);
		p->have += n;
		r = p->have == p->name_len ? on_name(p, e) : 0;
		break;
	case CPIO_BODY:
		n = smaller(len, p->left);
		r = p->wanted ? p->ops->on_data(p->ctx, data, n, e) : 0;
		p->left -= (uint32_t)n;
		if (!p->left)
			pad_then(p, p->size, CPIO_HEAD);
		break;
	case CPIO_PAD:
		n = smaller(len, p->left);
		p->left -= (uint32_t)n;
		if (!p->left) {
			p->state = p->after_pad;
			p->left = p->size;
		}
		break;
	}
	return r < 0 ? r : (int64_t)n;
}

int cpio_feed(struct cpio_parser *p, const uint8_t *data, size_t len, size_t *used, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		int64_t n = step(p, data + done, len - done, e);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
		p->eaten += (uint64_t)n;
		if (p->eaten > CPIO_UNPACKED_MAX)
			return err_set(e, ERR_GUEST, E2BIG, "unpacks to more than 1 GiB");
		if (p->state == CPIO_BETWEEN && done < len && data[done] && data[done] != '0')
			break;
	}
	*used = done;
	return 0;
}
