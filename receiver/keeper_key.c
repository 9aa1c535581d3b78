/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper_key.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "store.h"
#include "tls.h"

#define KEY_FILE "key.pem"
#define KEY_FILE_MAX (16 * KIB)
#define VALID_DAYS 36500L /* dates are not trust; a pin is */

struct keeper_key {
	EVP_PKEY *key;
	X509 *cert;
	uint8_t der[CERT_DER_MAX];
	size_t der_len;
	uint8_t spki[DIGEST_LEN];
};

static void bio_freep(BIO **b)
{
	BIO_free(*b);
	*b = NULL;
}

void keeper_key_close(struct keeper_key *k)
{
	if (!k)
		return;
	X509_free(k->cert);
	EVP_PKEY_free(k->key); /* wipes the number */
	free(k);
}

static int name_and_date(X509 *x)
{
	uint8_t serial[16];
	X509_NAME *name = X509_get_subject_name(x);
	BIGNUM *n;
	int ok;

	if (getrandom(serial, sizeof serial, 0) != (ssize_t)sizeof serial)
		return -EIO;
	serial[0] &= 0x7f;
	n = BN_bin2bn(serial, sizeof serial, NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) && X509_set_version(x, 2) &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const unsigned char *)"transit receiver", -1, -1, 0) &&
	     X509_set_issuer_name(x, name) && X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
	     X509_time_adj_ex(X509_getm_notAfter(x), VALID_DAYS, 0, NULL);
	BN_free(n);
	return ok ? 0 : -EIO;
}

static int make(struct keeper_key *k, struct err *e)
{
	k->key = EVP_EC_gen("P-256");
	k->cert = X509_new();
	if (!k->key || !k->cert || name_and_date(k->cert) || !X509_set_pubkey(k->cert, k->key) ||
	    !X509_sign(k->cert, k->key, EVP_sha256()))
		return tls_err(e, ERR_SYS, "make the TLS key");
	return 0;
}

static int save(const struct keeper_key *k, const char *state_dir, struct err *e)
{
	scoped(bio_freep) BIO *out = BIO_new(BIO_s_secmem());
	char *text;
	long len;
	int r;

	if (!out || !PEM_write_bio_PrivateKey(out, k->key, NULL, NULL, 0, NULL, NULL) ||
	    !PEM_write_bio_X509(out, k->cert))
		return tls_err(e, ERR_SYS, "write the TLS key");
	len = BIO_get_mem_data(out, &text);
	r = store_write(state_dir, KEY_FILE, text, (size_t)len, e);
	OPENSSL_cleanse(text, (size_t)len);
	return r;
}

static int parse(struct keeper_key *k, const char *text, size_t len, struct err *e)
{
	scoped(bio_freep) BIO *in = BIO_new_mem_buf(text, (int)len);

	if (in)
		k->key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	if (k->key)
		k->cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (!k->cert || X509_check_private_key(k->cert, k->key) != 1)
		return tls_err(e, ERR_SYS, "it holds no key with its certificate");
	return 0;
}

static int load(struct keeper_key *k, const char *state_dir, struct err *e)
{
	char *text = NULL;
	size_t len;
	int r = store_read(state_dir, KEY_FILE, KEY_FILE_MAX, &text, &len, e);

	if (r)
		return r;
	r = parse(k, text, len, e);
	OPENSSL_cleanse(text, len);
	free(text);
	return err_under(e, r, "'%s/" KEY_FILE "' (remove it for a new key; senders pair again)",
			 state_dir);
}

static int derive(struct keeper_key *k, struct err *e)
{
	unsigned char *p = k->der;
	int len = i2d_X509(k->cert, NULL);

	if (len <= 0 || len > CERT_DER_MAX || i2d_X509(k->cert, &p) != len ||
	    tls_spki_digest(k->cert, k->spki))
		return err_set(e, ERR_SYS, EIO, "encode the certificate");
	k->der_len = (size_t)len;
	return 0;
}

int keeper_key_open(const char *state_dir, struct keeper_key **ret, struct err *e)
{
	struct keeper_key *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return err_set(e, ERR_SYS, ENOMEM, "the TLS key");
	r = load(k, state_dir, e);
	if (r == -ENOENT) {
		r = make(k, e);
		if (!r)
			r = save(k, state_dir, e);
	}
	if (!r)
		r = derive(k, e);
	if (r)
		keeper_key_close(k);
	else
		*ret = k;
	return r;
}

int keeper_key_sign(struct keeper_key *k, const uint8_t digest[static DIGEST_LEN],
		    uint8_t ret[static TLS_SIGNATURE_MAX], size_t *ret_len, struct err *e)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
	size_t len = TLS_SIGNATURE_MAX;
	int ok = c && EVP_PKEY_sign_init(c) > 0 &&
		 EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) > 0 &&
		 EVP_PKEY_sign(c, ret, &len, digest, DIGEST_LEN) > 0;

	EVP_PKEY_CTX_free(c);
	if (!ok)
		return tls_err(e, ERR_SYS, "sign a handshake");
	*ret_len = len;
	return 0;
}

const uint8_t *keeper_key_cert(const struct keeper_key *k, size_t *ret_len)
{
	*ret_len = k->der_len;
	return k->der;
}

const uint8_t *keeper_key_spki(const struct keeper_key *k)
{
	return k->spki;
}
