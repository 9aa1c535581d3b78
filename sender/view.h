/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * view.h - a part of a source disk as one run of bytes: a partition, a logical volume, a gap
 *
 * Rule    read-only: everything goes through source_read(). What is read is the disk, not the
 *         kernel's cache of it, wherever the disk can be read directly.
 * Shape   pieces of the disk in the order of the view; a partition has one.
 * Units   bytes, from the beginning of the view unless a name says disk.
 * Errors  0 or a negative errno; -ERANGE for anything outside the view.
 * Owner   view_new() gives; view_free(NULL) does nothing. The source is borrowed.
 * Threads one.
 */
#ifndef SENDER_VIEW_H
#define SENDER_VIEW_H

#include "extent.h"
#include "source.h"

struct view;

int view_new(struct source *s, struct view **ret);
void view_free(struct view *v);
static inline void view_freep(struct view **v)
{
	view_free(*v);
	*v = NULL;
}
/* The view goes on with this piece of the disk. */
int view_add(struct view *v, struct extent disk);

uint64_t view_size(const struct view *v);
/* Any alignment. What was read lately may be remembered: a view serves one look at the disk. */
int view_read(struct view *v, void *buf, size_t len, uint64_t off);
/* Where on the disk ${off} lies, and how many bytes from there on lie together. */
int view_on_disk(const struct view *v, uint64_t off, struct extent *ret);

#endif
