/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * digest.h - SHA-256 of bytes and of open files, and its hex form
 *
 * Errors  0 or a negative errno with *e filled; digest_bytes() aborts without memory for a context.
 */
#ifndef BOOTFIX_DIGEST_H
#define BOOTFIX_DIGEST_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_LEN = 32, DIGEST_HEX = 65 };

void digest_bytes(const void *data, size_t len, uint8_t ret[static DIGEST_LEN]);
/* From the start to the end of ${fd}, whatever its offset is. */
int digest_fd(int fd, uint8_t ret[static DIGEST_LEN], uint64_t *ret_len, struct err *e)
    __attribute__((warn_unused_result));
/* The same with ${more} behind the end of the file. */
int digest_fd_and(int fd, const void *more, size_t len, uint8_t ret[static DIGEST_LEN],
		  uint64_t *ret_len, struct err *e) __attribute__((warn_unused_result));
/* Lower case, with a NUL. Returns ${hex}. */
char *digest_hex(const uint8_t digest[static DIGEST_LEN], char hex[static DIGEST_HEX]);
/* -EINVAL, *e alone: not 64 hex digits. */
int digest_parse(const char *hex, uint8_t ret[static DIGEST_LEN])
    __attribute__((warn_unused_result));

#endif
