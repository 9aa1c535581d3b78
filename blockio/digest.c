/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

struct digest_ctx {
	EVP_MD *md; /* fetched once: a fetch per block costs more than a small block's hash */
	EVP_MD_CTX *ctx;
	struct {
		size_t len;
		uint8_t digest[DIGEST_LEN];
	} zeros[2]; /* the full block and the short last one */
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

int digest_of_zeros(struct digest_ctx *d, size_t len, uint8_t ret[static DIGEST_LEN])
{
	static const uint8_t zeros[4096];

	for (size_t i = 0; i < 2; i++) {
		if (len && d->zeros[i].len == len) {
			memcpy(ret, d->zeros[i].digest, DIGEST_LEN);
			return 0;
		}
	}
	int r = digest_start(d);
	for (size_t left = len; !r && left;) {
		size_t n = left < sizeof zeros ? left : sizeof zeros;

		r = digest_add(d, zeros, n);
		left -= n;
	}
	if (r < 0 || digest_end(d, ret) < 0)
		return -EIO;
	d->zeros[1] = d->zeros[0];
	d->zeros[0].len = len;
	memcpy(d->zeros[0].digest, ret, DIGEST_LEN);
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
