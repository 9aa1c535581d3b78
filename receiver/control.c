/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "store.h"

struct client {
	struct control *control;
	struct bufferevent *bev; /* NULL: free */
	bool closing;
};

struct control {
	control_fn *fn;
	struct keeper *keeper;
	struct evconnlistener *listener;
	struct client clients[CONTROL_CLIENTS_MAX];
	char path[STORE_PATH_MAX];
};

static void client_end(struct client *c)
{
	if (c->bev)
		bufferevent_free(c->bev);
	c->bev = NULL;
	c->closing = false;
}

static void answer(struct client *c, json_t *j)
{
	scoped(freep) char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (!text || bufferevent_write(c->bev, text, strlen(text)) ||
	    bufferevent_write(c->bev, "\n", 1))
		log_error("control: an answer was lost");
}

static json_t *refusal(const char *text)
{
	return json_pack("{s:b, s:{s:s, s:s, s:s}, s:i}", "ok", 0, "error", "kind", "usage", "name",
			 "bad-request", "text", text, "exit", 2);
}

static void one_line(struct client *c, const char *line, size_t len)
{
	json_error_t je;
	scoped(json_decrefp) json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	scoped(json_decrefp) json_t *reply = NULL;

	if (json_is_object(request))
		reply = c->control->fn(c->control->keeper, request);
	else
		reply = refusal("a request is one JSON object on one line");
	answer(c, reply);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *c = arg;
	size_t len;
	char *line;

	while ((line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		if (len <= CONTROL_LINE_MAX)
			one_line(c, line, len);
		free(line);
	}
	if (evbuffer_get_length(in) <= CONTROL_LINE_MAX)
		return;
	/* the line can never fit: say so, then hang up */
	scoped(json_decrefp) json_t *reply = refusal("a request has at most 64 KiB");
	answer(c, reply);
	c->closing = true;
	(void)bufferevent_disable(bev, EV_READ);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->closing)
		client_end(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	client_end(arg);
}

static bool is_operator(int fd)
{
	struct ucred u;
	socklen_t len = sizeof u;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) &&
	       (u.uid == geteuid() || u.uid == 0);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *arg)
{
	const struct timeval idle = { .tv_sec = CONTROL_IDLE_S };
	struct control *control = arg;
	struct client *c = NULL;

	(void)sa;
	(void)len;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX && !c; i++) {
		if (!control->clients[i].bev)
			c = &control->clients[i];
	}
	if (!c || !is_operator(fd)) {
		log_warn("control: a client was refused");
		(void)close(fd);
		return;
	}
	c->control = control;
	c->bev = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		(void)close(fd);
		return;
	}
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CONTROL_LINE_MAX + 1);
	(void)bufferevent_set_timeouts(c->bev, &idle, &idle);
	if (bufferevent_enable(c->bev, EV_READ | EV_WRITE))
		client_end(c);
}

/* A leftover socket of a process that was killed is replaced; a live one is not: then the state
 * folder belongs to another receiverd. */
static int clear_leftover(const struct sockaddr_un *sa, struct err *e)
{
	scoped(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "control socket");
	if (!connect(fd, (const struct sockaddr *)sa, sizeof *sa))
		return err_refuse(e, "state-in-use", EBUSY,
				  "'%s' answers: another receiverd has this state folder",
				  sa->sun_path);
	if (unlink(sa->sun_path) && errno != ENOENT)
		return err_set(e, ERR_SYS, errno, "remove '%s'", sa->sun_path);
	return 0;
}

static int bind_socket(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t before;
	int r;

	if (strlen(path) >= sizeof sa.sun_path)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "control socket '%s'", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	r = clear_leftover(&sa, e);
	if (r)
		return r;
	scoped(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "control socket");
	before = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof sa) || listen(fd, 16) ? -errno : 0;
	(void)umask(before);
	if (r)
		return err_set(e, ERR_SYS, -r, "control socket '%s'", path);
	*ret = take_fd(&fd);
	return 0;
}

int control_open(struct event_base *base, const char *path, control_fn *fn, struct keeper *k,
		 struct control **ret, struct err *e)
{
	struct control *c;
	int fd = -1, r = bind_socket(path, &fd, e);

	if (r)
		return r;
	c = calloc(1, sizeof *c);
	if (c)
		c->listener = evconnlistener_new(
		    base, on_accept, c, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!c || !c->listener) {
		free(c);
		(void)close(fd);
		return err_set(e, ERR_SYS, ENOMEM, "control socket");
	}
	c->fn = fn;
	c->keeper = k;
	(void)snprintf(c->path, sizeof c->path, "%s", path);
	*ret = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		client_end(&c->clients[i]);
	evconnlistener_free(c->listener);
	(void)unlink(c->path);
	free(c);
}
