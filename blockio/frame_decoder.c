/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "frame_decoder.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void frame_decoder_init(struct frame_decoder *d)
{
	memset(d, 0, sizeof *d);
}

static enum frame_step ended(struct frame_decoder *d)
{
	d->at = DECODER_HEADER;
	d->have = 0;
	d->into = NULL;
	return FRAME_END;
}

static enum frame_step step_header(struct frame_decoder *d, const uint8_t **p, size_t *len,
				   struct err *e)
{
	size_t n = FRAME_HEADER_LEN - d->have;

	if (n > *len)
		n = *len;
	if (n) {
		memcpy(d->raw + d->have, *p, n);
		*p += n;
		*len -= n;
		d->have += (uint32_t)n;
	}
	if (d->have < FRAME_HEADER_LEN)
		return FRAME_MORE;
	if (frame_decode(d->raw, &d->head, e) < 0) {
		d->at = DECODER_BROKEN;
		return FRAME_BAD;
	}
	d->at = DECODER_PAYLOAD;
	d->have = 0;
	d->into = NULL;
	return FRAME_HEAD;
}

static enum frame_step step_payload(struct frame_decoder *d, const uint8_t **p, size_t *len)
{
	size_t n = d->head.length - d->have;

	if (n > *len)
		n = *len;
	if (n) {
		assert(d->into);
		memcpy(d->into + d->have, *p, n);
		*p += n;
		*len -= n;
	}
	return frame_decoder_took(d, n);
}

enum frame_step frame_decoder_step(struct frame_decoder *d, const uint8_t **p, size_t *len,
				   struct err *e)
{
	switch (d->at) {
	case DECODER_HEADER:
		return step_header(d, p, len, e);
	case DECODER_PAYLOAD:
		return step_payload(d, p, len);
	case DECODER_BROKEN:
		break;
	}
	(void)err_set(e, ERR_PEER, EPROTO, "bytes after a broken frame");
	return FRAME_BAD;
}

void frame_decoder_into(struct frame_decoder *d, uint8_t *into)
{
	assert(d->at == DECODER_PAYLOAD && d->have == 0);
	d->into = into;
}

bool frame_decoder_idle(const struct frame_decoder *d)
{
	return d->at == DECODER_HEADER && d->have == 0;
}

uint8_t *frame_decoder_want(const struct frame_decoder *d, size_t *ret_len)
{
	*ret_len = 0;
	if (d->at != DECODER_PAYLOAD || !d->into)
		return NULL;
	*ret_len = d->head.length - d->have;
	return d->into + d->have;
}

enum frame_step frame_decoder_took(struct frame_decoder *d, size_t len)
{
	assert(d->at == DECODER_PAYLOAD && len <= d->head.length - d->have);
	d->have += (uint32_t)len;
	return d->have == d->head.length ? ended(d) : FRAME_MORE;
}
