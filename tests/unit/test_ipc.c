/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"

struct fixture {
	int a, b;
};

static int set_up(void **state)
{
	static struct fixture f;
	int pair[2];

	assert_int_equal(ipc_pair(pair, NULL), 0);
	f = (struct fixture){ .a = pair[0], .b = pair[1] };
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)close(f->a);
	(void)close(f->b);
	return 0;
}

static void a_block_message_travels_in_the_short_form(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;
	char raw[sizeof m + 1];

	ipc_init(&m, IPC_PUT);
	m.slot = 3;
	m.a = 77;
	memset(m.digest, 0xab, sizeof m.digest);
	assert_int_equal(ipc_send(f->a, &m, NULL, 0, NULL), 0);
	assert_int_equal(recv(f->b, raw, sizeof raw, MSG_PEEK), IPC_SHORT_LEN);
	memset(&got, 0xff, sizeof got);
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
	assert_memory_equal(&got, &m, sizeof m);
}

static void a_message_with_a_blob_arrives_whole(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;

	ipc_init(&m, IPC_SEAL);
	m.blob_len = sizeof m.blob;
	memset(m.blob, 0x5c, sizeof m.blob);
	(void)strcpy(m.text, "words");
	assert_int_equal(ipc_send(f->a, &m, NULL, 0, NULL), 0);
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
	assert_memory_equal(&got, &m, sizeof m);
}

static void an_empty_channel_says_nothing_and_a_closed_one_says_epipe(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct ipc_msg m;

	assert_int_equal(ipc_recv(f->a, &m, NULL, NULL, &e), 0);
	(void)close(f->b);
	assert_int_equal(ipc_recv(f->a, &m, NULL, NULL, &e), -EPIPE);
	ipc_init(&m, IPC_FLUSH);
	assert_int_equal(ipc_send(f->a, &m, NULL, 0, NULL), -EPIPE);
	f->b = -1;
}

static void what_a_peer_sent_before_it_died_unheard_is_still_read(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;

	ipc_init(&m, IPC_SLOT_FREE);
	assert_int_equal(ipc_send(f->b, &m, NULL, 0, NULL), 0); /* never read by a */
	ipc_init(&m, IPC_PUT);
	for (m.d = 1; m.d <= 3; m.d++)
		assert_int_equal(ipc_send(f->a, &m, NULL, 0, NULL), 0);
	assert_int_equal(close(f->a), 0);
	f->a = -1;
	for (uint64_t d = 1; d <= 3; d++) {
		assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
		assert_int_equal(got.d, d);
	}
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), -EPIPE);
}

static void a_packet_of_any_other_length_is_not_a_message(void **state)
{
	static const size_t lengths[] = { 1,
					  4,
					  IPC_SHORT_LEN - 1,
					  IPC_SHORT_LEN + 1,
					  sizeof(struct ipc_msg) - 1,
					  sizeof(struct ipc_msg) + 1,
					  sizeof(struct ipc_msg) + 4096 };
	static char raw[sizeof(struct ipc_msg) + 8192];
	struct fixture *f = *state;
	struct ipc_msg m;

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct err e = { 0 };

		assert_int_equal(send(f->a, raw, lengths[i], 0), (ssize_t)lengths[i]);
		assert_int_equal(ipc_recv(f->b, &m, NULL, NULL, &e), -EPROTO);
		assert_int_equal(e.kind, ERR_PEER);
	}
}

static void a_blob_longer_than_its_room_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;

	ipc_init(&m, IPC_FACTS);
	m.blob_len = sizeof m.blob + 1;
	assert_int_equal(send(f->a, &m, sizeof m, 0), sizeof m);
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), -EPROTO);
}

static void text_without_an_end_gets_one(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;

	ipc_init(&m, IPC_FAULT);
	memset(m.text, 'x', sizeof m.text);
	assert_int_equal(send(f->a, &m, sizeof m, 0), sizeof m);
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
	assert_int_equal(strlen(got.text), IPC_TEXT_MAX);
}

static void descriptors_arrive_close_on_exec(void **state)
{
	struct fixture *f = *state;
	int fds[IPC_FDS_MAX], pipe_fds[2];
	struct ipc_msg m, got;
	char c = 0;
	size_t n;

	assert_int_equal(pipe(pipe_fds), 0);
	ipc_init(&m, IPC_GRANT);
	assert_int_equal(ipc_send(f->a, &m, pipe_fds, 2, NULL), 0);
	assert_int_equal(ipc_recv(f->b, &got, fds, &n, NULL), 1);
	assert_int_equal(n, 2);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fds[1], "k", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	assert_int_equal(c, 'k');
	ipc_close_fds(fds, n);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void descriptors_nobody_asked_for_do_not_stay(void **state)
{
	struct fixture *f = *state;
	int fds[IPC_FDS_MAX] = { f->a, f->b, f->a }, before = open_descriptors();
	struct ipc_msg m, got;

	ipc_init(&m, IPC_PUT);
	assert_int_equal(ipc_send(f->a, &m, fds, IPC_FDS_MAX, NULL), 0);
	assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
	assert_int_equal(open_descriptors(), before);
}

static void more_descriptors_than_allowed_are_a_broken_message(void **state)
{
	struct fixture *f = *state;
	int fds[8], got_fds[IPC_FDS_MAX], before = open_descriptors();
	char control[CMSG_SPACE(sizeof fds)] = { 0 };
	struct ipc_msg m, got;
	struct iovec iov = { .iov_base = &m, .iov_len = IPC_SHORT_LEN };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	size_t n;

	for (size_t i = 0; i < 8; i++)
		fds[i] = f->a;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	ipc_init(&m, IPC_PUT);
	assert_int_equal(sendmsg(f->a, &h, 0), IPC_SHORT_LEN);
	assert_int_equal(ipc_recv(f->b, &got, got_fds, &n, NULL), -EPROTO);
	assert_int_equal(open_descriptors(), before);
}

static void a_full_channel_says_so_and_takes_more_later(void **state)
{
	struct fixture *f = *state;
	struct ipc_msg m, got;
	uint64_t sent = 0;
	int r;

	ipc_init(&m, IPC_FLUSH);
	do {
		m.d = sent;
		r = ipc_try_send(f->a, &m, NULL, 0, NULL);
		sent += !r;
	} while (!r && sent < 100000);
	assert_int_equal(r, -EAGAIN);
	/* what a ring has of slots fits, whatever the block size */
	assert_true(sent >= 128);
	for (uint64_t i = 0; i < sent; i++) {
		assert_int_equal(ipc_recv(f->b, &got, NULL, NULL, NULL), 1);
		assert_int_equal(got.d, i);
	}
	assert_int_equal(ipc_try_send(f->a, &m, NULL, 0, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(a_block_message_travels_in_the_short_form),
		T(a_message_with_a_blob_arrives_whole),
		T(an_empty_channel_says_nothing_and_a_closed_one_says_epipe),
		T(what_a_peer_sent_before_it_died_unheard_is_still_read),
		T(a_packet_of_any_other_length_is_not_a_message),
		T(a_blob_longer_than_its_room_is_refused),
		T(text_without_an_end_gets_one),
		T(descriptors_arrive_close_on_exec),
		T(descriptors_nobody_asked_for_do_not_stay),
		T(more_descriptors_than_allowed_are_a_broken_message),
		T(a_full_channel_says_so_and_takes_more_later),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
