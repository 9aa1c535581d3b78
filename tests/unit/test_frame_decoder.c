/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <string.h>

#include "frame_decoder.h"

struct seen {
	unsigned heads, ends;
	uint8_t payload[64];
	uint32_t last_length;
	bool bad;
};

static size_t make_stream(uint8_t *out)
{
	static const uint8_t ping[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct frame bye = { .kind = FRAME_BYE, .disk = FRAME_NO_DISK };
	struct frame p = { .kind = FRAME_PING, .disk = FRAME_NO_DISK, .length = 8 };
	struct frame flush = { .kind = FRAME_FLUSH, .disk = 1, .seq = 9 };

	frame_encode(&p, out);
	memcpy(out + 32, ping, 8);
	frame_encode(&flush, out + 40);
	frame_encode(&p, out + 72);
	memcpy(out + 104, ping, 8);
	frame_encode(&bye, out + 112);
	return 144;
}

static void feed(struct frame_decoder *d, const uint8_t *p, size_t len, struct seen *s)
{
	struct err e = { 0 };

	for (;;) {
		switch (frame_decoder_step(d, &p, &len, &e)) {
		case FRAME_MORE:
			assert_int_equal(len, 0);
			return;
		case FRAME_HEAD:
			s->heads++;
			s->last_length = d->head.length;
			if (d->head.length)
				frame_decoder_into(d, s->payload);
			break;
		case FRAME_END:
			s->ends++;
			break;
		case FRAME_BAD:
			s->bad = true;
			assert_int_equal(e.kind, ERR_PEER);
			return;
		}
	}
}

static void any_cut_of_the_stream_gives_the_same_frames(void **state)
{
	uint8_t stream[256];
	size_t len = make_stream(stream);

	(void)state;
	for (size_t piece = 1; piece <= len; piece++) {
		struct frame_decoder d;
		struct seen s = { 0 };

		frame_decoder_init(&d);
		for (size_t at = 0; at < len; at += piece)
			feed(&d, stream + at, piece < len - at ? piece : len - at, &s);
		assert_int_equal(s.heads, 4);
		assert_int_equal(s.ends, 4);
		assert_false(s.bad);
		assert_int_equal(s.payload[7], 8);
		assert_int_equal(d.head.kind, FRAME_BYE);
		assert_true(frame_decoder_idle(&d));
	}
}

static void a_stream_that_ends_inside_a_frame_is_not_idle(void **state)
{
	uint8_t stream[256];
	size_t len = make_stream(stream);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		struct frame_decoder d;
		struct seen s = { 0 };
		bool between = cut == 0 || cut == 40 || cut == 72 || cut == 112 || cut == 144;

		frame_decoder_init(&d);
		feed(&d, stream, cut, &s);
		assert_int_equal(frame_decoder_idle(&d), between);
	}
}

static void payload_can_be_read_straight_into_its_place(void **state)
{
	uint8_t stream[256], place[8] = { 0 };
	struct frame_decoder d;
	const uint8_t *p = stream;
	size_t len = 33, want; /* the header and one byte */

	(void)state;
	(void)make_stream(stream);
	frame_decoder_init(&d);
	assert_null(frame_decoder_want(&d, &want));
	assert_int_equal(frame_decoder_step(&d, &p, &len, NULL), FRAME_HEAD);
	assert_int_equal(len, 1);
	frame_decoder_into(&d, place);
	assert_int_equal(frame_decoder_step(&d, &p, &len, NULL), FRAME_MORE);
	uint8_t *at = frame_decoder_want(&d, &want);
	assert_ptr_equal(at, place + 1);
	assert_int_equal(want, 7);
	memcpy(at, stream + 33, 3);
	assert_int_equal(frame_decoder_took(&d, 3), FRAME_MORE);
	at = frame_decoder_want(&d, &want);
	assert_int_equal(want, 4);
	memcpy(at, stream + 36, 4);
	assert_int_equal(frame_decoder_took(&d, 4), FRAME_END);
	assert_memory_equal(place, stream + 32, 8);
	assert_true(frame_decoder_idle(&d));
}

static void a_broken_stream_stays_broken(void **state)
{
	uint8_t stream[256];
	size_t len = make_stream(stream);
	struct frame_decoder d;
	struct seen s = { 0 };

	(void)state;
	stream[40] ^= 0x80; /* the second frame's magic */
	frame_decoder_init(&d);
	feed(&d, stream, len, &s);
	assert_true(s.bad);
	assert_int_equal(s.ends, 1);
	assert_false(frame_decoder_idle(&d));
	s.bad = false;
	(void)make_stream(stream);
	feed(&d, stream, len, &s);
	assert_true(s.bad);
	assert_int_equal(s.heads, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_cut_of_the_stream_gives_the_same_frames),
		cmocka_unit_test(a_stream_that_ends_inside_a_frame_is_not_idle),
		cmocka_unit_test(payload_can_be_read_straight_into_its_place),
		cmocka_unit_test(a_broken_stream_stays_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
