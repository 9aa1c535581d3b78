/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * err.h - one failure, told once, with its kind, its errno and its words
 *
 * Shape   a struct err lives on the caller's stack; NULL is allowed everywhere.
 * Rule    the first to see a failure fills it (err_set); callers add what they were doing
 *         (err_under); only the top of a program, a connection, a task or a step logs it.
 * Return  both return the negative errno, so that `return err_set(...)` is the whole branch.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdbool.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_SYS,         /* this machine: memory, files, descriptors */
	ERR_USAGE,       /* the person's words: options, config, arguments */
	ERR_PEER,        /* bytes from the other side break the contract: close the connection */
	ERR_NET,         /* the connection was lost: try again */
	ERR_AUTH,        /* the other side is not who it must be */
	ERR_DISK,        /* a source or target disk failed: the task fails */
	ERR_GUEST,       /* content of a received system: a step fails */
	ERR_REFUSED,     /* a check said no: nothing was changed */
	ERR_WRONG_STATE, /* not possible in the state the task is in */
};

struct err {
	enum err_kind kind;
	int sys;          /* positive errno */
	const char *name; /* stable word for a refusal ("disk-mounted"), or NULL; static storage */
	char text[400];
};

/* Fills ${e} and returns -${sys} (or -EIO when ${sys} is 0). Adds strerror for ERR_SYS, ERR_DISK
 * and ERR_NET when ${sys} is not 0. Does not overwrite an error that is already there. */
int err_set(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As err_set, with the refusal's stable name. */
int err_refuse(struct err *e, const char *name, int sys, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As err_set, with a stable name for what is no refusal: "proxy-unreachable". */
int err_named(struct err *e, enum err_kind kind, const char *name, int sys, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Puts "what: " before the text that is there; returns ${r}, the code that rises. */
int err_under(struct err *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* It sees no body of these three: without this it walks on as if the error were success. */
static inline int err_negative(int r)
{
	return r < 0 ? r : -EIO;
}

#define err_set(...) err_negative(err_set(__VA_ARGS__))
#define err_refuse(...) err_negative(err_refuse(__VA_ARGS__))
#define err_named(...) err_negative(err_named(__VA_ARGS__))
#endif

void err_clear(struct err *e);

/* "disk", "peer", ...: for JSON and logs. */
const char *err_kind_word(enum err_kind kind);

/* Exit code of the command lines: 0 done, 1 failed, 2 usage, 3 interrupted, 4 refused. */
int err_exit_code(const struct err *e);

#endif
