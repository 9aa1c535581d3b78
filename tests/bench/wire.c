/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wire - a line between two network namespaces, with a rate, a delay, loss and a finite queue
 *
 * Use     wire SPACE_A SPACE_B RATE DELAY_US LOSS MTU QUEUE SEED
 *         RATE in bits a second each way, DELAY_US one way, LOSS in packets of a million, QUEUE in
 * bytes. Both namespaces exist; each gets an interface "wire0", which the caller gives its address.
 * Shape   packets are IP packets. Each waits for the line (its own bytes at the rate, after those
 *         before it), then travels for the delay. One that finds more than QUEUE bytes waiting is
 *         dropped, as a router drops it; a lost one has used the line.
 * Prints  "up", then ten times a second: wall clock in ms, and of both ways bytes that left the
 * queue, packets dropped at the queue, packets lost. Limits  One thread. The clock is virtual while
 * packets wait, so that a late wake-up costs no rate, only jitter. A packet is two system calls:
 * about 100,000 a second are all it can do, so 1 Gbit/s wants an MTU of 9000 on a small machine.
 * Ends    with its parent, or by SIGTERM; the interfaces go with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

#define SECOND UINT64_C(1000000000)
#define REPORT_NS (SECOND / 10)
#define BURST 64 /* packets taken from one side before the other is looked at */

struct packet {
	uint64_t leaves, arrives; /* ns */
	uint32_t len;
	bool lost;
};

/* One direction: a ring of packets that wait or travel, in the order in which they leave. */
struct way {
	int in, out;
	struct packet *packets;
	uint8_t *bytes; /* slots of mtu bytes */
	size_t slots, first, n;
	size_t waiting;                  /* of the newest n, these have not left */
	uint64_t waiting_bytes, free_at; /* the line is taken until then */
	uint64_t sent, dropped, lost;
};

struct line {
	uint64_t rate, delay, loss, queue, random;
	size_t mtu;
	struct way way[2];
};

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* ---- interfaces ---- */

static int tun_in(const char *space, size_t mtu)
{
	char path[128];
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd, s, ns;

	(void)snprintf(path, sizeof path, "/run/netns/%s", space);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(path);
	(void)close(ns);
	(void)snprintf(r.ifr_name, sizeof r.ifr_name, "wire0");
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		die("/dev/net/tun");
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r.ifr_mtu = (int)mtu;
	if (s < 0 || ioctl(s, SIOCSIFMTU, &r))
		die("mtu");
	r.ifr_qlen = 1000;
	(void)ioctl(s, SIOCSIFTXQLEN, &r);
	(void)close(s);
	return fd;
}

static void way_init(struct way *w, const struct line *l, int in, int out)
{
	uint64_t travelling = l->rate / 8 * l->delay / SECOND;

	/* small packets take a slot as large ones do; pages of it exist only once used */
	w->slots = (size_t)(4 * (travelling + l->queue) / l->mtu + 4096);
	w->packets = calloc(w->slots, sizeof *w->packets);
	w->bytes = calloc(w->slots, l->mtu);
	w->in = in;
	w->out = out;
	if (!w->packets || !w->bytes)
		die("memory");
}

/* ---- the line ---- */

static void let_go(struct way *w, uint64_t now)
{
	while (w->waiting) {
		const struct packet *p = &w->packets[(w->first + w->n - w->waiting) % w->slots];

		if (p->leaves > now)
			break;
		w->waiting--;
		w->waiting_bytes -= p->len;
		w->sent += p->len;
	}
}

static void take(struct line *l, struct way *w, size_t slot, size_t len, uint64_t now)
{
	struct packet *p = &w->packets[slot];

	if (w->n + 1 >= w->slots || w->waiting_bytes + len > l->queue) {
		w->dropped++;
		return;
	}
	w->free_at = (w->free_at > now ? w->free_at : now) + (uint64_t)len * 8 * SECOND / l->rate;
	*p = (struct packet){ .leaves = w->free_at,
			      .arrives = w->free_at + l->delay,
			      .len = (uint32_t)len,
			      .lost = l->loss && next_random(&l->random) % 1000000 < l->loss };
	w->n++;
	w->waiting++;
	w->waiting_bytes += len;
}

static void fill(struct line *l, struct way *w, uint64_t now)
{
	for (int i = 0; i < BURST; i++) {
		size_t slot = (w->first + w->n) % w->slots;
		ssize_t n = read(w->in, w->bytes + slot * l->mtu, l->mtu);

		if (n <= 0)
			return;
		take(l, w, slot, (size_t)n, now);
	}
}

static void deliver(const struct line *l, struct way *w, uint64_t now)
{
	while (w->n > w->waiting) {
		const struct packet *p = &w->packets[w->first];

		if (p->arrives > now)
			return;
		if (p->lost)
			w->lost++;
		else if (write(w->out, w->bytes + w->first * l->mtu, p->len) < 0 && errno != EAGAIN)
			w->dropped++; /* the interface is not up yet */
		w->first = (w->first + 1) % w->slots;
		w->n--;
	}
}

/* When something has to be done next; ${limit} at the latest. */
static uint64_t next_event(const struct way *w, uint64_t limit)
{
	uint64_t at = limit;

	if (w->n > w->waiting && w->packets[w->first].arrives < at)
		at = w->packets[w->first].arrives;
	if (w->waiting) {
		uint64_t leaves = w->packets[(w->first + w->n - w->waiting) % w->slots].leaves;

		at = leaves < at ? leaves : at;
	}
	return at;
}

static void say(const struct line *l)
{
	printf("%llu", (unsigned long long)(clock_ns(CLOCK_REALTIME) / 1000000));
	for (int i = 0; i < 2; i++)
		printf(" %llu %llu %llu", (unsigned long long)l->way[i].sent,
		       (unsigned long long)l->way[i].dropped, (unsigned long long)l->way[i].lost);
	printf("\n");
	(void)fflush(stdout);
}

static void run(struct line *l)
{
	uint64_t report = clock_ns(CLOCK_MONOTONIC);

	while (!over) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), next;
		struct pollfd p[2];

		for (int i = 0; i < 2; i++) {
			let_go(&l->way[i], now);
			fill(l, &l->way[i], now);
			deliver(l, &l->way[i], now);
		}
		if (now >= report) {
			say(l);
			report += REPORT_NS;
		}
		next = next_event(&l->way[1], next_event(&l->way[0], report));
		now = clock_ns(CLOCK_MONOTONIC);
		next = next > now ? next - now : 0;
		struct timespec t = { .tv_sec = (time_t)(next / SECOND),
				      .tv_nsec = (long)(next % SECOND) };
		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){ .fd = l->way[i].in, .events = POLLIN };
		(void)ppoll(p, 2, &t, NULL);
	}
	say(l);
}

int main(int argc, char **argv)
{
	struct line l = { 0 };
	int a, b;

	if (argc != 9) {
		fprintf(stderr, "usage: wire SPACE_A SPACE_B RATE DELAY_US LOSS MTU QUEUE SEED\n");
		return 2;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	/* A line waits for nobody's processor; where this is not allowed it is only less even. */
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	(void)signal(SIGTERM, on_term);
	(void)signal(SIGINT, on_term);
	l.rate = strtoull(argv[3], NULL, 10);
	l.delay = strtoull(argv[4], NULL, 10) * 1000;
	l.loss = strtoull(argv[5], NULL, 10);
	l.mtu = (size_t)strtoull(argv[6], NULL, 10);
	l.queue = strtoull(argv[7], NULL, 10);
	l.random = strtoull(argv[8], NULL, 10) * 2 + 1;
	if (!l.rate || l.mtu < 1280 || l.queue < l.mtu) {
		fprintf(stderr,
			"wire: a rate, an MTU of at least 1280 and a queue of one packet\n");
		return 2;
	}
	a = tun_in(argv[1], l.mtu);
	b = tun_in(argv[2], l.mtu);
	way_init(&l.way[0], &l, a, b);
	way_init(&l.way[1], &l, b, a);
	printf("up\n");
	run(&l);
	return 0;
}
