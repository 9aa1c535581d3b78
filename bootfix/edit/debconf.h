/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * debconf.h - one answer in Debian's /var/cache/debconf/config.dat
 *
 * Shape   stanzas of "Key: value" lines, an empty line between them; "Name:" first. Only the
 *         value of an existing "Value:" line is ever changed.
 */
#ifndef EDIT_DEBCONF_H
#define EDIT_DEBCONF_H

#include "edit/edits.h"
#include "edit/lines.h"

/* Where the value of question ${name} stands; false when it was never answered. */
bool debconf_find(const char *text, size_t len, const char *name, struct span *ret);

#endif
