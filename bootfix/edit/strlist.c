/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/strlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int strlist_add_len(struct strlist *l, const char *s, size_t len, struct err *e)
{
	char **grown;

	if (l->n >= STRLIST_MAX)
		return err_set(e, ERR_GUEST, E2BIG, "more than %u names", STRLIST_MAX);
	/* Room doubles at each power of two: n is always below the room. */
	if (!(l->n & (l->n - 1))) {
		grown = reallocarray(l->v, l->n ? l->n * 2 : 1, sizeof *l->v);
		if (!grown)
			return err_set(e, ERR_SYS, ENOMEM, "list of names");
		l->v = grown;
	}
	l->v[l->n] = strndup(s, len);
	if (!l->v[l->n])
		return err_set(e, ERR_SYS, ENOMEM, "list of names");
	l->n++;
	return 0;
}

int strlist_add(struct strlist *l, const char *s, struct err *e)
{
	return strlist_add_len(l, s, strlen(s), e);
}

bool strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], s))
			return true;
	return false;
}

int strlist_add_once(struct strlist *l, const char *s, struct err *e)
{
	return strlist_has(l, s) ? 0 : strlist_add(l, s, e);
}

void strlist_free(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){ 0 };
}
