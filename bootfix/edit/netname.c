/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/netname.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool netname_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

bool netname_mac_ok(const char *mac)
{
	if (strlen(mac) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
			return false;
	return true;
}

static int check(const char *mac, const char *name, struct err *e)
{
	if (!netname_ok(name))
		return err_set(e, ERR_GUEST, EINVAL, "no name for a network card");
	if (!netname_mac_ok(mac))
		return err_set(e, ERR_GUEST, EINVAL, "no MAC address for %s", name);
	return 0;
}

int netname_link(const char *mac, const char *name, struct buf *out, struct err *e)
{
	char text[256];
	int r = check(mac, name, e);

	if (r < 0)
		return r;
	/* Path: only hardware has one. A VLAN or bridge has its card's MAC, and udev would try to
	 * give it the card's name (systemd/systemd#24259). */
	(void)snprintf(text, sizeof text,
		       "# The name this card had before the move; written by bootfix.\n"
		       "[Match]\nMACAddress=%s\nPath=*\n\n[Link]\nName=%s\n",
		       mac, name);
	return buf_add_str(out, text, e);
}

int netname_rule(const char *mac, const char *name, struct buf *out, struct err *e)
{
	char text[256], lower[18];
	int r = check(mac, name, e);

	if (r < 0)
		return r;
	/* sysfs shows addresses in lower case, and rules compare bytes. */
	for (int i = 0; i < 18; i++)
		lower[i] = (char)tolower((unsigned char)mac[i]);
	(void)snprintf(
	    text, sizeof text,
	    "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"%s\", "
	    "ATTR{type}==\"1\", NAME=\"%s\"\n",
	    lower, name);
	return buf_add_str(out, text, e);
}
