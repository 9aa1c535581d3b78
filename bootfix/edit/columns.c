/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/columns.h"

#include <stdio.h>

bool columns_next(struct lines *l, size_t min, struct columns *ret)
{
	while (lines_next(l)) {
		struct piece rest = lines_piece(l), word;

		*ret = (struct columns){ .number = l->number };
		if (rest.len > COLUMNS_LINE_MAX || memchr(rest.s, 0, rest.len))
			continue;
		if (rest.len && rest.s[rest.len - 1] == '\r')
			rest.len--;
		while (ret->n < COLUMNS_MAX && piece_word(&rest, &word)) {
			if (!ret->n && word.s[0] == '#')
				break;
			ret->field[ret->n++] =
			    (struct span){ (size_t)(word.s - l->text), word.len };
		}
		if (ret->n >= min)
			return true;
	}
	return false;
}

/* The name in front of '=' of the next element; moves behind its comma. */
static struct piece next_option(struct piece *rest)
{
	const char *comma = memchr(rest->s, ',', rest->len);
	size_t n = comma ? (size_t)(comma - rest->s) : rest->len;
	struct piece name = { rest->s, n };
	const char *eq = memchr(name.s, '=', n);

	n += comma ? 1 : 0;
	rest->s += n;
	rest->len -= n;
	if (eq)
		name.len = (size_t)(eq - name.s);
	return name;
}

bool columns_has_option(const char *text, struct span list, const char *option)
{
	struct piece rest = { text + list.off, list.len };

	while (rest.len)
		if (piece_is(next_option(&rest), option))
			return true;
	return false;
}

int columns_add_options(struct edits *ed, const char *text, const struct columns *c, size_t at,
			const char *first, const char *options, struct err *e)
{
	bool exists = c->n > at;
	struct span list = exists ? c->field[at] : (struct span){ 0 };
	struct span last = c->field[c->n - 1];
	struct piece rest = { options, strlen(options) };
	char add[512];
	size_t n = 0;

	while (rest.len) {
		struct piece name = next_option(&rest);
		size_t whole = (size_t)(rest.s - name.s);
		char key[64];

		if (whole && name.s[whole - 1] == ',')
			whole--;
		(void)snprintf(key, sizeof key, "%.*s", (int)name.len, name.s);
		if (exists && columns_has_option(text, list, key))
			continue;
		if (n + whole + 2 >= sizeof add)
			break;
		n += (size_t)snprintf(add + n, sizeof add - n, "%s%.*s",
				      n || exists || first ? "," : "", (int)whole, name.s);
	}
	if (!n)
		return 0;
	if (exists)
		return edits_add(ed, (struct span){ list.off + list.len, 0 }, add, e);

	char made[600];
	(void)snprintf(made, sizeof made, "\t%s%s", first ? first : "", add);
	return edits_add(ed, (struct span){ last.off + last.len, 0 }, made, e);
}
