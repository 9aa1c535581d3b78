/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * launcher_internal.h - the launcher's one struct, as the files launcher*.c see it
 *
 * Files   launcher.c          the loop: children, the keeper's orders, signals, the end
 *         launcher_conn.c     one more connection: is there room for it, and its birth
 *         launcher_sockets.c  the listening sockets and STATE/listen
 *         launcher_child.c    fork, descriptors, exec
 */
#ifndef RECEIVER_LAUNCHER_INTERNAL_H
#define RECEIVER_LAUNCHER_INTERNAL_H

#include <event2/event.h>
#include <sys/types.h>

#include "ipc.h"
#include "launcher_child.h"
#include "roles.h"

#define CHILDREN_MAX 256
#define NEW_CONNS_BURST UINT64_C(100)
#define SELF "/proc/self/exe"

struct child {
	pid_t pid; /* 0: free */
	enum role role;
	uint64_t number; /* of the conn, the disk, or the run of bootfix */
	uint64_t started_ms;
	char source[ADDRESS_TEXT_MAX]; /* of a conn: its peer without the port */
};

struct launcher {
	const struct launcher_options *o;
	struct event_base *base;
	struct event *on_keeper, *on_listener, *on_child, *on_term, *on_int;
	struct event *stop_timer, *listener_timer, *bucket_timer, *bootfix_timer;
	int lock; /* STATE/lock */
	int sockets[LISTEN_MAX];
	int keeper, listener; /* channels */
	struct child children[CHILDREN_MAX];
	uint64_t next_conn;
	uint64_t tokens_milli, tokens_ms; /* the bucket of new conns */
	bool stopping;
	int status;
};

/* Starts ${p} and remembers it; *${ret} (may be NULL) stays valid until the child is reaped. */
int launcher_start(struct launcher *l, enum role role, uint64_t number, const struct child_plan *p,
		   struct child **ret, struct err *e);

/* Takes the state folder, binds every address of the options, then writes STATE/listen. */
int launcher_bind(struct launcher *l, struct err *e);

/* False: too many new connections in this moment. Give one back that was not used. */
bool launcher_bucket_take(struct launcher *l);
void launcher_bucket_give(struct launcher *l);
/* A conn for the socket that came with IPC_ACCEPTED, or a line in the log why not. */
int launcher_conn(struct launcher *l, const struct ipc_msg *m, int sock, struct err *e);

#endif
