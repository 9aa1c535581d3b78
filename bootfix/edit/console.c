/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/console.h"

#include <ctype.h>

bool console_is_xen(struct piece tty)
{
	size_t n = strlen("/dev/"), digits = 0;

	if (piece_begins(tty, "/dev/"))
		tty = (struct piece){ tty.s + n, tty.len - n };
	if (!piece_begins(tty, "hvc") && !piece_begins(tty, "xvc"))
		return false;
	n = strlen("hvc");
	while (n + digits < tty.len && isdigit((unsigned char)tty.s[n + digits]))
		digits++;
	return digits && (n + digits == tty.len || tty.s[n + digits] == ',');
}

/* Takes what stands before the next colon off ${rest}; false when there is none. */
static bool take_field(struct piece *rest, struct piece *ret)
{
	const char *colon = memchr(rest->s, ':', rest->len);

	if (!colon)
		return false;
	*ret = (struct piece){ rest->s, (size_t)(colon - rest->s) };
	rest->s += ret->len + 1;
	rest->len -= ret->len + 1;
	return true;
}

/* id:runlevels:action:process */
bool console_inittab(struct piece line)
{
	struct piece id, levels, action, word;

	if (!take_field(&line, &id) || (id.len && id.s[0] == '#') || !take_field(&line, &levels) ||
	    !take_field(&line, &action))
		return false;
	if (!piece_is(action, "respawn") && !piece_is(action, "ondemand"))
		return false;
	while (piece_word(&line, &word))
		if (console_is_xen(word))
			return true;
	return false;
}
