/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pairing.h - the one-time code, the proofs made from it, and the signatures that follow
 *
 * Source  docs/wire-protocol.md, "Pairing" and "Login". HKDF-SHA256, HMAC-SHA256, Ed25519 only.
 * Secrets code and key bytes are wiped (OPENSSL_cleanse) by the *_wipe and *_free calls.
 */
#ifndef BLOCKIO_PAIRING_H
#define BLOCKIO_PAIRING_H

#include "message.h"

#define CODE_BYTES 17    /* 130 bits used: 26 base32 characters */
#define CODE_CHARS 28    /* 26 and 2 that check typing */
#define CODE_TEXT_LEN 48 /* in groups of four, with dashes and NUL */
#define EXPORTER_LEN 32
#define PRIVKEY_LEN 32

struct pairing_code {
	uint8_t bytes[CODE_BYTES]; /* the last 6 bits are zero */
};

int pairing_code_make(struct pairing_code *ret, struct err *e);
void pairing_code_text(const struct pairing_code *c, char ret[static CODE_TEXT_LEN]);
/* Case, dashes and spaces do not matter; ERR_USAGE when the check characters do not fit. */
int pairing_code_parse(const char *text, struct pairing_code *ret, struct err *e);
void pairing_code_wipe(struct pairing_code *c);

/* What names the ticket on the wire without telling the code. */
int pairing_ticket(const struct pairing_code *c, uint8_t ret[static TICKET_LEN]);

struct pairing_channel {
	uint8_t exporter[EXPORTER_LEN]; /* RFC 9266, "EXPORTER-Channel-Binding" */
	uint8_t spki[DIGEST_LEN];       /* SHA-256 of the receiver's SubjectPublicKeyInfo */
};

/* Proof of the sender ("tx") and of the receiver ("rx", which also covers the task id). */
int pairing_proof_tx(const struct pairing_code *c, const struct pairing_channel *ch,
		     const uint8_t pub[static PUBKEY_LEN], uint8_t ret[static PROOF_LEN]);
int pairing_proof_rx(const struct pairing_code *c, const struct pairing_channel *ch,
		     const uint8_t pub[static PUBKEY_LEN], const uint8_t task[static TASK_ID_LEN],
		     uint8_t ret[static PROOF_LEN]);

/* Ed25519 with raw keys. */
int pairing_key_make(uint8_t ret_priv[static PRIVKEY_LEN], uint8_t ret_pub[static PUBKEY_LEN],
		     struct err *e);
int pairing_key_public(const uint8_t priv[static PRIVKEY_LEN], uint8_t ret_pub[static PUBKEY_LEN]);

/* "transit-login-1" | nonce | exporter | spki | task | role u8 | epoch u64 */
int pairing_login_sign(const uint8_t priv[static PRIVKEY_LEN], const struct msg_login *m,
		       const uint8_t nonce[static NONCE_LEN], const struct pairing_channel *ch,
		       uint8_t ret_sig[static SIGNATURE_LEN]);
/* 0, or -EACCES when the signature does not fit. */
int pairing_login_check(const struct msg_login *m, const uint8_t nonce[static NONCE_LEN],
			const struct pairing_channel *ch);
/* "transit-manifest-1" | msg_seal_statement() */
int pairing_seal_sign(const uint8_t priv[static PRIVKEY_LEN], struct msg_seal *m);
int pairing_seal_check(const uint8_t pub[static PUBKEY_LEN], const struct msg_seal *m);

#endif
