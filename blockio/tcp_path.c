/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Apart from tcp.c: the kernel's header has fields that libc's lacks, and cannot stand beside it.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tcp.h"

bool tcp_path(int fd, struct tcp_path *ret)
{
	struct tcp_info info;
	socklen_t len = sizeof info;

	memset(&info, 0, sizeof info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    len < offsetof(struct tcp_info, tcpi_sndbuf_limited) + sizeof info.tcpi_sndbuf_limited)
		return false;
	*ret = (struct tcp_path){ .busy_us = info.tcpi_busy_time,
				  .window_us = info.tcpi_rwnd_limited + info.tcpi_sndbuf_limited,
				  .acked = info.tcpi_bytes_acked,
				  .rtt_us = info.tcpi_rtt,
				  .min_rtt_us = info.tcpi_min_rtt,
				  .segments = info.tcpi_data_segs_out,
				  .resent = info.tcpi_total_retrans };
	return true;
}
