/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ipc.h - what the roles of receiverd say to each other
 *
 * Roles    launcher  the parent: holds the listening sockets and starts every other process; reads
 *                    no byte from the network, holds no key and no disk.
 *          listener  accepts, looks at the first bytes (MSG_PEEK), hands sockets to the launcher.
 *          conn      one process per connection: TLS, frames, expansion; no disk, no key, no path.
 *          keeper    the key, codes, tickets, pins, the task and its states, the control socket;
 *                    sees no network and no disk.
 *          writer    one process per disk: the disk, its journal, its manifest list.
 * Shape    SOCK_SEQPACKET pairs; every message is exactly one struct ipc_msg, zeroed before it is
 *          filled (no stale memory leaks), with up to IPC_FDS_MAX descriptors beside it.
 * Trust    conn is hostile to keeper and writer: an unknown type, a wrong size or a number out of
 *          range ends the channel. Names in the comments: who sends -> who hears.
 */
#ifndef RECEIVER_IPC_H
#define RECEIVER_IPC_H

#include "message.h"

#define IPC_TEXT_MAX 700
#define IPC_FDS_MAX 3

/* clang-format off */
enum ipc_type {
	/* listener -> launcher; fd: the accepted socket; text: peer address */
	IPC_ACCEPTED = 1,
	/* launcher -> keeper; fd: keeper's end of the channel to a new conn; a: conn number; text: peer */
	IPC_CONN_NEW = 2,
	/* launcher -> keeper; a: conn number or disk number, b: wait status, disk: role (enum role) */
	IPC_CHILD_END = 3,
	/* keeper -> launcher; fd: the writer's end of its channel; disk; a: block size, b: source size,
	 * c: last epoch known; blob: task id; text: path of the disk */
	IPC_START_WRITER = 4,
	/* keeper -> launcher; text: argv joined by '\n'; fd 0: stdout file, fd 1: stderr file; a: run id */
	IPC_START_BOOTFIX = 5,
	/* keeper -> launcher; a: run id. Ends it (SIGTERM, then SIGKILL) */
	IPC_STOP_BOOTFIX = 6,
	/* keeper -> launcher; a: conn number. Ends that conn process */
	IPC_KILL_CONN = 7,
	/* keeper -> launcher: all roles end, state is stored */
	IPC_QUIT = 8,

	/* conn -> keeper: 32 bytes of digest in blob to sign with the TLS key; once per connection */
	IPC_SIGN = 20,
	/* keeper -> conn: a: signature length, signature (DER) in blob */
	IPC_SIGNED = 21,
	/* conn -> keeper: the payloads of PAIR, LOGIN (blob) with exporter in digest2; answers below */
	IPC_PAIR = 22,
	IPC_LOGIN = 23,
	/* conn -> keeper: payload of OPEN in blob, disk */
	IPC_OPEN = 24,
	/* conn -> keeper: a: bytes in blob, b: offset, c: total; in order; complete when offset + a == c */
	IPC_FACTS = 25,
	IPC_SEAL = 26,
	/* keeper -> conn: a frame to send as it is: a: kind (WELCOME, STATE, ERROR, BYE), b: length,
	 * payload in blob. disk. After ERROR the conn closes. */
	IPC_SEND = 27,
	/* keeper -> conn: disk is open: fd 0: ring, fd 1: channel to its writer; OPENED payload in blob */
	IPC_OPENED = 28,
	/* keeper -> conn, first message: fd 0: none; nonce in digest; certificate DER length in a, DER in
	 * blob. What HELLO and the handshake need. */
	IPC_GREETING = 29,

	/* keeper -> writer: a new session may write: a: epoch. Channels of older epochs are closed. */
	IPC_EPOCH = 40,
	/* keeper -> writer: fd 0: ring, fd 1: channel to a conn; a: epoch; b: conn number */
	IPC_GRANT = 41,
	/* keeper -> writer: list digest in digest: check the list, re-read all, compare */
	IPC_VERIFY = 42,
	/* keeper -> writer: commit, close all channels, end */
	IPC_STOP = 43,
	/* keeper -> writer: stop a running verification; the disk may be written again. Without it the
	 * channels that were open when a verification began write no more, also after it ended. */
	IPC_VERIFY_STOP = 44,
	/* writer -> keeper: the disk is open: a: claimed, b: target size, c: sectors (logical<<32|physical),
	 * d: blocks unclaimed by the resume check; text: serial */
	IPC_WRITER_READY = 45,
	/* writer -> keeper: a: claimed, b: written bytes, c: pending bytes; at most four a second */
	IPC_WRITER_PROGRESS = 46,
	/* writer -> keeper: a: done, b: total */
	IPC_VERIFY_PROGRESS = 47,
	/* writer -> keeper: a: 0 equal, 1 different, 2 list does not fit the signed digest; b: blocks that
	 * differ; c: first of them; digest: whole-disk SHA-256; text: the first few block numbers */
	IPC_VERIFY_DONE = 48,
	/* writer -> keeper: final; a: errno; text says why (disk and offset). name in blob (refusal) */
	IPC_WRITER_FAILED = 49,

	/* conn -> writer. slot: index in the ring. seq counts this channel's frames. */
	IPC_PUT = 60,       /* a: block, b: gen, c: length, d: seq, slot; digest */
	IPC_PUT_ZERO = 61,  /* a: block, b: gen, c: count, d: seq */
	IPC_PUT_SAME = 62,  /* a: block, b: gen, c: count, d: seq */
	IPC_FLUSH = 63,     /* d: seq */
	IPC_HAVE_ASK = 64,  /* a: first, b: count; slot that may be filled */
	IPC_LIST = 65,      /* a: first block, b: number of digests, slot: manifest digests in the ring */
	/* writer -> conn */
	IPC_SLOT_FREE = 66, /* slot */
	IPC_DURABLE = 67,   /* d: seq; a: claimed, b: written */
	IPC_HAVE = 68,      /* slot: have entries in the ring; a: bytes; b: 1 on the last */
	IPC_FAULT = 69,     /* a: enum wire_error; text. The conn tells the sender and closes */
};
/* clang-format on */

enum role { ROLE_LAUNCHER, ROLE_LISTENER, ROLE_CONN, ROLE_KEEPER, ROLE_WRITER, ROLE_BOOTFIX };

struct ipc_msg {
	uint32_t type;
	uint32_t disk;
	uint32_t slot;
	uint32_t blob_len;
	uint64_t a, b, c, d;
	uint8_t digest[DIGEST_LEN];
	uint8_t digest2[DIGEST_LEN];
	uint8_t blob[1536]; /* holds the largest SEAL and a certificate */
	char text[IPC_TEXT_MAX + 1];
};

/* The short form of the hot path: what conn and writer exchange per block carries no blob or text.
 * On the channel it is the first IPC_SHORT_LEN bytes of struct ipc_msg; a receiver accepts exactly
 * that length or the whole struct. */
#define IPC_SHORT_LEN (offsetof(struct ipc_msg, digest2))

void ipc_init(struct ipc_msg *m, enum ipc_type type);
/* A SEQPACKET pair, close-on-exec, non-blocking when asked. */
int ipc_pair(int ret[static 2], struct err *e);
/* Sends short when blob, text and digest2 are empty. Blocks (poll) while the peer is slow, for at
 * most 30 s. -EPIPE when the peer is gone. */
int ipc_send(int fd, const struct ipc_msg *m, const int *fds, size_t n_fds, struct err *e);
/* The same without waiting: -EAGAIN when the peer's queue is full, nothing was sent. */
int ipc_try_send(int fd, const struct ipc_msg *m, const int *fds, size_t n_fds, struct err *e);
/* 1: a message, 0: nothing there now (non-blocking), -EPIPE: closed, -EPROTO: not a message. Text
 * is made NUL-terminated; descriptors are close-on-exec, *ret_n of them (at most IPC_FDS_MAX);
 * where ${ret_fds} is NULL they are closed. */
int ipc_recv(int fd, struct ipc_msg *ret, int *ret_fds, size_t *ret_n, struct err *e);
/* Closes what came with a message and was not wanted. */
void ipc_close_fds(int *fds, size_t n);

#endif
