/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set /* the functions themselves, see err.h */
#undef err_refuse
#undef err_named

static void __attribute__((format(printf, 5, 0)))
fill(struct err *e, enum err_kind kind, int sys, const char *name, const char *fmt, va_list ap)
{
	int n;

	if (!e || e->kind != ERR_NONE)
		return;
	e->kind = kind;
	e->sys = sys;
	e->name = name;
	n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	if (n < 0 || (size_t)n >= sizeof e->text || !sys)
		return;
	if (kind == ERR_SYS || kind == ERR_DISK || kind == ERR_NET)
		(void)snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", strerror(sys));
}

int err_set(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, kind, sys, NULL, fmt, ap);
	va_end(ap);
	return sys ? -sys : -EIO;
}

int err_refuse(struct err *e, const char *name, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_REFUSED, sys, name, fmt, ap);
	va_end(ap);
	return sys ? -sys : -EPERM;
}

int err_named(struct err *e, enum err_kind kind, const char *name, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, kind, sys, name, fmt, ap);
	va_end(ap);
	return sys ? -sys : -EIO;
}

int err_under(struct err *e, int r, const char *fmt, ...)
{
	char what[sizeof e->text], rest[sizeof e->text];
	va_list ap;

	if (!e || e->kind == ERR_NONE)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	memcpy(rest, e->text, sizeof rest);
	(void)snprintf(e->text, sizeof e->text, "%.150s: %.240s", what, rest);
	return r;
}

void err_clear(struct err *e)
{
	if (e)
		memset(e, 0, sizeof *e);
}

const char *err_kind_word(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_SYS:
		return "system";
	case ERR_USAGE:
		return "usage";
	case ERR_PEER:
		return "peer";
	case ERR_NET:
		return "network";
	case ERR_AUTH:
		return "auth";
	case ERR_DISK:
		return "disk";
	case ERR_GUEST:
		return "guest";
	case ERR_REFUSED:
		return "refused";
	case ERR_WRONG_STATE:
		return "state";
	}
	return "unknown";
}

int err_exit_code(const struct err *e)
{
	switch (e->kind) {
	case ERR_NONE:
		return 0;
	case ERR_USAGE:
		return 2;
	case ERR_NET:
		return 3;
	case ERR_REFUSED:
	case ERR_AUTH:
	case ERR_WRONG_STATE:
		return 4;
	case ERR_SYS:
	case ERR_PEER:
	case ERR_DISK:
	case ERR_GUEST:
		return 1;
	}
	return 1;
}
