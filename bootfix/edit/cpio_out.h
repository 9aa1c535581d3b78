/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cpio_out.h - writes a newc archive that the kernel unpacks over what is already there
 *
 * Shape   directories and regular files only; owner 0:0, time 0, so the same input gives the same
 *         bytes. Parent directories are added by themselves, once.
 * Errors  0, or with *e filled -ENOMEM, -EFBIG, or -EINVAL for a path that is empty, absolute, too
 *         long or has "." or ".." in it.
 * Owner   ${out} is the caller's; cpio_out_end() writes the trailer and frees the rest.
 */
#ifndef EDIT_CPIO_OUT_H
#define EDIT_CPIO_OUT_H

#include "edit/strlist.h"
#include "types.h"

struct cpio_out {
	struct buf *out;
	uint32_t ino;
	struct strlist dirs; /* already written */
};

int cpio_out_dir(struct cpio_out *c, const char *path, struct err *e)
    __attribute__((warn_unused_result));
int cpio_out_file(struct cpio_out *c, const char *path, uint32_t mode, const void *data, size_t len,
		  struct err *e) __attribute__((warn_unused_result));
int cpio_out_end(struct cpio_out *c, struct err *e) __attribute__((warn_unused_result));

#endif
