/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * probe - what a line does without any program of ours: plain TCP one way, and the round trip
 *
 * Use     probe serve ADDRESS                 prints its port, then serves until it is ended
 *         probe rate ADDRESS PORT SECONDS     prints the bits a second that arrived in TCP, without
 * the first third of the time probe trip ADDRESS PORT COUNT       prints the median round trip of a
 * small datagram, in ms
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

#define CHUNK ((size_t)(256 * KIB))
#define TRIPS_MAX 1000

static uint8_t chunk[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *text, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		die(text);
	return a;
}

/* Takes all of one connection; when it says that it is over, tells what came after its first third.
 */
static void take(int fd, double seconds)
{
	double from = now(), counted_from = 0, last = from;
	uint64_t counted = 0;
	ssize_t n;
	char text[64];
	int len;

	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		last = now();
		if (last - from < seconds / 3)
			continue;
		if (counted_from > 0)
			counted += (uint64_t)n;
		else
			counted_from = last;
	}
	len = snprintf(text, sizeof text, "%.0f\n",
		       last > counted_from ? (double)counted * 8 / (last - counted_from) : 0);
	if (write(fd, text, (size_t)len) != len)
		die("answer");
}

static void serve(const char *where)
{
	struct sockaddr_in a = address(where, "0"), from;
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int u = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (l < 0 || u < 0 || bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, 4) ||
	    getsockname(l, (struct sockaddr *)&a, &len) || bind(u, (struct sockaddr *)&a, sizeof a))
		die("serve");
	printf("%u\n", ntohs(a.sin_port));
	(void)fflush(stdout);
	for (;;) {
		struct pollfd p[2] = { { .fd = l, .events = POLLIN },
				       { .fd = u, .events = POLLIN } };
		double seconds;

		if (poll(p, 2, -1) < 0)
			die("poll");
		len = sizeof from;
		if (p[1].revents) {
			ssize_t n = recvfrom(u, chunk, 64, 0, (struct sockaddr *)&from, &len);

			if (n > 0)
				(void)sendto(u, chunk, (size_t)n, 0, (struct sockaddr *)&from, len);
			continue;
		}
		int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 || read(fd, &seconds, sizeof seconds) != (ssize_t)sizeof seconds)
			die("accept");
		take(fd, seconds);
		(void)close(fd);
	}
}

static void rate(const struct sockaddr_in *a, double seconds)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double from;
	char text[64];
	ssize_t n;

	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof *a) ||
	    write(fd, &seconds, sizeof seconds) != (ssize_t)sizeof seconds)
		die("connect");
	for (from = now(); now() - from < seconds;) {
		if (write(fd, chunk, sizeof chunk) < 0)
			die("send");
	}
	(void)shutdown(fd, SHUT_WR);
	n = read(fd, text, sizeof text - 1);
	if (n <= 0)
		die("answer");
	text[n] = 0;
	(void)fputs(text, stdout);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void trip(const struct sockaddr_in *a, size_t count)
{
	static double ms[TRIPS_MAX];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 2 };
	size_t got = 0;

	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof *a) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
		die("connect");
	for (size_t i = 0; i < count && i < TRIPS_MAX; i++) {
		double from = now();

		if (write(fd, chunk, 16) == 16 && read(fd, chunk, 16) == 16)
			ms[got++] = (now() - from) * 1000;
	}
	if (!got) {
		errno = ETIMEDOUT;
		die("no answer");
	}
	qsort(ms, got, sizeof *ms, by_size);
	printf("%.3f\n", ms[got / 2]);
}

int main(int argc, char **argv)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		serve(argv[2]);
	} else if (argc == 5 && (!strcmp(argv[1], "rate") || !strcmp(argv[1], "trip"))) {
		struct sockaddr_in a = address(argv[2], argv[3]);

		if (argv[1][0] == 'r')
			rate(&a, strtod(argv[4], NULL));
		else
			trip(&a, strtoul(argv[4], NULL, 10));
	} else {
		fprintf(stderr, "usage: probe serve ADDRESS | rate|trip ADDRESS PORT N\n");
		return 2;
	}
	return 0;
}
