/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "digest_wide.h"

struct digest_ctx {
	EVP_MD *md; /* fetched once: a fetch per block costs more than a small block's hash */
	EVP_MD_CTX *ctx;
	uint64_t seed;
	struct {
		size_t len;
		uint8_t digest[DIGEST_LEN];
	} zeros[2][2]; /* by kind: the full block and the short last one */
};

struct digest_ctx *digest_new(void)
{
	struct digest_ctx *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	d->ctx = EVP_MD_CTX_new();
	if (d->md && d->ctx)
		return d;
	digest_free(d);
	return NULL;
}

void digest_free(struct digest_ctx *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_free(d->md);
	free(d);
}

int digest_start(struct digest_ctx *d)
{
	return EVP_DigestInit_ex2(d->ctx, d->md, NULL) == 1 ? 0 : -EIO;
}

int digest_add(struct digest_ctx *d, const void *data, size_t len)
{
	return EVP_DigestUpdate(d->ctx, data, len) == 1 ? 0 : -EIO;
}

int digest_end(struct digest_ctx *d, uint8_t ret[static DIGEST_LEN])
{
	unsigned n = 0;

	return EVP_DigestFinal_ex(d->ctx, ret, &n) == 1 && n == DIGEST_LEN ? 0 : -EIO;
}

int digest_of(struct digest_ctx *d, const void *data, size_t len, uint8_t ret[static DIGEST_LEN])
{
	if (digest_start(d) < 0 || digest_add(d, data, len) < 0)
		return -EIO;
	return digest_end(d, ret);
}

void digest_seed(struct digest_ctx *d, const uint8_t task[static 16])
{
	d->seed = get_be64(task);
	memset(d->zeros[DIGEST_FAST], 0, sizeof d->zeros[DIGEST_FAST]);
}

enum digest_kind digest_kind_of(const uint8_t digest[static DIGEST_LEN])
{
	/* A SHA-256 ends like this once in 2^128 blocks. */
	return all_zero(digest + DIGEST_FAST_LEN, DIGEST_LEN - DIGEST_FAST_LEN) ? DIGEST_FAST
										: DIGEST_STRONG;
}

static void fast_digest(const void *data, size_t len, uint64_t seed, uint8_t ret[static DIGEST_LEN])
{
	uint64_t h[2];

	if (digest_wide_here()) {
		digest_wide(data, len, seed, h);
	} else {
		XXH128_hash_t narrow = XXH3_128bits_withSeed(data, len, seed);

		h[0] = narrow.high64;
		h[1] = narrow.low64;
	}
	put_be64(ret, h[0]);
	put_be64(ret + 8, h[1]);
	memset(ret + DIGEST_FAST_LEN, 0, DIGEST_LEN - DIGEST_FAST_LEN);
}

int digest_block(struct digest_ctx *d, enum digest_kind kind, const void *data, size_t len,
		 uint8_t ret[static DIGEST_LEN])
{
	if (kind == DIGEST_STRONG)
		return digest_of(d, data, len, ret);
	fast_digest(data, len, d->seed, ret);
	return 0;
}

static int hash_zeros(struct digest_ctx *d, enum digest_kind kind, size_t len,
		      uint8_t ret[static DIGEST_LEN])
{
	scoped(freep) uint8_t *zeros = calloc(1, len ? len : 1);

	return zeros ? digest_block(d, kind, zeros, len, ret) : -ENOMEM;
}

int digest_zero_block(struct digest_ctx *d, enum digest_kind kind, size_t len,
		      uint8_t ret[static DIGEST_LEN])
{
	for (size_t i = 0; i < 2; i++) {
		if (len && d->zeros[kind][i].len == len) {
			memcpy(ret, d->zeros[kind][i].digest, DIGEST_LEN);
			return 0;
		}
	}
	int r = hash_zeros(d, kind, len, ret);
	if (r < 0)
		return r;
	d->zeros[kind][1] = d->zeros[kind][0];
	d->zeros[kind][0].len = len;
	memcpy(d->zeros[kind][0].digest, ret, DIGEST_LEN);
	return 0;
}

uint64_t digest_record(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

void digest_hex(const uint8_t *p, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[p[i] >> 4];
		ret[2 * i + 1] = digits[p[i] & 15];
	}
	ret[2 * len] = 0;
}
