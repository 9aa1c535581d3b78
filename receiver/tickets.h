/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tickets.h - the one open pairing code and what is said to those who come with one
 *
 * Secrets the code lives in this struct and nowhere else: never on disk, gone with the process, at
 *         expiry, and after the first login of the sender it paired. The ticket (which names the
 *         code without telling it) stays, so that a late second sender hears "used", not "wrong".
 * Time    CLOCK_BOOTTIME: a wall clock that jumps neither revives nor kills a code.
 * Note    130 bits cannot be guessed, so wrong tries need no lock-out (which strangers could use).
 */
#ifndef RECEIVER_TICKETS_H
#define RECEIVER_TICKETS_H

#include "pairing.h"

#define TICKET_TTL_MIN 1
#define TICKET_TTL_MAX 604800 /* a week */

struct tickets {
	bool open;           /* ${code} is valid */
	bool known;          /* ${ticket} is that of the last code */
	bool paired;         /* ${code} has paired a sender and waits for its first login */
	uint64_t expires_ms; /* CLOCK_BOOTTIME */
	struct pairing_code code;
	uint8_t ticket[TICKET_LEN];
};

uint64_t tickets_now_ms(void);

/* A new code; the one before is dead. */
int tickets_make(struct tickets *t, uint32_t ttl_s, uint64_t now_ms, struct err *e);
/* The code is dead: first login, unpair, clean. NULL-safe on an empty struct. */
void tickets_retire(struct tickets *t);
/* Kills the code when its time has come. True when it did. */
bool tickets_expire(struct tickets *t, uint64_t now_ms);

/* What a PAIR deserves: 0 when the proof fits, the receiver's proof then in ${ret_proof}; else
 * the wire's code. ${pinned} is the key that is pinned now, or NULL. */
enum wire_error tickets_check(const struct tickets *t, const struct msg_pair *m,
			      const struct pairing_channel *ch, const uint8_t *pinned,
			      const uint8_t task[static TASK_ID_LEN],
			      uint8_t ret_proof[static PROOF_LEN]);

#endif
