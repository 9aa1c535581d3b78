/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lines.h - lines and words of a text that nobody vouches for
 *
 * Shape   a line ends before its '\n' (a '\r' before it stays in the line); the last line may have
 *         no end. Words are separated by blanks and tabs. Nothing is copied, nothing allocated.
 * Owner   pieces borrow from the text.
 */
#ifndef EDIT_LINES_H
#define EDIT_LINES_H

#include "edit/edits.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct piece {
	const char *s;
	size_t len;
};

struct lines {
	const char *text;
	size_t len;
	size_t next;      /* where the next line begins */
	struct span line; /* the present line, without its end */
	unsigned number;  /* of the present line, from 1 */
};

static inline bool lines_next(struct lines *l)
{
	const char *end;

	if (l->next >= l->len)
		return false;
	end = memchr(l->text + l->next, '\n', l->len - l->next);
	l->line.off = l->next;
	l->line.len = (end ? (size_t)(end - l->text) : l->len) - l->next;
	l->next = l->line.off + l->line.len + (end ? 1 : 0);
	l->number++;
	return true;
}

static inline struct piece lines_piece(const struct lines *l)
{
	return (struct piece){ l->text + l->line.off, l->line.len };
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next word off ${rest}. */
static inline bool piece_word(struct piece *rest, struct piece *ret)
{
	size_t n = 0;

	while (rest->len && is_blank(rest->s[0])) {
		rest->s++;
		rest->len--;
	}
	while (n < rest->len && !is_blank(rest->s[n]))
		n++;
	*ret = (struct piece){ rest->s, n };
	rest->s += n;
	rest->len -= n;
	return n > 0;
}

/* The first ${max} words; returns how many there are of them. */
static inline size_t piece_words(struct piece line, struct piece *ret, size_t max)
{
	size_t n = 0;

	while (n < max && piece_word(&line, &ret[n]))
		n++;
	return n;
}

static inline bool piece_is(struct piece p, const char *s)
{
	return p.len == strlen(s) && !memcmp(p.s, s, p.len);
}

static inline bool piece_begins(struct piece p, const char *s)
{
	size_t n = strlen(s);

	return p.len >= n && !memcmp(p.s, s, n);
}

#endif
