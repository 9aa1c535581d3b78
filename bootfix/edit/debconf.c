/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/debconf.h"

bool debconf_find(const char *text, size_t len, const char *name, struct span *ret)
{
	struct lines l = { .text = text, .len = len };
	bool inside = false;

	while (lines_next(&l)) {
		struct piece p = lines_piece(&l);

		if (!p.len) {
			inside = false;
		} else if (piece_begins(p, "Name: ")) {
			inside = piece_is((struct piece){ p.s + 6, p.len - 6 }, name);
		} else if (inside && piece_begins(p, "Value: ") && !memchr(p.s, 0, p.len)) {
			*ret = (struct span){ l.line.off + 7, l.line.len - 7 };
			return true;
		}
	}
	return false;
}
