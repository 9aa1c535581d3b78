/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message.h - the payloads of frame.h as plain structs, to and from bytes
 *
 * Source  docs/wire-protocol.md. Every *_decode checks length, ranges and reserved bytes and
 *         returns -EPROTO with words; every *_encode writes exactly its _LEN bytes (or returns the
 *         length it wrote). Strings are NUL-terminated in the structs, bounded on the wire, and
 *         printable ASCII there: encoders write '?' for anything else, decoders refuse it.
 */
#ifndef BLOCKIO_MESSAGE_H
#define BLOCKIO_MESSAGE_H

#include "frame.h"

#define NONCE_LEN 32
#define TASK_ID_LEN 16
#define TICKET_LEN 8
#define PUBKEY_LEN 32 /* raw Ed25519 */
#define PROOF_LEN 32
#define SIGNATURE_LEN 64
#define IDENTITY_LEN 96

#define MSG_HELLO_LEN 64
#define MSG_PAIR_LEN 128
#define MSG_LOGIN_LEN 256
#define MSG_WELCOME_LEN 128
#define MSG_OPEN_LEN 128
#define MSG_OPENED_LEN 64
#define MSG_RUN_LEN 8 /* ZERO, UNCHANGED */
#define MSG_HAVE_ASK_LEN 16
#define MSG_DURABLE_LEN 16
#define MSG_PING_LEN 8
#define MSG_PROBED_LEN 16
#define MSG_SEAL_DISK_LEN 56
#define MSG_SEAL_MAX (40 + DISKS_MAX * MSG_SEAL_DISK_LEN + SIGNATURE_LEN)

/* The words of docs/task-states.md; the numbers are on the wire and in stored tasks. */
enum task_state {
	TASK_WAITING = 1,
	TASK_PAIRED = 2,
	TASK_RECEIVING = 3,
	TASK_PAUSED = 4,
	TASK_INTERRUPTED = 5,
	TASK_RECEIVED = 6,
	TASK_VERIFYING = 7,
	TASK_VERIFIED = 8,
	TASK_FINALIZING = 9,
	TASK_READY = 10,
	TASK_HANDED_BACK = 11,
	TASK_FAILED = 12,
	TASK_ABORTED = 13,
};

const char *task_state_word(enum task_state s);
/* 0 and *ret, or -EINVAL. */
int task_state_from_word(const char *word, enum task_state *ret);

/* clang-format off */
enum wire_error {
	WIRE_PROTOCOL = 1,       /* bytes that break the contract */
	WIRE_VERSION_RANGE = 2,  /* no version in common */
	WIRE_WRONG_CODE = 3,     /* the proof does not fit the code */
	WIRE_CODE_EXPIRED = 4,   /* the code is too old, or none is open */
	WIRE_CODE_USED = 5,      /* paired already, with another key */
	WIRE_NOT_PAIRED = 6,     /* this key is not the pinned one */
	WIRE_BAD_LOGIN = 7,      /* the signature does not fit this connection */
	WIRE_BUSY = 8,           /* another sender holds the task */
	WIRE_STALE_EPOCH = 9,    /* a newer session has begun */
	WIRE_NO_TICKET = 10,     /* this disk is not in the task */
	WIRE_TOO_SMALL = 11,     /* the target disk is smaller than the source */
	WIRE_SECTOR_SIZE = 12,   /* the target's logical sectors do not fit */
	WIRE_DISK_FAILED = 13,   /* writing or flushing the target failed */
	WIRE_DIGEST = 14,        /* the block is not what its digest says; nothing was written */
	WIRE_PAUSED = 15,        /* the operator paused the task */
	WIRE_STATE = 16,         /* not possible in the task's state */
	WIRE_SEAL = 17,          /* the manifest's signature or lists do not fit */
	WIRE_LIMIT = 18,         /* too many connections, too slow, too much */
	WIRE_INTERNAL = 19,      /* our fault; the receiver's log says more */
	WIRE_GENERATION = 20,    /* a generation fell, or two contents have the same one */
	WIRE_DISK_REFUSED = 21,  /* the target disk is mounted, in use, or not the journal's */
	WIRE_ABORTED = 22,       /* the operator ended the task */
};
/* clang-format on */
/* "wrong-code", ...: the stable name of a refusal, in logs, JSON and docs. */
const char *wire_error_word(enum wire_error code);

struct msg_hello {
	uint16_t version_min, version_max;
	uint8_t nonce[NONCE_LEN];
};
struct msg_pair {
	uint16_t version;
	uint8_t ticket[TICKET_LEN];
	uint8_t pub[PUBKEY_LEN];
	uint8_t proof[PROOF_LEN];
};
enum login_role {
	LOGIN_SESSION = 1,
	LOGIN_DATA = 2,
	LOGIN_PROBE = 3, /* measures the line: opens no disk, ends no session */
};
struct msg_login {
	uint16_t version;
	enum login_role role;
	uint8_t task[TASK_ID_LEN];
	uint8_t pub[PUBKEY_LEN];
	/* 0 for a new session (the receiver makes it) and for a probe (it has none); else that of
	 * the session, which a data connection joins and a session's connection goes on with */
	uint64_t epoch;
	uint8_t sig[SIGNATURE_LEN];
};
struct msg_welcome {
	uint16_t version;
	enum task_state state;
	uint8_t task[TASK_ID_LEN];
	uint64_t epoch; /* 0 in the answer to PAIR and to a probe */
	uint32_t block_size;
	uint32_t disks;           /* bit N: disk N is in the task */
	uint8_t proof[PROOF_LEN]; /* the receiver's, in the answer to PAIR; else zero */
};
struct msg_open {
	uint64_t size; /* bytes of the source disk */
	uint32_t logical_sector, physical_sector;
	char identity[IDENTITY_LEN]; /* shown to people, never trusted */
};
struct msg_opened {
	uint64_t target_size;
	uint64_t blocks;  /* of the source's size, the last one may be short */
	uint64_t claimed; /* blocks durable now */
	uint32_t block_size;
};
enum have_kind { HAVE_DATA = 1, HAVE_ZERO = 2 };
struct have_entry {
	uint64_t block;
	uint32_t count; /* 1 for data */
	uint32_t gen;
	enum have_kind kind;
	uint8_t digest[DIGEST_LEN]; /* zero for HAVE_ZERO */
};
struct msg_have_ask {
	uint64_t block;
	uint64_t count; /* at least 1 */
};
struct msg_durable {
	uint64_t claimed; /* blocks of this disk durable now */
	uint64_t written; /* plain bytes written to it since the task began */
};
struct msg_probed {
	uint64_t bytes; /* of PROBE payloads that have come since the login */
};
struct msg_seal_disk {
	uint8_t disk;
	uint64_t size;
	uint64_t blocks;
	uint8_t list_digest[DIGEST_LEN]; /* SHA-256 over the concatenated block digests */
};
struct msg_seal {
	uint8_t task[TASK_ID_LEN];
	uint64_t sealed_at; /* seconds since 1970 at the source; shown only */
	uint32_t block_size;
	uint32_t n_disks;
	struct msg_seal_disk disks[DISKS_MAX]; /* rising disk numbers, all disks of the task */
	uint8_t sig[SIGNATURE_LEN];
};
struct msg_state {
	enum task_state state;
	uint64_t done, total; /* bytes re-read, while verifying */
	uint64_t mismatched;  /* blocks found different: they are unclaimed and wanted again */
	char text[WIRE_TEXT_MAX + 1];
};
struct msg_error {
	enum wire_error code;
	char text[WIRE_TEXT_MAX + 1];
};

void msg_hello_encode(const struct msg_hello *m, uint8_t out[static MSG_HELLO_LEN]);
int msg_hello_decode(const uint8_t *p, size_t len, struct msg_hello *ret, struct err *e);
void msg_pair_encode(const struct msg_pair *m, uint8_t out[static MSG_PAIR_LEN]);
int msg_pair_decode(const uint8_t *p, size_t len, struct msg_pair *ret, struct err *e);
void msg_login_encode(const struct msg_login *m, uint8_t out[static MSG_LOGIN_LEN]);
int msg_login_decode(const uint8_t *p, size_t len, struct msg_login *ret, struct err *e);
void msg_welcome_encode(const struct msg_welcome *m, uint8_t out[static MSG_WELCOME_LEN]);
int msg_welcome_decode(const uint8_t *p, size_t len, struct msg_welcome *ret, struct err *e);
void msg_open_encode(const struct msg_open *m, uint8_t out[static MSG_OPEN_LEN]);
int msg_open_decode(const uint8_t *p, size_t len, struct msg_open *ret, struct err *e);
void msg_opened_encode(const struct msg_opened *m, uint8_t out[static MSG_OPENED_LEN]);
int msg_opened_decode(const uint8_t *p, size_t len, struct msg_opened *ret, struct err *e);
/* ZERO and UNCHANGED: how many blocks from header.block on, at least 1. */
void msg_run_encode(uint64_t count, uint8_t out[static MSG_RUN_LEN]);
int msg_run_decode(const uint8_t *p, size_t len, uint64_t *ret_count, struct err *e);
void msg_have_ask_encode(const struct msg_have_ask *m, uint8_t out[static MSG_HAVE_ASK_LEN]);
int msg_have_ask_decode(const uint8_t *p, size_t len, struct msg_have_ask *ret, struct err *e);
void have_entry_encode(const struct have_entry *m, uint8_t out[static HAVE_ENTRY_LEN]);
int have_entry_decode(const uint8_t *p, struct have_entry *ret, struct err *e);
void msg_probed_encode(const struct msg_probed *m, uint8_t out[static MSG_PROBED_LEN]);
int msg_probed_decode(const uint8_t *p, size_t len, struct msg_probed *ret, struct err *e);
void msg_durable_encode(const struct msg_durable *m, uint8_t out[static MSG_DURABLE_LEN]);
int msg_durable_decode(const uint8_t *p, size_t len, struct msg_durable *ret, struct err *e);
/* Everything but the signature: what is signed, after the label. Returns its length. */
size_t msg_seal_statement(const struct msg_seal *m, uint8_t *out, size_t room);
size_t msg_seal_encode(const struct msg_seal *m, uint8_t out[static MSG_SEAL_MAX]);
int msg_seal_decode(const uint8_t *p, size_t len, struct msg_seal *ret, struct err *e);
/* 32 bytes and the text. A longer text is cut. */
size_t msg_state_encode(const struct msg_state *m, uint8_t *out, size_t room);
int msg_state_decode(const uint8_t *p, size_t len, struct msg_state *ret, struct err *e);
/* 4 bytes and the text. */
size_t msg_error_encode(const struct msg_error *m, uint8_t *out, size_t room);
int msg_error_decode(const uint8_t *p, size_t len, struct msg_error *ret, struct err *e);

#endif
