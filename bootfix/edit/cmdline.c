/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/cmdline.h"

bool cmdline_next(const char *text, struct span *rest, struct cmdline_token *ret)
{
	const char *p = text + rest->off;
	size_t begin = 0, n, eq = 0;
	char quote = 0;

	while (begin < rest->len && is_blank(p[begin]))
		begin++;
	for (n = begin; n < rest->len && (quote || !is_blank(p[n])); n++) {
		if (p[n] == '\\' && n + 1 < rest->len && quote != '\'')
			n++;
		else if (quote)
			quote = p[n] == quote ? 0 : quote;
		else if (p[n] == '"' || p[n] == '\'')
			quote = p[n];
		else if (p[n] == '=' && !eq)
			eq = n;
	}
	*ret = (struct cmdline_token){ .all = { rest->off + begin, n - begin }, .gap = begin };
	ret->key = (struct span){ ret->all.off, eq ? eq - begin : n - begin };
	ret->value = (struct span){ rest->off + (eq ? eq + 1 : n), eq ? n - eq - 1 : 0 };
	ret->has_value = eq != 0;
	if (ret->value.len >= 2 && (p[eq + 1] == '"' || p[eq + 1] == '\'') &&
	    p[n - 1] == p[eq + 1]) {
		ret->value.off++;
		ret->value.len -= 2;
	}
	rest->off += n;
	rest->len -= n;
	return n > begin;
}

bool cmdline_find(const char *text, struct span line, const char *key, struct cmdline_token *ret)
{
	struct cmdline_token t;
	bool found = false;

	while (cmdline_next(text, &line, &t)) {
		if (piece_is((struct piece){ text + t.key.off, t.key.len }, key)) {
			*ret = t;
			found = true;
		}
	}
	return found;
}

int cmdline_drop(struct edits *ed, const struct cmdline_token *t, struct err *e)
{
	return edits_add(ed, (struct span){ t->all.off - t->gap, t->all.len + t->gap }, "", e);
}
