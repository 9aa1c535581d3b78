/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dial.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "clock.h"
#include "tcp.h"
#include "tool.h"

#define WAYS_MAX 32
#define HOPS_MAX 8 /* addresses of one name */
#define CONNECT_MS 10000
#define TALK_MS 15000 /* the proxy connects to the target meanwhile */
#define STAGGER_MS 250
#define STAGGER_PROXY_MS 1000 /* its answer takes two ways instead of one */
#define RESOLVE_S 10
#define TICK_MS 200 /* how long a wait may be deaf to the stop flag */

enum way_state { WAY_NEW, WAY_CONNECTING, WAY_TALKING, WAY_TRIED };

struct way {
	struct address target;
	struct address hop; /* where the socket goes: the target or the proxy */
	bool by_proxy;
	enum way_state state;
	int fd;
	uint64_t by_ms;
	struct proxy_talk *talk;
};

struct dial {
	struct dial_options o;
	struct way ways[WAYS_MAX];
	unsigned n;
	uint64_t next_ms; /* when the next way may be begun beside those that are under way */
	struct err last;  /* why the last one failed */
};

/* ---- which ways there are ---- */

struct hops {
	struct address a[HOPS_MAX];
	unsigned n;
	uint16_t port;
};

/* "192.0.2.7      STREAM receiver.example.org": one line of each kind of socket. */
static void on_getent_line(const char *line, void *arg)
{
	struct hops *h = arg;
	char text[ADDRESS_WHOLE_MAX];
	size_t len = strcspn(line, " \t");
	bool six = memchr(line, ':', len) != NULL;

	if (h->n == HOPS_MAX || len >= ADDRESS_HOST_MAX || !strstr(line, "STREAM"))
		return;
	(void)snprintf(text, sizeof text, six ? "[%.*s]:%u" : "%.*s:%u", (int)len, line, h->port);
	if (!address_parse(text, 0, &h->a[h->n], NULL))
		h->n++;
}

static int resolve(const struct address *name, struct hops *ret, struct err *e)
{
	char tool[] = "getent", what[] = "ahosts", host[ADDRESS_HOST_MAX];
	char *argv[] = { tool, what, host, NULL };
	int r;

	*ret = (struct hops){ .port = name->port };
	if (!address_is_name(name)) {
		ret->a[ret->n++] = *name;
		return 0;
	}
	memcpy(host, name->host, sizeof host);
	r = tool_run(argv, RESOLVE_S, on_getent_line, ret, NULL);
	if (!r && ret->n)
		return 0;
	return err_named(e, ERR_NET, "name-not-found", 0,
			 "name-not-found: '%.120s' has no address here (%s); give one in numbers",
			 name->host,
			 r == -ENOENT  ? "getent is not installed"
			 : r == -ETIME ? "the resolver does not answer"
				       : "getent ahosts finds none");
}

static void add_ways(struct dial *d, const struct address *target, const struct hops *h,
		     bool by_proxy)
{
	for (unsigned i = 0; i < h->n && d->n < WAYS_MAX; i++)
		d->ways[d->n++] = (struct way){
			.target = by_proxy ? *target : h->a[i],
			.hop = h->a[i],
			.by_proxy = by_proxy,
			.fd = -1,
		};
}

static bool goes_by_proxy(const struct dial *d, const struct address *target)
{
	return d->o.proxy && d->o.proxy->kind != PROXY_NONE &&
	       !proxy_is_exempt(d->o.no_proxy, target);
}

static int find_ways(struct dial *d, struct err *e)
{
	struct hops proxy = { .n = 0 }, own;
	int r = 0;

	for (unsigned i = 0; i < d->o.n_targets; i++) {
		const struct address *target = &d->o.targets[i];
		bool by_proxy = goes_by_proxy(d, target);

		if (by_proxy && !proxy.n)
			r = resolve(&d->o.proxy->at, &proxy, e);
		else if (!by_proxy)
			r = resolve(target, &own, e);
		if (r && by_proxy)
			return err_under(e, r, "proxy-unreachable");
		if (r)
			return r;
		add_ways(d, target, by_proxy ? &proxy : &own, by_proxy);
	}
	return 0;
}

static unsigned next_of_family(const struct way *ways, unsigned n, unsigned from, bool six)
{
	while (from < n && address_is_v6(&ways[from].hop) != six)
		from++;
	return from;
}

/* The families take turns, each in its own order; the first target's family begins. */
static void take_turns(struct dial *d)
{
	struct way old[WAYS_MAX];
	unsigned from[2] = { 0, 0 };
	bool six = d->n && address_is_v6(&d->ways[0].hop);

	memcpy(old, d->ways, sizeof old);
	for (unsigned k = 0; k < d->n; k++) {
		unsigned i = next_of_family(old, d->n, from[six], six);

		if (i == d->n) { /* none left of this one */
			six = !six;
			i = next_of_family(old, d->n, from[six], six);
		}
		from[six] = i + 1;
		d->ways[k] = old[i];
		six = !six;
	}
}

int dial_open(const struct dial_options *o, struct dial **ret, struct err *e)
{
	scoped(dial_closep) struct dial *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return err_set(e, ERR_SYS, ENOMEM, "connection");
	d->o = *o;
	if (!o->n_targets)
		return err_set(e, ERR_USAGE, EINVAL,
			       "the invite names no address: give --to HOST:PORT");
	r = find_ways(d, e);
	if (r)
		return r;
	take_turns(d);
	*ret = take_ptr(&d);
	return 0;
}

/* ---- one way ---- */

static const char *where(const struct dial *d, const struct way *w, char buf[static DIAL_WHERE_MAX])
{
	char to[ADDRESS_WHOLE_MAX], by[PROXY_TEXT_MAX];

	(void)address_text(&w->target, to, sizeof to);
	if (w->by_proxy)
		(void)snprintf(buf, DIAL_WHERE_MAX, "%s through %s", to,
			       proxy_text(d->o.proxy, by, sizeof by));
	else
		(void)snprintf(buf, DIAL_WHERE_MAX, "%s", to);
	return buf;
}

static int unreachable(const struct dial *d, const struct way *w, int sys, struct err *e)
{
	char text[DIAL_WHERE_MAX];

	if (!w->by_proxy)
		return err_set(e, ERR_NET, sys, "connect to %s", where(d, w, text));
	return err_named(e, ERR_NET, "proxy-unreachable", sys,
			 "proxy-unreachable: no connection to %s; see its address and port",
			 proxy_text(d->o.proxy, text, sizeof text));
}

static void hang_up(struct way *w, enum way_state state)
{
	close_fdp(&w->fd);
	if (w->talk)
		OPENSSL_cleanse(w->talk, sizeof *w->talk);
	free(w->talk);
	w->talk = NULL;
	w->state = state;
}

static int start(const struct dial *d, struct way *w, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int r = address_sockaddr(&w->hop, &sa, &len, e);

	w->state = WAY_TRIED;
	if (r)
		return r;
	w->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return unreachable(d, w, errno, e);
	tcp_set_up(w->fd, d->o.dead_s);
	tcp_ask_bbr(w->fd);
	if (connect(w->fd, (const struct sockaddr *)&sa, len) && errno != EINPROGRESS)
		return unreachable(d, w, errno, e);
	w->state = WAY_CONNECTING;
	w->by_ms = clock_ms() + CONNECT_MS;
	return 0;
}

static int connected(const struct dial *d, struct way *w, struct err *e)
{
	int failed = 0;
	socklen_t len = sizeof failed;

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &failed, &len) || failed)
		return unreachable(d, w, failed ? failed : errno, e);
	if (!w->by_proxy)
		return 1;
	w->talk = calloc(1, sizeof *w->talk);
	if (!w->talk)
		return err_set(e, ERR_SYS, ENOMEM, "connection");
	w->state = WAY_TALKING;
	w->by_ms = clock_ms() + TALK_MS;
	return proxy_talk_begin(w->talk, d->o.proxy, &w->target, e);
}

static int hung_up(const struct dial *d, int sys, struct err *e)
{
	char text[PROXY_TEXT_MAX];

	return err_named(e, ERR_NET, "proxy-closed", sys,
			 "proxy-closed: %s ended the connection without an answer",
			 proxy_text(d->o.proxy, text, sizeof text));
}

static int send_words(const struct dial *d, struct way *w, struct err *e)
{
	struct proxy_talk *t = w->talk;

	while (t->out_at < t->out_len) {
		ssize_t n = send(w->fd, t->out + t->out_at, t->out_len - t->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return hung_up(d, errno, e);
		t->out_at += (size_t)n;
	}
	t->out_at = t->out_len = 0;
	return 0;
}

/* 1 the way is open, 0 it needs more. */
static int talk(const struct dial *d, struct way *w, struct err *e)
{
	struct proxy_talk *t = w->talk;

	for (;;) {
		int r = send_words(d, w, e);

		if (r)
			return r;
		ssize_t n = recv(w->fd, t->in + t->in_len, sizeof t->in - t->in_len, 0);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return hung_up(d, n ? errno : 0, e);
		t->in_len += (size_t)n;
		r = proxy_talk_step(t, e);
		if (r)
			return r;
	}
}

static int too_late(const struct dial *d, const struct way *w, struct err *e)
{
	char text[PROXY_TEXT_MAX];

	if (w->state == WAY_CONNECTING)
		return unreachable(d, w, ETIMEDOUT, e);
	return err_named(
	    e, ERR_NET, "proxy-silent", ETIMEDOUT,
	    "proxy-silent: %s does not answer; see that it may connect to the receiver",
	    proxy_text(d->o.proxy, text, sizeof text));
}

/* 1 through, 0 under way, negative failed. */
static int advance(const struct dial *d, struct way *w, short revents, struct err *e)
{
	int r = 0;

	if (revents && w->state == WAY_CONNECTING)
		r = connected(d, w, e);
	if (!r && revents && w->state == WAY_TALKING)
		r = talk(d, w, e);
	if (!r && clock_ms() > w->by_ms)
		r = too_late(d, w, e);
	return r;
}

/* ---- all of them ---- */

static bool under_way(const struct way *w)
{
	return w->state == WAY_CONNECTING || w->state == WAY_TALKING;
}

static unsigned count_under_way(const struct dial *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++)
		n += under_way(&d->ways[i]);
	return n;
}

/* What failed is noted; true when it ends all. */
static bool give_up(struct dial *d, struct way *w, const struct err *why)
{
	char text[DIAL_WHERE_MAX];

	log_debug("dial", "%s: %s", where(d, w, text), why->text);
	hang_up(w, WAY_TRIED);
	d->last = *why;
	d->next_ms = 0; /* nobody waits behind the dead */
	return why->kind != ERR_NET;
}

/* Begins the ways whose turn it is. True when that ended all. */
static bool start_due(struct dial *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		struct way *w = &d->ways[i];
		struct err why = { 0 };
		uint64_t now = clock_ms();

		if (w->state != WAY_NEW)
			continue;
		if (count_under_way(d) && now < d->next_ms)
			return false;
		d->next_ms = now + (w->by_proxy ? STAGGER_PROXY_MS : STAGGER_MS);
		if (start(d, w, &why) && give_up(d, w, &why))
			return true;
	}
	return false;
}

/* How long until the next way is due, or the stop flag is to be looked at. */
static int wait_ms(const struct dial *d)
{
	uint64_t now = clock_ms();

	for (unsigned i = 0; i < d->n; i++) {
		if (d->ways[i].state == WAY_NEW && d->next_ms < now + TICK_MS)
			return d->next_ms > now ? (int)(d->next_ms - now) : 0;
	}
	return TICK_MS;
}

static void wait_for_any(const struct dial *d, struct pollfd *p)
{
	for (unsigned i = 0; i < d->n; i++) {
		const struct way *w = &d->ways[i];
		bool out = w->state == WAY_CONNECTING || (w->talk && w->talk->out_len);

		p[i] = (struct pollfd){ .fd = under_way(w) ? w->fd : -1,
					.events = (short)(out ? POLLIN | POLLOUT : POLLIN) };
	}
	if (poll(p, d->n, wait_ms(d)) > 0)
		return;
	for (unsigned i = 0; i < d->n; i++)
		p[i].revents = 0;
}

/* The winner leaves; who was slower waits for another call. */
static void take_winner(struct dial *d, struct way *w, int *ret_fd, char *ret_where)
{
	*ret_fd = take_fd(&w->fd);
	(void)where(d, w, ret_where);
	hang_up(w, WAY_TRIED);
	for (unsigned i = 0; i < d->n; i++)
		if (under_way(&d->ways[i]))
			hang_up(&d->ways[i], WAY_NEW);
}

static int all_failed(const struct dial *d, struct err *e)
{
	if (e)
		*e = d->last;
	if (d->n > 1 && d->last.kind == ERR_NET)
		return err_under(e, -ENETUNREACH, "none of %u addresses answers, the last one",
				 d->n);
	return d->last.sys ? -d->last.sys : -ENETUNREACH;
}

int dial_next(struct dial *d, int *ret_fd, char ret_where[static DIAL_WHERE_MAX], struct err *e)
{
	struct pollfd p[WAYS_MAX];

	for (;;) {
		if (d->o.stop && atomic_load(d->o.stop))
			return err_set(e, ERR_NET, 0, "stopped by a signal");
		if (start_due(d) || !count_under_way(d))
			return all_failed(d, e);
		wait_for_any(d, p);
		for (unsigned i = 0; i < d->n; i++) {
			struct err why = { 0 };
			int r = under_way(&d->ways[i]) ? advance(d, &d->ways[i], p[i].revents, &why)
						       : 0;

			if (r < 0 && give_up(d, &d->ways[i], &why))
				return all_failed(d, e);
			if (r <= 0)
				continue;
			take_winner(d, &d->ways[i], ret_fd, ret_where);
			return 0;
		}
	}
}

void dial_close(struct dial *d)
{
	for (unsigned i = 0; d && i < d->n; i++)
		hang_up(&d->ways[i], WAY_TRIED);
	free(d);
}
