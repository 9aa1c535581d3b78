/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper_world.h"

/* ---- pairing ---- */

static void a_sender_with_the_code_is_pinned_and_gets_the_receivers_proof(void **state)
{
	struct world *w = *state;
	uint8_t proof[PROOF_LEN];
	struct msg_welcome welcome;
	struct fake_conn c;
	struct task stored;

	open_code(w);
	connect_conn(w, &c);
	say_pair(w, &c, &w->k->tickets.code, w->pub);
	assert_true(hears_welcome(&c, &welcome));
	assert_int_equal(welcome.state, TASK_PAIRED);
	assert_int_equal(welcome.disks, 1);
	assert_int_equal(welcome.epoch, 0);
	assert_int_equal(
	    pairing_proof_rx(&w->k->tickets.code, &c.channel, w->pub, welcome.task, proof), 0);
	assert_memory_equal(proof, welcome.proof, sizeof proof);
	/* durable before it was said */
	assert_int_equal(task_store_load(w->o.state_dir, &stored, NULL), 0);
	assert_true(stored.pinned);
	assert_memory_equal(stored.pub, w->pub, PUBKEY_LEN);
	assert_int_equal(stored.state, TASK_PAIRED);
	(void)close(c.fd);
}

static void a_wrong_code_is_refused_and_pins_nobody(void **state)
{
	struct world *w = *state;
	struct pairing_code other;
	struct fake_conn c;

	open_code(w);
	other = w->k->tickets.code;
	other.bytes[0] ^= 1;
	connect_conn(w, &c);
	say_pair(w, &c, &other, w->pub);
	assert_true(hears_error(&c, WIRE_WRONG_CODE));
	assert_false(w->k->task.pinned);
	assert_int_equal(w->k->task.state, TASK_WAITING);
	(void)close(c.fd);
}

static void a_proof_from_another_channel_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	open_code(w);
	connect_conn(w, &c);
	c.channel.spki[0] ^= 1; /* a man in the middle has another key */
	say_pair(w, &c, &w->k->tickets.code, w->pub);
	assert_true(hears_error(&c, WIRE_WRONG_CODE));
	(void)close(c.fd);
}

static void an_expired_code_is_refused_by_name(void **state)
{
	struct world *w = *state;
	struct pairing_code code;
	struct fake_conn c;

	open_code(w);
	code = w->k->tickets.code;
	w->k->tickets.expires_ms = tickets_now_ms();
	connect_conn(w, &c);
	say_pair(w, &c, &code, w->pub);
	assert_true(hears_error(&c, WIRE_CODE_EXPIRED));
	(void)close(c.fd);
}

static void a_code_does_not_outlive_the_process(void **state)
{
	struct world *w = *state;
	struct pairing_code code;
	struct fake_conn c;

	open_code(w);
	code = w->k->tickets.code;
	restart_keeper(w);
	connect_conn(w, &c);
	say_pair(w, &c, &code, w->pub);
	assert_true(hears_error(&c, WIRE_CODE_EXPIRED));
	(void)close(c.fd);
}

static void a_second_sender_with_the_code_is_refused_and_is_an_alarm(void **state)
{
	const uint8_t stranger[PUBKEY_LEN] = { 7 };
	struct world *w = *state;
	struct fake_conn c;
	json_t *lines;
	char *text;

	pair_sender(w);
	connect_conn(w, &c);
	say_pair(w, &c, &w->k->tickets.code, stranger);
	assert_true(hears_error(&c, WIRE_CODE_USED));
	assert_memory_equal(w->k->task.pub, w->pub, PUBKEY_LEN);
	lines = events_tail(w->k->events, 50);
	text = json_dumps(lines, 0);
	assert_non_null(strstr(text, "ALARM"));
	free(text);
	json_decref(lines);
	(void)close(c.fd);
}

static void a_lost_answer_may_be_asked_for_again(void **state)
{
	struct world *w = *state;
	struct msg_welcome welcome;
	struct fake_conn c;

	pair_sender(w);
	connect_conn(w, &c);
	say_pair(w, &c, &w->k->tickets.code, w->pub);
	assert_true(hears_welcome(&c, &welcome));
	(void)close(c.fd);
}

static void the_code_is_dead_after_the_first_login(void **state)
{
	struct world *w = *state;
	struct pairing_code code;
	struct fake_conn c, second;

	pair_sender(w);
	code = w->k->tickets.code;
	begin_session_of(w, &c);
	assert_false(w->k->tickets.open);
	connect_conn(w, &second);
	say_pair(w, &second, &code, w->pub);
	assert_true(hears_error(&second, WIRE_CODE_USED));
	(void)close(c.fd);
	(void)close(second.fd);
}

/* ---- login ---- */

static void a_login_before_any_pairing_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_NOT_PAIRED));
	(void)close(c.fd);
}

static void a_key_that_is_not_pinned_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	pair_sender(w);
	assert_int_equal(pairing_key_make(w->priv, w->pub, NULL), 0);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_NOT_PAIRED));
	assert_null(keeper_session(w->k));
	(void)close(c.fd);
}

static void a_login_replayed_on_another_connection_is_refused(void **state)
{
	uint8_t payload[MSG_LOGIN_LEN];
	struct world *w = *state;
	struct fake_conn first, second;

	pair_sender(w);
	connect_conn(w, &first);
	connect_conn(w, &second);
	make_login(w, &first, LOGIN_SESSION, 0, payload);
	say(w, &second, IPC_LOGIN, payload, sizeof payload);
	assert_true(hears_error(&second, WIRE_BAD_LOGIN));
	(void)close(first.fd);
	(void)close(second.fd);
}

static void a_login_of_the_same_connection_with_another_nonce_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	pair_sender(w);
	connect_conn(w, &c);
	c.nonce[5] ^= 1;
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_BAD_LOGIN));
	(void)close(c.fd);
}

static void a_login_for_another_task_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	uint8_t payload[MSG_LOGIN_LEN];

	pair_sender(w);
	connect_conn(w, &c);
	w->k->task.id[0] ^= 1;
	make_login(w, &c, LOGIN_SESSION, 0, payload);
	w->k->task.id[0] ^= 1;
	say(w, &c, IPC_LOGIN, payload, sizeof payload);
	assert_true(hears_error(&c, WIRE_NOT_PAIRED));
	(void)close(c.fd);
}

static void a_newer_session_of_the_same_sender_ends_the_older(void **state)
{
	struct world *w = *state;
	struct fake_conn first, second;
	struct ipc_msg m;

	pair_sender(w);
	begin_session_of(w, &first);
	assert_int_equal(w->k->task.epoch, 1);
	begin_session_of(w, &second);
	assert_int_equal(w->k->task.epoch, 2);
	assert_true(is_closed(&first));
	assert_int_equal(launcher_hears(w, IPC_KILL_CONN, &m, NULL), 0);
	assert_int_equal(m.a, first.number);
	assert_non_null(keeper_session(w->k));
	(void)close(first.fd);
	(void)close(second.fd);
}

static void a_session_number_never_falls_even_over_a_restart(void **state)
{
	struct world *w = *state;
	struct msg_welcome welcome;
	struct fake_conn c;

	pair_sender(w);
	begin_session_of(w, &c);
	(void)close(c.fd);
	restart_keeper(w);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_welcome(&c, &welcome));
	assert_int_equal(welcome.epoch, 2);
	(void)close(c.fd);
}

static void a_data_connection_of_the_session_is_welcome_and_of_an_older_one_is_not(void **state)
{
	struct world *w = *state;
	struct fake_conn session, data, late;
	struct msg_welcome welcome;

	pair_sender(w);
	begin_session_of(w, &session);
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	assert_true(hears_welcome(&data, &welcome));
	assert_int_equal(welcome.epoch, 1);
	connect_conn(w, &late);
	say_login(w, &late, LOGIN_DATA, 0x7fff);
	assert_true(hears_error(&late, WIRE_STALE_EPOCH));
	(void)close(session.fd);
	(void)close(data.fd);
	let_epoch_end(w);
	(void)close(late.fd);
	connect_conn(w, &late);
	say_login(w, &late, LOGIN_DATA, 1);
	assert_true(hears_error(&late, WIRE_STALE_EPOCH));
	(void)close(late.fd);
}

static void a_session_that_lost_its_connection_goes_on_with_another(void **state)
{
	struct world *w = *state;
	struct fake_conn session, data, again;
	struct msg_welcome welcome;

	pair_sender(w);
	begin_session_of(w, &session);
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	assert_true(hears_welcome(&data, &welcome));
	(void)close(session.fd);
	turn(w);
	assert_null(keeper_session(w->k));
	connect_conn(w, &again);
	say_login(w, &again, LOGIN_SESSION, 1);
	assert_true(hears_welcome(&again, &welcome));
	assert_int_equal(welcome.epoch, 1);
	assert_int_equal(w->k->task.epoch, 1);
	assert_non_null(keeper_session(w->k));
	assert_false(is_closed(&data));
	(void)close(data.fd);
	(void)close(again.fd);
}

/* The sender knew before us that its connection is dead. */
static void the_newest_connection_of_a_session_is_the_sessions(void **state)
{
	struct world *w = *state;
	struct fake_conn first, again;
	struct msg_welcome welcome;

	pair_sender(w);
	begin_session_of(w, &first);
	connect_conn(w, &again);
	say_login(w, &again, LOGIN_SESSION, 1);
	assert_true(hears_welcome(&again, &welcome));
	assert_true(is_closed(&first));
	assert_non_null(keeper_session(w->k));
	assert_int_equal(w->k->session_number, again.number);
	assert_int_equal(w->k->epoch_over_at_ms, 0);
	(void)close(first.fd);
	(void)close(again.fd);
}

static bool is_stale(struct world *w, uint64_t epoch)
{
	struct fake_conn c;
	bool stale;

	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, epoch);
	stale = hears_error(&c, WIRE_STALE_EPOCH);
	(void)close(c.fd);
	turn(w);
	return stale;
}

static void a_session_that_is_over_cannot_be_gone_on_with(void **state)
{
	struct world *w = *state;
	struct fake_conn session;

	pair_sender(w);
	assert_true(is_stale(w, 1)); /* there never was one */
	begin_session_of(w, &session);
	assert_true(is_stale(w, 2));
	(void)close(session.fd);
	let_epoch_end(w);
	assert_true(is_stale(w, 1));
	begin_session_of(w, &session);
	assert_int_equal(w->k->task.epoch, 2);
	assert_true(is_stale(w, 1)); /* an older one, while a newer lives */
	assert_non_null(keeper_session(w->k));
	(void)close(session.fd);
}

static void a_ninth_data_connection_is_too_many(void **state)
{
	struct world *w = *state;
	struct fake_conn session, data[CONNECTIONS_MAX + 1];
	struct msg_welcome welcome;

	pair_sender(w);
	begin_session_of(w, &session);
	for (int i = 0; i <= CONNECTIONS_MAX; i++) {
		connect_conn(w, &data[i]);
		say_login(w, &data[i], LOGIN_DATA, 1);
		if (i < CONNECTIONS_MAX)
			assert_true(hears_welcome(&data[i], &welcome));
	}
	assert_true(hears_error(&data[CONNECTIONS_MAX], WIRE_LIMIT));
	for (int i = 0; i <= CONNECTIONS_MAX; i++)
		(void)close(data[i].fd);
	(void)close(session.fd);
}

static void a_probe_is_admitted_only_while_nothing_is_sent(void **state)
{
	struct world *w = *state;
	struct fake_conn session, probe;
	struct msg_welcome welcome;
	struct ipc_msg m;

	pair_sender(w);
	connect_conn(w, &probe);
	say_login(w, &probe, LOGIN_PROBE, 0);
	assert_true(hears_welcome(&probe, &welcome));
	assert_int_equal(welcome.epoch, 0);
	assert_int_equal(w->k->task.epoch, 0);
	assert_null(keeper_session(w->k));
	/* a session that begins comes first */
	begin_session_of(w, &session);
	assert_true(is_closed(&probe));
	assert_int_equal(launcher_hears(w, IPC_KILL_CONN, &m, NULL), 0);
	assert_int_equal(m.a, probe.number);
	(void)close(probe.fd);
	connect_conn(w, &probe);
	say_login(w, &probe, LOGIN_PROBE, 0);
	assert_true(hears_error(&probe, WIRE_BUSY));
	assert_non_null(keeper_session(w->k));
	(void)close(probe.fd);
	(void)close(session.fd);
}

static void a_probe_that_opens_a_disk_is_ended(void **state)
{
	struct world *w = *state;
	struct fake_conn probe;
	struct msg_welcome welcome;
	struct ipc_msg m;

	pair_sender(w);
	connect_conn(w, &probe);
	say_login(w, &probe, LOGIN_PROBE, 0);
	assert_true(hears_welcome(&probe, &welcome));
	ipc_init(&m, IPC_OPEN);
	assert_int_equal(ipc_send(probe.fd, &m, NULL, 0, NULL), 0);
	turn(w);
	assert_true(is_closed(&probe));
	(void)close(probe.fd);
}

static void a_ninth_probe_is_too_many(void **state)
{
	struct world *w = *state;
	struct fake_conn probe[CONNECTIONS_MAX + 1];
	struct msg_welcome welcome;

	pair_sender(w);
	for (int i = 0; i <= CONNECTIONS_MAX; i++) {
		connect_conn(w, &probe[i]);
		say_login(w, &probe[i], LOGIN_PROBE, 0);
		if (i < CONNECTIONS_MAX)
			assert_true(hears_welcome(&probe[i], &welcome));
	}
	assert_true(hears_error(&probe[CONNECTIONS_MAX], WIRE_LIMIT));
	for (int i = 0; i <= CONNECTIONS_MAX; i++)
		(void)close(probe[i].fd);
}

static void a_probe_needs_the_pinned_key(void **state)
{
	struct world *w = *state;
	struct fake_conn probe;

	connect_conn(w, &probe);
	say_login(w, &probe, LOGIN_PROBE, 0);
	assert_true(hears_error(&probe, WIRE_NOT_PAIRED));
	(void)close(probe.fd);
}

/* ---- a hostile conn ---- */

static void anything_but_sign_pair_and_login_before_the_login_ends_the_channel(void **state)
{
	static const enum ipc_type types[] = { IPC_OPEN,         IPC_FACTS,
					       IPC_SEAL,         IPC_QUIT,
					       IPC_CONN_NEW,     IPC_WRITER_READY,
					       (enum ipc_type)0, (enum ipc_type)9999 };
	struct world *w = *state;

	pair_sender(w);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct fake_conn c;
		struct ipc_msg m;

		connect_conn(w, &c);
		say(w, &c, types[i], NULL, 0);
		assert_true(is_closed(&c));
		assert_int_equal(launcher_hears(w, IPC_KILL_CONN, &m, NULL), 0);
		assert_int_equal(m.a, c.number);
		(void)close(c.fd);
	}
	assert_int_equal(w->k->task.state, TASK_PAIRED);
}

static void a_message_of_a_strange_size_ends_the_channel(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	connect_conn(w, &c);
	assert_int_equal(write(c.fd, "x", 1), 1);
	turn(w);
	assert_true(is_closed(&c));
	(void)close(c.fd);
}

static void a_conn_gets_one_signature_and_it_is_good(void **state)
{
	const uint8_t digest[DIGEST_LEN] = { 1, 2, 3 };
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;

	connect_conn(w, &c);
	say(w, &c, IPC_SIGN, digest, sizeof digest);
	assert_int_equal(hear(&c, &m), 1);
	assert_int_equal(m.type, IPC_SIGNED);
	assert_int_equal(m.a, m.blob_len);
	assert_in_range(m.blob_len, 64, 72);
	say(w, &c, IPC_SIGN, digest, sizeof digest);
	assert_true(is_closed(&c));
	(void)close(c.fd);
}

static void fixed_messages_of_another_length_are_refused(void **state)
{
	uint8_t junk[MSG_LOGIN_LEN + 1] = { 0 };
	struct world *w = *state;
	struct fake_conn a, b;

	pair_sender(w);
	connect_conn(w, &a);
	say(w, &a, IPC_LOGIN, junk, sizeof junk);
	assert_true(hears_error(&a, WIRE_PROTOCOL));
	connect_conn(w, &b);
	say(w, &b, IPC_PAIR, junk, 3);
	assert_true(hears_error(&b, WIRE_PROTOCOL));
	(void)close(a.fd);
	(void)close(b.fd);
}

static void a_refused_conn_is_not_heard_again_and_is_ended_when_it_stays(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;

	pair_sender(w);
	connect_conn(w, &c);
	c.nonce[0] ^= 1;
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_BAD_LOGIN));
	c.nonce[0] ^= 1;
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_null(keeper_session(w->k));
	assert_int_equal(w->k->task.epoch, 0);
	keeper_peers_tick(w->k, UINT64_MAX);
	assert_true(is_closed(&c));
	assert_int_equal(launcher_hears(w, IPC_KILL_CONN, &m, NULL), 0);
	(void)close(c.fd);
}

static void a_conn_that_does_not_read_is_ended_and_nobody_waits_for_it(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int i;

	pair_sender(w);
	begin_session_of(w, &c);
	for (i = 0; i < 10000 && keeper_session(w->k); i++)
		keeper_tell_state(w->k, 1, 2, 0, "");
	assert_in_range(i, 10, 9999);
	(void)close(c.fd);
}

/* ---- facts ---- */

static void say_facts(struct world *w, struct fake_conn *c, const char *part, uint64_t off,
		      uint64_t total)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_FACTS);
	m.a = m.blob_len = (uint32_t)strlen(part);
	m.b = off;
	m.c = total;
	memcpy(m.blob, part, strlen(part));
	assert_int_equal(ipc_send(c->fd, &m, NULL, 0, NULL), 0);
	turn(w);
}

static void facts_come_in_parts_and_are_kept_as_they_are(void **state)
{
	struct world *w = *state;
	char dir[STORE_PATH_MAX], *text;
	struct fake_conn c;
	size_t len;

	pair_sender(w);
	begin_session_of(w, &c);
	say_facts(w, &c, "{ \"version\":", 0, 15);
	say_facts(w, &c, " 1}", 12, 15);
	keeper_folder(w->k, "", dir);
	assert_int_equal(store_read(dir, "facts.json", FACTS_MAX, &text, &len, NULL), 0);
	assert_string_equal(text, "{ \"version\": 1}");
	free(text);
	(void)close(c.fd);
}

static void facts_that_are_no_object_are_refused_and_not_kept(void **state)
{
	struct world *w = *state;
	char dir[STORE_PATH_MAX], *text;
	struct fake_conn c;
	size_t len;

	pair_sender(w);
	begin_session_of(w, &c);
	say_facts(w, &c, "[1]", 0, 3);
	assert_true(hears_error(&c, WIRE_PROTOCOL));
	keeper_folder(w->k, "", dir);
	assert_int_equal(store_read(dir, "facts.json", FACTS_MAX, &text, &len, NULL), -ENOENT);
	(void)close(c.fd);
}

static void facts_out_of_order_or_too_long_end_the_channel(void **state)
{
	static const uint64_t cases[][2] = { /* offset, total */
					     { 5, 10 },
					     { 0, FACTS_MAX + 1 },
					     { 0, 2 },
					     { UINT64_MAX, UINT64_MAX }
	};
	struct world *w = *state;

	pair_sender(w);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fake_conn c;

		begin_session_of(w, &c);
		say_facts(w, &c, "{ \"a\"", cases[i][0], cases[i][1]);
		assert_true(is_closed(&c));
		(void)close(c.fd);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_sender_with_the_code_is_pinned_and_gets_the_receivers_proof),
		TEST(a_wrong_code_is_refused_and_pins_nobody),
		TEST(a_proof_from_another_channel_is_refused),
		TEST(an_expired_code_is_refused_by_name),
		TEST(a_code_does_not_outlive_the_process),
		TEST(a_second_sender_with_the_code_is_refused_and_is_an_alarm),
		TEST(a_lost_answer_may_be_asked_for_again),
		TEST(the_code_is_dead_after_the_first_login),
		TEST(a_login_before_any_pairing_is_refused),
		TEST(a_key_that_is_not_pinned_is_refused),
		TEST(a_login_replayed_on_another_connection_is_refused),
		TEST(a_login_of_the_same_connection_with_another_nonce_is_refused),
		TEST(a_login_for_another_task_is_refused),
		TEST(a_newer_session_of_the_same_sender_ends_the_older),
		TEST(a_session_number_never_falls_even_over_a_restart),
		TEST(a_data_connection_of_the_session_is_welcome_and_of_an_older_one_is_not),
		TEST(a_session_that_lost_its_connection_goes_on_with_another),
		TEST(the_newest_connection_of_a_session_is_the_sessions),
		TEST(a_session_that_is_over_cannot_be_gone_on_with),
		TEST(a_ninth_data_connection_is_too_many),
		TEST(a_probe_is_admitted_only_while_nothing_is_sent),
		TEST(a_probe_that_opens_a_disk_is_ended),
		TEST(a_ninth_probe_is_too_many),
		TEST(a_probe_needs_the_pinned_key),
		TEST(anything_but_sign_pair_and_login_before_the_login_ends_the_channel),
		TEST(a_message_of_a_strange_size_ends_the_channel),
		TEST(a_conn_gets_one_signature_and_it_is_good),
		TEST(fixed_messages_of_another_length_are_refused),
		TEST(a_refused_conn_is_not_heard_again_and_is_ended_when_it_stays),
		TEST(a_conn_that_does_not_read_is_ended_and_nobody_waits_for_it),
		TEST(facts_come_in_parts_and_are_kept_as_they_are),
		TEST(facts_that_are_no_object_are_refused_and_not_kept),
		TEST(facts_out_of_order_or_too_long_end_the_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
