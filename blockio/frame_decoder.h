/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * frame_decoder.h - bytes in, steps out; no socket, no allocation
 *
 * Use     feed bytes with frame_decoder_step() until it says FRAME_MORE, then read more.
 *         At FRAME_HEAD the header is complete and within limits; the caller then gives a place
 *         for the payload with frame_decoder_into() (at least head.length bytes), or reads
 *         straight into that place and says so with frame_decoder_took().
 */
#ifndef BLOCKIO_FRAME_DECODER_H
#define BLOCKIO_FRAME_DECODER_H

#include "frame.h"

enum frame_step {
	FRAME_MORE, /* all input is used: come back with more bytes */
	FRAME_HEAD, /* a header, complete and within limits; its payload follows */
	FRAME_END,  /* header and payload are complete; the next byte begins a new frame */
	FRAME_BAD,  /* the stream breaks the contract; *e says where. Final. */
};

struct frame_decoder {
	struct frame head;
	uint8_t raw[FRAME_HEADER_LEN];
	uint32_t have; /* bytes of the header, then of the payload */
	uint8_t *into; /* borrowed from the caller until FRAME_END */
	enum { DECODER_HEADER, DECODER_PAYLOAD, DECODER_BROKEN } at;
};

void frame_decoder_init(struct frame_decoder *d);
/* Consumes up to *${len} bytes; *${p} and *${len} move past what was used. */
enum frame_step frame_decoder_step(struct frame_decoder *d, const uint8_t **p, size_t *len,
				   struct err *e);
/* After FRAME_HEAD: where the payload goes. Not needed when head.length is 0. */
void frame_decoder_into(struct frame_decoder *d, uint8_t *into);
/* True between frames: a stream may end here without having lost anything. */
bool frame_decoder_idle(const struct frame_decoder *d);
/* Payload bytes still to come, and where they go: for reading without a copy. */
uint8_t *frame_decoder_want(const struct frame_decoder *d, size_t *ret_len);
/* ${len} bytes were read straight into frame_decoder_want(). FRAME_MORE or FRAME_END. */
enum frame_step frame_decoder_took(struct frame_decoder *d, size_t len);

#endif
