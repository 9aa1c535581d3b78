/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keymethod.h - a private key that is in another process
 *
 * Shape   an EC key that has only its public half; each signature is asked for with IPC_SIGN and
 *         waited for until a deadline. The keeper signs once per connection and nothing but a
 *         digest of 32 bytes.
 * Source  OpenSSL 3.0's EC_KEY_METHOD: deprecated, and the only way to do this without writing a
 *         provider. When the base moves, a provider takes its place.
 * Owner   keymethod_free(NULL) does nothing; free after the SSL_CTX that uses the key.
 */
#ifndef RECEIVER_KEYMETHOD_H
#define RECEIVER_KEYMETHOD_H

#include <openssl/ssl.h>

#include "base/err.h"

struct keymethod;

/* ${channel} is borrowed; ${deadline_ms} is of clock.h. */
int keymethod_new(X509 *cert, int channel, uint64_t deadline_ms, struct keymethod **ret,
		  struct err *e);
void keymethod_free(struct keymethod *k);
/* Borrowed from ${k}. */
EVP_PKEY *keymethod_key(const struct keymethod *k);

#endif
