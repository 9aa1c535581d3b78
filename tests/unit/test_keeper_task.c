/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper_world.h"

#include <signal.h>

#include "clock.h"
#include "manifest.h"

#define BLOCKS 4 /* of 256 KiB: disk 0 */
#define MEBIBYTE (UINT64_C(1) << 20)

static enum task_state state_of(const struct world *w)
{
	struct task stored;

	assert_int_equal(task_store_load(w->o.state_dir, &stored, NULL), 0);
	assert_int_equal(stored.state, w->k->task.state); /* durable, always */
	return stored.state;
}

/* ---- open ---- */

static void the_first_open_starts_a_writer_and_the_two_are_introduced(void **state)
{
	struct world *w = *state;
	struct msg_opened opened;
	struct fake_conn c;
	struct ipc_msg m;
	int writer, fds[IPC_FDS_MAX];
	size_t n;

	pair_sender(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_int_equal(state_of(w), TASK_PAIRED); /* nothing is open yet */
	writer = start_writer(w, 0, 1);
	assert_int_equal(state_of(w), TASK_RECEIVING);
	assert_true(writer_hears(writer, IPC_EPOCH, &m));
	assert_int_equal(m.a, 1);
	assert_int_equal(ipc_recv(writer, &m, fds, &n, NULL), 1);
	assert_int_equal(m.type, IPC_GRANT);
	assert_int_equal(m.b, c.number);
	assert_int_equal(n, 2);
	ipc_close_fds(fds, n);
	assert_int_equal(ipc_recv(c.fd, &m, fds, &n, NULL), 1);
	assert_int_equal(m.type, IPC_OPENED);
	assert_int_equal(n, 2);
	ipc_close_fds(fds, n);
	assert_int_equal(msg_opened_decode(m.blob, m.blob_len, &opened, NULL), 0);
	assert_int_equal(opened.blocks, BLOCKS);
	assert_int_equal(opened.claimed, 1);
	(void)close(writer);
	(void)close(c.fd);
}

static void the_writer_is_told_path_folder_task_and_consent(void **state)
{
	struct world *w = *state;
	char want[800];
	struct fake_conn c;
	struct ipc_msg m;
	int fd;

	pair_sender(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE - 512);
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, &fd), 0);
	(void)snprintf(want, sizeof want, "%s/target0\n%s/task/disk-0", w->dir, w->o.state_dir);
	assert_string_equal(m.text, want);
	assert_int_equal(m.a, 256 * KIB);
	assert_int_equal(m.b, MEBIBYTE - 512);
	assert_int_equal(m.d & WRITER_MAY_ERASE, 0);
	assert_memory_equal(m.blob, w->k->task.id, TASK_ID_LEN);
	(void)close(fd);
	(void)close(c.fd);
}

static void a_disk_that_is_not_in_the_task_has_no_ticket(void **state)
{
	static const uint32_t disks[] = { 1, 19, 20, 255, UINT32_MAX };
	struct world *w = *state;

	pair_sender(w);
	for (size_t i = 0; i < sizeof disks / sizeof disks[0]; i++) {
		struct fake_conn c;

		begin_session_of(w, &c);
		say_open(w, &c, disks[i], MEBIBYTE);
		assert_true(hears_error(&c, WIRE_NO_TICKET));
		(void)close(c.fd);
		turn(w);
	}
}

static void a_source_larger_than_its_target_is_refused_before_a_writer_starts(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;

	pair_sender(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE + 1);
	assert_true(hears_error(&c, WIRE_TOO_SMALL));
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, NULL), -1);
	(void)close(c.fd);
}

static void sectors_of_another_size_are_refused_on_a_real_disk(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	pair_sender(w);
	(void)snprintf(w->k->task.disk[0].serial, TASK_SERIAL_MAX, "WD-1");
	w->k->task.disk[0].logical_sector = 4096;
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_true(hears_error(&c, WIRE_SECTOR_SIZE));
	(void)close(c.fd);
}

static void the_first_size_of_a_source_disk_is_the_only_one(void **state)
{
	struct world *w = *state;
	struct fake_conn c;

	pair_sender(w);
	(void)close(receive_disk(w, &c));
	(void)close(c.fd);
	turn(w);
	child_ends(w, ROLE_WRITER, 0, 0);
	assert_true(plain(w, "resume"));
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE - 4096);
	assert_true(hears_error(&c, WIRE_STATE));
	(void)close(c.fd);
}

static void a_disk_in_the_place_of_the_paired_one_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int fd;

	pair_sender(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, &fd), 0);
	writer_says(w, fd, IPC_WRITER_READY, 0, MEBIBYTE, 0, "another-serial");
	assert_true(hears_error(&c, WIRE_DISK_REFUSED));
	assert_true(writer_hears(fd, IPC_STOP, &m));
	assert_int_equal(state_of(w), TASK_PAIRED);
	(void)close(fd);
	(void)close(c.fd);
}

static void a_writer_that_refuses_its_disk_at_start_does_not_fail_the_task(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int fd;

	pair_sender(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, &fd), 0);
	ipc_init(&m, IPC_WRITER_FAILED);
	m.a = EBUSY;
	m.blob_len = 11;
	memcpy(m.blob, "disk-in-use", 11);
	(void)snprintf(m.text, sizeof m.text, "it is in use");
	assert_int_equal(ipc_send(fd, &m, NULL, 0, NULL), 0);
	turn(w);
	(void)close(fd);
	child_ends(w, ROLE_WRITER, 0, 1 << 8);
	assert_true(hears_error(&c, WIRE_DISK_REFUSED));
	assert_int_equal(state_of(w), TASK_PAIRED);
	(void)close(c.fd);
}

static void a_second_writer_starts_only_when_the_first_is_reaped(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int first, second;

	pair_sender(w);
	first = receive_disk(w, &c);
	(void)close(first);
	(void)close(c.fd);
	turn(w);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, NULL), -1);
	w->k->writers[0].told = true; /* it ended as asked */
	child_ends(w, ROLE_WRITER, 0, 0);
	assert_int_equal(launcher_hears(w, IPC_START_WRITER, &m, &second), 0);
	(void)close(second);
	(void)close(c.fd);
}

static void a_connection_that_opens_a_disk_twice_is_ended(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	assert_true(writer_hears(writer, IPC_GRANT, &m));
	say_open(w, &c, 0, MEBIBYTE);
	assert_false(writer_hears(writer, IPC_GRANT, &m));
	assert_int_equal(launcher_hears(w, IPC_KILL_CONN, &m, NULL), 0);
	assert_int_equal(m.a, c.number);
	(void)close(writer);
	(void)close(c.fd);
}

/* Its last words are about a task that is gone. */
static void a_writer_that_still_ends_is_not_heard_after_clean(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	(void)close(c.fd);
	let_epoch_end(w);
	assert_true(plain(w, "clean"));
	assert_true(writer_hears(writer, IPC_STOP, &m));
	ipc_init(&m, IPC_WRITER_PROGRESS);
	m.a = BLOCKS;
	m.b = MEBIBYTE;
	(void)ipc_send(writer, &m, NULL, 0, NULL);
	turn(w);
	assert_int_equal(w->k->task.disk[0].claimed, 0);
	assert_int_equal(w->k->writers[0].phase, WRITER_ENDING);
	(void)close(writer);
	child_ends(w, ROLE_WRITER, 0, 0);
	assert_int_equal(w->k->writers[0].phase, WRITER_NONE);
	assert_int_equal(keeper_written(w->k, 0), 0);
}

/* ---- progress ---- */

static void received_means_every_block_claimed_and_nothing_pending(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS - 1, 1, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVING);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, 1, 4096, "");
	assert_int_equal(state_of(w), TASK_RECEIVING);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, 1, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVED);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS - 1, 1, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVING);
	(void)close(writer);
	(void)close(c.fd);
}

static void a_lost_session_is_an_interruption_and_the_next_open_goes_on(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	(void)close(c.fd);
	turn(w);
	assert_int_equal(state_of(w), TASK_RECEIVING);
	let_epoch_end(w);
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_int_equal(state_of(w), TASK_RECEIVING);
	(void)close(writer);
	(void)close(c.fd);
}

static void a_count_that_waits_when_the_session_ends_still_counts(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	ipc_init(&m, IPC_WRITER_PROGRESS);
	m.a = BLOCKS;
	assert_int_equal(ipc_send(writer, &m, NULL, 0, NULL), 0);
	(void)close(c.fd);
	let_epoch_end(w);
	assert_int_equal(state_of(w), TASK_RECEIVED);
	(void)close(writer);
}

static void a_session_with_a_goodbye_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	(void)close(c.fd);
	child_ends(w, ROLE_CONN, data.number + 7, CONN_END_BYE << 8); /* somebody else's */
	assert_int_equal(state_of(w), TASK_RECEIVING);
	child_ends(w, ROLE_CONN, c.number, CONN_END_BYE << 8);
	assert_int_equal(keeper_members(w->k), 0);
	assert_true(w->k->epoch_over_at_ms <= clock_ms() + 1000);
	let_epoch_end(w);
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
	(void)close(data.fd);
	(void)close(writer);
}

static void a_round_goes_on_while_any_connection_of_it_lives(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data;
	struct ipc_msg m;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	(void)close(c.fd);
	child_ends(w, ROLE_CONN, c.number, SIGKILL);
	keeper_peers_tick(w->k, clock_ms() + UINT64_C(2) * EPOCH_GRACE_MS);
	turn(w);
	assert_int_equal(state_of(w), TASK_RECEIVING);
	assert_int_equal(keeper_members(w->k), 1);
	/* it may still open disks, and the task's counts go on */
	say_open(w, &data, 0, MEBIBYTE);
	assert_true(writer_hears(writer, IPC_GRANT, &m));
	assert_true(writer_hears(writer, IPC_GRANT, &m));
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, 1, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVED);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS - 1, 1, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVING);
	(void)close(data.fd);
	let_epoch_end(w);
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
	(void)close(writer);
}

static void a_pause_without_a_session_connection_ends_the_epoch_too(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data, late;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	(void)close(c.fd);
	turn(w);
	assert_true(plain(w, "pause"));
	assert_int_equal(state_of(w), TASK_PAUSED);
	assert_false(keeper_epoch_lives(w->k));
	assert_true(plain(w, "resume"));
	connect_conn(w, &late);
	say_login(w, &late, LOGIN_SESSION, 1);
	assert_true(hears_error(&late, WIRE_STALE_EPOCH));
	(void)close(late.fd);
	(void)close(data.fd);
	(void)close(writer);
}

static void a_disk_that_fails_fails_the_task_and_resume_leaves_it(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	writer_says(w, writer, IPC_WRITER_FAILED, EIO, 0, 0, "'/dev/x' offset 4096: I/O error");
	assert_int_equal(state_of(w), TASK_FAILED);
	assert_non_null(strstr(w->k->task.reason, "offset 4096"));
	assert_true(hears_error(&c, WIRE_DISK_FAILED));
	(void)close(writer);
	(void)close(c.fd);
	child_ends(w, ROLE_WRITER, 0, 1 << 8);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_STATE));
	(void)close(c.fd);
	assert_true(plain(w, "resume"));
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
}

static void a_writer_that_crashes_fails_the_task(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	(void)close(writer);
	turn(w);
	child_ends(w, ROLE_WRITER, 0, 11);
	assert_int_equal(state_of(w), TASK_FAILED);
	(void)close(c.fd);
}

/* ---- seal and verify ---- */

static void make_seal(struct world *w, struct msg_seal *s)
{
	memset(s, 0, sizeof *s);
	memcpy(s->task, w->k->task.id, TASK_ID_LEN);
	s->sealed_at = 1700000000;
	s->block_size = 256 * KIB;
	s->n_disks = 1;
	s->disks[0] = (struct msg_seal_disk){ .disk = 0, .size = MEBIBYTE, .blocks = BLOCKS };
	memset(s->disks[0].list_digest, 0x11, DIGEST_LEN);
	assert_int_equal(pairing_seal_sign(w->priv, s), 0);
}

static void say_seal(struct world *w, struct fake_conn *c, const struct msg_seal *s)
{
	uint8_t payload[MSG_SEAL_MAX];

	say(w, c, IPC_SEAL, payload, msg_seal_encode(s, payload));
}

static int receive_all(struct world *w, struct fake_conn *c)
{
	int writer;

	pair_sender(w);
	writer = receive_disk(w, c);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, MEBIBYTE, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVED);
	return writer;
}

static void verdict(struct world *w, int writer, uint64_t a, uint64_t different, const char *blocks)
{
	struct ipc_msg m;

	ipc_init(&m, IPC_VERIFY_DONE);
	m.a = a;
	m.b = different;
	(void)snprintf(m.text, sizeof m.text, "%s", blocks);
	memset(m.digest, 0x22, DIGEST_LEN);
	assert_int_equal(ipc_send(writer, &m, NULL, 0, NULL), 0);
	turn(w);
}

static int verify_all(struct world *w, struct fake_conn *c)
{
	struct msg_seal seal;
	struct ipc_msg m;
	int writer = receive_all(w, c);

	make_seal(w, &seal);
	say_seal(w, c, &seal);
	assert_int_equal(state_of(w), TASK_VERIFYING);
	assert_true(writer_hears(writer, IPC_VERIFY, &m));
	assert_memory_equal(m.digest, seal.disks[0].list_digest, DIGEST_LEN);
	verdict(w, writer, 0, 0, "");
	assert_int_equal(state_of(w), TASK_VERIFIED);
	return writer;
}

static bool hears_state(struct fake_conn *c, enum task_state want, struct msg_state *ret)
{
	struct ipc_msg m;

	while (hear(c, &m) == 1) {
		if (m.type == IPC_SEND && m.a == FRAME_STATE &&
		    !msg_state_decode(m.blob, m.blob_len, ret, NULL) && ret->state == want)
			return true;
	}
	return false;
}

static void a_signed_manifest_and_an_equal_target_are_verified_and_proved(void **state)
{
	struct world *w = *state;
	char dir[STORE_PATH_MAX];
	struct manifest m;
	struct msg_state s;
	struct fake_conn c;

	(void)close(verify_all(w, &c));
	assert_true(hears_state(&c, TASK_VERIFIED, &s));
	keeper_folder(w->k, "", dir);
	assert_int_equal(manifest_load(dir, &m, NULL), 0);
	assert_true(m.verified);
	assert_int_equal(m.disk_digest[0][5], 0x22);
	(void)close(c.fd);
}

static void a_seal_waits_for_the_last_count_and_is_refused_when_it_does_not_come(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct msg_seal seal;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	make_seal(w, &seal);
	say_seal(w, &c, &seal);
	assert_int_equal(state_of(w), TASK_RECEIVING);
	writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, 1, 0, "");
	assert_int_equal(state_of(w), TASK_VERIFYING);
	assert_true(plain(w, "abort"));
	assert_true(plain(w, "resume"));
	writer_says(w, writer, IPC_WRITER_PROGRESS, 1, 1, 0, "");
	(void)close(c.fd);
	turn(w);
	(void)close(writer);
	child_ends(w, ROLE_WRITER, 0, 0);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	writer = start_writer(w, 0, 1);
	say_seal(w, &c, &seal);
	keeper_verify_tick(w->k, UINT64_MAX);
	assert_true(hears_error(&c, WIRE_STATE));
	(void)close(writer);
	(void)close(c.fd);
}

static void a_seal_that_is_not_of_this_task_or_key_is_refused(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 6; i++) {
		struct fake_conn c;
		struct msg_seal s;
		uint8_t priv[PRIVKEY_LEN], pub[PUBKEY_LEN];
		int writer;

		writer = receive_all(w, &c);
		make_seal(w, &s);
		assert_int_equal(pairing_key_make(priv, pub, NULL), 0);
		if (i == 0)
			s.task[0] ^= 1;
		if (i == 1)
			s.disks[0].size -= 512;
		if (i == 2)
			s.disks[0].disk = 1;
		if (i == 3) {
			s.block_size = 64 * KIB;
			s.disks[0].blocks = 16;
		}
		if (i == 5) { /* the task has a second disk, also complete */
			w->k->task.disk[1] = w->k->task.disk[0];
			assert_true(task_complete(&w->k->task));
		}
		assert_int_equal(pairing_seal_sign(i == 4 ? priv : w->priv, &s), 0);
		say_seal(w, &c, &s);
		assert_true(hears_error(&c, WIRE_SEAL));
		assert_int_not_equal(state_of(w), TASK_VERIFYING);
		assert_false(w->k->task.sealed);
		(void)close(c.fd);
		(void)close(writer);
		assert_true(plain(w, "abort"));
		child_ends(w, ROLE_WRITER, 0, 0);
		assert_true(plain(w, "clean"));
	}
}

static void join_session_of(struct world *w, struct fake_conn *data)
{
	struct msg_welcome welcome;

	connect_conn(w, data);
	say_login(w, data, LOGIN_DATA, w->k->task.epoch);
	assert_true(hears_welcome(data, &welcome));
}

static void a_seal_on_a_data_connection_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data;
	struct msg_welcome welcome;
	struct msg_seal s;

	(void)close(receive_all(w, &c));
	connect_conn(w, &data);
	say_login(w, &data, LOGIN_DATA, 1);
	assert_true(hears_welcome(&data, &welcome));
	make_seal(w, &s);
	say_seal(w, &data, &s);
	assert_true(hears_error(&data, WIRE_SEAL));
	(void)close(data.fd);
	(void)close(c.fd);
}

static void different_blocks_are_named_told_and_wanted_again(void **state)
{
	struct world *w = *state;
	struct msg_state s;
	struct fake_conn c;
	struct msg_seal seal;
	struct ipc_msg m;
	int writer = receive_all(w, &c);

	make_seal(w, &seal);
	say_seal(w, &c, &seal);
	verdict(w, writer, 1, 2, "1 3");
	assert_int_equal(state_of(w), TASK_RECEIVING);
	assert_int_equal(w->k->task.disk[0].n_bad, 2);
	assert_int_equal(w->k->task.disk[0].bad[1], 3);
	assert_true(hears_state(&c, TASK_RECEIVING, &s));
	assert_int_equal(s.mismatched, 2);
	assert_true(writer_hears(writer, IPC_VERIFY_STOP, &m)); /* it may be written again */
	assert_non_null(strstr(w->k->task.reason, "262144"));
	(void)close(writer);
	(void)close(c.fd);
}

static void a_disk_that_differs_three_times_fails_the_task(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct msg_seal seal;
	int writer = receive_all(w, &c);

	make_seal(w, &seal);
	for (int i = 0; i < 3; i++) {
		writer_says(w, writer, IPC_WRITER_PROGRESS, BLOCKS, 1, 0, "");
		say_seal(w, &c, &seal);
		assert_int_equal(state_of(w), TASK_VERIFYING);
		verdict(w, writer, 1, 1, "0");
	}
	assert_int_equal(state_of(w), TASK_FAILED);
	(void)close(writer);
	(void)close(c.fd);
}

static void a_list_that_is_not_the_signed_one_is_told_to_the_sender(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct msg_seal seal;
	int writer = receive_all(w, &c);

	make_seal(w, &seal);
	say_seal(w, &c, &seal);
	verdict(w, writer, 2, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVED);
	assert_true(hears_error(&c, WIRE_SEAL));
	assert_false(w->k->task.sealed);
	(void)close(writer);
	(void)close(c.fd);
}

static void an_open_while_verifying_stops_it_and_a_late_verdict_is_not_believed(void **state)
{
	struct world *w = *state;
	char dir[STORE_PATH_MAX];
	struct manifest stored;
	struct fake_conn c, data;
	struct msg_seal seal;
	struct ipc_msg m;
	int writer = receive_all(w, &c);

	join_session_of(w, &data);
	make_seal(w, &seal);
	say_seal(w, &c, &seal);
	say_open(w, &data, 0, MEBIBYTE);
	assert_int_equal(state_of(w), TASK_RECEIVED);
	assert_true(writer_hears(writer, IPC_VERIFY_STOP, &m));
	verdict(w, writer, 0, 0, "");
	assert_int_equal(state_of(w), TASK_RECEIVED);
	keeper_folder(w->k, "", dir);
	assert_int_equal(manifest_load(dir, &stored, NULL), 0);
	assert_false(stored.verified);
	(void)close(writer);
	(void)close(data.fd);
	(void)close(c.fd);
}

/* The writers hold what they verified as it is; they are told otherwise only after the task says
 * that it is verified no more. */
static void a_verified_disk_may_be_written_only_when_the_task_says_so(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data;
	struct ipc_msg m;
	int writer = verify_all(w, &c);

	assert_false(writer_hears(writer, IPC_VERIFY_STOP, &m));
	join_session_of(w, &data);
	say_open(w, &data, 0, MEBIBYTE);
	assert_int_equal(state_of(w), TASK_RECEIVED); /* every block is there */
	assert_true(writer_hears(writer, IPC_VERIFY_STOP, &m));
	assert_true(writer_hears(writer, IPC_GRANT, &m));
	(void)close(writer);
	(void)close(data.fd);
	(void)close(c.fd);
}

/* An OPEN that waited for its writer while the operator asked for a verification. */
static void an_open_is_not_granted_while_the_task_verifies(void **state)
{
	struct world *w = *state;
	struct fake_conn c, data;
	struct ipc_msg m;
	int writer = verify_all(w, &c);

	join_session_of(w, &data);
	assert_true(plain(w, "verify"));
	w->k->writers[0].phase = WRITER_STARTING;
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (w->k->peers[i].used && w->k->peers[i].role == LOGIN_DATA)
			w->k->peers[i].opens = 1;
	}
	writer_says(w, writer, IPC_WRITER_READY, BLOCKS, MEBIBYTE, 0, w->k->task.disk[0].serial);
	assert_true(hears_error(&data, WIRE_STATE));
	assert_int_equal(state_of(w), TASK_VERIFYING);
	assert_false(writer_hears(writer, IPC_GRANT, &m));
	(void)close(writer);
	(void)close(data.fd);
	(void)close(c.fd);
}

static void verify_again_works_with_the_source_gone_and_needs_a_manifest(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int writer;

	assert_true(is_refused(ask(w, "{s:s}", "command", "verify"), "", 4));
	writer = verify_all(w, &c);
	(void)close(c.fd);
	turn(w);
	assert_true(plain(w, "verify"));
	assert_true(writer_hears(writer, IPC_VERIFY, &m));
	verdict(w, writer, 1, 1, "2");
	assert_int_equal(state_of(w), TASK_INTERRUPTED); /* nobody is there to send it */
	(void)close(writer);
}

static void a_manifest_that_was_altered_on_disk_is_refused(void **state)
{
	struct world *w = *state;
	char dir[STORE_PATH_MAX];
	struct fake_conn c;
	json_t *j, *disk;

	(void)close(verify_all(w, &c));
	(void)close(c.fd);
	keeper_folder(w->k, "", dir);
	assert_int_equal(store_read_json(dir, MANIFEST_FILE, 65536, &j, NULL), 0);
	disk = json_array_get(json_object_get(j, "disks"), 0);
	json_object_set_new(
	    disk, "list_sha256",
	    json_string("00000000000000000000000000000000000000000000000000000000000000ff"));
	assert_int_equal(store_write_json(dir, MANIFEST_FILE, j, NULL), 0);
	json_decref(j);
	assert_true(is_refused(ask(w, "{s:s}", "command", "verify"), "", 1));
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

/* ---- restart ---- */

static void a_restart_in_any_state_comes_back_to_it(void **state)
{
	static const enum task_state after[] = {
		[TASK_WAITING] = TASK_WAITING,         [TASK_PAIRED] = TASK_PAIRED,
		[TASK_RECEIVING] = TASK_INTERRUPTED,   [TASK_PAUSED] = TASK_PAUSED,
		[TASK_INTERRUPTED] = TASK_INTERRUPTED, [TASK_RECEIVED] = TASK_RECEIVED,
		[TASK_VERIFYING] = TASK_RECEIVED,      [TASK_VERIFIED] = TASK_VERIFIED,
		[TASK_FINALIZING] = TASK_FINALIZING,   [TASK_READY] = TASK_READY,
		[TASK_HANDED_BACK] = TASK_HANDED_BACK, [TASK_FAILED] = TASK_FAILED,
		[TASK_ABORTED] = TASK_ABORTED,
	};
	struct world *w = *state;

	pair_sender(w);
	for (int s = TASK_WAITING; s <= TASK_ABORTED; s++) {
		struct ipc_msg m;

		w->k->task.state = (enum task_state)s;
		assert_int_equal(keeper_save(w->k, NULL), 0);
		restart_keeper(w);
		assert_int_equal(state_of(w), after[s]);
		turn(w);
		/* only "finalizing" has work of its own */
		assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL),
				 s == TASK_FINALIZING ? 0 : -1);
	}
}

static void every_state_can_be_left_by_abort_and_clean_any_number_of_times(void **state)
{
	struct world *w = *state;

	for (int s = TASK_WAITING; s <= TASK_ABORTED; s++) {
		pair_sender(w);
		w->k->task.state = (enum task_state)s;
		assert_int_equal(keeper_save(w->k, NULL), 0);
		for (int i = 0; i < 2; i++) {
			if (s != TASK_HANDED_BACK)
				assert_true(plain(w, "abort"));
			assert_true(plain(w, "clean"));
		}
		assert_int_equal(state_of(w), TASK_WAITING);
		assert_false(w->k->task.exists);
		assert_false(w->k->task.pinned);
	}
}

/* ---- pause, unpair ---- */

static void pause_sends_the_sender_away_until_resume(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	assert_true(plain(w, "pause"));
	assert_true(plain(w, "pause"));
	assert_int_equal(state_of(w), TASK_PAUSED);
	assert_true(hears_error(&c, WIRE_PAUSED));
	(void)close(c.fd);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_PAUSED));
	(void)close(c.fd);
	assert_true(plain(w, "resume"));
	begin_session_of(w, &c);
	(void)close(c.fd);
	(void)close(writer);
}

static void resume_with_everything_there_is_received(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	int writer = receive_all(w, &c);

	assert_true(plain(w, "pause"));
	assert_true(plain(w, "resume"));
	assert_int_equal(state_of(w), TASK_RECEIVED);
	(void)close(c.fd);
	(void)close(writer);
}

static void unpair_drops_the_key_and_another_sender_may_pair_with_the_same_task(void **state)
{
	struct world *w = *state;
	uint8_t id[TASK_ID_LEN];
	struct msg_welcome welcome;
	struct fake_conn c;
	json_t *status;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	memcpy(id, w->k->task.id, sizeof id);
	assert_true(
	    is_refused(ask(w, "{s:s, s:[i]}", "command", "pair", "disks", 0), "already-paired", 4));
	assert_true(plain(w, "unpair"));
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
	/* the sender's command again would not help now */
	status = status_to_json(w->k);
	assert_non_null(strstr(json_string_value(json_object_get(status, "next")), "ctl pair"));
	json_decref(status);
	(void)close(c.fd);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_NOT_PAIRED));
	(void)close(c.fd);
	assert_true(is_ok(ask(w, "{s:s, s:[s]}", "command", "pair", "addresses", "[::1]:443")));
	assert_int_equal(pairing_key_make(w->priv, w->pub, NULL), 0);
	connect_conn(w, &c);
	say_pair(w, &c, &w->k->tickets.code, w->pub);
	assert_true(hears_welcome(&c, &welcome));
	assert_memory_equal(welcome.task, id, sizeof id);
	assert_int_equal(state_of(w), TASK_INTERRUPTED);
	(void)close(c.fd);
	(void)close(writer);
}

/* ---- bootfix ---- */

static void report_of_bootfix(struct world *w, const char *text)
{
	char dir[STORE_PATH_MAX];

	keeper_folder(w->k, "", dir);
	assert_int_equal(store_write(dir, "bootfix-out.json", text, strlen(text), NULL), 0);
}

static void finalize_waits_for_the_writers_and_then_runs_bootfix(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	char want[200];
	int writer = verify_all(w, &c);

	assert_true(is_ok(ask(w, "{s:s, s:[s]}", "command", "finalize", "skip", "grow")));
	assert_int_equal(state_of(w), TASK_FINALIZING);
	assert_true(hears_error(&c, WIRE_STATE));
	assert_true(writer_hears(writer, IPC_STOP, &m));
	assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL), -1);
	(void)close(writer);
	turn(w);
	child_ends(w, ROLE_WRITER, 0, 0);
	assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL), 0);
	(void)snprintf(want, sizeof want, "/bin/true\napply\n%s/target0\n--state\n", w->dir);
	assert_memory_equal(m.text, want, strlen(want));
	assert_non_null(strstr(m.text, "--json\n--skip\ngrow"));
	report_of_bootfix(w, "{\"command\": \"apply\", \"result\": \"changed\", \"actions\": [1]}");
	child_ends(w, ROLE_BOOTFIX, m.a, 0);
	assert_int_equal(state_of(w), TASK_READY);
	(void)close(c.fd);
	connect_conn(w, &c);
	say_login(w, &c, LOGIN_SESSION, 0);
	assert_true(hears_error(&c, WIRE_STATE)); /* its claims no longer hold */
	(void)close(c.fd);
}

static uint64_t run_bootfix(struct world *w)
{
	struct ipc_msg m;

	assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL), 0);
	return m.a;
}

/* Verified, no writer, no sender. */
static void be_verified(struct world *w)
{
	struct fake_conn c;
	int writer = verify_all(w, &c);

	(void)close(c.fd);
	(void)close(writer);
	restart_keeper(w);
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

static void a_failed_repair_says_why_and_can_be_tried_again_or_undone(void **state)
{
	struct world *w = *state;

	be_verified(w);
	assert_true(plain(w, "finalize"));
	report_of_bootfix(w, "{\"error\": {\"kind\": \"guest\", \"name\": \"no-kernel\", "
			     "\"text\": \"no kernel found\"}}");
	child_ends(w, ROLE_BOOTFIX, run_bootfix(w), 1 << 8);
	assert_int_equal(state_of(w), TASK_FAILED);
	assert_string_equal(w->k->task.reason, "bootfix: no-kernel: no kernel found");
	assert_true(plain(w, "finalize"));
	assert_int_equal(state_of(w), TASK_FINALIZING);
	child_ends(w, ROLE_BOOTFIX, run_bootfix(w), 9); /* killed */
	assert_int_equal(state_of(w), TASK_FAILED);
	assert_true(plain(w, "undo"));
	child_ends(w, ROLE_BOOTFIX, run_bootfix(w), 0);
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

static void a_restart_while_finalizing_does_the_same_again(void **state)
{
	struct world *w = *state;
	struct ipc_msg m;

	be_verified(w);
	assert_true(
	    is_ok(ask(w, "{s:s, s:[s, s]}", "command", "finalize", "skip", "grow", "selinux")));
	(void)run_bootfix(w);
	restart_keeper(w);
	assert_int_equal(state_of(w), TASK_FINALIZING);
	assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL), 0);
	assert_non_null(strstr(m.text, "\napply\n"));
	assert_non_null(strstr(m.text, "--skip\ngrow\n--skip\nselinux"));
}

static void plan_changes_no_state_and_nobody_may_write_meanwhile(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	uint64_t run;

	be_verified(w);
	assert_true(plain(w, "plan"));
	run = run_bootfix(w);
	assert_int_equal(state_of(w), TASK_VERIFIED);
	assert_false(w->k->task.touched);
	begin_session_of(w, &c);
	say_open(w, &c, 0, MEBIBYTE);
	assert_true(hears_error(&c, WIRE_STATE));
	(void)close(c.fd);
	assert_true(is_refused(ask(w, "{s:s}", "command", "finalize"), "", 4));
	child_ends(w, ROLE_BOOTFIX, run, 0);
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

static void undo_needs_something_to_undo_and_one_step_stays_ready(void **state)
{
	struct world *w = *state;
	struct ipc_msg m;

	be_verified(w);
	assert_true(is_refused(ask(w, "{s:s}", "command", "undo"), "", 4));
	assert_true(plain(w, "finalize"));
	child_ends(w, ROLE_BOOTFIX, run_bootfix(w), 0);
	assert_true(is_ok(ask(w, "{s:s, s:[s]}", "command", "undo", "steps", "fstab")));
	assert_int_equal(launcher_hears(w, IPC_START_BOOTFIX, &m, NULL), 0);
	assert_non_null(strstr(m.text, "\nundo\n"));
	assert_non_null(strstr(m.text, "--step\nfstab"));
	child_ends(w, ROLE_BOOTFIX, m.a, 0);
	assert_int_equal(state_of(w), TASK_READY);
}

static void abort_while_finalizing_stops_bootfix(void **state)
{
	struct world *w = *state;
	struct ipc_msg m;
	uint64_t run;

	be_verified(w);
	assert_true(plain(w, "finalize"));
	run = run_bootfix(w);
	assert_true(plain(w, "abort"));
	assert_int_equal(launcher_hears(w, IPC_STOP_BOOTFIX, &m, NULL), 0);
	assert_int_equal(m.a, run);
	assert_true(is_refused(ask(w, "{s:s}", "command", "clean"), "", 4));
	child_ends(w, ROLE_BOOTFIX, run, 15);
	assert_int_equal(state_of(w), TASK_ABORTED);
	assert_true(plain(w, "resume")); /* the disks were touched: not back to receiving */
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

static void the_name_of_a_step_is_a_word(void **state)
{
	struct world *w = *state;

	be_verified(w);
	assert_true(
	    is_refused(ask(w, "{s:s, s:[s]}", "command", "finalize", "skip", "a\nb"), "", 2));
	assert_true(
	    is_refused(ask(w, "{s:s, s:[s]}", "command", "finalize", "skip", "--x y"), "", 2));
	assert_true(is_refused(ask(w, "{s:s, s:[i]}", "command", "finalize", "skip", 1), "", 2));
	assert_int_equal(state_of(w), TASK_VERIFIED);
}

/* ---- quit ---- */

static void a_quit_lets_the_writers_finish(void **state)
{
	struct world *w = *state;
	struct fake_conn c;
	struct ipc_msg m;
	int writer;

	pair_sender(w);
	writer = receive_disk(w, &c);
	ipc_init(&m, IPC_QUIT);
	assert_int_equal(ipc_send(w->launcher, &m, NULL, 0, NULL), 0);
	turn(w);
	assert_true(w->k->quitting);
	assert_true(writer_hears(writer, IPC_STOP, &m));
	assert_false(keeper_writers_gone(w->k));
	(void)close(writer);
	child_ends(w, ROLE_WRITER, 0, 0);
	assert_true(keeper_writers_gone(w->k));
	assert_int_equal(state_of(w),
			 TASK_RECEIVING); /* as at a crash: the start says what it is */
	(void)close(c.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_first_open_starts_a_writer_and_the_two_are_introduced),
		TEST(the_writer_is_told_path_folder_task_and_consent),
		TEST(a_disk_that_is_not_in_the_task_has_no_ticket),
		TEST(a_source_larger_than_its_target_is_refused_before_a_writer_starts),
		TEST(sectors_of_another_size_are_refused_on_a_real_disk),
		TEST(the_first_size_of_a_source_disk_is_the_only_one),
		TEST(a_disk_in_the_place_of_the_paired_one_is_refused),
		TEST(a_writer_that_refuses_its_disk_at_start_does_not_fail_the_task),
		TEST(a_second_writer_starts_only_when_the_first_is_reaped),
		TEST(a_connection_that_opens_a_disk_twice_is_ended),
		TEST(a_writer_that_still_ends_is_not_heard_after_clean),
		TEST(received_means_every_block_claimed_and_nothing_pending),
		TEST(a_lost_session_is_an_interruption_and_the_next_open_goes_on),
		TEST(a_session_with_a_goodbye_is_not_waited_for),
		TEST(a_round_goes_on_while_any_connection_of_it_lives),
		TEST(a_pause_without_a_session_connection_ends_the_epoch_too),
		TEST(a_count_that_waits_when_the_session_ends_still_counts),
		TEST(a_disk_that_fails_fails_the_task_and_resume_leaves_it),
		TEST(a_writer_that_crashes_fails_the_task),
		TEST(a_signed_manifest_and_an_equal_target_are_verified_and_proved),
		TEST(a_seal_waits_for_the_last_count_and_is_refused_when_it_does_not_come),
		TEST(a_seal_that_is_not_of_this_task_or_key_is_refused),
		TEST(a_seal_on_a_data_connection_is_refused),
		TEST(different_blocks_are_named_told_and_wanted_again),
		TEST(a_disk_that_differs_three_times_fails_the_task),
		TEST(a_list_that_is_not_the_signed_one_is_told_to_the_sender),
		TEST(an_open_while_verifying_stops_it_and_a_late_verdict_is_not_believed),
		TEST(a_verified_disk_may_be_written_only_when_the_task_says_so),
		TEST(an_open_is_not_granted_while_the_task_verifies),
		TEST(verify_again_works_with_the_source_gone_and_needs_a_manifest),
		TEST(a_manifest_that_was_altered_on_disk_is_refused),
		TEST(a_restart_in_any_state_comes_back_to_it),
		TEST(every_state_can_be_left_by_abort_and_clean_any_number_of_times),
		TEST(pause_sends_the_sender_away_until_resume),
		TEST(resume_with_everything_there_is_received),
		TEST(unpair_drops_the_key_and_another_sender_may_pair_with_the_same_task),
		TEST(finalize_waits_for_the_writers_and_then_runs_bootfix),
		TEST(a_failed_repair_says_why_and_can_be_tried_again_or_undone),
		TEST(a_restart_while_finalizing_does_the_same_again),
		TEST(plan_changes_no_state_and_nobody_may_write_meanwhile),
		TEST(undo_needs_something_to_undo_and_one_step_stays_ready),
		TEST(abort_while_finalizing_stops_bootfix),
		TEST(the_name_of_a_step_is_a_word),
		TEST(a_quit_lets_the_writers_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
