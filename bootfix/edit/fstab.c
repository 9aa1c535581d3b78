/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/fstab.h"

#include <errno.h>
#include <stdio.h>

bool fstab_next(struct lines *l, struct columns *ret)
{
	return columns_next(l, 3, ret);
}

/* "\040" at p: the byte, or -1. */
static int octal(const char *p, size_t len)
{
	int v = 0;

	if (len < 4 || p[0] != '\\')
		return -1;
	for (int i = 1; i < 4; i++) {
		if (p[i] < '0' || p[i] > '7')
			return -1;
		v = v * 8 + (p[i] - '0');
	}
	return v < 256 ? v : -1;
}

bool fstab_word(const char *text, struct span field, char *ret, size_t size)
{
	const char *p = text + field.off;
	size_t n = 0;

	for (size_t i = 0; i < field.len; i++) {
		int c = octal(p + i, field.len - i);

		if (n + 1 >= size || c == 0)
			return false;
		ret[n++] = c > 0 ? (char)c : p[i];
		i += c > 0 ? 3 : 0;
	}
	ret[n] = 0;
	return true;
}

int fstab_set_spec(struct edits *ed, const struct columns *c, const char *spec, struct err *e)
{
	char out[1024];
	size_t n = 0;

	for (; *spec; spec++) {
		bool plain = *spec != ' ' && *spec != '\t' && *spec != '\n' && *spec != '\\';

		if (n + 5 > sizeof out)
			return err_set(e, ERR_GUEST, ENAMETOOLONG, "spec for fstab");
		n += (size_t)snprintf(out + n, sizeof out - n, plain ? "%c" : "\\%03o", *spec);
	}
	out[n] = 0;
	return edits_add(ed, c->field[FSTAB_SPEC], out, e);
}

int fstab_let_fail(struct edits *ed, const char *text, const struct columns *c, bool systemd,
		   struct err *e)
{
	return columns_add_options(ed, text, c, FSTAB_OPTIONS, "defaults",
				   systemd ? "nofail,x-systemd.device-timeout=10s" : "nofail", e);
}
