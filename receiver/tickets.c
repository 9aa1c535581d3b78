/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tickets.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

uint64_t tickets_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int tickets_make(struct tickets *t, uint32_t ttl_s, uint64_t now_ms, struct err *e)
{
	int r;

	tickets_retire(t);
	r = pairing_code_make(&t->code, e);
	if (!r)
		r = pairing_ticket(&t->code, t->ticket);
	if (r)
		return err_set(e, ERR_SYS, -r, "make a pairing code");
	t->open = true;
	t->known = true;
	t->expires_ms = now_ms + (uint64_t)ttl_s * 1000;
	return 0;
}

void tickets_retire(struct tickets *t)
{
	pairing_code_wipe(&t->code);
	t->open = false;
	t->paired = false;
}

bool tickets_expire(struct tickets *t, uint64_t now_ms)
{
	if (!t->open || now_ms < t->expires_ms)
		return false;
	tickets_retire(t);
	return true;
}

static bool proof_fits(const struct tickets *t, const struct msg_pair *m,
		       const struct pairing_channel *ch)
{
	uint8_t want[PROOF_LEN];
	bool fits;

	if (pairing_proof_tx(&t->code, ch, m->pub, want))
		return false;
	fits = !CRYPTO_memcmp(want, m->proof, sizeof want);
	OPENSSL_cleanse(want, sizeof want);
	return fits;
}

enum wire_error tickets_check(const struct tickets *t, const struct msg_pair *m,
			      const struct pairing_channel *ch, const uint8_t *pinned,
			      const uint8_t task[static TASK_ID_LEN],
			      uint8_t ret_proof[static PROOF_LEN])
{
	bool ours = t->known && !CRYPTO_memcmp(t->ticket, m->ticket, TICKET_LEN);

	/* A dead code cannot be proved any more. That it was used is no secret to one who has its
	 * ticket: whoever made the invite wants to know. */
	if (!t->open)
		return ours && pinned ? WIRE_CODE_USED : WIRE_CODE_EXPIRED;
	if (!ours || !proof_fits(t, m, ch))
		return WIRE_WRONG_CODE;
	/* The same key again: the answer was lost on the way. */
	if (pinned && CRYPTO_memcmp(pinned, m->pub, PUBKEY_LEN))
		return WIRE_CODE_USED;
	if (pairing_proof_rx(&t->code, ch, m->pub, task, ret_proof))
		return WIRE_INTERNAL;
	return 0;
}
