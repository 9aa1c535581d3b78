/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvmconf.h - the device filters of lvm.conf
 *
 * Source  lvm.conf(5): filter = [ "a|PATTERN|", "r|PATTERN|" ], also global_filter, also over
 *         several lines, '#' makes a comment. The first pattern that fits a device decides, and a
 *         device that none fits is accepted.
 * Owner   spans and pieces are places in the caller's text.
 */
#ifndef EDIT_LVMCONF_H
#define EDIT_LVMCONF_H

#include "edit/edits.h"
#include "edit/lines.h"

struct lvmconf_filter {
	struct span key;  /* "filter", "devices/global_filter" */
	struct span list; /* between the brackets */
	unsigned number;  /* of the line with the key, from 1 */
};

/* The next filter behind ${*at}, which starts at 0; false at the end, or where a list has none. */
bool lvmconf_next(const char *text, size_t len, size_t *at, struct lvmconf_filter *ret);

struct lvmconf_pattern {
	bool accept;
	struct piece regex; /* between the delimiters */
};

/* Takes the next pattern off ${list}. */
bool lvmconf_pattern_next(const char *text, struct span *list, struct lvmconf_pattern *ret);

#endif
