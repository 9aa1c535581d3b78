/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "launcher_internal.h"

#define CONNS_YOUNG_MAX 64 /* younger than the login limit: taken as not logged in */

bool launcher_bucket_take(struct launcher *l)
{
	uint64_t now = clock_ms();

	l->tokens_milli += (now - l->tokens_ms) * l->o->receiver->new_conns_per_s;
	l->tokens_ms = now;
	if (l->tokens_milli > NEW_CONNS_BURST * 1000)
		l->tokens_milli = NEW_CONNS_BURST * 1000;
	if (l->tokens_milli < 1000)
		return false;
	l->tokens_milli -= 1000;
	return true;
}

void launcher_bucket_give(struct launcher *l)
{
	l->tokens_milli += 1000;
}

/* "[::1]:443" and "10.0.0.1:443" without the port. An IPv6 source is its /64 already: the listener
 * writes the address whole, so a neighbour in the same /64 is told apart here; the listener's own
 * table is what bounds a whole prefix. */
static void source_of(const char *peer, char ret[static ADDRESS_TEXT_MAX])
{
	const char *colon = strrchr(peer, ':');
	size_t n = colon ? (size_t)(colon - peer) : strlen(peer);

	if (n >= ADDRESS_TEXT_MAX)
		n = ADDRESS_TEXT_MAX - 1;
	memcpy(ret, peer, n);
	ret[n] = 0;
}

/* NULL, or why no conn may be started for this source. */
static const char *conn_refusal(struct launcher *l, const char *source)
{
	const struct receiver_options *o = l->o->receiver;
	uint64_t now = clock_ms(), young_ms = (uint64_t)o->login_timeout_s * 1000;
	size_t all = 0, young = 0, same = 0;

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		const struct child *c = &l->children[i];

		if (!c->pid || c->role != ROLE_CONN)
			continue;
		all++;
		young += now - c->started_ms < young_ms;
		same += !strcmp(c->source, source);
	}
	if (all >= o->conns_max)
		return "too-many-connections";
	if (young >= CONNS_YOUNG_MAX)
		return "too-many-waiting";
	if (same >= o->conns_per_source)
		return "too-many-from-source";
	return NULL;
}

static int spawn_conn(struct launcher *l, int channel, int sock, uint64_t accepted_ms,
		      const char *source, struct err *e)
{
	const struct receiver_options *o = l->o->receiver;
	char title[48], number[24], accepted[24], hand[12], login[12], idle[12];
	char role[] = "--role", conn[] = "conn";
	char *argv[] = { title, role, conn, number, accepted, hand, login, idle, NULL };
	const int fds[] = { channel, sock };
	const struct child_plan p = {
		.program = SELF, .argv = argv, .fds = fds, .n_fds = 2, .out = -1, .err = -1
	};
	struct child *c = NULL;
	int r;

	(void)snprintf(title, sizeof title, "receiverd [conn %ju]", (uintmax_t)l->next_conn);
	(void)snprintf(number, sizeof number, "%ju", (uintmax_t)l->next_conn);
	(void)snprintf(accepted, sizeof accepted, "%ju", (uintmax_t)accepted_ms);
	(void)snprintf(hand, sizeof hand, "%u", o->handshake_timeout_s);
	(void)snprintf(login, sizeof login, "%u", o->login_timeout_s);
	(void)snprintf(idle, sizeof idle, "%u", o->idle_timeout_s);
	r = launcher_start(l, ROLE_CONN, l->next_conn, &p, &c, e);
	if (!r && c)
		(void)snprintf(c->source, sizeof c->source, "%s", source);
	return r;
}

int launcher_conn(struct launcher *l, const struct ipc_msg *m, int sock, struct err *e)
{
	scoped(close_fdp) int keeper_end = -1, conn_end = -1;
	char source[ADDRESS_TEXT_MAX];
	struct ipc_msg new;
	const char *why;
	int pair[2] = { -1, -1 }, r;

	source_of(m->text, source);
	why = conn_refusal(l, source);
	if (why) {
		log_warn("refused=%s peer=%.64s", why, m->text);
		return 0;
	}
	r = ipc_pair(pair, e);
	if (r < 0)
		return r;
	keeper_end = pair[0];
	conn_end = pair[1];
	l->next_conn++;
	ipc_init(&new, IPC_CONN_NEW);
	new.a = l->next_conn;
	(void)snprintf(new.text, sizeof new.text, "%.64s", m->text);
	r = ipc_send(l->keeper, &new, &keeper_end, 1, e);
	if (r < 0)
		return r;
	return spawn_conn(l, conn_end, sock, m->a, source, e);
}
