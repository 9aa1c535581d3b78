/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/shellvar.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define LINE_MAX_LEN 65536U

static bool is_name(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c));
}

/* Behind the value only a comment may follow. */
static bool nothing_but_comment(struct piece rest)
{
	struct piece word;

	if (rest.len && !is_blank(rest.s[0]))
		return false;
	return !piece_word(&rest, &word) || word.s[0] == '#';
}

static void quoted_value(struct piece rest, size_t at, struct shellvar *ret)
{
	size_t n = 1;

	ret->quote = rest.s[0];
	while (n < rest.len && rest.s[n] != ret->quote)
		n += ret->quote == '"' && rest.s[n] == '\\' ? 2 : 1;
	if (n >= rest.len)
		return;
	ret->value = (struct span){ at + 1, n - 1 };
	ret->plain = !memchr(rest.s + 1, '`', n - 1) && !memmem(rest.s + 1, n - 1, "$(", 2) &&
		     nothing_but_comment((struct piece){ rest.s + n + 1, rest.len - n - 1 });
}

static void bare_value(struct piece rest, size_t at, struct shellvar *ret)
{
	size_t n = 0;

	ret->plain = true;
	for (; n < rest.len && !is_blank(rest.s[n]); n++)
		if (strchr("\"'`$\\;&|<>()", rest.s[n]))
			ret->plain = false;
	ret->value = (struct span){ at, n };
	ret->plain = ret->plain && nothing_but_comment((struct piece){ rest.s + n, rest.len - n });
}

static bool parse_line(const struct lines *l, struct shellvar *ret)
{
	struct piece p = lines_piece(l);
	size_t n = 0;

	if (p.len > LINE_MAX_LEN || memchr(p.s, 0, p.len))
		return false;
	if (p.len && p.s[p.len - 1] == '\r')
		p.len--;
	while (p.len && is_blank(p.s[0])) {
		p.s++;
		p.len--;
	}
	if (piece_begins(p, "export ")) {
		p.s += strlen("export ");
		p.len -= strlen("export ");
	}
	while (n < p.len && is_name(p.s[n], !n))
		n++;
	if (!n || n >= p.len || p.s[n] != '=')
		return false;
	*ret = (struct shellvar){ .key = { (size_t)(p.s - l->text), n }, .number = l->number };
	p.s += n + 1;
	p.len -= n + 1;
	if (p.len && (p.s[0] == '"' || p.s[0] == '\''))
		quoted_value(p, (size_t)(p.s - l->text), ret);
	else
		bare_value(p, (size_t)(p.s - l->text), ret);
	return true;
}

bool shellvar_next(struct lines *l, struct shellvar *ret)
{
	while (lines_next(l))
		if (parse_line(l, ret))
			return true;
	return false;
}

bool shellvar_find(const char *text, size_t len, const char *key, struct shellvar *ret)
{
	struct lines l = { .text = text, .len = len };
	struct shellvar v;
	bool found = false;

	while (shellvar_next(&l, &v)) {
		if (piece_is((struct piece){ text + v.key.off, v.key.len }, key)) {
			*ret = v;
			found = true;
		}
	}
	return found;
}

bool shellvar_get(const char *text, size_t len, const char *key, char *ret, size_t size)
{
	struct shellvar v;

	if (!shellvar_find(text, len, key, &v) || !v.plain || v.value.len >= size)
		return false;
	memcpy(ret, text + v.value.off, v.value.len);
	ret[v.value.len] = 0;
	return true;
}

static bool value_ok(const char *value)
{
	for (; *value; value++)
		if (strchr("\"'`$\\", *value) || iscntrl((unsigned char)*value))
			return false;
	return true;
}

static int append_line(const char *text, size_t len, const char *key, const char *value,
		       struct buf *out, struct err *e)
{
	const char *quote = strpbrk(value, " #;&|<>()*?[]~") ? "\"" : "";
	char line[4096];
	int r;

	if (snprintf(line, sizeof line, "%s%s=%s%s%s\n", len && text[len - 1] != '\n' ? "\n" : "",
		     key, quote, value, quote) >= (int)sizeof line)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "value of %s", key);
	r = buf_add(out, text, len, e);
	return r < 0 ? r : buf_add_str(out, line, e);
}

int shellvar_set(const char *text, size_t len, const char *key, const char *value, struct buf *out,
		 struct err *e)
{
	struct edits ed = { 0 };
	struct shellvar v;
	char quoted[4096];
	int r;

	if (!value_ok(value))
		return err_set(e, ERR_GUEST, EINVAL, "value of %s cannot be written", key);
	if (!shellvar_find(text, len, key, &v))
		return append_line(text, len, key, value, out, e);
	if (!v.plain)
		return err_set(e, ERR_GUEST, ENOTSUP, "line %u: %s is put together by the shell",
			       v.number, key);
	if (snprintf(quoted, sizeof quoted, "\"%s\"", value) >= (int)sizeof quoted)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "value of %s", key);
	/* A bare value that needs quotes now gets them. */
	if (v.quote || !strpbrk(value, " #;&|<>()*?[]~"))
		r = edits_add(&ed, v.value, value, e);
	else
		r = edits_add(&ed, v.value, quoted, e);
	if (!r)
		r = edits_apply(&ed, text, len, out, e);
	edits_free(&ed);
	return r;
}
