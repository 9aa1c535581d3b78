/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/cloudcfg.h"

/* A value without what makes no difference; too long is as good as another one. */
struct value {
	char s[64];
	size_t len;
};

static void value_add(struct value *v, struct piece line)
{
	for (size_t i = 0; i < line.len && !(line.s[i] == '#' && (!i || is_blank(line.s[i - 1])));
	     i++) {
		if (is_blank(line.s[i]) || strchr("\"'\r", line.s[i]))
			continue;
		if (v->len < sizeof v->s)
			v->s[v->len++] = line.s[i];
	}
}

static bool goes_on(struct piece line)
{
	return !line.len || strchr(" \t#-\r", line.s[0]) != NULL;
}

/* The value behind ${first}, with the lines that belong to it. */
static void take_value(struct lines *l, struct piece first, struct value *ret)
{
	struct lines ahead = *l;

	*ret = (struct value){ 0 };
	value_add(ret, first);
	while (lines_next(&ahead) && goes_on(lines_piece(&ahead))) {
		value_add(ret, lines_piece(&ahead));
		*l = ahead;
	}
}

static enum cloudcfg_value judge(const struct value *v, const char *flow, const char *block)
{
	struct piece p = { v->s, v->len };

	return piece_is(p, flow) || piece_is(p, block) ? CLOUDCFG_OFF : CLOUDCFG_OTHER;
}

static bool take_key(struct piece *line, const char *key)
{
	size_t n = strlen(key);

	if (!piece_begins(*line, key))
		return false;
	line->s += n;
	line->len -= n;
	return true;
}

void cloudcfg_read(const char *text, size_t len, struct cloudcfg *into)
{
	struct lines l = { .text = text, .len = len };
	struct value v;

	while (lines_next(&l)) {
		struct piece line = lines_piece(&l);

		if (take_key(&line, "datasource_list:")) {
			take_value(&l, line, &v);
			into->datasources = judge(&v, "[None]", "-None");
		} else if (take_key(&line, "network:")) {
			take_value(&l, line, &v);
			into->network = judge(&v, "{config:disabled}", "config:disabled");
		}
	}
}
