/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

static int at_least_one(unsigned v)
{
	return v ? (int)v : 1;
}

/* A socket with nothing under way is dead when probes went unanswered for the user timeout; one
 * with unacknowledged bytes when that time has passed since. Both are looked at on the kernel's
 * timers only, so the timeout ends a probe's interval before ${dead_s}. */
void tcp_set_up(int fd, unsigned dead_s)
{
	int idle = at_least_one(dead_s / 4), interval = at_least_one(dead_s / 12);
	int timeout_s = at_least_one(dead_s - dead_s / 6);

	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, at_least_one((unsigned)((timeout_s - idle) / interval)));
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout_s * 1000);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

bool tcp_use_congestion(int fd, const char *name)
{
	return !setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

void tcp_ask_bbr(int fd)
{
	(void)tcp_use_congestion(fd, "bbr");
}

const char *tcp_congestion(int fd, char buf[static TCP_CONGESTION_ROOM])
{
	socklen_t len = TCP_CONGESTION_ROOM;

	memset(buf, 0, TCP_CONGESTION_ROOM);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, buf, &len))
		buf[0] = 0;
	buf[TCP_CONGESTION_ROOM - 1] = 0;
	return buf;
}
