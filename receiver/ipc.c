/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"

#define SEND_TIMEOUT_MS 30000

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
};

void ipc_init(struct ipc_msg *m, enum ipc_type type)
{
	memset(m, 0, sizeof *m);
	m->type = type;
}

int ipc_pair(int ret[static 2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret))
		return err_set(e, ERR_SYS, errno, "make a channel");
	return 0;
}

static size_t length_of(const struct ipc_msg *m)
{
	if (m->blob_len || m->text[0] || !all_zero(m->digest2, sizeof m->digest2))
		return sizeof *m;
	return IPC_SHORT_LEN;
}

static void attach(struct msghdr *h, union control *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof *control);
	h->msg_control = control->bytes;
	h->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
}

int ipc_try_send(int fd, const struct ipc_msg *m, const int *fds, size_t n_fds, struct err *e)
{
	struct iovec iov = { .iov_len = length_of(m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (n_fds > IPC_FDS_MAX)
		return err_set(e, ERR_SYS, EINVAL, "%zu descriptors in one message", n_fds);
	/* sendmsg() does not write through the pointer; struct iovec cannot say so */
	memcpy(&iov.iov_base, &(const void *){ m }, sizeof iov.iov_base);
	if (fds && n_fds)
		attach(&h, &control, fds, n_fds);
	do
		n = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return -EAGAIN;
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		return err_set(e, ERR_SYS, EPIPE, "send message %u", m->type);
	return err_set(e, ERR_SYS, errno, "send message %u", m->type);
}

int ipc_send(int fd, const struct ipc_msg *m, const int *fds, size_t n_fds, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int r, n;

	for (;;) {
		r = ipc_try_send(fd, m, fds, n_fds, e);
		if (r != -EAGAIN)
			return r;
		n = poll(&p, 1, SEND_TIMEOUT_MS);
		if (n < 0 && errno != EINTR)
			return err_set(e, ERR_SYS, errno, "wait to send message %u", m->type);
		if (!n)
			return err_set(e, ERR_SYS, ETIMEDOUT, "send message %u", m->type);
	}
}

/* Every descriptor that came is taken or closed: a hostile sender must not fill our table. */
static size_t collect(struct msghdr *h, int *fds)
{
	size_t got = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (got < IPC_FDS_MAX)
				fds[got++] = fd;
			else
				(void)close(fd);
		}
	}
	return got;
}

void ipc_close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fdp(&fds[i]);
}

static int check(struct ipc_msg *m, ssize_t n, int flags, struct err *e)
{
	if ((flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    (n != (ssize_t)IPC_SHORT_LEN && n != (ssize_t)sizeof *m))
		return err_set(e, ERR_PEER, EPROTO, "a message of %zd bytes", n);
	if (m->blob_len > sizeof m->blob)
		return err_set(e, ERR_PEER, EPROTO, "a blob of %u bytes", m->blob_len);
	m->text[sizeof m->text - 1] = 0;
	return 1;
}

int ipc_recv(int fd, struct ipc_msg *ret, int *ret_fds, size_t *ret_n, struct err *e)
{
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof *ret };
	union control control;
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof control.bytes };
	int fds[IPC_FDS_MAX] = { -1, -1, -1 }, r;
	size_t got;
	ssize_t n;
	int resets = 0;

	if (ret_n)
		*ret_n = 0;
	/* A peer that closed with something unread gives ECONNRESET once, before what it had sent
	 * is read; that is still there behind it. */
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return err_set(e, ERR_SYS, errno, "read a channel");
	/* an empty packet reads as the end of the channel, and is treated as one */
	if (n <= 0)
		return err_set(e, ERR_SYS, EPIPE, "read a channel");
	got = collect(&h, fds);
	if (n == (ssize_t)IPC_SHORT_LEN)
		memset((uint8_t *)ret + IPC_SHORT_LEN, 0, sizeof *ret - IPC_SHORT_LEN);
	r = check(ret, n, h.msg_flags, e);
	if (r < 0 || !ret_fds || !ret_n) {
		ipc_close_fds(fds, got);
		return r;
	}
	memcpy(ret_fds, fds, sizeof fds);
	*ret_n = got;
	return r;
}
