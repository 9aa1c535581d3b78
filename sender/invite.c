/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "invite.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(const char *text, uint8_t *ret, size_t len)
{
	if (strlen(text) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < 2 * len; i++) {
		if (nibble(text[i]) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return 0;
}

const struct invite_disk *invite_disk(const struct invite *i, unsigned n)
{
	for (unsigned k = 0; k < i->n_disks; k++) {
		if (i->disks[k].n == n)
			return &i->disks[k];
	}
	return NULL;
}

static int take_addresses(json_t *list, struct invite *i, struct err *e)
{
	if (json_array_size(list) > ADDRESSES_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "more than %d addresses", ADDRESSES_MAX);
	for (size_t k = 0; k < json_array_size(list); k++) {
		const char *s = json_string_value(json_array_get(list, k));
		int r = address_parse(s ? s : "", 0, &i->addresses[k], e);
		if (r)
			return r;
	}
	i->n_addresses = (unsigned)json_array_size(list);
	return 0;
}

static int take_disks(json_t *list, struct invite *i, struct err *e)
{
	json_error_t je;

	if (!json_array_size(list) || json_array_size(list) > DISKS_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "'disks' needs 1 to %d entries", DISKS_MAX);
	for (size_t k = 0; k < json_array_size(list); k++) {
		json_int_t n, size, sector;

		if (json_unpack_ex(json_array_get(list, k), &je, JSON_STRICT, "{s:I, s:I, s:I}",
				   "n", &n, "size", &size, "logical_sector", &sector))
			return err_set(e, ERR_USAGE, EINVAL, "disks[%zu]: %s", k, je.text);
		if (n < 0 || n >= DISKS_MAX || invite_disk(i, (unsigned)n))
			return err_set(e, ERR_USAGE, EINVAL, "disks[%zu]: 'n' is no new number", k);
		if (size <= 0 || (uint64_t)size > DISK_SIZE_MAX)
			return err_set(e, ERR_USAGE, EINVAL, "disks[%zu]: 'size' is out of range",
				       k);
		if (sector < 512 || sector > 65536 || !is_power_of_two((uint64_t)sector))
			return err_set(e, ERR_USAGE, EINVAL,
				       "disks[%zu]: 'logical_sector' is out of range", k);
		i->disks[i->n_disks++] = (struct invite_disk){ .n = (unsigned)n,
							       .size = (uint64_t)size,
							       .logical_sector = (uint32_t)sector };
	}
	return 0;
}

static int take_scalars(struct invite *i, json_int_t version, json_int_t block_size,
			json_int_t expires, const char *spki, const char *ticket, const char *code,
			struct err *e)
{
	if (version != 1)
		return err_set(e, ERR_USAGE, EINVAL,
			       "version %lld is not known: is this transit-send too old?",
			       (long long)version);
	if (block_size < (json_int_t)BLOCK_SIZE_MIN || block_size > (json_int_t)BLOCK_SIZE_MAX ||
	    !is_power_of_two((uint64_t)block_size))
		return err_set(e, ERR_USAGE, EINVAL, "'block_size' is out of range");
	if (expires < 0)
		return err_set(e, ERR_USAGE, EINVAL, "'expires' is out of range");
	if (hex_parse(spki, i->spki, sizeof i->spki))
		return err_set(e, ERR_USAGE, EINVAL,
			       "'spki_sha256' is not 64 hexadecimal characters");
	if (hex_parse(ticket, i->ticket, sizeof i->ticket))
		return err_set(e, ERR_USAGE, EINVAL, "'ticket' is not 16 hexadecimal characters");
	if (strlen(code) >= sizeof i->code_text)
		return err_set(e, ERR_USAGE, EINVAL, "'code' is too long");
	memcpy(i->code_text, code, strlen(code) + 1);
	i->block_size = (uint32_t)block_size;
	i->expires = (uint64_t)expires;
	return 0;
}

int invite_parse(const char *text, size_t len, struct invite *ret, struct err *e)
{
	json_int_t version, block_size, expires;
	json_t *addresses, *disks;
	const char *spki, *code, *ticket;
	struct invite i = { 0 };
	json_error_t je;
	int r;

	if (len > INVITE_BYTES_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "longer than %u KiB",
			       (unsigned)(INVITE_BYTES_MAX / KIB));
	scoped(json_decrefp) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return err_set(e, ERR_USAGE, EINVAL, "line %d: %s", je.line, je.text);
	if (json_unpack_ex(root, &je, JSON_STRICT, "{s:I, s:o, s:s, s:s, s:s, s:o, s:I, s:I}",
			   "version", &version, "addresses", &addresses, "spki_sha256", &spki,
			   "code", &code, "ticket", &ticket, "disks", &disks, "block_size",
			   &block_size, "expires", &expires))
		return err_set(e, ERR_USAGE, EINVAL, "%s", je.text);
	if (!json_is_array(addresses) || !json_is_array(disks))
		return err_set(e, ERR_USAGE, EINVAL, "'addresses' and 'disks' must be lists");
	r = take_scalars(&i, version, block_size, expires, spki, ticket, code, e);
	if (!r)
		r = take_addresses(addresses, &i, e);
	if (!r)
		r = take_disks(disks, &i, e);
	if (!r)
		*ret = i;
	invite_wipe(&i);
	return r;
}

int invite_load(const char *path, struct invite *ret, struct err *e)
{
	char text[INVITE_BYTES_MAX + 1];
	size_t len = 0;
	int r;

	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_USAGE, errno, "invite '%s': %s", path, strerror(errno));
	while (len < sizeof text) {
		ssize_t n = read(fd, text + len, sizeof text - len);
		if (n < 0)
			return err_set(e, ERR_SYS, errno, "read invite '%s'", path);
		if (!n)
			break;
		len += (size_t)n;
	}
	r = invite_parse(text, len, ret, e);
	OPENSSL_cleanse(text, sizeof text);
	return r ? err_under(e, r, "invite '%s'", path) : 0;
}

void invite_wipe(struct invite *i)
{
	OPENSSL_cleanse(i->code_text, sizeof i->code_text);
}
