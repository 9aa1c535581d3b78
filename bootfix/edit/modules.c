/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/modules.h"
#include "edit/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 16384U
#define CLOSURE_DEPTH 32

bool modules_name(const char *path, size_t len, char ret[static 64])
{
	const char *slash = memrchr(path, '/', len);
	const char *base = slash ? slash + 1 : path;
	size_t n = len - (size_t)(base - path);
	const char *dot = memmem(base, n, ".ko", 3);

	if (!dot || dot == base || (size_t)(dot - base) >= 64)
		return false;
	n -= (size_t)(dot - base);
	if (n != 3 && !(n == 6 && (!memcmp(dot + 3, ".gz", 3) || !memcmp(dot + 3, ".xz", 3))) &&
	    !(n == 7 && !memcmp(dot + 3, ".zst", 4)))
		return false;
	n = (size_t)(dot - base);
	for (size_t i = 0; i < n; i++)
		ret[i] = base[i] == '-' ? '_' : base[i];
	ret[n] = 0;
	return true;
}

/* One [set] against c; moves ${p} behind it. A set without an end matches nothing. */
static bool set_matches(const char *p, size_t len, size_t *at, char c)
{
	size_t i = *at + 1;
	bool hit = false, negated = i < len && (p[i] == '!' || p[i] == '^');

	i += negated;
	for (size_t first = i; i < len && (p[i] != ']' || i == first); i++) {
		if (i + 2 < len && p[i + 1] == '-' && p[i + 2] != ']') {
			hit |= p[i] <= c && c <= p[i + 2];
			i += 2;
		} else {
			hit |= p[i] == c;
		}
	}
	*at = i + 1;
	return i < len && hit != negated;
}

bool modules_glob(const char *pattern, size_t len, const char *s)
{
	size_t p = 0, star = 0;
	const char *from = NULL; /* what the last star has not taken yet */

	while (*s || p < len) {
		size_t next = p;

		if (p < len && pattern[p] == '*') {
			star = p++;
			from = s;
			continue;
		}
		if (*s && p < len) {
			bool ok = pattern[p] == '?' || pattern[p] == *s;

			next = p + 1;
			if (pattern[p] == '[') {
				next = p;
				ok = set_matches(pattern, len, &next, *s);
			}
			if (ok) {
				p = next;
				s++;
				continue;
			}
		}
		/* Back to the last star: let it take one byte more. */
		if (!from || !*from)
			return false;
		s = ++from;
		p = star + 1;
	}
	return true;
}

/* The part of a depmod path below the kernel's folder. */
static struct piece relative(struct piece path)
{
	const char *dir, *end;

	if (!path.len || path.s[0] != '/')
		return path;
	dir = memmem(path.s, path.len, "/modules/", 9);
	if (!dir)
		return (struct piece){ 0 };
	dir += 9;
	end = memchr(dir, '/', path.len - (size_t)(dir - path.s));
	if (!end)
		return (struct piece){ 0 };
	return (struct piece){ end + 1, path.len - (size_t)(end + 1 - path.s) };
}

static bool path_is_plain(struct piece p)
{
	return p.len && p.len < 1024 && p.s[0] != '/' && !memmem(p.s, p.len, "..", 2);
}

static int add_entry(struct modules *m, struct piece path, struct piece needs, struct err *e)
{
	struct modules_entry en = { 0 };

	path = relative(path);
	if (!path_is_plain(path) || !modules_name(path.s, path.len, en.name))
		return 0;
	if (m->n >= STRLIST_MAX)
		return err_set(e, ERR_GUEST, E2BIG, "modules.dep has too many lines");
	if (!(m->n & (m->n - 1))) {
		struct modules_entry *v;

		v = reallocarray(m->v, m->n ? m->n * 2 : 1, sizeof *v);
		if (!v)
			return err_set(e, ERR_SYS, ENOMEM, "modules.dep");
		m->v = v;
	}
	en.path = strndup(path.s, path.len);
	en.needs = strndup(needs.s, needs.len);
	m->v[m->n++] = en;
	if (!en.path || !en.needs)
		return err_set(e, ERR_SYS, ENOMEM, "modules.dep");
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct modules_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int parse_dep(struct modules *m, const char *text, size_t len, struct err *e)
{
	struct lines l = { .text = text, .len = len };
	int r = 0;

	while (!r && lines_next(&l)) {
		struct piece line = lines_piece(&l);
		const char *colon = memchr(line.s, ':', line.len);

		if (!colon || line.len > LINE_MAX_LEN)
			continue;
		r = add_entry(m, (struct piece){ line.s, (size_t)(colon - line.s) },
			      (struct piece){ colon + 1, line.len - (size_t)(colon + 1 - line.s) },
			      e);
	}
	if (!r && m->n)
		qsort(m->v, m->n, sizeof *m->v, by_name);
	return r;
}

static int parse_builtin(struct modules *m, const char *text, size_t len, struct err *e)
{
	struct lines l = { .text = text, .len = len };
	char name[64];
	int r = 0;

	while (!r && lines_next(&l)) {
		struct piece line = lines_piece(&l);

		if (modules_name(line.s, line.len, name))
			r = strlist_add(&m->builtin, name, e);
	}
	return r;
}

int modules_parse(const char *dep, size_t dep_len, const char *builtin, size_t builtin_len,
		  struct modules *ret, struct err *e)
{
	struct modules m = { 0 };
	int r = parse_dep(&m, dep, dep_len, e);

	if (!r)
		r = parse_builtin(&m, builtin, builtin_len, e);
	if (r < 0) {
		modules_free(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void modules_free(struct modules *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].path);
		free(m->v[i].needs);
	}
	free(m->v);
	strlist_free(&m->builtin);
	*m = (struct modules){ 0 };
}

const struct modules_entry *modules_find(const struct modules *m, const char *name)
{
	struct modules_entry key = { 0 };

	if (strlen(name) >= sizeof key.name || !m->n)
		return NULL;
	memcpy(key.name, name, strlen(name));
	return bsearch(&key, m->v, m->n, sizeof *m->v, by_name);
}

bool modules_builtin(const struct modules *m, const char *name)
{
	return strlist_has(&m->builtin, name);
}

int modules_for_alias(const char *alias, size_t alias_len, const char *modalias,
		      struct strlist *names, struct err *e)
{
	struct lines l = { .text = alias, .len = alias_len };
	int r = 0;

	while (!r && lines_next(&l)) {
		struct piece line = lines_piece(&l), word[3];

		if (line.len > LINE_MAX_LEN || piece_words(line, word, 3) != 3 ||
		    !piece_is(word[0], "alias") || word[2].len >= 64)
			continue;
		if (modules_glob(word[1].s, word[1].len, modalias)) {
			char name[64];

			for (size_t i = 0; i < word[2].len; i++)
				name[i] = word[2].s[i] == '-' ? '_' : word[2].s[i];
			name[word[2].len] = 0;
			r = strlist_add_once(names, name, e);
		}
	}
	return r;
}

static int close_over(const struct modules *m, const char *name, struct strlist *names,
		      struct strlist *open, struct err *e)
{
	const struct modules_entry *en;
	struct piece rest, word;
	int r;

	if (strlist_has(names, name) || strlist_has(open, name) || modules_builtin(m, name))
		return 0;
	en = modules_find(m, name);
	if (!en)
		return err_set(e, ERR_GUEST, ENOENT, "module '%.63s' is needed and not there",
			       name);
	if (open->n >= CLOSURE_DEPTH)
		return err_set(e, ERR_GUEST, ELOOP, "modules.dep goes too deep at '%.63s'", name);
	r = strlist_add(open, name, e);
	rest = (struct piece){ en->needs, strlen(en->needs) };
	while (!r && piece_word(&rest, &word)) {
		char need[64];

		if (modules_name(word.s, word.len, need))
			r = close_over(m, need, names, open, e);
	}
	/* open is a stack: the name leaves it as it is done. */
	if (!r) {
		free(open->v[--open->n]);
		r = strlist_add(names, name, e);
	}
	return r;
}

int modules_closure(const struct modules *m, const char *name, struct strlist *names, struct err *e)
{
	struct strlist open = { 0 };
	int r = close_over(m, name, names, &open, e);

	strlist_free(&open);
	return r;
}
