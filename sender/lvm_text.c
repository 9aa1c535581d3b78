/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lvm_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NODES_MAX 65536u
#define DEPTH_MAX 8u

struct lvm_text {
	struct lvm_node root;
	struct lvm_node *nodes;
	unsigned n, room;
	char *at;
};

void lvm_text_free(struct lvm_text *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t);
}

static void lvm_text_freep(struct lvm_text **t)
{
	lvm_text_free(*t);
	*t = NULL;
}

const struct lvm_node *lvm_text_root(const struct lvm_text *t)
{
	return &t->root;
}

static void skip_blanks(struct lvm_text *t)
{
	for (;;) {
		while (isspace((unsigned char)*t->at))
			t->at++;
		if (*t->at != '#')
			return;
		t->at += strcspn(t->at, "\n");
	}
}

static bool take(struct lvm_text *t, char c)
{
	skip_blanks(t);
	if (*t->at != c)
		return false;
	t->at++;
	return true;
}

static struct lvm_node *add_node(struct lvm_text *t, struct lvm_node ***link)
{
	if (t->n == t->room)
		return NULL;
	struct lvm_node *n = &t->nodes[t->n++];
	n->name = "";
	**link = n;
	*link = &n->next;
	return n;
}

static int parse_string(struct lvm_text *t, struct lvm_node *n)
{
	char *to = t->at;

	n->kind = LVM_STRING;
	n->string = to;
	for (; *t->at != '"'; t->at++) {
		if (*t->at == '\\')
			t->at++;
		if (!*t->at)
			return -EUCLEAN;
		*to++ = *t->at;
	}
	t->at++; /* before the end is written over it */
	*to = 0;
	return 0;
}

static int parse_scalar(struct lvm_text *t, struct lvm_node *n)
{
	if (take(t, '"'))
		return parse_string(t, n);
	if (!isdigit((unsigned char)*t->at))
		return -EUCLEAN;
	n->kind = LVM_NUMBER;
	for (; isdigit((unsigned char)*t->at); t->at++) {
		unsigned digit = (unsigned)(*t->at - '0');

		if (n->number > (UINT64_MAX - digit) / 10)
			return -EUCLEAN;
		n->number = n->number * 10 + digit;
	}
	return 0;
}

static int parse_value(struct lvm_text *t, struct lvm_node *n)
{
	struct lvm_node **link = &n->child;

	if (!take(t, '['))
		return parse_scalar(t, n);
	n->kind = LVM_LIST;
	while (!take(t, ']')) {
		struct lvm_node *item = add_node(t, &link);
		int r = item ? parse_scalar(t, item) : -EUCLEAN;

		if (r)
			return r;
		if (!take(t, ',')) {
			if (!take(t, ']'))
				return -EUCLEAN;
			break;
		}
	}
	return 0;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_-+.", c));
}

static int parse_section(struct lvm_text *t, struct lvm_node *section, unsigned depth);

static int parse_entry(struct lvm_text *t, struct lvm_node *n, unsigned depth)
{
	char *name = t->at, *end;

	while (is_name(*t->at))
		t->at++;
	end = t->at;
	if (end == name)
		return -EUCLEAN;
	n->name = name;
	if (take(t, '{')) {
		*end = 0;
		return parse_section(t, n, depth + 1);
	}
	if (!take(t, '='))
		return -EUCLEAN;
	*end = 0;
	return parse_value(t, n);
}

/* To the closing brace, of the outermost one to the end of the text. */
static int parse_section(struct lvm_text *t, struct lvm_node *section, unsigned depth)
{
	struct lvm_node **link = &section->child;

	section->kind = LVM_SECTION;
	if (depth > DEPTH_MAX)
		return -EUCLEAN;
	for (;;) {
		skip_blanks(t);
		if (!*t->at)
			return depth ? -EUCLEAN : 0;
		if (*t->at == '}') {
			t->at++;
			return depth ? 0 : -EUCLEAN;
		}
		struct lvm_node *n = add_node(t, &link);
		int r = n ? parse_entry(t, n, depth) : -EUCLEAN;

		if (r)
			return r;
	}
}

int lvm_text_parse(char *text, struct lvm_text **ret)
{
	size_t most = strlen(text) / 2 + 1; /* a node has two characters at least */
	scoped(lvm_text_freep) struct lvm_text *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->room = most < NODES_MAX ? (unsigned)most : NODES_MAX;
	t->nodes = calloc(t->room, sizeof *t->nodes);
	t->at = text;
	t->root.name = "";
	if (!t->nodes)
		return -ENOMEM;
	int r = parse_section(t, &t->root, 0);
	if (!r)
		*ret = take_ptr(&t);
	return r;
}

const struct lvm_node *lvm_child(const struct lvm_node *n, const char *name, enum lvm_kind kind)
{
	for (const struct lvm_node *c = n->child; c; c = c->next) {
		if (c->kind == kind && !strcmp(c->name, name))
			return c;
	}
	return NULL;
}

bool lvm_number(const struct lvm_node *n, const char *name, uint64_t max, uint64_t *ret)
{
	const struct lvm_node *c = lvm_child(n, name, LVM_NUMBER);

	if (!c || c->number > max)
		return false;
	*ret = c->number;
	return true;
}

const char *lvm_string(const struct lvm_node *n, const char *name)
{
	const struct lvm_node *c = lvm_child(n, name, LVM_STRING);

	return c ? c->string : "";
}
