/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts.h"

#include "base/cleanup.h"
#include "guest_open.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

static void json_freep(json_t **j)
{
	json_decref(*j);
}

void facts_free(struct facts *f)
{
	for (size_t i = 0; i < f->n_disks; i++) {
		for (size_t k = 0; k < f->disks[i].n_links; k++)
			free(f->disks[i].links[k]);
		free(f->disks[i].parts);
	}
	for (size_t i = 0; i < f->n_nics; i++)
		for (size_t k = 0; k < f->nics[i].n_addresses; k++)
			free(f->nics[i].addresses[k]);
	free(f->disks);
	free(f->nics);
	memset(f, 0, sizeof *f);
}

static void facts_freep(struct facts *f)
{
	facts_free(f);
}

static int bad(struct err *e, const char *what, const char *why)
{
	return err_set(e, ERR_PEER, EINVAL, "facts: '%s' %s", what, why);
}

static bool clean_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* An absent key and null leave ${ret} as it is. */
static int take_text(const json_t *o, const char *key, char *ret, size_t size, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	const char *s;

	if (!v || json_is_null(v))
		return 0;
	s = json_string_value(v);
	if (!s)
		return bad(e, key, "is not a string");
	if (strlen(s) >= size || json_string_length(v) != strlen(s))
		return bad(e, key, "is too long");
	if (!clean_text(s))
		return bad(e, key, "holds control characters");
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

static int take_number(const json_t *o, const char *key, uint64_t max, uint64_t *ret, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n;

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v))
		return bad(e, key, "is not a whole number");
	n = json_integer_value(v);
	if (n < 0 || (uint64_t)n > max)
		return bad(e, key, "is out of range");
	*ret = (uint64_t)n;
	return 0;
}

/* The list behind ${key}, with its length checked; *ret_n is 0 when it is absent. */
static int take_list(const json_t *o, const char *key, size_t max, const json_t **ret,
		     size_t *ret_n, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	*ret = v;
	*ret_n = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return bad(e, key, "is not a list");
	if (json_array_size(v) > max)
		return bad(e, key, "has too many entries");
	*ret_n = json_array_size(v);
	return 0;
}

static int take_texts(const json_t *o, const char *key, char **ret, size_t *ret_n, struct err *e)
{
	const json_t *list;
	size_t n;
	int r = take_list(o, key, MAX_LINKS, &list, &n, e);

	for (size_t i = 0; !r && i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (!s || strlen(s) > 512 || !clean_text(s))
			return bad(e, key, "holds something that is no short string");
		ret[i] = strdup(s);
		if (!ret[i])
			return err_set(e, ERR_SYS, ENOMEM, "facts");
		(*ret_n)++;
	}
	return r;
}

static bool sector_size_ok(uint64_t v)
{
	return v == 512 || v == 1024 || v == 2048 || v == 4096;
}

static int parse_part(const json_t *o, struct facts_part *p, struct err *e)
{
	uint64_t number = 0;
	int r = take_text(o, "name", p->name, sizeof p->name, e);

	if (!r)
		r = take_number(o, "number", MAX_PARTS, &number, e);
	if (!r)
		r = take_number(o, "start", INT64_MAX, &p->start, e);
	if (!r)
		r = take_number(o, "size", INT64_MAX, &p->size, e);
	p->number = (unsigned)number;
	if (!r && (!p->name[0] || !number))
		return bad(e, "partitions", "has an entry without name or number");
	return r;
}

static int parse_parts(const json_t *o, struct facts_disk *d, struct err *e)
{
	const json_t *list;
	size_t n;
	int r = take_list(o, "partitions", MAX_PARTS, &list, &n, e);

	if (r < 0 || !n)
		return r;
	d->parts = calloc(n, sizeof *d->parts);
	if (!d->parts)
		return err_set(e, ERR_SYS, ENOMEM, "facts");
	for (; d->n_parts < n; d->n_parts++) {
		r = parse_part(json_array_get(list, d->n_parts), &d->parts[d->n_parts], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_disk(const json_t *o, struct facts_disk *d, struct err *e)
{
	uint64_t logical = 512, physical = 512, n = 0;
	const json_t *place = json_object_get(o, "n");
	int r = take_text(o, "name", d->name, sizeof d->name, e);

	d->moved = place && !json_is_null(place);
	if (!r)
		r = take_number(o, "n", MAX_DISKS - 1, &n, e);
	if (!r)
		r = take_text(o, "serial", d->serial, sizeof d->serial, e);
	if (!r)
		r = take_number(o, "size", INT64_MAX, &d->size, e);
	if (!r)
		r = take_number(o, "logical_sector", 4096, &logical, e);
	if (!r)
		r = take_number(o, "physical_sector", 1 << 20, &physical, e);
	if (!r && !sector_size_ok(logical))
		r = bad(e, "logical_sector", "is not 512, 1024, 2048 or 4096");
	/* An image that was sent as a disk has a number and no name. */
	if (!r && !d->name[0] && !d->moved)
		r = bad(e, "disks", "has an entry with neither a name nor a number");
	if (!r)
		r = take_texts(o, "devlinks", d->links, &d->n_links, e);
	d->n = (unsigned)n;
	d->logical_sector = (uint32_t)logical;
	d->physical_sector = (uint32_t)physical;
	return r < 0 ? r : parse_parts(o, d, e);
}

static int parse_disks(const json_t *o, struct facts *f, struct err *e)
{
	const json_t *list;
	size_t n;
	int r = take_list(o, "disks", MAX_DISKS, &list, &n, e);

	if (r < 0 || !n)
		return r;
	f->disks = calloc(n, sizeof *f->disks);
	if (!f->disks)
		return err_set(e, ERR_SYS, ENOMEM, "facts");
	while (f->n_disks < n) {
		struct facts_disk *d = &f->disks[f->n_disks++];

		r = parse_disk(json_array_get(list, f->n_disks - 1), d, e);
		if (r < 0)
			return r;
		for (size_t i = 0; i + 1 < f->n_disks; i++)
			if (d->moved && f->disks[i].moved && f->disks[i].n == d->n)
				return bad(e, "n", "is the same for two disks");
	}
	return 0;
}

/* "52:54:00:AB:cd:ef" in lower case, or "". */
static int take_mac(const json_t *o, const char *key, char ret[static 18], struct err *e)
{
	char mac[18] = "";
	int r = take_text(o, key, mac, sizeof mac, e);

	if (r < 0 || !mac[0])
		return r;
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
			return bad(e, key, "is not a MAC address");
		mac[i] = (char)tolower((unsigned char)mac[i]);
	}
	memcpy(ret, mac, sizeof mac);
	return 0;
}

/* A name that becomes part of a file name and of a udev rule. */
static bool nic_name_ok(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > 15 || s[0] == '.')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@") ==
	       len;
}

static int parse_nic(const json_t *o, struct facts_nic *n, struct err *e)
{
	const json_t *dhcp = json_object_get(o, "dhcp");
	int r = take_text(o, "name", n->name, sizeof n->name, e);

	if (!r)
		r = take_mac(o, "mac", n->mac, e);
	if (!r)
		r = take_text(o, "gateway", n->gateway, sizeof n->gateway, e);
	if (!r)
		r = take_texts(o, "addresses", n->addresses, &n->n_addresses, e);
	n->dhcp_known = json_is_boolean(dhcp);
	n->dhcp = json_is_true(dhcp);
	if (!r && (!nic_name_ok(n->name) || !n->mac[0]))
		return bad(e, "nics", "has an entry without a sound name and MAC");
	return r;
}

static int parse_nics(const json_t *o, struct facts *f, struct err *e)
{
	const json_t *list;
	size_t n;
	int r = take_list(o, "nics", MAX_NICS, &list, &n, e);

	if (r < 0 || !n)
		return r;
	f->nics = calloc(n, sizeof *f->nics);
	if (!f->nics)
		return err_set(e, ERR_SYS, ENOMEM, "facts");
	while (f->n_nics < n) {
		f->n_nics++;
		r = parse_nic(json_array_get(list, f->n_nics - 1), &f->nics[f->n_nics - 1], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What the receiver added: the target's cards in the order of the source's. */
static int parse_target(const json_t *o, struct facts *f, struct err *e)
{
	const json_t *target = json_object_get(o, "target"), *list;
	size_t n;
	int r;

	memcpy(f->target_bus, "virtio-blk", sizeof "virtio-blk");
	if (!target || json_is_null(target))
		return 0;
	if (!json_is_object(target))
		return bad(e, "target", "is not an object");
	r = take_text(target, "bus", f->target_bus, sizeof f->target_bus, e);
	if (!r)
		r = take_list(target, "nics", MAX_NICS, &list, &n, e);
	for (size_t i = 0; !r && i < n && i < f->n_nics; i++) {
		r = take_mac(json_array_get(list, i), "mac", f->nics[i].target_mac, e);
		if (!r && !strcmp(f->nics[i].target_mac, f->nics[i].mac))
			f->nics[i].target_mac[0] = 0;
	}
	return r;
}

static int parse_object(const json_t *o, struct facts *f, struct err *e)
{
	uint64_t version = 0, cpus = 0;
	char firmware[16] = "";
	int r = take_number(o, "version", UINT32_MAX, &version, e);

	if (r < 0)
		return r;
	if (version != 1)
		return err_set(e, ERR_PEER, EPROTO, "facts: version %llu, this bootfix reads 1",
			       (unsigned long long)version);
	r = take_text(o, "hostname", f->hostname, sizeof f->hostname, e);
	if (!r)
		r = take_text(o, "firmware", firmware, sizeof firmware, e);
	if (!r)
		r = take_text(o, "arch", f->arch, sizeof f->arch, e);
	if (!r)
		r = take_text(o, "kernel", f->kernel, sizeof f->kernel, e);
	if (!r)
		r = take_text(o, "root", f->root, sizeof f->root, e);
	if (!r)
		r = take_number(o, "memory", INT64_MAX, &f->memory, e);
	if (!r)
		r = take_number(o, "cpus", 65536, &cpus, e);
	f->cpus = (unsigned)cpus;
	if (!r && firmware[0] && strcmp(firmware, "bios") != 0 && strcmp(firmware, "uefi") != 0)
		r = bad(e, "firmware", "is neither bios nor uefi");
	f->firmware = !firmware[0]                ? FIRMWARE_UNKNOWN
		      : !strcmp(firmware, "uefi") ? FIRMWARE_UEFI
						  : FIRMWARE_BIOS;
	if (!r)
		r = parse_disks(o, f, e);
	if (!r)
		r = parse_nics(o, f, e);
	return r < 0 ? r : parse_target(o, f, e);
}

int facts_parse(const char *json, size_t len, struct facts *ret, struct err *e)
{
	json_error_t at;
	scoped(facts_freep) struct facts f = { .given = true };
	scoped(json_freep) json_t *root = NULL;
	int r;

	if (len > MAX_FACTS)
		return err_set(e, ERR_PEER, EFBIG, "facts: more than %d bytes", MAX_FACTS);
	root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &at);
	if (!root)
		return err_set(e, ERR_PEER, EINVAL, "facts: line %d: %.150s", at.line, at.text);
	if (!json_is_object(root))
		return err_set(e, ERR_PEER, EINVAL, "facts: not an object");
	r = parse_object(root, &f, e);
	if (r < 0)
		return r;
	*ret = f;
	memset(&f, 0, sizeof f);
	return 0;
}

int facts_load(const char *path, struct facts *ret, struct err *e)
{
	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	scoped(freep) char *text = malloc(MAX_FACTS + 1);
	size_t len = 0;

	if (fd < 0)
		return err_set(e, ERR_USAGE, errno, "facts '%s': %s", path, strerror(errno));
	if (!text)
		return err_set(e, ERR_SYS, ENOMEM, "facts");
	while (len <= MAX_FACTS) {
		ssize_t n = read(fd, text + len, MAX_FACTS + 1 - len);

		if (n < 0)
			return err_set(e, ERR_SYS, errno, "facts '%s'", path);
		if (!n)
			break;
		len += (size_t)n;
	}
	return facts_parse(text, len, ret, e);
}
