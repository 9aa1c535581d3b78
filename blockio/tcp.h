/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tcp.h - what both sides ask of a TCP socket
 *
 * Buffers  nothing is said about them: SO_SNDBUF or SO_RCVBUF would end the kernel's own tuning,
 *          which on a long path finds what no constant can.
 * Failures an option that this kernel does not have is not an error: the protocol's own PING finds
 *          a dead peer too, only some seconds later.
 */
#ifndef BLOCKIO_TCP_H
#define BLOCKIO_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_CONGESTION_ROOM 16 /* the kernel's TCP_CA_NAME_MAX */

/* Small frames go at once. A peer that vanished without a word (no FIN, no RST) is ETIMEDOUT after
 * at most ${dead_s} seconds, whether or not something is under way to it. */
void tcp_set_up(int fd, unsigned dead_s);
/* For the side that sends much: BBR keeps a line full that loses packets now and then, and its
 * queues short. Kept as it is where the kernel has no BBR or does not let us. */
void tcp_ask_bbr(int fd);
/* False where the kernel does not have it or does not let us. */
bool tcp_use_congestion(int fd, const char *name);
/* "bbr", "cubic", ""; returns ${buf}. */
const char *tcp_congestion(int fd, char buf[static TCP_CONGESTION_ROOM]);

/* How a connection went since it began. Source: TCP_INFO, Linux 4.10. */
struct tcp_path {
	uint64_t busy_us;   /* something was under way or waiting to be */
	uint64_t window_us; /* of that, held by the peer's window or by this side's send buffer */
	uint64_t acked;     /* bytes that arrived */
	uint32_t rtt_us, min_rtt_us; /* smoothed; the shortest seen lately */
	uint32_t segments, resent;   /* with data; of those, sent again */
};
/* False: not a TCP socket, or a kernel that does not tell. */
bool tcp_path(int fd, struct tcp_path *ret);

#endif
