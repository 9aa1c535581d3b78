/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "receiverctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define ANSWER_LIMIT_MS 60000
#define ANSWER_MAX (16u << 20)

json_t *ctl_simple(const char *name)
{
	return json_pack("{s:s}", "command", name);
}

static int dial(struct ctl *c, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (c->fd >= 0)
		return 0;
	if (strlen(c->socket) >= sizeof sa.sun_path)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "--socket '%s': too long", c->socket);
	memcpy(sa.sun_path, c->socket, strlen(c->socket) + 1);
	scoped(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "control socket");
	if (connect(fd, (const struct sockaddr *)&sa, sizeof sa))
		return err_set(e, ERR_SYS, errno,
			       "no receiverd answers at '%s'; is it running, and as this user? "
			       "(--socket STATE/control.sock)",
			       c->socket);
	c->fd = take_fd(&fd);
	return 0;
}

static int send_all(int fd, const char *p, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, ERR_SYS, errno, "write to receiverd");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

struct line {
	char *text;
	size_t len, room;
};

static int grow(struct line *l, struct err *e)
{
	size_t room = l->room ? 2 * l->room : 65536;
	char *p = room > ANSWER_MAX ? NULL : realloc(l->text, room);

	if (!p)
		return err_set(e, ERR_SYS, ENOMEM, "the answer is too long");
	l->text = p;
	l->room = room;
	return 0;
}

/* One question is open at a time, so the line ends what there is to read. */
static int read_line(int fd, struct line *l, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	for (;;) {
		ssize_t n;

		r = l->len == l->room ? grow(l, e) : 0;
		if (r)
			return r;
		if (poll(&p, 1, ANSWER_LIMIT_MS) == 0)
			return err_set(e, ERR_SYS, ETIMEDOUT, "receiverd does not answer");
		n = recv(fd, l->text + l->len, l->room - l->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_SYS, n ? errno : EPIPE, "receiverd hung up");
		l->len += (size_t)n;
		if (l->text[l->len - 1] == '\n')
			return 0;
	}
}

/* The error of receiverd as our own: its words are for the person, its exit status for us. */
static int take_error(const json_t *answer, int *ret_exit, struct err *e)
{
	const json_t *error = json_object_get(answer, "error");
	const char *name = json_string_value(json_object_get(error, "name"));
	const char *text = json_string_value(json_object_get(error, "text"));

	*ret_exit = (int)json_integer_value(json_object_get(answer, "exit"));
	return err_set(e, ERR_PEER, EREMOTEIO, "%s%s%s", name ? name : "",
		       name && *name ? ": " : "", text ? text : "receiverd refused without a word");
}

int ctl_request(struct ctl *c, json_t *request, json_t **ret, int *ret_exit, struct err *e)
{
	scoped(freep) char *text = json_dumps(request, JSON_COMPACT);
	struct line l = { 0 };
	json_error_t je;
	int r = dial(c, e);

	*ret_exit = 1;
	json_decref(request);
	if (!r)
		r = send_all(c->fd, text, strlen(text), e);
	if (!r)
		r = send_all(c->fd, "\n", 1, e);
	if (!r)
		r = read_line(c->fd, &l, e);
	if (r) {
		*ret_exit = err_exit_code(e);
		close_fdp(&c->fd);
		free(l.text);
		return r;
	}
	scoped(json_decrefp) json_t *answer = json_loadb(l.text, l.len, 0, &je);
	free(l.text);
	if (!json_is_object(answer))
		return err_set(e, ERR_PEER, EPROTO, "receiverd's answer is not JSON");
	if (!json_is_true(json_object_get(answer, "ok")))
		return take_error(answer, ret_exit, e);
	(void)json_object_del(answer, "ok");
	*ret = json_incref(answer);
	return 0;
}
