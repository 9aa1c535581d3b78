/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "digest.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <string.h>

static void ctx_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

void digest_bytes(const void *data, size_t len, uint8_t ret[static DIGEST_LEN])
{
	if (!EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL))
		abort();
}

int digest_fd(int fd, uint8_t ret[static DIGEST_LEN], uint64_t *ret_len, struct err *e)
{
	return digest_fd_and(fd, NULL, 0, ret, ret_len, e);
}

int digest_fd_and(int fd, const void *more, size_t len, uint8_t ret[static DIGEST_LEN],
		  uint64_t *ret_len, struct err *e)
{
	scoped(ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
	scoped(freep) uint8_t *chunk = malloc(1 << 18);
	uint64_t off = 0;

	if (!c || !chunk || !EVP_DigestInit_ex(c, EVP_sha256(), NULL))
		return err_set(e, ERR_SYS, ENOMEM, "SHA-256");
	for (;;) {
		ssize_t n = pread(fd, chunk, 1 << 18, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, ERR_DISK, errno, "read");
		if (!n)
			break;
		if (!EVP_DigestUpdate(c, chunk, (size_t)n))
			return err_set(e, ERR_SYS, ENOMEM, "SHA-256");
		off += (uint64_t)n;
	}
	if (!EVP_DigestUpdate(c, more, len) || !EVP_DigestFinal_ex(c, ret, NULL))
		return err_set(e, ERR_SYS, ENOMEM, "SHA-256");
	if (ret_len)
		*ret_len = off + len;
	return 0;
}

char *digest_hex(const uint8_t digest[static DIGEST_LEN], char hex[static DIGEST_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[64] = 0;
	return hex;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(const char *hex, uint8_t ret[static DIGEST_LEN])
{
	uint8_t out[DIGEST_LEN];

	if (strlen(hex) != 64)
		return -EINVAL;
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(ret, out, sizeof out);
	return 0;
}
