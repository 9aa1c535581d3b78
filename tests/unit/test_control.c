/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keeper_world.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "control.h"

static int dial(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/control.sock", w->o.state_dir);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	turn(w);
	return fd;
}

static void send_text(struct world *w, int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		turn(w);
		if (n < 0 && errno != EAGAIN)
			return; /* hung up on, which the test then sees */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	turn(w);
}

/* The next answer, or NULL: nothing there. *ret_closed: it hung up. */
static json_t *read_answer(int fd, bool *ret_closed)
{
	static char buf[1 << 20];
	ssize_t n = recv(fd, buf, sizeof buf, 0);

	*ret_closed = !n || (n < 0 && errno != EAGAIN);
	return n > 0 ? json_loadb(buf, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}

static bool is_usage_error(int fd)
{
	bool closed;
	json_t *j = read_answer(fd, &closed);
	bool usage = j && json_is_false(json_object_get(j, "ok")) &&
		     json_integer_value(json_object_get(j, "exit")) == 2;

	json_decref(j);
	return usage;
}

static void a_question_on_a_line_is_answered_on_a_line(void **state)
{
	static const char *const keys[] = {
		"ok",    "state",  "reason", "next",       "task",
		"epoch", "paired", "sealed", "disks",      "verify",
		"fix",   "listen", "ending", "block_size", "fingerprint"
	};
	struct world *w = *state;
	scoped(close_fdp) int fd = dial(w);
	bool closed;

	for (int i = 0; i < 3; i++) { /* as --watch does */
		json_t *j;

		send_text(w, fd, "{\"command\":\"status\"}\n",
			  strlen("{\"command\":\"status\"}\n"));
		j = read_answer(fd, &closed);
		assert_non_null(j);
		for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
			if (!json_object_get(j, keys[k]))
				fail_msg("status has no '%s'", keys[k]);
		}
		json_decref(j);
	}
}

static void a_question_may_come_in_pieces_and_two_at_once(void **state)
{
	struct world *w = *state;
	scoped(close_fdp) int fd = dial(w);
	bool closed;
	json_t *j;

	send_text(w, fd, "{\"comm", strlen("{\"comm"));
	assert_null(read_answer(fd, &closed));
	assert_false(closed);
	send_text(w, fd, "and\":\"logs\"}\n{\"command\":\"abort\"}\n",
		  strlen("and\":\"logs\"}\n{\"command\":\"abort\"}\n"));
	j = read_answer(fd, &closed);
	assert_non_null(json_object_get(j, "lines"));
	json_decref(j);
}

static void what_is_not_a_request_is_a_usage_error(void **state)
{
	static const char *const lines[] = {
		"\n",
		"nonsense\n",
		"[]\n",
		"{}\n",
		"{\"command\":5}\n",
		"{\"command\":\"reboot\"}\n",
		"{\"command\":\"status\",\"command\":\"abort\"}\n",
		"{\"command\":\"status\",\"extra\":1}\n",
		"{\"command\":\"pair\",\"disks\":[0],\"ttl\":0}\n",
		"{\"command\":\"pair\",\"disks\":[0],\"ttl\":604801}\n",
		"{\"command\":\"pair\"}\n",
		"{\"command\":\"pair\",\"disks\":[0],\"addresses\":[\"example.org:1\"]}\n",
		"{\"command\":\"logs\",\"lines\":-1}\n",
	};
	struct world *w = *state;
	scoped(close_fdp) int fd = dial(w);

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		send_text(w, fd, lines[i], strlen(lines[i]));
		if (!is_usage_error(fd))
			fail_msg("not refused: %s", lines[i]);
	}
	assert_int_equal(w->k->task.state, TASK_WAITING);
	assert_false(w->k->tickets.open);
}

static void a_line_without_end_is_refused_and_hung_up_on(void **state)
{
	struct world *w = *state;
	scoped(close_fdp) int fd = dial(w);
	static char text[2 * CONTROL_LINE_MAX];
	bool closed = false;

	memset(text, ' ', sizeof text);
	send_text(w, fd, text, sizeof text);
	assert_true(is_usage_error(fd));
	turn(w);
	json_decref(read_answer(fd, &closed));
	assert_true(closed);
}

static void a_seventeenth_client_is_hung_up_on_and_a_place_comes_free(void **state)
{
	struct world *w = *state;
	int fds[CONTROL_CLIENTS_MAX + 1];
	bool closed;

	for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
		fds[i] = dial(w);
	assert_null(read_answer(fds[CONTROL_CLIENTS_MAX], &closed));
	assert_true(closed);
	assert_null(read_answer(fds[0], &closed));
	assert_false(closed);
	(void)close(fds[0]);
	turn(w);
	fds[0] = dial(w);
	send_text(w, fds[0], "{\"command\":\"logs\"}\n", strlen("{\"command\":\"logs\"}\n"));
	json_decref(read_answer(fds[0], &closed));
	assert_false(closed);
	for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
		(void)close(fds[i]);
}

static void only_the_owner_can_reach_the_socket(void **state)
{
	struct world *w = *state;
	char path[STORE_PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/control.sock", w->o.state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(path, sizeof path, "%s/key.pem", w->o.state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_receiverd_on_the_same_folder_is_refused(void **state)
{
	struct world *w = *state;
	struct keeper *second = NULL;
	struct err e = { 0 };
	int pair[2];

	assert_int_equal(ipc_pair(pair, NULL), 0);
	assert_true(keeper_new(pair[1], &w->o, &second, &e) < 0);
	assert_string_equal(e.name, "state-in-use");
	assert_int_equal(err_exit_code(&e), 4);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void a_leftover_socket_of_a_killed_receiverd_is_replaced(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	crash_keeper(w);
	(void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/control.sock", w->o.state_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	(void)close(fd); /* bound, and nobody there */
	start_keeper(w);
	(void)close(dial(w));
}

static void the_key_is_the_same_after_a_restart_and_a_broken_one_is_not_replaced(void **state)
{
	uint8_t spki[DIGEST_LEN];
	struct world *w = *state;
	struct keeper *k = NULL;
	struct err e = { 0 };
	int pair[2];

	memcpy(spki, keeper_key_spki(w->k->key), sizeof spki);
	restart_keeper(w);
	assert_memory_equal(spki, keeper_key_spki(w->k->key), sizeof spki);
	crash_keeper(w);
	assert_int_equal(store_write(w->o.state_dir, "key.pem", "no key", 6, NULL), 0);
	assert_int_equal(ipc_pair(pair, NULL), 0);
	assert_true(keeper_new(pair[1], &w->o, &k, &e) < 0);
	assert_non_null(strstr(e.text, "key.pem"));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* ---- pair: what is refused before a code is made ---- */

static json_t *pair_disk(struct world *w, int n)
{
	return ask(w, "{s:s, s:[i], s:[s]}", "command", "pair", "disks", n, "addresses",
		   "127.0.0.1:443");
}

static void pair_refuses_what_must_not_be_written(void **state)
{
	struct world *w = *state;
	int fd;

	assert_true(is_refused(pair_disk(w, 7), "disk-unknown", 4));
	assert_true(is_refused(ask(w, "{s:s, s:[i,i]}", "command", "pair", "disks", 0, 0),
			       "disk-given-twice", 4));
	(void)snprintf(w->o.disk[2], sizeof w->o.disk[2], "%s/alias", w->dir);
	assert_int_equal(symlink(w->o.disk[0], w->o.disk[2]), 0);
	assert_true(is_refused(ask(w, "{s:s, s:[i,i]}", "command", "pair", "disks", 0, 2),
			       "disk-given-twice", 4));
	(void)snprintf(w->o.disk[3], sizeof w->o.disk[3], "%s/none", w->dir);
	assert_true(is_refused(pair_disk(w, 3), "disk-missing", 4));
	fd = open(w->o.disk[1], O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, (2 << 20) - 1), 1);
	(void)close(fd);
	assert_true(is_refused(pair_disk(w, 1), "disk-holds-data", 4));
	assert_false(w->k->task.exists);
	assert_false(w->k->tickets.open);
}

static void a_disk_that_holds_data_is_taken_with_its_own_serial_only(void **state)
{
	struct world *w = *state;
	const json_t *disk;
	json_t *disks;
	int fd;

	fd = open(w->o.disk[0], O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	(void)close(fd);
	assert_true(is_refused(
	    ask(w, "{s:s, s:[i], s:[s]}", "command", "pair", "disks", 0, "erase", "WD-1"),
	    "wrong-serial", 4));
	disks = ask(w, "{s:s}", "command", "disks");
	disk = json_array_get(json_object_get(disks, "disks"), 0);
	assert_true(
	    is_ok(ask(w, "{s:s, s:[i], s:[s], s:[s]}", "command", "pair", "disks", 0, "addresses",
		      "127.0.0.1:1", "erase", json_string_value(json_object_get(disk, "serial")))));
	assert_true(w->k->task.disk[0].may_erase);
	json_decref(disks);
}

static void the_invite_has_exactly_what_the_sender_reads(void **state)
{
	struct world *w = *state;
	json_t *answer = pair_disk(w, 0), *invite = json_object_get(answer, "invite");
	json_int_t version, size, sector, n, block, expires;
	const char *address, *spki, *code, *ticket;

	assert_int_equal(json_unpack_ex(invite, NULL, JSON_STRICT,
					"{s:I, s:[s!], s:s, s:s, s:s, s:[{s:I,s:I,s:I!}!], s:I, "
					"s:I!}",
					"version", &version, "addresses", &address, "spki_sha256",
					&spki, "code", &code, "ticket", &ticket, "disks", "n", &n,
					"size", &size, "logical_sector", &sector, "block_size",
					&block, "expires", &expires),
			 0);
	assert_int_equal(version, 1);
	assert_string_equal(address, "127.0.0.1:443");
	assert_int_equal(strlen(spki), 64);
	assert_int_equal(strlen(ticket), 16);
	assert_int_equal(size, 1 << 20);
	assert_int_equal(block, 256 * KIB);
	json_decref(answer);
}

static void the_code_is_nowhere_on_disk(void **state)
{
	struct world *w = *state;
	json_t *answer = pair_disk(w, 0);
	const char *code = json_string_value(json_object_get(answer, "code"));
	char dir[STORE_PATH_MAX], *text;
	size_t len;

	keeper_folder(w->k, "", dir);
	assert_int_equal(store_read(dir, "task.json", 1 << 20, &text, &len, NULL), 0);
	assert_null(strstr(text, code));
	free(text);
	assert_int_equal(store_read(w->o.state_dir, "log", 1 << 20, &text, &len, NULL), 0);
	assert_null(strstr(text, code));
	free(text);
	json_decref(answer);
}

static void the_log_rotates_and_stays_bounded(void **state)
{
	struct world *w = *state;
	char path[STORE_PATH_MAX], long_line[500];
	struct stat st;
	json_t *lines;

	memset(long_line, 'x', sizeof long_line - 1);
	long_line[sizeof long_line - 1] = 0;
	for (int i = 0; i < 1200; i++)
		events_add(w->k->events, LOG_LEVEL_DEBUG, "%d %s", i, long_line);
	(void)snprintf(path, sizeof path, "%s/log", w->o.state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 258 * 1024);
	(void)snprintf(path, sizeof path, "%s/log.1", w->o.state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 258 * 1024);
	lines = events_tail(w->k->events, 20);
	assert_int_equal(json_array_size(lines), 20);
	assert_non_null(strstr(json_string_value(json_array_get(lines, 19)), " 1199 "));
	json_decref(lines);
}

static void a_stranger_cannot_fill_the_log(void **state)
{
	struct world *w = *state;
	json_t *lines;

	for (int i = 0; i < 1000; i++)
		events_peer(w->k->events, LOG_LEVEL_WARN, "knock \x1b[31m %d", i);
	lines = events_tail(w->k->events, 500);
	assert_in_range(json_array_size(lines), 5, 60);
	for (size_t i = 0; i < json_array_size(lines); i++)
		assert_null(strchr(json_string_value(json_array_get(lines, i)), '\x1b'));
	json_decref(lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_question_on_a_line_is_answered_on_a_line),
		TEST(a_question_may_come_in_pieces_and_two_at_once),
		TEST(what_is_not_a_request_is_a_usage_error),
		TEST(a_line_without_end_is_refused_and_hung_up_on),
		TEST(a_seventeenth_client_is_hung_up_on_and_a_place_comes_free),
		TEST(only_the_owner_can_reach_the_socket),
		TEST(a_second_receiverd_on_the_same_folder_is_refused),
		TEST(a_leftover_socket_of_a_killed_receiverd_is_replaced),
		TEST(the_key_is_the_same_after_a_restart_and_a_broken_one_is_not_replaced),
		TEST(pair_refuses_what_must_not_be_written),
		TEST(a_disk_that_holds_data_is_taken_with_its_own_serial_only),
		TEST(the_invite_has_exactly_what_the_sender_reads),
		TEST(the_code_is_nowhere_on_disk),
		TEST(the_log_rotates_and_stays_bounded),
		TEST(a_stranger_cannot_fill_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
