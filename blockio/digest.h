/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * digest.h - digests of plain data, of two kinds, and XXH3 of our own records (torn writes)
 *
 * Shape   DIGEST_LEN bytes, of the block as it lies on the disk, before compression.
 *         strong: SHA-256; fast: XXH3-128 (canonical, seeded) and then 16 zero bytes, so that a
 *         digest says itself of which kind it is.
 * Use     the manifest and its signature: strong only. Frames and claims: either. Why and what each
 *         costs: docs/architecture.md "Digests".
 * Threads a struct digest_ctx belongs to one thread; it keeps the fetched EVP_MD.
 */
#ifndef BLOCKIO_DIGEST_H
#define BLOCKIO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32
#define DIGEST_FAST_LEN 16

enum digest_kind { DIGEST_FAST, DIGEST_STRONG };

struct digest_ctx;

/* NULL when memory or the algorithm is missing. */
struct digest_ctx *digest_new(void);
void digest_free(struct digest_ctx *d);
static inline void digest_freep(struct digest_ctx **d)
{
	digest_free(*d);
}

/* SHA-256. */
int digest_of(struct digest_ctx *d, const void *data, size_t len, uint8_t ret[static DIGEST_LEN]);

/* The seed of fast digests, 0 at first. A task's is made of its random id, so that nobody who wrote
 * to the disk before the task began could aim at two blocks of one digest. */
void digest_seed(struct digest_ctx *d, const uint8_t task[static 16]);
int digest_block(struct digest_ctx *d, enum digest_kind kind, const void *data, size_t len,
		 uint8_t ret[static DIGEST_LEN]);
/* Remembers the last two lengths asked for, of each kind. */
int digest_zero_block(struct digest_ctx *d, enum digest_kind kind, size_t len,
		      uint8_t ret[static DIGEST_LEN]);
enum digest_kind digest_kind_of(const uint8_t digest[static DIGEST_LEN]);

/* Streaming use of the same context: start, any number of adds, end. */
int digest_start(struct digest_ctx *d);
int digest_add(struct digest_ctx *d, const void *data, size_t len);
int digest_end(struct digest_ctx *d, uint8_t ret[static DIGEST_LEN]);

/* Checksum of a record of ours. Never for data a peer could choose. */
uint64_t digest_record(const void *data, size_t len);

/* Lower-case hexadecimal, ${ret} holds 2 * ${len} + 1. */
void digest_hex(const uint8_t *p, size_t len, char *ret);

#endif
