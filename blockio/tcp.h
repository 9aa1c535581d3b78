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

#include <stddef.h>

#define TCP_CONGESTION_ROOM 16 /* the kernel's TCP_CA_NAME_MAX */

/* Small frames go at once. A peer that vanished without a word (no FIN, no RST) is ETIMEDOUT after
 * at most ${dead_s} seconds, whether or not something is under way to it. */
void tcp_set_up(int fd, unsigned dead_s);
/* For the side that sends much: BBR keeps a line full that loses packets now and then, and its
 * queues short. Kept as it is where the kernel has no BBR or does not let us. */
void tcp_ask_bbr(int fd);
/* "bbr", "cubic", ""; returns ${buf}. */
const char *tcp_congestion(int fd, char buf[static TCP_CONGESTION_ROOM]);

#endif
