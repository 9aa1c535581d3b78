/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * guest_edit.h - changing files of the guest: for exec.c only
 *
 * Paths    as in guest.h. A link at the end of a path is followed for content (the file behind it
 *          changes, the link stays), never for rename, link and remove. The last component is
 *          always reached through a descriptor of its folder.
 * Durable  each call returns only when its change is on the disk (fsync of file and folder).
 * Errors   0, or a negative errno with *e filled; -ENOENT leaves *e alone, as in guest.h.
 */
#ifndef BOOTFIX_GUEST_EDIT_H
#define BOOTFIX_GUEST_EDIT_H

#include "types.h"

#define EDIT_MUST __attribute__((warn_unused_result))

/* New content, at once: a file beside the old one takes its mode, owner, times and extended
 * attributes, then its name. A file with several names or the immutable flag, whose name cannot
 * be taken, is rewritten in place. A new file gets ${mode} and its folder's SELinux label. */
EDIT_MUST int edit_replace(const struct guest *g, const char *path, const void *data, size_t len,
			   mode_t mode, struct err *e);
/* Behind the end, same inode. */
EDIT_MUST int edit_append(const struct guest *g, const char *path, const void *data, size_t len,
			  struct err *e);
EDIT_MUST int edit_truncate(const struct guest *g, const char *path, uint64_t len, struct err *e);
EDIT_MUST int edit_remove(const struct guest *g, const char *path, struct err *e);
/* Undo of an edit_replace() that made a file: behind a link, as that did. */
EDIT_MUST int edit_remove_file(const struct guest *g, const char *path, struct err *e);
/* -EEXIST when ${path} is there. */
EDIT_MUST int edit_rename(const struct guest *g, const char *from, const char *path, struct err *e);
/* A symbolic link; one that is there is replaced at once. */
EDIT_MUST int edit_link(const struct guest *g, const char *text, const char *path, struct err *e);

/* The first folder above ${path} that is missing, or "". */
EDIT_MUST int edit_missing_folder(const struct guest *g, const char *path,
				  char ret[static MAX_PATH], struct err *e);
EDIT_MUST int edit_make_folders(const struct guest *g, const char *path, struct err *e);
/* Undo of that: removes empty folders above ${path} up to and with ${first}. */
EDIT_MUST int edit_remove_folders(const struct guest *g, const char *path, const char *first,
				  struct err *e);
/* Removes what a killed edit_replace() or edit_link() of ${path} left beside it. */
EDIT_MUST int edit_sweep(const struct guest *g, const char *path, struct err *e);

#endif
