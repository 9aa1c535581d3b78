/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

/* Without I, L, O and U: on a bad console they look like 1, 1, 0 and V. I, L and O are forgiven. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define CODE_BITS 130
#define LOGIN_LABEL "transit-login-1"
#define SEAL_LABEL "transit-manifest-1"

static void free_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void free_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

int pairing_code_make(struct pairing_code *ret, struct err *e)
{
	if (getrandom(ret->bytes, CODE_BYTES, 0) != CODE_BYTES)
		return err_set(e, ERR_SYS, errno, "random bytes for a pairing code");
	ret->bytes[CODE_BYTES - 1] &= 0xc0;
	return 0;
}

/* Five bits from bit ${at} on, the first bit being the highest of byte 0. */
static unsigned five_bits(const uint8_t *p, size_t at)
{
	unsigned two = (unsigned)p[at / 8] << 8;

	if (at / 8 + 1 < CODE_BYTES)
		two |= p[at / 8 + 1];
	return two >> (11 - at % 8) & 31;
}

/* Ten bits that catch typing errors; they tell nothing a guesser could not compute himself. */
static int check_chars(const struct pairing_code *c, char ret[static 2])
{
	static const char label[] = "transit-code-check-1";
	uint8_t in[sizeof label - 1 + CODE_BYTES], out[DIGEST_LEN];

	memcpy(in, label, sizeof label - 1);
	memcpy(in + sizeof label - 1, c->bytes, CODE_BYTES);
	int ok = EVP_Digest(in, sizeof in, out, NULL, EVP_sha256(), NULL);
	OPENSSL_cleanse(in, sizeof in);
	ret[0] = alphabet[out[0] >> 3];
	ret[1] = alphabet[out[1] >> 3];
	return ok == 1 ? 0 : -EIO;
}

void pairing_code_text(const struct pairing_code *c, char ret[static CODE_TEXT_LEN])
{
	char chars[CODE_CHARS] = { 0 };
	size_t o = 0;

	for (size_t i = 0; i < CODE_BITS / 5; i++)
		chars[i] = alphabet[five_bits(c->bytes, 5 * i)];
	if (check_chars(c, chars + CODE_BITS / 5) < 0)
		memset(chars + CODE_BITS / 5, '-', 2);
	for (size_t i = 0; i < CODE_CHARS; i++) {
		if (i && i % 4 == 0)
			ret[o++] = '-';
		ret[o++] = chars[i];
	}
	ret[o] = 0;
	OPENSSL_cleanse(chars, sizeof chars);
}

static int value_of(char c)
{
	char up = (char)toupper((unsigned char)c);
	const char *at;

	if (up == 'I' || up == 'L')
		up = '1';
	if (up == 'O')
		up = '0';
	at = up ? strchr(alphabet, up) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

int pairing_code_parse(const char *text, struct pairing_code *ret, struct err *e)
{
	struct pairing_code c = { 0 };
	char given[2] = { 0 }, right[2];
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		if (*p == '-' || isspace((unsigned char)*p))
			continue;
		int v = value_of(*p);
		if (v < 0 || n == CODE_CHARS)
			return err_set(e, ERR_USAGE, EINVAL,
				       v < 0
					   ? "the pairing code holds a character that no code has"
					   : "the pairing code is too long: it has 28 characters");
		if (n >= CODE_BITS / 5) {
			given[n - CODE_BITS / 5] = alphabet[v];
		} else {
			size_t at = 5 * n;
			unsigned two = (unsigned)v << (11 - at % 8);

			c.bytes[at / 8] = (uint8_t)(c.bytes[at / 8] | two >> 8);
			if (at / 8 + 1 < CODE_BYTES)
				c.bytes[at / 8 + 1] = (uint8_t)(c.bytes[at / 8 + 1] | (two & 255));
		}
		n++;
	}
	if (n != CODE_CHARS)
		return err_set(e, ERR_USAGE, EINVAL,
			       "the pairing code has %zu characters instead of 28", n);
	if (check_chars(&c, right) < 0 || memcmp(given, right, 2) != 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "the pairing code is mistyped: its check characters do not fit");
	*ret = c;
	pairing_code_wipe(&c);
	return 0;
}

void pairing_code_wipe(struct pairing_code *c)
{
	OPENSSL_cleanse(c, sizeof *c);
}

static int hkdf(const struct pairing_code *c, const uint8_t *salt, size_t salt_len, uint8_t *info,
		size_t info_len, uint8_t *ret, size_t ret_len)
{
	char sha256[] = "SHA256";
	struct pairing_code key = *c;
	uint8_t salt_copy[DIGEST_LEN] = { 0 };
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;

	if (salt_len)
		memcpy(salt_copy, salt, salt_len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.bytes, CODE_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_copy, salt_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
		OSSL_PARAM_construct_end(),
	};
	int ok = ctx && EVP_KDF_derive(ctx, ret, ret_len, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	pairing_code_wipe(&key);
	return ok ? 0 : -EIO;
}

int pairing_ticket(const struct pairing_code *c, uint8_t ret[static TICKET_LEN])
{
	uint8_t info[] = "transit-ticket-1";

	return hkdf(c, NULL, 0, info, sizeof info - 1, ret, TICKET_LEN);
}

/* HMAC(K, who | task), K bound to the channel, the sender's key and the ticket. */
static int proof(const struct pairing_code *c, const struct pairing_channel *ch, const uint8_t *pub,
		 const char *who, const uint8_t *task, uint8_t *ret)
{
	static const char label[] = "transit-pair-1";
	uint8_t info[sizeof label - 1 + EXPORTER_LEN + PUBKEY_LEN + TICKET_LEN];
	uint8_t key[DIGEST_LEN], text[2 + TASK_ID_LEN];
	uint8_t *p = info;
	size_t text_len = 2;
	unsigned n = 0;

	memcpy(p, label, sizeof label - 1);
	p += sizeof label - 1;
	memcpy(p, ch->exporter, EXPORTER_LEN);
	memcpy(p + EXPORTER_LEN, pub, PUBKEY_LEN);
	int r = pairing_ticket(c, p + EXPORTER_LEN + PUBKEY_LEN);
	if (r < 0)
		return r;
	r = hkdf(c, ch->spki, DIGEST_LEN, info, sizeof info, key, sizeof key);
	if (r < 0)
		return r;
	text[0] = (uint8_t)who[0];
	text[1] = (uint8_t)who[1];
	if (task) {
		memcpy(text + 2, task, TASK_ID_LEN);
		text_len += TASK_ID_LEN;
	}
	bool ok =
	    HMAC(EVP_sha256(), key, (int)sizeof key, text, text_len, ret, &n) && n == PROOF_LEN;
	OPENSSL_cleanse(key, sizeof key);
	return ok ? 0 : -EIO;
}

int pairing_proof_tx(const struct pairing_code *c, const struct pairing_channel *ch,
		     const uint8_t pub[static PUBKEY_LEN], uint8_t ret[static PROOF_LEN])
{
	return proof(c, ch, pub, "tx", NULL, ret);
}

int pairing_proof_rx(const struct pairing_code *c, const struct pairing_channel *ch,
		     const uint8_t pub[static PUBKEY_LEN], const uint8_t task[static TASK_ID_LEN],
		     uint8_t ret[static PROOF_LEN])
{
	return proof(c, ch, pub, "rx", task, ret);
}

int pairing_key_make(uint8_t ret_priv[static PRIVKEY_LEN], uint8_t ret_pub[static PUBKEY_LEN],
		     struct err *e)
{
	scoped(free_key) EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t priv_len = PRIVKEY_LEN, pub_len = PUBKEY_LEN;

	if (!k || EVP_PKEY_get_raw_private_key(k, ret_priv, &priv_len) != 1 ||
	    EVP_PKEY_get_raw_public_key(k, ret_pub, &pub_len) != 1)
		return err_set(e, ERR_SYS, EIO, "make an Ed25519 key");
	return 0;
}

int pairing_key_public(const uint8_t priv[static PRIVKEY_LEN], uint8_t ret_pub[static PUBKEY_LEN])
{
	scoped(free_key) EVP_PKEY *k =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, priv, PRIVKEY_LEN);
	size_t len = PUBKEY_LEN;

	return k && EVP_PKEY_get_raw_public_key(k, ret_pub, &len) == 1 ? 0 : -EIO;
}

static int sign(const uint8_t *priv, const uint8_t *text, size_t len, uint8_t *ret_sig)
{
	scoped(free_key) EVP_PKEY *k =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, priv, PRIVKEY_LEN);
	scoped(free_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = SIGNATURE_LEN;

	if (!k || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, k) != 1 ||
	    EVP_DigestSign(ctx, ret_sig, &sig_len, text, len) != 1 || sig_len != SIGNATURE_LEN)
		return -EIO;
	return 0;
}

static int check(const uint8_t *pub, const uint8_t *text, size_t len, const uint8_t *sig)
{
	scoped(free_key) EVP_PKEY *k =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, PUBKEY_LEN);
	scoped(free_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!k || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k) != 1)
		return -EACCES;
	return EVP_DigestVerify(ctx, sig, SIGNATURE_LEN, text, len) == 1 ? 0 : -EACCES;
}

#define LOGIN_TEXT_LEN                                                                             \
	(sizeof LOGIN_LABEL - 1 + NONCE_LEN + EXPORTER_LEN + DIGEST_LEN + TASK_ID_LEN + 9)

static void login_text(const struct msg_login *m, const uint8_t *nonce,
		       const struct pairing_channel *ch, uint8_t ret[static LOGIN_TEXT_LEN])
{
	uint8_t *p = ret;

	memcpy(p, LOGIN_LABEL, sizeof LOGIN_LABEL - 1);
	p += sizeof LOGIN_LABEL - 1;
	memcpy(p, nonce, NONCE_LEN);
	p += NONCE_LEN;
	memcpy(p, ch->exporter, EXPORTER_LEN);
	p += EXPORTER_LEN;
	memcpy(p, ch->spki, DIGEST_LEN);
	p += DIGEST_LEN;
	memcpy(p, m->task, TASK_ID_LEN);
	p += TASK_ID_LEN;
	p[0] = (uint8_t)m->role;
	put_be64(p + 1, m->epoch);
}

int pairing_login_sign(const uint8_t priv[static PRIVKEY_LEN], const struct msg_login *m,
		       const uint8_t nonce[static NONCE_LEN], const struct pairing_channel *ch,
		       uint8_t ret_sig[static SIGNATURE_LEN])
{
	uint8_t text[LOGIN_TEXT_LEN];

	login_text(m, nonce, ch, text);
	return sign(priv, text, sizeof text, ret_sig);
}

int pairing_login_check(const struct msg_login *m, const uint8_t nonce[static NONCE_LEN],
			const struct pairing_channel *ch)
{
	uint8_t text[LOGIN_TEXT_LEN];

	login_text(m, nonce, ch, text);
	return check(m->pub, text, sizeof text, m->sig);
}

static size_t seal_text(const struct msg_seal *m, uint8_t *out, size_t room)
{
	const size_t label = sizeof SEAL_LABEL - 1;
	size_t n = msg_seal_statement(m, out + label, room - label);

	memcpy(out, SEAL_LABEL, label);
	return n ? label + n : 0;
}

int pairing_seal_sign(const uint8_t priv[static PRIVKEY_LEN], struct msg_seal *m)
{
	uint8_t text[sizeof SEAL_LABEL + MSG_SEAL_MAX];
	size_t n = seal_text(m, text, sizeof text);

	return n ? sign(priv, text, n, m->sig) : -EINVAL;
}

int pairing_seal_check(const uint8_t pub[static PUBKEY_LEN], const struct msg_seal *m)
{
	uint8_t text[sizeof SEAL_LABEL + MSG_SEAL_MAX];
	size_t n = seal_text(m, text, sizeof text);

	return n ? check(pub, text, n, m->sig) : -EACCES;
}
