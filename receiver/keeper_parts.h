/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_parts.h - what the files of the keeper share; nobody else includes it
 *
 * Shape   one struct keeper, single-threaded, on one libevent loop. Peers (conn processes) and
 *         writers are rows in it; all that must survive is in ${task}, which task_store keeps.
 * Rule    the keeper never waits: a peer that does not read is ended, a disk is looked at by a
 *         short-lived child with a time limit. It holds no disk and no socket to the network.
 */
#ifndef RECEIVER_KEEPER_PARTS_H
#define RECEIVER_KEEPER_PARTS_H

#include <event2/event.h>

#include "config.h"
#include "events.h"
#include "ipc.h"
#include "keeper_key.h"
#include "task_state.h"
#include "task_store.h"
#include "tickets.h"

#define PEERS_MAX 256
#define TICK_MS 250
#define SEAL_WAIT_MS 15000  /* the writers' last counts may be behind the sender's seal */
#define PEER_GRACE_MS 3000  /* to carry an ERROR to the sender before it is ended */
#define EPOCH_GRACE_MS 5000 /* without any connection: a sender that comes back goes on */
#define VERIFY_ROUNDS_MAX 3

struct keeper;

/* One conn process, as hostile as who it talks to. */
struct keeper_peer {
	bool used;
	struct keeper *keeper;
	uint64_t number;
	int fd;
	struct event *on_message;
	char name[ADDRESS_TEXT_MAX];
	uint8_t nonce[NONCE_LEN];
	bool has_signed, logged_in;
	enum login_role role;
	uint64_t epoch;
	uint32_t opens;   /* bit N: an OPEN of disk N waits for its writer */
	uint32_t granted; /* bit N: it has a ring and a channel to the writer of disk N */
	uint64_t kill_ms; /* not 0: refused, ended at that time if it does not end itself */
	char *facts;
	size_t facts_len, facts_total;
};

enum writer_phase {
	WRITER_NONE,
	WRITER_STARTING, /* asked for, not heard of */
	WRITER_READY,
	WRITER_ENDING, /* told to stop, or lost; its process is not reaped yet */
};

struct keeper_writer {
	struct keeper *keeper;
	enum writer_phase phase;
	bool was_ready, told; /* it has been; it said why it ends, or was asked to */
	bool wanted;          /* start it again when the one before is reaped */
	int fd;
	struct event *on_message;
	uint64_t written, pending; /* of this process */
	uint64_t target_size;
	bool verify_asked, verify_ended;
	uint64_t verify_done, verify_total;
	uint64_t verify_verdict; /* as IPC_VERIFY_DONE has it */
	uint8_t disk_digest[DIGEST_LEN];
};

struct keeper_verify {
	bool waiting; /* a seal is here, the last blocks are not yet reported */
	bool active;  /* the task is verifying */
	bool by_sender;
	uint64_t deadline_ms;
	unsigned rounds; /* seals in a row that did not fit */
	struct msg_seal seal;
	uint64_t told_ms;           /* progress went to the sender then */
	char result[TASK_TEXT_MAX]; /* of the last one, for who asked */
};

enum fix_what { FIX_NONE, FIX_PLAN, FIX_APPLY, FIX_UNDO };

struct keeper_fix {
	enum fix_what what; /* running or about to */
	bool started;       /* the program runs; else writers are still ending */
	uint64_t run;       /* number of the run, as the launcher knows it */
	enum fix_what last;
	int last_exit; /* of the last run: exit status, 128 + signal */
	char last_error[TASK_TEXT_MAX];
};

struct control;

struct keeper {
	const struct receiver_options *o;
	struct event_base *base;
	int launcher;
	struct event *on_launcher, *on_tick;
	struct events *events;
	struct keeper_key *key;
	struct control *control;
	struct task task;
	struct tickets tickets;
	struct keeper_peer peers[PEERS_MAX];
	uint64_t session_number;   /* of the conn that last had the session's role */
	uint64_t epoch_over_at_ms; /* not 0: no connection is left, and it ends then */
	struct keeper_writer writers[DISKS_MAX];
	struct keeper_verify verify;
	struct keeper_fix fix;
	uint64_t written_saved_ms;
	bool quitting;
	int status;
};

/* keeper.c */
int keeper_new(int launcher_fd, const struct receiver_options *o, struct keeper **ret,
	       struct err *e);
void keeper_free(struct keeper *k);
/* The only way to task_move() in the keeper: saves in STATE, logs. */
int keeper_move(struct keeper *k, enum task_event on, const struct task_why *why, struct err *e);
/* The same where nobody is there to be told: a failure is logged. */
void keeper_move_or_log(struct keeper *k, enum task_event on, const struct task_why *why);
int keeper_save(struct keeper *k, struct err *e);
void keeper_fail(struct keeper *k, const char *next, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int keeper_tell_launcher(struct keeper *k, const struct ipc_msg *m, const int *fds, size_t n_fds,
			 struct err *e);
/* STATE/task, STATE/task/disk-N. */
void keeper_folder(const struct keeper *k, const char *below, char ret[static STORE_PATH_MAX]);

/* keeper_peer.c */
void keeper_peer_new(struct keeper *k, const struct ipc_msg *m, int fd);
void keeper_peer_end(struct keeper *k, struct keeper_peer *p);
void keeper_peer_reaped(struct keeper *k, uint64_t number, int status);
void keeper_peers_tick(struct keeper *k, uint64_t now_ms);
/* Sends an ERROR; the peer is heard no more and ends within PEER_GRACE_MS. */
void keeper_peer_refuse(struct keeper *k, struct keeper_peer *p, enum wire_error code,
			const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Kills the process now: it broke the contract of the channel. */
void keeper_peer_kill(struct keeper *k, struct keeper_peer *p, const char *why);
void keeper_peer_send(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m,
		      const int *fds, size_t n_fds);
void keeper_peer_frame(struct keeper *k, struct keeper_peer *p, enum frame_kind kind,
		       const void *payload, size_t len);
/* All that are logged in: refused with ${code}. */
void keeper_peers_refuse(struct keeper *k, enum wire_error code, const char *text);
/* The connection that has the session's role, or NULL: it may be lost while the others go on. */
struct keeper_peer *keeper_session(struct keeper *k);
/* Connections of the newest epoch. */
unsigned keeper_members(const struct keeper *k);
/* Whether the epoch still gives the right to write: a connection of it lives, or did until just
 * now, and the sender did not say goodbye. */
bool keeper_epoch_lives(const struct keeper *k);
/* Tells the session the task's state. */
void keeper_tell_state(struct keeper *k, uint64_t done, uint64_t total, uint64_t mismatched,
		       const char *text);

/* keeper_login.c: each answers or refuses by itself */
void keeper_on_pair(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m);
void keeper_on_login(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m);
void keeper_on_facts(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m);

/* keeper_writer.c */
void keeper_on_open(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m);
int keeper_writer_start(struct keeper *k, uint32_t n, struct err *e);
void keeper_writers_stop(struct keeper *k);
/* Those that are ending are not heard any more: what they would say is about a task that was. */
void keeper_writers_forget(struct keeper *k);
bool keeper_writers_gone(const struct keeper *k);
/* Hears all that is in the channel now. */
void keeper_writer_drain(struct keeper *k, uint32_t n);
void keeper_writer_reaped(struct keeper *k, uint32_t n, int status);
void keeper_writers_epoch(struct keeper *k);
/* Looks whether the task is complete now, and moves it. */
void keeper_weigh(struct keeper *k);
uint64_t keeper_written(const struct keeper *k, uint32_t n);

/* keeper_verify.c */
void keeper_on_seal(struct keeper *k, struct keeper_peer *p, const struct ipc_msg *m);
int keeper_verify_stored(struct keeper *k, struct err *e);
void keeper_verify_go_on(struct keeper *k); /* writers became ready, or complete */
void keeper_on_verify_message(struct keeper *k, uint32_t n, const struct ipc_msg *m);
void keeper_verify_cancel(struct keeper *k);
/* What was verified, or was about to be, may be written again: the task says so already. */
void keeper_verify_unseal(struct keeper *k);
void keeper_verify_tick(struct keeper *k, uint64_t now_ms);

/* keeper_disks.c */
struct disk_fact {
	uint32_t n;
	char path[OPTION_PATH_MAX];
	bool described; /* size, sectors, serial, model, id are valid */
	uint64_t size, id_major, id_minor;
	uint32_t logical_sector, physical_sector;
	char serial[TASK_SERIAL_MAX], model[64];
	bool usable;
	char refusal[40]; /* "disk-mounted"; "" when usable */
	char text[240];   /* why */
	int blank;        /* 1, 0, -1: could not be read */
	char holds[24];   /* what seems to be there */
};
int keeper_disks_look(const struct receiver_options *o, uint32_t mask,
		      struct disk_fact ret[static DISKS_MAX], struct err *e);

/* keeper_commands.c: one request, one answer; the caller gives both references back. */
json_t *keeper_command(struct keeper *k, json_t *request);

/* fix.c */
int fix_start(struct keeper *k, enum fix_what what, struct err *e);
void fix_go_on(struct keeper *k); /* the writers are gone */
void fix_stop(struct keeper *k);
void fix_reaped(struct keeper *k, uint64_t run, int status);
/* After a restart in "finalizing". */
void fix_again(struct keeper *k);
json_t *fix_to_json(const struct keeper *k);
int fix_report(const struct keeper *k, enum fix_what what, json_t **ret, struct err *e);

/* status.c */
json_t *status_to_json(struct keeper *k);
json_t *status_listen(const struct keeper *k);

#endif
