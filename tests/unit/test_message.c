/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bad-input table of the payloads: a good message of each kind, then one field at a time
 * below, at and above its limits, and every reserved byte set once.
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "message.h"

typedef int decode_fn(const uint8_t *p, size_t len, struct err *e);

#define DECODER(name, type, fn)                                                                    \
	static int name(const uint8_t *p, size_t len, struct err *e)                               \
	{                                                                                          \
		struct type m;                                                                     \
		return fn(p, len, &m, e);                                                          \
	}

DECODER(hello, msg_hello, msg_hello_decode)
DECODER(pair, msg_pair, msg_pair_decode)
DECODER(login, msg_login, msg_login_decode)
DECODER(welcome, msg_welcome, msg_welcome_decode)
DECODER(open_, msg_open, msg_open_decode)
DECODER(opened, msg_opened, msg_opened_decode)
DECODER(have_ask, msg_have_ask, msg_have_ask_decode)
DECODER(durable, msg_durable, msg_durable_decode)
DECODER(probed, msg_probed, msg_probed_decode)
DECODER(seal, msg_seal, msg_seal_decode)
DECODER(state_, msg_state, msg_state_decode)
DECODER(error_, msg_error, msg_error_decode)

static int run(const uint8_t *p, size_t len, struct err *e)
{
	uint64_t count;

	return msg_run_decode(p, len, &count, e);
}

static int have(const uint8_t *p, size_t len, struct err *e)
{
	struct have_entry m;

	return len == HAVE_ENTRY_LEN ? have_entry_decode(p, &m, e)
				     : err_set(e, ERR_PEER, EPROTO, "have with length");
}

struct sample {
	const char *name;
	decode_fn *decode;
	uint8_t p[MSG_SEAL_MAX];
	size_t len;
	bool longer; /* one byte more is still a good length */
};

#define SAMPLES 14

static void fill_seal(struct sample *s)
{
	struct msg_seal m = { .sealed_at = 1700000000, .block_size = 262144, .n_disks = 2 };

	m.disks[0] = (struct msg_seal_disk){ .disk = 0, .size = 262145, .blocks = 2 };
	m.disks[1] = (struct msg_seal_disk){ .disk = 4, .size = 262144, .blocks = 1 };
	memset(m.sig, 7, sizeof m.sig);
	s->len = msg_seal_encode(&m, s->p);
}

static void make_samples(struct sample *v)
{
	memset(v, 0, SAMPLES * sizeof *v);
	v[0] = (struct sample){ .name = "hello", .decode = hello, .len = MSG_HELLO_LEN };
	msg_hello_encode(&(struct msg_hello){ .version_min = 1, .version_max = 1 }, v[0].p);
	v[1] = (struct sample){ .name = "pair", .decode = pair, .len = MSG_PAIR_LEN };
	msg_pair_encode(&(struct msg_pair){ .version = 1 }, v[1].p);
	v[2] = (struct sample){ .name = "login", .decode = login, .len = MSG_LOGIN_LEN };
	msg_login_encode(&(struct msg_login){ .version = 1, .role = LOGIN_DATA, .epoch = 3 },
			 v[2].p);
	v[3] = (struct sample){ .name = "welcome", .decode = welcome, .len = MSG_WELCOME_LEN };
	msg_welcome_encode(
	    &(struct msg_welcome){
		.version = 1, .state = TASK_PAIRED, .block_size = 262144, .disks = 3 },
	    v[3].p);
	v[4] = (struct sample){ .name = "open", .decode = open_, .len = MSG_OPEN_LEN };
	msg_open_encode(
	    &(struct msg_open){
		.size = 1, .logical_sector = 512, .physical_sector = 4096, .identity = "QEMU-1" },
	    v[4].p);
	v[5] = (struct sample){ .name = "opened", .decode = opened, .len = MSG_OPENED_LEN };
	msg_opened_encode(
	    &(struct msg_opened){
		.target_size = 1 << 20, .blocks = 4, .claimed = 4, .block_size = 262144 },
	    v[5].p);
	v[6] = (struct sample){ .name = "run", .decode = run, .len = MSG_RUN_LEN };
	msg_run_encode(1, v[6].p);
	v[7] = (struct sample){ .name = "have-ask", .decode = have_ask, .len = MSG_HAVE_ASK_LEN };
	msg_have_ask_encode(&(struct msg_have_ask){ .block = 5, .count = 1 }, v[7].p);
	v[8] = (struct sample){ .name = "have", .decode = have, .len = HAVE_ENTRY_LEN };
	have_entry_encode(&(struct have_entry){ .count = 9, .kind = HAVE_ZERO }, v[8].p);
	v[9] = (struct sample){ .name = "durable", .decode = durable, .len = MSG_DURABLE_LEN };
	msg_durable_encode(&(struct msg_durable){ .claimed = 1, .written = 2 }, v[9].p);
	v[10] = (struct sample){ .name = "seal", .decode = seal };
	fill_seal(v + 10);
	v[11] = (struct sample){ .name = "state", .decode = state_, .longer = true };
	v[11].len = msg_state_encode(
	    &(struct msg_state){ .state = TASK_VERIFYING, .done = 5, .total = 5, .text = "half" },
	    v[11].p, sizeof v[11].p);
	v[12] = (struct sample){ .name = "error", .decode = error_, .longer = true };
	v[12].len = msg_error_encode(&(struct msg_error){ .code = WIRE_BUSY, .text = "busy" },
				     v[12].p, sizeof v[12].p);
	v[13] = (struct sample){ .name = "probed", .decode = probed, .len = MSG_PROBED_LEN };
	msg_probed_encode(&(struct msg_probed){ .bytes = 7 }, v[13].p);
	v[11].p[v[11].len] = v[12].p[v[12].len] = 'x';
}

static struct sample *named(struct sample *v, const char *name)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		if (!strcmp(v[i].name, name))
			return v + i;
	}
	fail_msg("no sample '%s'", name);
	return v;
}

static void good_messages_are_accepted_and_other_lengths_are_not(void **state)
{
	struct sample v[SAMPLES];

	(void)state;
	make_samples(v);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct err e = { 0 };

		if (v[i].decode(v[i].p, v[i].len, &e))
			fail_msg("good %s refused: %s", v[i].name, e.text);
		assert_int_equal(v[i].decode(v[i].p, 0, &e), -EPROTO);
		assert_int_equal(e.kind, ERR_PEER);
		if (!v[i].longer) {
			assert_int_equal(v[i].decode(v[i].p, v[i].len - 1, NULL), -EPROTO);
			assert_int_equal(v[i].decode(v[i].p, v[i].len + 1, NULL), -EPROTO);
		}
	}
}

struct bad {
	const char *name;
	size_t off;
	unsigned width; /* bytes of the number put there */
	uint64_t value;
	int good; /* 1: this value is at the limit and fits */
};

/* clang-format off */
static const struct bad bads[] = {
	{ "hello", 0, 2, 0, 0 }, { "hello", 2, 2, 0, 0 }, { "hello", 0, 2, 2, 0 },
	{ "hello", 2, 2, 65535, 1 },
	{ "pair", 0, 2, 0, 0 }, { "pair", 0, 2, 65535, 1 },
	{ "login", 0, 2, 0, 0 }, { "login", 2, 1, 0, 0 }, { "login", 2, 1, 3, 0 }, { "login", 2, 1, 4, 0 },
	{ "login", 8, 8, 0, 0 }, { "login", 2, 1, 1, 1 }, { "login", 8, 8, UINT64_MAX, 1 },
	{ "welcome", 0, 2, 0, 0 }, { "welcome", 2, 1, 0, 0 }, { "welcome", 2, 1, 14, 0 },
	{ "welcome", 2, 1, 13, 1 }, { "welcome", 4, 4, 65535, 0 }, { "welcome", 4, 4, 65536, 1 },
	{ "welcome", 4, 4, 32768, 0 }, { "welcome", 4, 4, 2 << 20, 0 },
	{ "welcome", 4, 4, 1 << 20, 1 }, { "welcome", 4, 4, 0, 0 }, { "welcome", 4, 4, 393216, 0 },
	{ "welcome", 32, 4, 0xfffff, 1 }, { "welcome", 32, 4, 0x100000, 0 },
	{ "open", 0, 8, 0, 0 }, { "open", 0, 8, DISK_SIZE_MAX, 1 },
	{ "open", 0, 8, DISK_SIZE_MAX + 1, 0 }, { "open", 0, 8, UINT64_MAX, 0 },
	{ "open", 8, 4, 256, 0 }, { "open", 8, 4, 65536, 1 }, { "open", 8, 4, 131072, 0 },
	{ "open", 8, 4, 513, 0 }, { "open", 12, 4, 0, 0 }, { "open", 12, 4, 512, 1 },
	{ "open", 12, 4, 4097, 0 }, { "open", 32, 1, 0x1b, 0 }, { "open", 32, 1, 0x7f, 0 },
	{ "open", 32, 1, 0x80, 0 }, { "open", 32, 1, 0x7e, 1 }, { "open", 127, 1, 'x', 0 },
	{ "opened", 0, 8, 786432, 0 }, { "opened", 0, 8, 786433, 1 }, { "opened", 8, 8, 0, 0 },
	{ "opened", 8, 8, UINT64_MAX, 0 }, { "opened", 8, 8, (DISK_SIZE_MAX >> 18) + 1, 0 },
	{ "opened", 16, 8, 5, 0 }, { "opened", 16, 8, 0, 1 }, { "opened", 24, 4, 0, 0 },
	{ "opened", 24, 4, 2 << 20, 0 }, { "opened", 24, 4, 65537, 0 },
	{ "run", 0, 8, 0, 0 }, { "run", 0, 8, UINT64_C(1) << 38, 1 },
	{ "run", 0, 8, (UINT64_C(1) << 38) + 1, 0 }, { "run", 0, 8, UINT64_MAX, 0 },
	{ "have-ask", 0, 8, UINT64_C(1) << 38, 0 }, { "have-ask", 0, 8, (UINT64_C(1) << 38) - 1, 1 },
	{ "have-ask", 8, 8, 0, 0 }, { "have-ask", 8, 8, (UINT64_C(1) << 38) - 5, 1 },
	{ "have-ask", 8, 8, (UINT64_C(1) << 38) - 4, 0 }, { "have-ask", 8, 8, UINT64_MAX, 0 },
	{ "have", 0, 8, UINT64_C(1) << 38, 0 }, { "have", 8, 4, 0, 0 },
	{ "have", 8, 4, UINT32_MAX, 1 }, { "have", 16, 1, 0, 0 }, { "have", 16, 1, 3, 0 },
	{ "have", 16, 1, 1, 0 /* data, but nine blocks */ }, { "have", 24, 1, 1, 0 },
	{ "have", 55, 1, 1, 0 },
	{ "durable", 0, 8, UINT64_C(1) << 38, 1 }, { "durable", 0, 8, (UINT64_C(1) << 38) + 1, 0 },
	{ "probed", 0, 8, UINT64_MAX, 1 }, { "probed", 15, 1, 1, 0 }, { "probed", 8, 1, 1, 0 },
	{ "seal", 24, 4, 0, 0 }, { "seal", 24, 4, 65536, 0 /* blocks do not fit then */ },
	{ "seal", 28, 4, 0, 0 }, { "seal", 28, 4, 1, 0 }, { "seal", 28, 4, 3, 0 },
	{ "seal", 28, 4, UINT32_MAX, 0 }, { "seal", 40, 1, 20, 0 }, { "seal", 40, 1, 3, 1 },
	{ "seal", 40, 1, 4, 0 }, { "seal", 40, 1, 5, 0 }, { "seal", 96, 1, 19, 1 },
	{ "seal", 96, 1, 20, 0 }, { "seal", 96, 1, 0, 0 }, { "seal", 48, 8, 0, 0 },
	{ "seal", 48, 8, UINT64_MAX, 0 }, { "seal", 56, 8, 3, 0 }, { "seal", 56, 8, 1, 0 },
	{ "seal", 48, 8, 524288, 1 }, { "seal", 48, 8, 524289, 0 },
	{ "state", 0, 1, 0, 0 }, { "state", 0, 1, 14, 0 }, { "state", 0, 1, 13, 1 },
	{ "state", 8, 8, 6, 0 }, { "state", 16, 8, 4, 0 }, { "state", 32, 1, '\n', 0 },
	{ "state", 32, 1, 0, 0 },
	{ "error", 0, 2, 0, 0 }, { "error", 0, 2, 23, 0 }, { "error", 0, 2, 22, 1 },
	{ "error", 0, 2, 65535, 0 }, { "error", 4, 1, 0x9b, 0 },
};
/* clang-format on */

static void a_probe_logs_in_without_an_epoch(void **state)
{
	struct msg_login probe = { .version = 1, .role = LOGIN_PROBE }, back;
	uint8_t p[MSG_LOGIN_LEN];

	(void)state;
	msg_login_encode(&probe, p);
	assert_int_equal(msg_login_decode(p, sizeof p, &back, NULL), 0);
	assert_int_equal(back.role, LOGIN_PROBE);
	p[2] = 4; /* no such role */
	assert_int_equal(msg_login_decode(p, sizeof p, &back, NULL), -EPROTO);
}

static void each_field_is_held_to_its_limits(void **state)
{
	struct sample v[SAMPLES];

	(void)state;
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		const struct bad *b = bads + i;
		struct err e = { 0 };

		make_samples(v);
		struct sample *s = named(v, b->name);
		for (unsigned k = 0; k < b->width; k++)
			s->p[b->off + k] = (uint8_t)(b->value >> 8 * (b->width - 1 - k));
		int r = s->decode(s->p, s->len, &e);
		if (b->good ? r != 0 : r != -EPROTO || e.kind != ERR_PEER)
			fail_msg("%s, byte %zu = %llu: %d %s", b->name, b->off,
				 (unsigned long long)b->value, r, e.text);
	}
}

static const struct {
	const char *name;
	size_t from, to;
} reserved[] = {
	{ "hello", 4, 32 },    { "pair", 2, 8 },    { "pair", 80, 128 },   { "login", 3, 8 },
	{ "login", 128, 256 }, { "welcome", 3, 4 }, { "welcome", 36, 64 }, { "welcome", 96, 128 },
	{ "open", 16, 32 },    { "open", 39, 128 }, { "opened", 28, 64 },  { "have", 17, 24 },
	{ "seal", 32, 40 },    { "seal", 41, 48 },  { "seal", 97, 104 },   { "state", 1, 8 },
	{ "error", 2, 4 },
};

static void every_reserved_byte_must_be_zero(void **state)
{
	struct sample v[SAMPLES];

	(void)state;
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
		for (size_t at = reserved[i].from; at < reserved[i].to; at++) {
			make_samples(v);
			struct sample *s = named(v, reserved[i].name);

			s->p[at] = 1;
			if (s->decode(s->p, s->len, NULL) != -EPROTO)
				fail_msg("%s takes byte %zu", s->name, at);
		}
	}
}

static void what_is_sent_is_what_is_read(void **state)
{
	struct msg_seal in = { .sealed_at = 99, .block_size = 65536, .n_disks = DISKS_MAX }, out;
	uint8_t raw[MSG_SEAL_MAX];

	(void)state;
	for (uint8_t i = 0; i < DISKS_MAX; i++) {
		in.disks[i] =
		    (struct msg_seal_disk){ .disk = i, .size = 65536u * i + 1u, .blocks = i + 1u };
		memset(in.disks[i].list_digest, i, DIGEST_LEN);
	}
	memset(in.task, 5, TASK_ID_LEN);
	memset(in.sig, 6, SIGNATURE_LEN);
	assert_int_equal(msg_seal_encode(&in, raw), MSG_SEAL_MAX);
	assert_int_equal(msg_seal_decode(raw, MSG_SEAL_MAX, &out, NULL), 0);
	assert_memory_equal(&in, &out, sizeof in);
	in.n_disks = DISKS_MAX + 1;
	assert_int_equal(msg_seal_encode(&in, raw), 0);
}

static void text_that_could_harm_a_terminal_is_not_sent(void **state)
{
	struct msg_error in = { .code = WIRE_LIMIT, .text = "a\x1b]0;x\x07\xc3\xa9" }, out;
	uint8_t raw[4 + WIRE_TEXT_MAX];

	(void)state;
	size_t n = msg_error_encode(&in, raw, sizeof raw);
	assert_int_equal(msg_error_decode(raw, n, &out, NULL), 0);
	assert_string_equal(out.text, "a?]0;x???");
	memset(in.text, 'y', WIRE_TEXT_MAX);
	in.text[WIRE_TEXT_MAX] = 0;
	assert_int_equal(msg_error_encode(&in, raw, sizeof raw), 4 + WIRE_TEXT_MAX);
	assert_int_equal(msg_error_decode(raw, sizeof raw, &out, NULL), 0);
	assert_string_equal(out.text, in.text);
	assert_int_equal(msg_error_encode(&in, raw, 10), 10);
	assert_int_equal(msg_error_encode(&in, raw, 3), 0);
}

static void an_identity_of_the_greatest_length_survives(void **state)
{
	struct msg_open in = { .size = 5, .logical_sector = 512, .physical_sector = 512 }, out;
	uint8_t raw[MSG_OPEN_LEN];

	(void)state;
	memset(in.identity, 'i', IDENTITY_LEN - 1);
	msg_open_encode(&in, raw);
	assert_int_equal(msg_open_decode(raw, sizeof raw, &out, NULL), 0);
	assert_string_equal(out.identity, in.identity);
}

static void states_and_errors_have_their_words(void **state)
{
	enum task_state s;

	(void)state;
	for (int i = TASK_WAITING; i <= TASK_ABORTED; i++) {
		assert_int_equal(task_state_from_word(task_state_word((enum task_state)i), &s), 0);
		assert_int_equal(s, i);
	}
	assert_string_equal(task_state_word(TASK_HANDED_BACK), "handed-back");
	assert_string_equal(task_state_word((enum task_state)0), "unknown");
	assert_string_equal(task_state_word((enum task_state)14), "unknown");
	assert_int_equal(task_state_from_word("unknown", &s), -EINVAL);
	for (int i = WIRE_PROTOCOL; i <= WIRE_ABORTED; i++)
		assert_string_not_equal(wire_error_word((enum wire_error)i), "unknown");
	assert_string_equal(wire_error_word(WIRE_WRONG_CODE), "wrong-code");
	assert_string_equal(wire_error_word((enum wire_error)23), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_messages_are_accepted_and_other_lengths_are_not),
		cmocka_unit_test(a_probe_logs_in_without_an_epoch),
		cmocka_unit_test(each_field_is_held_to_its_limits),
		cmocka_unit_test(every_reserved_byte_must_be_zero),
		cmocka_unit_test(what_is_sent_is_what_is_read),
		cmocka_unit_test(text_that_could_harm_a_terminal_is_not_sent),
		cmocka_unit_test(an_identity_of_the_greatest_length_survives),
		cmocka_unit_test(states_and_errors_have_their_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
