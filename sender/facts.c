/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "sysfs.h"

#define NICS_MAX 64
#define LINKS_MAX 32

const char *facts_firmware(void)
{
	return access("/sys/firmware/efi", F_OK) ? "bios" : "uefi";
}

/* Text from the system may hold any bytes; JSON takes UTF-8 only. */
static json_t *text_or_null(const char *s)
{
	json_t *j = s && *s ? json_string(s) : NULL;

	return j ? j : json_null();
}

static void set(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(o, key, value ? value : json_null());
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Names of the device below /dev/disk/by-*: what a boot loader's or fstab's text may say. */
static json_t *devlinks(const char *name)
{
	static const char *const folders[] = { "/dev/disk/by-id", "/dev/disk/by-path",
					       "/dev/disk/by-uuid", "/dev/disk/by-partuuid",
					       "/dev/disk/by-label" };
	json_t *list = json_array();
	char path[512], target[512];

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		scoped(closedirp) DIR *d = opendir(folders[i]);
		for (struct dirent *de; d && (de = readdir(d));) {
			(void)snprintf(path, sizeof path, "%s/%s", folders[i], de->d_name);
			ssize_t n = readlink(path, target, sizeof target - 1);
			if (n <= 0 || json_array_size(list) >= LINKS_MAX)
				continue;
			target[n] = 0;
			const char *base = strrchr(target, '/');
			if (base && !strcmp(base + 1, name))
				(void)json_array_append_new(list, text_or_null(path));
		}
	}
	return list;
}

static json_t *partitions(const char *disk)
{
	json_t *list = json_array();
	char path[128], attr[160];

	(void)snprintf(path, sizeof path, "/sys/class/block/%s", disk);
	scoped(closedirp) DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		int64_t n;

		if (strlen(de->d_name) >= 64 || strncmp(de->d_name, disk, strlen(disk)) != 0)
			continue;
		(void)snprintf(attr, sizeof attr, "%.63s/partition", de->d_name);
		n = sysfs_number(disk, attr, 0);
		if (n <= 0)
			continue;
		json_t *p = json_object();
		set(p, "name", text_or_null(de->d_name));
		set(p, "number", json_integer(n));
		set(p, "start", json_integer(512 * sysfs_number(de->d_name, "start", 0)));
		set(p, "size", json_integer(512 * sysfs_number(de->d_name, "size", 0)));
		set(p, "devlinks", devlinks(de->d_name));
		(void)json_array_append_new(list, p);
	}
	return list;
}

static json_t *disks(const struct move *m)
{
	json_t *list = json_array();

	for (unsigned d = 0; d < m->n_disks; d++) {
		const struct source_info *i = source_info(m->disks[d].source);
		json_t *o = json_object();
		bool block = i->kind == SOURCE_BLOCK;

		set(o, "n", number(m->disks[d].n));
		set(o, "name", text_or_null(i->name));
		set(o, "devlinks", block ? devlinks(i->name) : json_array());
		set(o, "size", number(i->size));
		set(o, "logical_sector", number(i->logical_sector));
		set(o, "physical_sector", number(i->physical_sector));
		set(o, "serial", block ? text_or_null(i->serial) : json_null());
		set(o, "partitions", block ? partitions(i->name) : json_array());
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* The IPv4 default route's gateway of this interface. Columns of /proc/net/route: name,
 * destination, gateway, flags; the two addresses in hexadecimal as they lie in memory. */
static json_t *gateway(const char *nic)
{
	char line[256], text[INET_ADDRSTRLEN], *save = NULL;

	scoped(fclosep) FILE *f = fopen("/proc/net/route", "re");
	while (f && fgets(line, sizeof line, f)) {
		const char *name = strtok_r(line, "\t", &save);
		const char *dest = strtok_r(NULL, "\t", &save);
		const char *gw = strtok_r(NULL, "\t", &save);

		if (!name || !dest || !gw || strcmp(name, nic) != 0 || strtoul(dest, NULL, 16))
			continue;
		struct in_addr a = { .s_addr = (in_addr_t)strtoul(gw, NULL, 16) };
		if (a.s_addr)
			return text_or_null(inet_ntop(AF_INET, &a, text, sizeof text));
	}
	return json_null();
}

static json_t *address(const struct ifaddrs *i)
{
	char text[INET6_ADDRSTRLEN], full[INET6_ADDRSTRLEN + 8];
	bool six = i->ifa_addr->sa_family == AF_INET6;
	const void *a, *mask;
	unsigned bits = 0;

	if (six) {
		a = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		mask = &((const struct sockaddr_in6 *)(const void *)i->ifa_netmask)->sin6_addr;
	} else {
		a = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		mask = &((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr;
	}
	for (size_t k = 0; k < (six ? 16u : 4u); k++)
		bits += (unsigned)__builtin_popcount(((const uint8_t *)mask)[k]);
	if (!inet_ntop(six ? AF_INET6 : AF_INET, a, text, sizeof text))
		return NULL;
	(void)snprintf(full, sizeof full, "%s/%u", text, bits);
	return json_string(full);
}

static json_t *addresses(const struct ifaddrs *all, const char *nic)
{
	json_t *list = json_array();

	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || !i->ifa_netmask || strcmp(i->ifa_name, nic) != 0 ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		json_t *a = address(i);
		/* Link-local ones are made from the MAC anew. */
		if (a && !strncmp(json_string_value(a), "fe80:", 5)) {
			json_decref(a);
			continue;
		}
		if (a)
			(void)json_array_append_new(list, a);
	}
	return list;
}

static json_t *nic(const char *name, const struct ifaddrs *all)
{
	char path[128], mac[64];

	(void)snprintf(path, sizeof path, "/sys/class/net/%.32s/device", name);
	if (access(path, F_OK))
		return NULL; /* bridges, tunnels and lo have no driver's device */
	(void)snprintf(path, sizeof path, "/sys/class/net/%.32s/address", name);
	if (!read_text(path, mac, sizeof mac))
		return NULL;
	mac[strcspn(mac, "\n")] = 0;
	json_t *o = json_object();
	set(o, "name", text_or_null(name));
	set(o, "mac", text_or_null(mac));
	set(o, "addresses", addresses(all, name));
	set(o, "gateway", gateway(name));
	return o;
}

static json_t *nics(void)
{
	struct ifaddrs *all = NULL;
	json_t *list = json_array();

	if (getifaddrs(&all))
		all = NULL;
	scoped(closedirp) DIR *d = opendir("/sys/class/net");
	for (struct dirent *de; d && (de = readdir(d));) {
		json_t *o = de->d_name[0] == '.' || json_array_size(list) >= NICS_MAX
				? NULL
				: nic(de->d_name, all);
		if (o)
			(void)json_array_append_new(list, o);
	}
	if (all)
		freeifaddrs(all);
	return list;
}

static json_t *root_device(void)
{
	struct mounted m;
	json_t *root = NULL;

	for (unsigned at = 0; sysfs_next_mount(&at, &m);) {
		if (strcmp(m.point, "/") != 0)
			continue;
		json_decref(root);
		root = json_string(m.source);
	}
	return root ? root : json_null();
}

static bool all_files(const struct move *m)
{
	for (unsigned d = 0; d < m->n_disks; d++) {
		if (source_info(m->disks[d].source)->kind != SOURCE_FILE)
			return false;
	}
	return true;
}

/* Of this machine; nothing of it is true for an image that came from another one. */
static void machine(json_t *o)
{
	struct utsname u;
	struct sysinfo si;

	if (!uname(&u)) {
		set(o, "hostname", text_or_null(u.nodename));
		set(o, "arch", text_or_null(u.machine));
		set(o, "kernel", text_or_null(u.release));
	}
	set(o, "firmware", json_string(facts_firmware()));
	set(o, "nics", nics());
	set(o, "root", root_device());
	if (!sysinfo(&si))
		set(o, "memory", number((uint64_t)si.totalram * si.mem_unit));
	set(o, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
}

int facts_make(const struct move *m, char **ret, struct err *e)
{
	json_t *o = json_object();
	char *text;

	set(o, "version", json_integer(1));
	if (!all_files(m))
		machine(o);
	set(o, "disks", disks(m));
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	if (!text)
		return err_set(e, ERR_SYS, ENOMEM, "facts");
	if (strlen(text) > FACTS_MAX) {
		free(text);
		return err_set(e, ERR_SYS, E2BIG, "facts of more than %u KiB",
			       (unsigned)(FACTS_MAX / KIB));
	}
	*ret = text;
	return 0;
}

int facts_load(const char *path, char **ret, struct err *e)
{
	json_error_t je;
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	char *text;

	if (!o)
		return err_set(e, ERR_USAGE, EINVAL, "facts '%s', line %d: %s", path, je.line,
			       je.text);
	if (!json_is_object(o) || json_integer_value(json_object_get(o, "version")) != 1) {
		json_decref(o);
		return err_set(e, ERR_USAGE, EINVAL, "facts '%s': an object with \"version\": 1",
			       path);
	}
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	if (!text || strlen(text) > FACTS_MAX) {
		free(text);
		return err_set(e, ERR_USAGE, E2BIG, "facts '%s': more than %u KiB", path,
			       (unsigned)(FACTS_MAX / KIB));
	}
	*ret = text;
	return 0;
}
