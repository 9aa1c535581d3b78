/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* The question mark: take the hybrid group where the library has it, and do without elsewhere. */
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
#define TLS_GROUPS "?X25519MLKEM768:X25519:P-256"
#else
#define TLS_GROUPS "X25519:P-256"
#endif

/* AES-128-GCM first: the client's order counts, and it is the cheapest by a tenth with AES-NI. */
#define TLS_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* Read-ahead takes many records in one read(2). Only touched pages of it cost memory. */
#define TLS_READ_BUFFER (256 * KIB)

int tls_err(struct err *e, enum err_kind kind, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	char text[160] = "no cause given";

	if (code)
		ERR_error_string_n(code, text, sizeof text);
	ERR_clear_error();
	(void)err_set(e, kind, 0, "%s: %s", what, text);
	return -EIO;
}

SSL_CTX *tls_context(bool server, struct err *e)
{
	char groups[] = TLS_GROUPS;
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!ctx) {
		(void)tls_err(e, ERR_SYS, "TLS context");
		return NULL;
	}
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, TLS_SUITES) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_max_early_data(ctx, 0) != 1) {
		(void)tls_err(e, ERR_SYS, "TLS settings");
		SSL_CTX_free(ctx);
		return NULL;
	}
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					   SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(ctx,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* No chain, no names, no dates: the receiver is known by its SPKI digest alone. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, TLS_READ_BUFFER);
	return ctx;
}

int tls_spki_digest(X509 *cert, uint8_t ret[static DIGEST_LEN])
{
	unsigned char *der = NULL;
	int len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;

	if (len <= 0)
		return -EINVAL;
	int ok = EVP_Digest(der, (size_t)len, ret, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return ok == 1 ? 0 : -EIO;
}

int tls_channel(SSL *ssl, X509 *receiver_cert, struct pairing_channel *ret, struct err *e)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	struct pairing_channel ch;

	if (SSL_version(ssl) != TLS1_3_VERSION)
		return err_set(e, ERR_PEER, EPROTO, "the connection is not TLS 1.3");
	if (SSL_export_keying_material(ssl, ch.exporter, EXPORTER_LEN, label, sizeof label - 1,
				       NULL, 0, 0) != 1)
		return tls_err(e, ERR_SYS, "TLS exporter");
	if (tls_spki_digest(receiver_cert, ch.spki) < 0)
		return err_set(e, ERR_PEER, EPROTO, "the receiver showed no usable certificate");
	*ret = ch;
	return 0;
}
