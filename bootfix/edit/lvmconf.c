/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/lvmconf.h"

#include <ctype.h>

enum kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_SIGN };

struct token {
	enum kind kind;
	struct span at; /* of a string: without its quotes */
};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || strchr("_/.-+", c) != NULL;
}

static struct token take_string(const char *text, size_t len, size_t *at)
{
	char quote = text[(*at)++];
	size_t begin = *at;

	while (*at < len && text[*at] != quote)
		*at += text[*at] == '\\' && quote == '"' && *at + 1 < len ? 2 : 1;
	if (*at >= len)
		return (struct token){ .kind = TOKEN_END };
	return (struct token){ TOKEN_STRING, { begin, (*at)++ - begin } };
}

static struct token take(const char *text, size_t len, size_t *at)
{
	struct token t = { .kind = TOKEN_WORD };

	while (*at < len && (isspace((unsigned char)text[*at]) || text[*at] == '#')) {
		if (text[*at] == '#')
			while (*at < len && text[*at] != '\n')
				++*at;
		else
			++*at;
	}
	if (*at >= len || !text[*at])
		return (struct token){ .kind = TOKEN_END };
	if (text[*at] == '"' || text[*at] == '\'')
		return take_string(text, len, at);
	t.at.off = *at;
	while (*at < len && text[*at] && is_word(text[*at]))
		++*at;
	if (*at == t.at.off) {
		t.kind = TOKEN_SIGN;
		++*at;
	}
	t.at.len = *at - t.at.off;
	return t;
}

static bool is_sign(const char *text, struct token t, char sign)
{
	return t.kind == TOKEN_SIGN && text[t.at.off] == sign;
}

static bool is_filter(const char *text, struct token t)
{
	static const char *const names[] = { "filter", "global_filter", "devices/filter",
					     "devices/global_filter" };

	for (size_t i = 0; t.kind == TOKEN_WORD && i < sizeof names / sizeof names[0]; i++)
		if (piece_is((struct piece){ text + t.at.off, t.at.len }, names[i]))
			return true;
	return false;
}

static unsigned line_of(const char *text, size_t off)
{
	unsigned n = 1;

	for (size_t i = 0; i < off; i++)
		n += text[i] == '\n';
	return n;
}

/* Behind "filter": "= [ ... ]". A lone string is one pattern and has no list to add to. */
static bool take_list(const char *text, size_t len, size_t *at, struct span *ret)
{
	size_t begin;
	struct token t;

	if (!is_sign(text, take(text, len, at), '=') || !is_sign(text, take(text, len, at), '['))
		return false;
	begin = *at;
	do {
		t = take(text, len, at);
	} while (t.kind == TOKEN_STRING || is_sign(text, t, ','));
	*ret = (struct span){ begin, t.at.off - begin };
	return is_sign(text, t, ']');
}

bool lvmconf_next(const char *text, size_t len, size_t *at, struct lvmconf_filter *ret)
{
	struct token t;

	while ((t = take(text, len, at)).kind != TOKEN_END) {
		size_t behind = *at;
		struct span list;

		if (!is_filter(text, t) || !take_list(text, len, &behind, &list))
			continue;
		*at = behind;
		*ret = (struct lvmconf_filter){ t.at, list, line_of(text, t.at.off) };
		return true;
	}
	return false;
}

static char closing(char c)
{
	static const char pairs[] = "()[]{}<>";
	const char *p = c ? strchr(pairs, c) : NULL;

	return p && (p - pairs) % 2 == 0 ? p[1] : c;
}

bool lvmconf_pattern_next(const char *text, struct span *list, struct lvmconf_pattern *ret)
{
	size_t at = list->off, end = list->off + list->len;
	struct token t;

	while ((t = take(text, end, &at)).kind != TOKEN_END) {
		const char *s = text + t.at.off;

		*list = (struct span){ at, end - at };
		if (t.kind != TOKEN_STRING || t.at.len < 3 || (s[0] != 'a' && s[0] != 'r') ||
		    s[t.at.len - 1] != closing(s[1]))
			continue;
		*ret = (struct lvmconf_pattern){ s[0] == 'a', { s + 2, t.at.len - 3 } };
		return true;
	}
	return false;
}
