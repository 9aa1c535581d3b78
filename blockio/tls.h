/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls.h - the TLS settings both sides share: 1.3 only, three suites, two groups, no tickets
 *
 * Owner   tls_context() gives an SSL_CTX; the server adds its certificate and key, the client
 *         checks the SPKI digest itself (there is no CA).
 */
#ifndef BLOCKIO_TLS_H
#define BLOCKIO_TLS_H

#include <openssl/ssl.h>

#include "pairing.h"

/* NULL on failure, with words. Read-ahead and a 256 KiB read buffer are set; ALPN is the caller's.
 */
SSL_CTX *tls_context(bool server, struct err *e);
/* Exporter and SPKI digest of the receiver: ${receiver_cert} is the peer's certificate on the
 * sender, our own on the receiver. */
int tls_channel(SSL *ssl, X509 *receiver_cert, struct pairing_channel *ret, struct err *e);
int tls_spki_digest(X509 *cert, uint8_t ret[static DIGEST_LEN]);
/* The newest OpenSSL error in words, into ${e} as ${kind}. */
int tls_err(struct err *e, enum err_kind kind, const char *what);

#endif
