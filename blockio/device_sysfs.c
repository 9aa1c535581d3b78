/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "device_internal.h"

const struct device_facts device_facts_live = {
	.mountinfo = "/proc/self/mountinfo",
	.swaps = "/proc/swaps",
	.sys_block = "/sys/dev/block",
	.sys_class = "/sys/block",
};

/* Up to ${room} raw bytes of DIR/NAME; -1 when it cannot be read. */
static ssize_t read_raw(const char *dir, const char *name, char *ret, size_t room)
{
	char path[512];
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof path)
		return -1;
	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : read(fd, ret, room);
}

bool device_sysfs_read(const char *dir, const char *name, char *ret, size_t room)
{
	ssize_t n = read_raw(dir, name, ret, room - 1);

	if (n < 0)
		return false;
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
	return true;
}

/* Serials come from hardware and are shown, stored and typed: printable, no blanks at the ends. */
static bool take_words(const char *p, size_t len, char *ret, size_t room)
{
	size_t o = 0;

	while (len && isspace((unsigned char)*p)) {
		p++;
		len--;
	}
	while (len && (isspace((unsigned char)p[len - 1]) || !p[len - 1]))
		len--;
	for (size_t i = 0; i < len && p[i] && o + 1 < room; i++)
		ret[o++] = (char)(p[i] > 0x20 && p[i] < 0x7f ? p[i] : '_');
	ret[o] = 0;
	return o > 0;
}

static bool text_from(const char *dir, const char *name, char *ret, size_t room)
{
	char raw[256];
	ssize_t n = read_raw(dir, name, raw, sizeof raw);

	return n > 0 && take_words(raw, (size_t)n, ret, room);
}

/* SCSI's serial page: four bytes of header, then the text. */
static bool serial_from_page80(const char *dir, char *ret, size_t room)
{
	char raw[260];
	ssize_t n = read_raw(dir, "device/vpd_pg80", raw, sizeof raw);

	return n > 4 && take_words(raw + 4, (size_t)n - 4, ret, room);
}

static uint32_t number_from(const char *dir, const char *name, uint32_t otherwise)
{
	char text[32];
	unsigned long v;

	if (!device_sysfs_read(dir, name, text, sizeof text))
		return otherwise;
	v = strtoul(text, NULL, 10);
	return v >= 512 && v <= 1 << 20 ? (uint32_t)v : otherwise;
}

void device_sysfs_describe(const struct device_facts *f, dev_t dev, struct device_info *info)
{
	/* The order in which they are known to be stable and unique. */
	static const char *const serials[] = { "serial", "device/serial", "wwid", "device/wwid" };
	char dir[256], target[512];
	const char *name = NULL;
	ssize_t n;

	(void)snprintf(dir, sizeof dir, "%s/%u:%u", f->sys_block, major(dev), minor(dev));
	info->logical_sector = number_from(dir, "queue/logical_block_size", 512);
	info->physical_sector = number_from(dir, "queue/physical_block_size", info->logical_sector);
	(void)text_from(dir, "device/model", info->model, sizeof info->model);

	bool found = serial_from_page80(dir, info->serial, sizeof info->serial);
	for (size_t i = 0; !found && i < sizeof serials / sizeof *serials; i++)
		found = text_from(dir, serials[i], info->serial, sizeof info->serial);
	if (found)
		return;
	/* No identity at all (loop devices, some hypervisors): the name is what there is. */
	n = readlink(dir, target, sizeof target - 1);
	if (n > 0) {
		target[n] = 0;
		name = strrchr(target, '/');
	}
	(void)snprintf(info->serial, sizeof info->serial, "dev-%.80s", name ? name + 1 : "unnamed");
}
