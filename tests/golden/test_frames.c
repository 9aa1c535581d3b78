/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The wire, byte for byte: one file a kind in golden/frames, the bytes on the left and what they
 * mean on the right. docs/wire-protocol.md quotes them. The protocol changes when these change.
 *
 * TRANSIT_GOLDEN_WRITE=1 writes the files anew.
 */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec.h"
#include "frame_decoder.h"
#include "message.h"

struct page {
	uint8_t raw[2048];
	size_t len, told; /* bytes made, bytes that have been written out */
	char text[8192];
	size_t text_len;
};

static void __attribute__((format(printf, 2, 3))) say(struct page *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(g->text + g->text_len, sizeof g->text - g->text_len, fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < sizeof g->text - g->text_len);
	g->text_len += (size_t)n;
}

/* The next ${len} bytes, sixteen to a line, with ${what} beside the first. */
static void tell(struct page *g, size_t len, const char *what)
{
	for (size_t i = 0; i < len; i += 16) {
		size_t n = len - i < 16 ? len - i : 16, at = g->told + i;

		say(g, "%04zx ", at);
		for (size_t k = 0; k < 16; k++) {
			if (k < n)
				say(g, " %02x", g->raw[at + k]);
			else if (!i)
				say(g, "   ");
		}
		say(g, i ? "\n" : "  # %s\n", what);
	}
	g->told += len;
}

static void head(struct page *g, struct frame f)
{
	char what[96];

	frame_encode(&f, g->raw);
	g->len = FRAME_HEADER_LEN + f.length;
	say(g, "# %s\n", frame_kind_word(f.kind));
	tell(g, 4, "magic \"TRNS\"");
	(void)snprintf(what, sizeof what, "kind %d: %s", (int)f.kind, frame_kind_word(f.kind));
	tell(g, 1, what);
	if (f.disk == FRAME_NO_DISK)
		(void)snprintf(what, sizeof what, "no disk");
	else
		(void)snprintf(what, sizeof what, "disk %u", f.disk);
	tell(g, 1, what);
	(void)snprintf(what, sizeof what, "codec %s",
		       f.kind == FRAME_DATA ? codec_word((enum codec)f.codec) : "0");
	tell(g, 1, what);
	tell(g, 1, f.flags & FRAME_FLAG_LAST ? "flags: last" : "flags: none");
	(void)snprintf(what, sizeof what, "length %u", f.length);
	tell(g, 4, what);
	(void)snprintf(what, sizeof what, "generation %u", f.gen);
	tell(g, 4, what);
	(void)snprintf(what, sizeof what, "block %llu", (unsigned long long)f.block);
	tell(g, 8, what);
	(void)snprintf(what, sizeof what, "sequence %llu", (unsigned long long)f.seq);
	tell(g, 8, what);
}

static uint8_t *payload(struct page *g)
{
	return g->raw + FRAME_HEADER_LEN;
}

static void count_up(uint8_t *p, size_t len, uint8_t from)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(from + i);
}

static struct frame plain(enum frame_kind kind, uint32_t length)
{
	return (struct frame){ .kind = kind, .disk = FRAME_NO_DISK, .length = length };
}

static void make_hello(struct page *g)
{
	struct msg_hello m = { .version_min = 1, .version_max = 1 };

	count_up(m.nonce, NONCE_LEN, 0x40);
	msg_hello_encode(&m, payload(g));
	head(g, plain(FRAME_HELLO, MSG_HELLO_LEN));
	tell(g, 2, "lowest version 1");
	tell(g, 2, "highest version 1");
	tell(g, 28, "reserved");
	tell(g, 32, "nonce");
}

static void make_pair(struct page *g)
{
	struct msg_pair m = { .version = 1 };

	count_up(m.ticket, TICKET_LEN, 0x10);
	count_up(m.pub, PUBKEY_LEN, 0x40);
	count_up(m.proof, PROOF_LEN, 0x80);
	msg_pair_encode(&m, payload(g));
	head(g, plain(FRAME_PAIR, MSG_PAIR_LEN));
	tell(g, 2, "version 1");
	tell(g, 6, "reserved");
	tell(g, 8, "ticket");
	tell(g, 32, "the sender's Ed25519 key");
	tell(g, 32, "proof \"tx\"");
	tell(g, 48, "reserved");
}

static void make_login(struct page *g)
{
	struct msg_login m = { .version = 1, .role = LOGIN_DATA, .epoch = 3 };

	count_up(m.task, TASK_ID_LEN, 0x10);
	count_up(m.pub, PUBKEY_LEN, 0x40);
	count_up(m.sig, SIGNATURE_LEN, 0x80);
	msg_login_encode(&m, payload(g));
	head(g, plain(FRAME_LOGIN, MSG_LOGIN_LEN));
	tell(g, 2, "version 1");
	tell(g, 1, "role 2: data connection");
	tell(g, 5, "reserved");
	tell(g, 8, "epoch 3");
	tell(g, 16, "task");
	tell(g, 32, "the sender's Ed25519 key");
	tell(g, 64, "signature");
	tell(g, 128, "reserved");
}

static void make_welcome(struct page *g)
{
	struct msg_welcome m = { .version = 1,
				 .state = TASK_RECEIVING,
				 .epoch = 3,
				 .block_size = BLOCK_SIZE_DEFAULT,
				 .disks = 3 };

	count_up(m.task, TASK_ID_LEN, 0x10);
	msg_welcome_encode(&m, payload(g));
	head(g, plain(FRAME_WELCOME, MSG_WELCOME_LEN));
	tell(g, 2, "version 1");
	tell(g, 1, "state 3: receiving");
	tell(g, 1, "reserved");
	tell(g, 4, "block size 262144");
	tell(g, 8, "epoch 3");
	tell(g, 16, "task");
	tell(g, 4, "disks 0 and 1");
	tell(g, 28, "reserved");
	tell(g, 32, "proof \"rx\": zero, this answers a LOGIN");
	tell(g, 32, "reserved");
}

static void make_facts(struct page *g)
{
	static const char json[] = "{\"hostname\":\"web1\"}";

	memcpy(payload(g), json, sizeof json - 1);
	head(g, plain(FRAME_FACTS, sizeof json - 1));
	tell(g, sizeof json - 1, json);
}

static void make_open(struct page *g)
{
	struct msg_open m = { .size = 1048577,
			      .logical_sector = 512,
			      .physical_sector = 4096,
			      .identity = "QEMU-HARDDISK-7" };
	struct frame f = plain(FRAME_OPEN, MSG_OPEN_LEN);

	f.disk = 1;
	msg_open_encode(&m, payload(g));
	head(g, f);
	tell(g, 8, "size 1048577 bytes");
	tell(g, 4, "logical sector 512");
	tell(g, 4, "physical sector 4096");
	tell(g, 16, "reserved");
	tell(g, 96, "identity \"QEMU-HARDDISK-7\"");
}

static void make_opened(struct page *g)
{
	struct msg_opened m = {
		.target_size = 2097152, .blocks = 5, .claimed = 2, .block_size = BLOCK_SIZE_DEFAULT
	};
	struct frame f = plain(FRAME_OPENED, MSG_OPENED_LEN);

	f.disk = 1;
	msg_opened_encode(&m, payload(g));
	head(g, f);
	tell(g, 8, "target size 2097152 bytes");
	tell(g, 8, "blocks 5: four whole ones and one byte");
	tell(g, 8, "durable now 2");
	tell(g, 4, "block size 262144");
	tell(g, 36, "reserved");
}

static void make_have_ask(struct page *g)
{
	struct frame f = plain(FRAME_HAVE_ASK, MSG_HAVE_ASK_LEN);

	f.disk = 1;
	msg_have_ask_encode(&(struct msg_have_ask){ .block = 0, .count = 5 }, payload(g));
	head(g, f);
	tell(g, 8, "from block 0");
	tell(g, 8, "5 blocks");
}

static void make_have(struct page *g)
{
	struct have_entry data = { .block = 0, .count = 1, .gen = 2, .kind = HAVE_DATA };
	struct have_entry zero = { .block = 3, .count = 2, .gen = 1, .kind = HAVE_ZERO };
	struct frame f = plain(FRAME_HAVE, 2 * HAVE_ENTRY_LEN);

	f.disk = 1;
	f.flags = FRAME_FLAG_LAST;
	count_up(data.digest, DIGEST_LEN, 0x80);
	have_entry_encode(&data, payload(g));
	have_entry_encode(&zero, payload(g) + HAVE_ENTRY_LEN);
	head(g, f);
	for (int i = 0; i < 2; i++) {
		tell(g, 8, i ? "block 3" : "block 0");
		tell(g, 4, i ? "count 2" : "count 1");
		tell(g, 4, i ? "generation 1" : "generation 2");
		tell(g, 1, i ? "zero" : "data");
		tell(g, 7, "reserved");
		tell(g, 32, i ? "no digest" : "SHA-256");
	}
}

static void make_data(struct page *g)
{
	struct frame f = plain(FRAME_DATA, DIGEST_LEN + 4);

	f.disk = 1;
	f.codec = CODEC_LZ4;
	f.gen = 2;
	f.block = 4;
	f.seq = 17;
	count_up(payload(g), DIGEST_LEN, 0x80);
	memcpy(payload(g) + DIGEST_LEN, "\x10\x41\x00\x00", 4);
	head(g, f);
	tell(g, 32, "SHA-256 of the plain block");
	tell(g, 4, "the encoded block (cut short here)");
}

static void make_run(struct page *g, enum frame_kind kind)
{
	struct frame f = plain(kind, MSG_RUN_LEN);

	f.disk = 1;
	f.gen = 2;
	f.block = 2;
	f.seq = 18;
	msg_run_encode(3, payload(g));
	head(g, f);
	tell(g, 8, "3 blocks");
}

static void make_zero(struct page *g)
{
	make_run(g, FRAME_ZERO);
}

static void make_unchanged(struct page *g)
{
	make_run(g, FRAME_UNCHANGED);
}

static void make_flush(struct page *g)
{
	struct frame f = plain(FRAME_FLUSH, 0);

	f.disk = 1;
	f.seq = 19;
	head(g, f);
}

static void make_durable(struct page *g)
{
	struct frame f = plain(FRAME_DURABLE, MSG_DURABLE_LEN);

	f.disk = 1;
	f.seq = 19;
	msg_durable_encode(&(struct msg_durable){ .claimed = 5, .written = 1048577 }, payload(g));
	head(g, f);
	tell(g, 8, "5 blocks durable");
	tell(g, 8, "1048577 bytes written");
}

static void make_manifest(struct page *g)
{
	struct frame f = plain(FRAME_MANIFEST, 2 * DIGEST_LEN);

	f.disk = 1;
	f.block = 3;
	count_up(payload(g), (size_t)2 * DIGEST_LEN, 0);
	head(g, f);
	tell(g, 32, "SHA-256 of block 3");
	tell(g, 32, "SHA-256 of block 4");
}

static void make_seal(struct page *g)
{
	struct msg_seal m = { .sealed_at = 1700000000,
			      .block_size = BLOCK_SIZE_DEFAULT,
			      .n_disks = 1 };

	m.disks[0] = (struct msg_seal_disk){ .disk = 1, .size = 1048577, .blocks = 5 };
	count_up(m.task, TASK_ID_LEN, 0x10);
	count_up(m.disks[0].list_digest, DIGEST_LEN, 0x80);
	count_up(m.sig, SIGNATURE_LEN, 0xa0);
	uint32_t len = (uint32_t)msg_seal_encode(&m, payload(g));
	head(g, plain(FRAME_SEAL, len));
	tell(g, 16, "task");
	tell(g, 8, "sealed at 2023-11-14 22:13:20 UTC");
	tell(g, 4, "block size 262144");
	tell(g, 4, "1 disk");
	tell(g, 8, "reserved");
	tell(g, 1, "disk 1");
	tell(g, 7, "reserved");
	tell(g, 8, "size 1048577 bytes");
	tell(g, 8, "blocks 5");
	tell(g, 32, "SHA-256 of the disk's digests, one after another");
	tell(g, 64, "signature");
}

static void make_state(struct page *g)
{
	struct msg_state m = {
		.state = TASK_VERIFYING, .done = 524288, .total = 1048577, .text = "re-reading"
	};
	uint32_t len = (uint32_t)msg_state_encode(&m, payload(g), 1024);

	head(g, plain(FRAME_STATE, len));
	tell(g, 1, "state 7: verifying");
	tell(g, 7, "reserved");
	tell(g, 8, "done 524288 bytes");
	tell(g, 8, "of 1048577");
	tell(g, 8, "blocks found different: 0");
	tell(g, len - 32, "\"re-reading\"");
}

static void make_ping(struct page *g)
{
	count_up(payload(g), MSG_PING_LEN, 1);
	head(g, plain(FRAME_PING, MSG_PING_LEN));
	tell(g, 8, "any eight bytes");
}

static void make_pong(struct page *g)
{
	count_up(payload(g), MSG_PING_LEN, 1);
	head(g, plain(FRAME_PONG, MSG_PING_LEN));
	tell(g, 8, "those of the ping");
}

static void make_error(struct page *g)
{
	struct msg_error m = { .code = WIRE_WRONG_CODE, .text = "the code does not fit" };
	uint32_t len = (uint32_t)msg_error_encode(&m, payload(g), 1024);

	head(g, plain(FRAME_ERROR, len));
	tell(g, 2, "code 3: wrong-code");
	tell(g, 2, "reserved");
	tell(g, len - 4, "\"the code does not fit\"");
}

static void make_bye(struct page *g)
{
	head(g, plain(FRAME_BYE, 0));
}

static void make_probe(struct page *g)
{
	count_up(payload(g), 24, 0x90);
	head(g, plain(FRAME_PROBE, 24));
	tell(g, 24, "any bytes");
}

static void make_probed(struct page *g)
{
	struct msg_probed m = { .bytes = 1048577 };

	msg_probed_encode(&m, payload(g));
	head(g, plain(FRAME_PROBED, MSG_PROBED_LEN));
	tell(g, 8, "1048577 bytes have come");
	tell(g, 8, "reserved");
}

static void (*const makers[])(struct page *g) = {
	[FRAME_HELLO] = make_hello,       [FRAME_PAIR] = make_pair,
	[FRAME_LOGIN] = make_login,       [FRAME_WELCOME] = make_welcome,
	[FRAME_FACTS] = make_facts,       [FRAME_OPEN] = make_open,
	[FRAME_OPENED] = make_opened,     [FRAME_HAVE_ASK] = make_have_ask,
	[FRAME_HAVE] = make_have,         [FRAME_DATA] = make_data,
	[FRAME_ZERO] = make_zero,         [FRAME_UNCHANGED] = make_unchanged,
	[FRAME_FLUSH] = make_flush,       [FRAME_DURABLE] = make_durable,
	[FRAME_MANIFEST] = make_manifest, [FRAME_SEAL] = make_seal,
	[FRAME_STATE] = make_state,       [FRAME_PING] = make_ping,
	[FRAME_PONG] = make_pong,         [FRAME_ERROR] = make_error,
	[FRAME_BYE] = make_bye,           [FRAME_PROBE] = make_probe,
	[FRAME_PROBED] = make_probed,
};

static void file_of(int kind, char *ret, size_t room)
{
	(void)snprintf(ret, room, "%s/golden/frames/%s.hex", TESTS_DIR,
		       frame_kind_word((enum frame_kind)kind));
}

static void bytes_on_the_wire_are_those_of_the_files(void **state)
{
	const bool write = getenv("TRANSIT_GOLDEN_WRITE") != NULL;
	scoped(freep) struct page *g = malloc(sizeof *g);
	scoped(freep) char *stored = malloc(sizeof g->text);

	(void)state;
	for (int kind = FRAME_HELLO; kind <= FRAME_PROBED; kind++) {
		char path[512];

		memset(g, 0, sizeof *g);
		makers[kind](g);
		assert_int_equal(g->told, g->len);
		file_of(kind, path, sizeof path);
		scoped(fclosep) FILE *f = fopen(path, write ? "we" : "re");
		if (!f)
			fail_msg("cannot open '%s'", path);
		if (write) {
			assert_int_equal(fwrite(g->text, 1, g->text_len, f), g->text_len);
			continue;
		}
		size_t n = fread(stored, 1, sizeof g->text - 1, f);
		stored[n] = 0;
		assert_string_equal(stored, g->text);
	}
}

/* From the file's text alone, as a second implementation would begin. */
static size_t bytes_of_file(const char *path, uint8_t *out, size_t room)
{
	scoped(fclosep) FILE *f = fopen(path, "re");
	char line[256];
	size_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		char *p = line + 4, *end;

		if (line[0] == '#')
			continue;
		assert_int_equal(strtoul(line, NULL, 16), n);
		for (;;) {
			while (*p == ' ')
				p++;
			unsigned long v = strtoul(p, &end, 16);
			if (*p == '#' || end != p + 2)
				break;
			assert_true(n < room);
			out[n++] = (uint8_t)v;
			p = end;
		}
	}
	return n;
}

static void the_files_are_frames_that_are_accepted(void **state)
{
	(void)state;
	for (int kind = FRAME_HELLO; kind <= FRAME_PROBED; kind++) {
		uint8_t raw[2048], body[2048];
		struct frame_decoder d;
		struct err e = { 0 };
		const uint8_t *p = raw;
		char path[512];

		file_of(kind, path, sizeof path);
		size_t len = bytes_of_file(path, raw, sizeof raw);
		frame_decoder_init(&d);
		if (frame_decoder_step(&d, &p, &len, &e) != FRAME_HEAD)
			fail_msg("%s: %s", path, e.text);
		assert_int_equal(d.head.kind, kind);
		frame_decoder_into(&d, body);
		assert_int_equal(frame_decoder_step(&d, &p, &len, &e), FRAME_END);
		assert_int_equal(len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_on_the_wire_are_those_of_the_files),
		cmocka_unit_test(the_files_are_frames_that_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
