/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "route.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

/* Only when it was asked for: a shell's profile must not decide where a server's disks go, and
 * under sudo or a service it would be another one each time. */
static int from_environment(struct move *m, struct err *e)
{
	int r = proxy_from_env(getenv, &m->proxy, e);

	if (r)
		return r;
	m->no_proxy = getenv("no_proxy");
	if (!m->no_proxy)
		m->no_proxy = getenv("NO_PROXY");
	if (m->proxy.kind == PROXY_NONE)
		log_warn("--proxy env: the environment names no proxy; connecting without one");
	return 0;
}

int route_find(struct move *m, struct err *e)
{
	const struct sender_options *o = m->o;
	int r = o->to ? address_parse(o->to, ADDRESS_NAME, &m->to, e) : 0;

	m->proxy = o->proxy;
	if (!r && o->proxy_env)
		r = from_environment(m, e);
	if (r || !o->proxy_password_file)
		return r;
	if (m->proxy.kind != PROXY_NONE && !m->proxy.user[0])
		return err_set(e, ERR_USAGE, EINVAL,
			       "--proxy-password-file needs a user: --proxy http://USER@HOST:PORT");
	return proxy_load_password(o->proxy_password_file, &m->proxy, e);
}

struct link_options route_link(struct move *m)
{
	struct link_options lo = { .addresses = m->invite.addresses,
				   .n_addresses = m->invite.n_addresses,
				   .proxy = &m->proxy,
				   .no_proxy = m->no_proxy,
				   .dead_s = m->o->dead_s,
				   .limit = &m->limit,
				   .wire_bytes = &m->gauge.wire,
				   .stop = m->stop };

	if (m->o->to) {
		lo.addresses = &m->to;
		lo.n_addresses = 1;
	}
	return lo;
}
