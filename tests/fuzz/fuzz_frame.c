/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes, cut anywhere: the decoder never writes past a payload's place, and what it takes as a
 * header is the same bytes again when encoded. The first byte says where the stream is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const struct frame_decoder *d)
{
	uint8_t again[FRAME_HEADER_LEN];

	frame_encode(&d->head, again);
	if (memcmp(again, d->raw, sizeof again) != 0 || d->head.length > FRAME_PAYLOAD_MAX)
		abort();
}

/* False when the stream is broken. */
static bool feed(struct frame_decoder *d, const uint8_t *p, size_t len, uint8_t **payload)
{
	for (;;) {
		switch (frame_decoder_step(d, &p, &len, NULL)) {
		case FRAME_MORE:
			return true;
		case FRAME_HEAD:
			check_head(d);
			free(*payload);
			/* Exactly as large as promised, so that the sanitizer sees one byte more.
			 */
			*payload = malloc(d->head.length + (d->head.length == 0));
			if (*payload)
				frame_decoder_into(d, *payload);
			break;
		case FRAME_END:
			break;
		case FRAME_BAD:
			return false;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_decoder d;
	uint8_t *payload = NULL;
	size_t piece = size ? data[0] + 1u : 1;

	frame_decoder_init(&d);
	for (size_t at = 1; at < size; at += piece) {
		if (!feed(&d, data + at, size - at < piece ? size - at : piece, &payload))
			break;
	}
	free(payload);
	return 0;
}
