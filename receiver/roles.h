/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * roles.h - how a role is born, and how it ends
 *
 * Birth   the launcher forks and executes /proc/self/exe with "--role NAME"; nothing is inherited
 *         but the descriptors below, every other one is closed. A role dies with the launcher
 *         (PR_SET_PDEATHSIG, SIGKILL): what is on disk is safe against that at any moment.
 *
 *         role      3                  4                   after 4
 *         keeper    launcher
 *         listener  launcher           listening sockets   more of them, in the order of --listen
 *         conn      keeper             accepted socket
 *         writer    keeper             orders: one IPC_START_WRITER, then closed
 *
 * Orders  IPC_START_WRITER: text is "PATH\nSTATEDIR" (STATEDIR exists: journal, table and manifest
 *         of this disk), blob is the task id, d holds WRITER_* bits. When d has WRITER_FAULT, the
 *         specification of a fault device follows the task id in blob (the launcher adds it).
 * Ends    a conn's exit status says how the connection ended; the keeper hears it as IPC_CHILD_END.
 */
#ifndef RECEIVER_ROLES_H
#define RECEIVER_ROLES_H

#include "config.h"

#define ROLE_CHANNEL_FD 3
#define ROLE_EXTRA_FD 4

/* The operator said that what is on this disk may be lost (--erase SERIAL). Without it the writer
 * refuses a disk that is not blank ("disk-not-empty") unless the journal is already this disk's. */
#define WRITER_MAY_ERASE UINT64_C(1)
#define WRITER_FAULT UINT64_C(2)
/* From this bit on: how many disks this receiver has, whose writers share the cores. */
#define WRITER_DISKS_BIT 8

enum conn_end {
	CONN_END_BYE = 0,         /* both sides said bye */
	CONN_END_FAILED = 1,      /* our fault */
	CONN_END_INTERRUPTED = 3, /* the stream ended without a bye, or went silent */
	CONN_END_REFUSED = 4,     /* an ERROR was sent: not paired, broken contract, busy, ... */
};

struct launcher_options {
	const struct receiver_options *receiver;
	const char *fault[DISKS_MAX]; /* for tests: device_fault_wrap() specifications */
	int argc; /* what receiverd was called with: the keeper reads it again */
	char *const *argv;
};

/* Each runs until its role ends and returns the exit status of the process. */
int launcher_main(const struct launcher_options *o);
int listener_main(int launcher_fd, const int *sockets, size_t n, const struct receiver_options *o);
int keeper_main(int launcher_fd, const struct receiver_options *o);
int writer_main(int keeper_fd, int orders_fd);

struct conn_options {
	uint64_t number;
	uint64_t accepted_ms; /* CLOCK_MONOTONIC */
	uint32_t handshake_timeout_s;
	uint32_t login_timeout_s;
	uint32_t idle_timeout_s;
};
int conn_main(int keeper_fd, int socket_fd, const struct conn_options *o);

#endif
