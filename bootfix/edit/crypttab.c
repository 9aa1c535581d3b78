/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/crypttab.h"

bool crypttab_next(struct lines *l, struct columns *ret)
{
	return columns_next(l, 2, ret);
}

bool crypttab_formats(const char *text, const struct columns *c)
{
	if (c->n <= CRYPTTAB_OPTIONS)
		return false;
	return columns_has_option(text, c->field[CRYPTTAB_OPTIONS], "swap") ||
	       columns_has_option(text, c->field[CRYPTTAB_OPTIONS], "tmp");
}

int crypttab_set_device(struct edits *ed, const struct columns *c, const char *device,
			struct err *e)
{
	return edits_add(ed, c->field[CRYPTTAB_DEVICE], device, e);
}

int crypttab_let_fail(struct edits *ed, const char *text, const struct columns *c, struct err *e)
{
	/* Options need a key field in front of them; "none" asks as a missing one does. */
	const char *first = c->n <= CRYPTTAB_KEY ? "none\tluks" : "luks";

	return columns_add_options(ed, text, c, CRYPTTAB_OPTIONS, first,
				   "nofail,x-systemd.device-timeout=10s", e);
}

int crypttab_comment_out(struct edits *ed, const struct columns *c, struct err *e)
{
	return edits_add(ed, (struct span){ c->field[CRYPTTAB_NAME].off, 0 }, "# ", e);
}

int crypttab_drop_options(struct edits *ed, const char *text, const struct columns *c,
			  const char *prefix, unsigned *ret_n, struct err *e)
{
	struct piece rest;
	char kept[COLUMNS_LINE_MAX + 1];
	unsigned n_gone = 0;
	size_t n = 0;

	*ret_n = 0;
	if (c->n <= CRYPTTAB_OPTIONS)
		return 0;
	rest =
	    (struct piece){ text + c->field[CRYPTTAB_OPTIONS].off, c->field[CRYPTTAB_OPTIONS].len };
	while (rest.len) {
		const char *comma = memchr(rest.s, ',', rest.len);
		struct piece option = { rest.s, comma ? (size_t)(comma - rest.s) : rest.len };

		if (piece_begins(option, prefix)) {
			n_gone++;
		} else {
			if (n)
				kept[n++] = ',';
			memcpy(kept + n, option.s, option.len);
			n += option.len;
		}
		rest.s += option.len + (comma ? 1 : 0);
		rest.len -= option.len + (comma ? 1 : 0);
	}
	if (!n_gone)
		return 0;
	kept[n] = 0;
	*ret_n = n_gone;
	return edits_add(ed, c->field[CRYPTTAB_OPTIONS], n ? kept : "luks", e);
}
