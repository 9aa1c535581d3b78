/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_key.h - the receiver's TLS key: made once, never leaves this process
 *
 * Shape   STATE/key.pem (0600): an EC P-256 key and its self-signed certificate. There is no CA:
 *         the sender pins the SHA-256 of the SubjectPublicKeyInfo, dates and names mean nothing.
 * Errors  a key.pem that is there and cannot be read is an error, not a reason for a new key:
 *         every paired sender would then be told that it talks to a stranger.
 */
#ifndef RECEIVER_KEEPER_KEY_H
#define RECEIVER_KEEPER_KEY_H

#include "pairing.h"

#define CERT_DER_MAX 1024
#define TLS_SIGNATURE_MAX 128

struct keeper_key;

int keeper_key_open(const char *state_dir, struct keeper_key **ret, struct err *e);
void keeper_key_close(struct keeper_key *k);
/* Signs a SHA-256 digest (ECDSA, DER). */
int keeper_key_sign(struct keeper_key *k, const uint8_t digest[static DIGEST_LEN],
		    uint8_t ret[static TLS_SIGNATURE_MAX], size_t *ret_len, struct err *e);
/* Both are borrowed until close. */
const uint8_t *keeper_key_cert(const struct keeper_key *k, size_t *ret_len);
const uint8_t *keeper_key_spki(const struct keeper_key *k);

#endif
