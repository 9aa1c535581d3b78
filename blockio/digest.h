/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * digest.h - SHA-256 of plain data (manifest, claims), XXH3 of our own records (torn writes)
 *
 * Shape   DIGEST_LEN bytes, of the block as it lies on the disk, before compression.
 * Threads a struct digest_ctx belongs to one thread; it keeps the fetched EVP_MD.
 */
#ifndef BLOCKIO_DIGEST_H
#define BLOCKIO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32

struct digest_ctx;

/* NULL when memory or the algorithm is missing. */
struct digest_ctx *digest_new(void);
void digest_free(struct digest_ctx *d);
static inline void digest_freep(struct digest_ctx **d)
{
	digest_free(*d);
}

int digest_of(struct digest_ctx *d, const void *data, size_t len, uint8_t ret[static DIGEST_LEN]);

/* Streaming use of the same context: start, any number of adds, end. */
int digest_start(struct digest_ctx *d);
int digest_add(struct digest_ctx *d, const void *data, size_t len);
int digest_end(struct digest_ctx *d, uint8_t ret[static DIGEST_LEN]);

/* SHA-256 of ${len} zero bytes; remembers the last two lengths asked for. */
int digest_of_zeros(struct digest_ctx *d, size_t len, uint8_t ret[static DIGEST_LEN]);

/* Checksum of a record of ours. Never for data a peer could choose. */
uint64_t digest_record(const void *data, size_t len);

/* Lower-case hexadecimal, ${ret} holds 2 * ${len} + 1. */
void digest_hex(const uint8_t *p, size_t len, char *ret);

#endif
