/* SPDX-License-Identifier: GPL-3.0-or-later */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "keymethod.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "ipc.h"

struct keymethod {
	int channel;
	uint64_t deadline_ms;
	EC_KEY_METHOD *method;
	EVP_PKEY *key;
};

/* OpenSSL gives the callback nothing but the EC_KEY: this slot leads back to the channel. */
static int slot(void)
{
	static int index = -1;

	if (index < 0)
		index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static int answer(const struct keymethod *k, struct ipc_msg *m)
{
	struct pollfd p = { .fd = k->channel, .events = POLLIN };

	for (;;) {
		int left = clock_left_ms(k->deadline_ms), r;

		if (!left)
			return -ETIMEDOUT;
		if (poll(&p, 1, left) < 0 && errno != EINTR)
			return -errno;
		r = ipc_recv(k->channel, m, NULL, NULL, NULL);
		if (r)
			return r < 0 ? r : 0;
	}
}

/* ECDSA_sign() as the keeper does it. Room for the signature is ECDSA_size(). */
static int sign_far(int type, const unsigned char *digest, int len, unsigned char *sig,
		    unsigned int *sig_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	const struct keymethod *k = EC_KEY_get_ex_data(key, slot());
	struct ipc_msg m;

	(void)type;
	(void)kinv;
	(void)r;
	if (!k || len != DIGEST_LEN)
		return 0;
	ipc_init(&m, IPC_SIGN);
	m.blob_len = DIGEST_LEN;
	memcpy(m.blob, digest, DIGEST_LEN);
	if (ipc_send(k->channel, &m, NULL, 0, NULL) < 0 || answer(k, &m) < 0)
		return 0;
	if (m.type != IPC_SIGNED || !m.a || m.a != m.blob_len || m.a > (uint64_t)ECDSA_size(key))
		return 0;
	memcpy(sig, m.blob, m.blob_len);
	*sig_len = m.blob_len;
	return 1;
}

static EC_KEY *public_half(X509 *cert)
{
	const EC_KEY *from = EVP_PKEY_get0_EC_KEY(X509_get0_pubkey(cert));

	return from ? EC_KEY_dup(from) : NULL;
}

static int make(struct keymethod *k, X509 *cert)
{
	EC_KEY *ec = public_half(cert);

	k->method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	k->key = EVP_PKEY_new();
	if (!ec || !k->method || !k->key) {
		EC_KEY_free(ec);
		return -ENOMEM;
	}
	EC_KEY_METHOD_set_sign(k->method, sign_far, NULL, NULL);
	if (EC_KEY_set_method(ec, k->method) != 1 || EC_KEY_set_ex_data(ec, slot(), k) != 1 ||
	    EVP_PKEY_assign_EC_KEY(k->key, ec) != 1) {
		EC_KEY_free(ec);
		return -EINVAL;
	}
	return 0;
}

int keymethod_new(X509 *cert, int channel, uint64_t deadline_ms, struct keymethod **ret,
		  struct err *e)
{
	struct keymethod *k = calloc(1, sizeof *k);

	if (!k)
		return err_set(e, ERR_SYS, ENOMEM, "TLS key");
	k->channel = channel;
	k->deadline_ms = deadline_ms;
	if (make(k, cert) < 0) {
		keymethod_free(k);
		return err_set(e, ERR_SYS, EINVAL, "the certificate has no usable EC key");
	}
	*ret = k;
	return 0;
}

void keymethod_free(struct keymethod *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	EC_KEY_METHOD_free(k->method);
	free(k);
}

EVP_PKEY *keymethod_key(const struct keymethod *k)
{
	return k->key;
}
