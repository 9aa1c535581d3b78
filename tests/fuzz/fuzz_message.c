/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first byte picks a message. What a decoder takes, its encoder gives back byte for byte: so
 * there is one form of everything, and nothing in it that nobody looked at. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "pairing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const uint8_t *in, size_t in_len, const uint8_t *out, size_t out_len)
{
	if (in_len != out_len || memcmp(in, out, in_len) != 0)
		abort();
}

#define ROUND(type, name, len)                                                                     \
	do {                                                                                       \
		struct type m;                                                                     \
		if (name##_decode(p, n, &m, NULL) == 0) {                                          \
			name##_encode(&m, out);                                                    \
			same(p, n, out, len);                                                      \
		}                                                                                  \
	} while (0)

#define ROUND_TEXT(type, name)                                                                     \
	do {                                                                                       \
		struct type m;                                                                     \
		if (name##_decode(p, n, &m, NULL) == 0)                                            \
			same(p, n, out, name##_encode(&m, out, sizeof out));                       \
	} while (0)

static void first_half(unsigned which, const uint8_t *p, size_t n, uint8_t *out)
{
	switch (which) {
	case 0:
		ROUND(msg_hello, msg_hello, MSG_HELLO_LEN);
		break;
	case 1:
		ROUND(msg_pair, msg_pair, MSG_PAIR_LEN);
		break;
	case 2:
		ROUND(msg_login, msg_login, MSG_LOGIN_LEN);
		break;
	case 3:
		ROUND(msg_welcome, msg_welcome, MSG_WELCOME_LEN);
		break;
	case 4:
		ROUND(msg_open, msg_open, MSG_OPEN_LEN);
		break;
	default:
		ROUND(msg_opened, msg_opened, MSG_OPENED_LEN);
	}
}

static void seal(const uint8_t *p, size_t n, uint8_t *out)
{
	struct msg_seal m;

	if (msg_seal_decode(p, n, &m, NULL) == 0)
		same(p, n, out, msg_seal_encode(&m, out));
}

static void have(const uint8_t *p, size_t n, uint8_t *out)
{
	struct have_entry m;

	if (n == HAVE_ENTRY_LEN && have_entry_decode(p, &m, NULL) == 0) {
		have_entry_encode(&m, out);
		same(p, n, out, HAVE_ENTRY_LEN);
	}
}

static void code(const uint8_t *p, size_t n)
{
	char text[128] = { 0 }, again[CODE_TEXT_LEN];
	struct pairing_code c, back;

	memcpy(text, p, n < sizeof text - 1 ? n : sizeof text - 1);
	if (pairing_code_parse(text, &c, NULL) < 0)
		return;
	pairing_code_text(&c, again);
	if (pairing_code_parse(again, &back, NULL) < 0 || memcmp(&c, &back, sizeof c) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[2048];

	if (!size)
		return 0;
	const uint8_t *p = data + 1;
	size_t n = size - 1;
	switch (data[0] % 14) {
	case 6:
		ROUND(msg_have_ask, msg_have_ask, MSG_HAVE_ASK_LEN);
		break;
	case 7:
		ROUND(msg_durable, msg_durable, MSG_DURABLE_LEN);
		break;
	case 8:
		ROUND_TEXT(msg_state, msg_state);
		break;
	case 9:
		ROUND_TEXT(msg_error, msg_error);
		break;
	case 10:
		seal(p, n, out);
		break;
	case 11:
		have(p, n, out);
		break;
	case 12:
		code(p, n);
		break;
	case 13:
		ROUND(msg_probed, msg_probed, MSG_PROBED_LEN);
		break;
	default:
		first_half(data[0] % 14, p, n, out);
	}
	return 0;
}
