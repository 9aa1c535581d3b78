/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store.h - what the sender must not forget between two runs: its key, whom it trusts, the task
 *
 * Shape   a folder of mode 0700: "key" (Ed25519, 64 hexadecimal characters, 0600), "peer" (the
 *         pinned receiver and the task), "disk-N.table" (table.h), "rounds" (what the rounds of
 *         the task have measured), "trace-N" (trace_disk.h), "lock" (held while we run).
 * Order   the key is durable before it is shown to anyone; the pin is durable before it is used.
 * Owner   store_close(NULL) does nothing; nothing here is ever deleted.
 */
#ifndef SENDER_STORE_H
#define SENDER_STORE_H

#include "pairing.h"
#include "predict.h"

#define STORE_SMALL_MAX 1024

struct store {
	char dir[4000];
	int dirfd, lockfd;
	uint8_t priv[PRIVKEY_LEN], pub[PUBKEY_LEN];
	bool paired; /* the two below are valid */
	uint8_t spki[DIGEST_LEN];
	uint8_t task[TASK_ID_LEN];
	struct measured measured; /* of this task; all zero when nothing is known */
};

/* Creates the folder and the key when they are not there. ERR_REFUSED "state-in-use": another
 * transit-send works on this move. */
int store_open(const char *dir, struct store **ret, struct err *e);
void store_close(struct store *s);
static inline void store_closep(struct store **s)
{
	store_close(*s);
	*s = NULL;
}

/* Remembers the receiver and the task, durably. */
int store_pin(struct store *s, const uint8_t spki[static DIGEST_LEN],
	      const uint8_t task[static TASK_ID_LEN], struct err *e);

/* Writes ${s}->measured down. A file that is lost or damaged costs a prediction, nothing else. */
int store_save_measured(struct store *s, struct err *e);

/* A short text under a name that nothing else here has; put durably. store_get(): 1 read, 0 not
 * there. */
int store_put(struct store *s, const char *name, const char *text, struct err *e);
int store_get(struct store *s, const char *name, char ret[static STORE_SMALL_MAX], struct err *e);

#endif
