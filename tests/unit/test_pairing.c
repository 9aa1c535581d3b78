/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "pairing.h"
#include "tls.h"

/* Of the code 00 01 .. 0f 40, computed by a second program from docs/wire-protocol.md. */
#define GOLDEN_CODE "000G-40R4-0M30-E209-185G-R38E-1X9K"
#define GOLDEN_TICKET "c70247175398ffea"
#define GOLDEN_TX "604f7d5f47fbd367c8a3370b27397b9d3fbc9225f33504e27150b9185c6b9dad"
#define GOLDEN_RX "aa70963cada29639890d59dba767d9068d1de2f4bf3a479ddb900cc02f26b38e"

static struct pairing_code counted_code(void)
{
	struct pairing_code c = { { 0 } };

	for (uint8_t i = 0; i < CODE_BYTES; i++)
		c.bytes[i] = i;
	c.bytes[CODE_BYTES - 1] = 0x40;
	return c;
}

static struct pairing_channel counted_channel(void)
{
	struct pairing_channel ch;

	memset(ch.exporter, 0x11, sizeof ch.exporter);
	memset(ch.spki, 0x22, sizeof ch.spki);
	return ch;
}

static void assert_hex(const uint8_t *p, size_t len, const char *hex)
{
	char text[129];

	digest_hex(p, len, text);
	assert_string_equal(text, hex);
}

static void the_proofs_of_a_known_code_are_those_of_the_document(void **state)
{
	struct pairing_code c = counted_code();
	struct pairing_channel ch = counted_channel();
	uint8_t pub[PUBKEY_LEN], task[TASK_ID_LEN], ticket[TICKET_LEN], proof[PROOF_LEN];
	char text[CODE_TEXT_LEN];

	(void)state;
	memset(pub, 0x33, sizeof pub);
	memset(task, 0x44, sizeof task);
	pairing_code_text(&c, text);
	assert_string_equal(text, GOLDEN_CODE);
	assert_int_equal(pairing_ticket(&c, ticket), 0);
	assert_hex(ticket, sizeof ticket, GOLDEN_TICKET);
	assert_int_equal(pairing_proof_tx(&c, &ch, pub, proof), 0);
	assert_hex(proof, sizeof proof, GOLDEN_TX);
	assert_int_equal(pairing_proof_rx(&c, &ch, pub, task, proof), 0);
	assert_hex(proof, sizeof proof, GOLDEN_RX);
}

static void a_code_survives_being_typed_badly(void **state)
{
	struct pairing_code c, back;
	char text[CODE_TEXT_LEN], typed[CODE_TEXT_LEN * 2];
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t o = 0;

		assert_int_equal(pairing_code_make(&c, &e), 0);
		assert_int_equal(c.bytes[CODE_BYTES - 1] & 0x3f, 0);
		pairing_code_text(&c, text);
		assert_int_equal(strlen(text), 34);
		for (const char *p = text; *p; p++) {
			if (*p == '-') {
				typed[o++] = ' ';
				continue;
			}
			typed[o] = (char)tolower((unsigned char)*p);
			if (typed[o] == '0')
				typed[o] = 'o';
			if (typed[o] == '1')
				typed[o] = i % 2 ? 'l' : 'I';
			o++;
		}
		typed[o] = 0;
		assert_int_equal(pairing_code_parse(typed, &back, &e), 0);
		assert_memory_equal(&c, &back, sizeof c);
	}
}

static void a_mistyped_code_is_noticed_before_it_is_sent(void **state)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	struct pairing_code c = counted_code(), back;
	char text[CODE_TEXT_LEN];
	unsigned missed = 0, tried = 0;
	struct err e = { 0 };

	(void)state;
	pairing_code_text(&c, text);
	for (size_t i = 0; text[i]; i++) {
		char was = text[i];

		for (const char *a = alphabet; was != '-' && *a; a++) {
			if (*a == was)
				continue;
			text[i] = *a;
			tried++;
			missed += pairing_code_parse(text, &back, NULL) == 0;
		}
		text[i] = was;
	}
	assert_true(tried > 800);
	assert_true(missed <= 6); /* one in 1024 is chance */
	assert_int_equal(pairing_code_parse("ABCD", &back, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(pairing_code_parse("", &back, NULL), -EINVAL);
	assert_int_equal(pairing_code_parse("U", &back, NULL), -EINVAL);
	assert_int_equal(pairing_code_parse(GOLDEN_CODE "0", &back, NULL), -EINVAL);
}

static void a_proof_holds_for_one_channel_key_and_code_only(void **state)
{
	struct pairing_code c = counted_code(), c2 = c;
	struct pairing_channel ch = counted_channel(), ch2;
	uint8_t pub[PUBKEY_LEN] = { 1 }, pub2[PUBKEY_LEN] = { 2 }, task[TASK_ID_LEN] = { 3 };
	uint8_t right[PROOF_LEN], other[PROOF_LEN];

	(void)state;
	assert_int_equal(pairing_proof_tx(&c, &ch, pub, right), 0);
	ch2 = ch;
	ch2.exporter[31] ^= 1;
	assert_int_equal(pairing_proof_tx(&c, &ch2, pub, other), 0);
	assert_memory_not_equal(right, other, PROOF_LEN);
	ch2 = ch;
	ch2.spki[0] ^= 1;
	assert_int_equal(pairing_proof_tx(&c, &ch2, pub, other), 0);
	assert_memory_not_equal(right, other, PROOF_LEN);
	assert_int_equal(pairing_proof_tx(&c, &ch, pub2, other), 0);
	assert_memory_not_equal(right, other, PROOF_LEN);
	c2.bytes[16] ^= 0x80;
	assert_int_equal(pairing_proof_tx(&c2, &ch, pub, other), 0);
	assert_memory_not_equal(right, other, PROOF_LEN);
	assert_int_equal(pairing_proof_rx(&c, &ch, pub, task, other), 0);
	assert_memory_not_equal(right, other, PROOF_LEN);
	uint8_t rx[PROOF_LEN];
	memcpy(rx, other, sizeof rx);
	task[15] = 9;
	assert_int_equal(pairing_proof_rx(&c, &ch, pub, task, other), 0);
	assert_memory_not_equal(rx, other, PROOF_LEN);
}

static void a_login_cannot_be_replayed_relayed_or_widened(void **state)
{
	uint8_t priv[PRIVKEY_LEN], nonce[NONCE_LEN] = { 7 }, nonce2[NONCE_LEN] = { 8 };
	struct pairing_channel ch = counted_channel(), ch2;
	struct msg_login m = { .version = 1, .role = LOGIN_DATA, .epoch = 5 }, w;

	(void)state;
	assert_int_equal(pairing_key_make(priv, m.pub, NULL), 0);
	assert_int_equal(pairing_login_sign(priv, &m, nonce, &ch, m.sig), 0);
	assert_int_equal(pairing_login_check(&m, nonce, &ch), 0);
	assert_int_equal(pairing_login_check(&m, nonce2, &ch), -EACCES);
	ch2 = ch;
	ch2.exporter[0] ^= 1;
	assert_int_equal(pairing_login_check(&m, nonce, &ch2), -EACCES);
	ch2 = ch;
	ch2.spki[31] ^= 1;
	assert_int_equal(pairing_login_check(&m, nonce, &ch2), -EACCES);
	w = m;
	w.epoch++;
	assert_int_equal(pairing_login_check(&w, nonce, &ch), -EACCES);
	w = m;
	w.role = LOGIN_SESSION;
	assert_int_equal(pairing_login_check(&w, nonce, &ch), -EACCES);
	w = m;
	w.task[0] ^= 1;
	assert_int_equal(pairing_login_check(&w, nonce, &ch), -EACCES);
	w = m;
	w.pub[0] ^= 1;
	assert_int_equal(pairing_login_check(&w, nonce, &ch), -EACCES);
	for (size_t i = 0; i < SIGNATURE_LEN; i++) {
		w = m;
		w.sig[i] ^= 4;
		assert_int_equal(pairing_login_check(&w, nonce, &ch), -EACCES);
	}
}

static void a_seal_covers_every_number_in_it(void **state)
{
	uint8_t priv[PRIVKEY_LEN], pub[PUBKEY_LEN], pub2[PUBKEY_LEN];
	struct msg_seal m = { .sealed_at = 1, .block_size = 65536, .n_disks = 1 }, w;

	(void)state;
	m.disks[0] = (struct msg_seal_disk){ .size = 1, .blocks = 1 };
	assert_int_equal(pairing_key_make(priv, pub, NULL), 0);
	assert_int_equal(pairing_key_public(priv, pub2), 0);
	assert_memory_equal(pub, pub2, PUBKEY_LEN);
	assert_int_equal(pairing_seal_sign(priv, &m), 0);
	assert_int_equal(pairing_seal_check(pub, &m), 0);
	w = m;
	w.disks[0].list_digest[31] ^= 1;
	assert_int_equal(pairing_seal_check(pub, &w), -EACCES);
	w = m;
	w.disks[0].size++;
	assert_int_equal(pairing_seal_check(pub, &w), -EACCES);
	w = m;
	w.task[3] ^= 1;
	assert_int_equal(pairing_seal_check(pub, &w), -EACCES);
	w = m;
	w.block_size *= 2;
	assert_int_equal(pairing_seal_check(pub, &w), -EACCES);
	pub2[0] ^= 1;
	assert_int_equal(pairing_seal_check(pub2, &m), -EACCES);
}

/* A receiver's certificate as small as it gets; dates and names are not looked at. */
static X509 *make_cert(EVP_PKEY *key)
{
	X509 *x = X509_new();

	assert_non_null(x);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static bool shake(SSL *a, SSL *b)
{
	int ra = 0, rb = 0;

	for (int i = 0; i < 20 && (ra != 1 || rb != 1); i++) {
		ra = SSL_do_handshake(a);
		rb = SSL_do_handshake(b);
	}
	return ra == 1 && rb == 1;
}

static SSL *end_of(SSL_CTX *ctx, BIO *bio, bool server)
{
	SSL *s = SSL_new(ctx);

	assert_non_null(s);
	SSL_set_bio(s, bio, bio);
	if (server)
		SSL_set_accept_state(s);
	else
		SSL_set_connect_state(s);
	return s;
}

static void both_ends_of_one_connection_see_one_channel(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = make_cert(key);
	SSL_CTX *sc = tls_context(true, NULL), *cc = tls_context(false, NULL);
	struct pairing_channel seen[4];

	(void)state;
	assert_non_null(sc);
	assert_non_null(cc);
	assert_int_equal(SSL_CTX_use_certificate(sc, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(sc, key), 1);
	for (size_t i = 0; i < 2; i++) {
		BIO *left, *right;

		assert_int_equal(BIO_new_bio_pair(&left, 0, &right, 0), 1);
		SSL *s = end_of(sc, left, true), *c = end_of(cc, right, false);
		assert_true(shake(c, s));
		assert_int_equal(SSL_version(c), TLS1_3_VERSION);
		X509 *peer = SSL_get1_peer_certificate(c);
		assert_int_equal(tls_channel(s, cert, seen + 2 * i, NULL), 0);
		assert_int_equal(tls_channel(c, peer, seen + 2 * i + 1, NULL), 0);
		X509_free(peer);
		SSL_free(s);
		SSL_free(c);
	}
	assert_memory_equal(seen, seen + 1, sizeof *seen);
	assert_memory_equal(seen[0].spki, seen[2].spki, DIGEST_LEN);
	assert_memory_not_equal(seen[0].exporter, seen[2].exporter, EXPORTER_LEN);
	assert_true(tls_spki_digest(NULL, seen[0].spki) < 0);
	SSL_CTX_free(sc);
	SSL_CTX_free(cc);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void an_older_tls_is_refused(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = make_cert(key);
	SSL_CTX *sc = tls_context(true, NULL), *cc = SSL_CTX_new(TLS_client_method());
	BIO *left, *right;

	(void)state;
	assert_int_equal(SSL_CTX_use_certificate(sc, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(sc, key), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(cc, TLS1_2_VERSION), 1);
	assert_int_equal(BIO_new_bio_pair(&left, 0, &right, 0), 1);
	SSL *s = end_of(sc, left, true), *c = end_of(cc, right, false);
	assert_false(shake(c, s));
	SSL_free(s);
	SSL_free(c);
	SSL_CTX_free(sc);
	SSL_CTX_free(cc);
	X509_free(cert);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_proofs_of_a_known_code_are_those_of_the_document),
		cmocka_unit_test(a_code_survives_being_typed_badly),
		cmocka_unit_test(a_mistyped_code_is_noticed_before_it_is_sent),
		cmocka_unit_test(a_proof_holds_for_one_channel_key_and_code_only),
		cmocka_unit_test(a_login_cannot_be_replayed_relayed_or_widened),
		cmocka_unit_test(a_seal_covers_every_number_in_it),
		cmocka_unit_test(both_ends_of_one_connection_see_one_channel),
		cmocka_unit_test(an_older_tls_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
