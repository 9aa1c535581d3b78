/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checks_host.c - checks of the machine that would be moved: its system, its kernel, its health */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checks.h"
#include "facts.h"
#include "initramfs.h"
#include "sysfs.h"

#define YEAR_2024 1704067200
#define MEMORY_LEAST_KB 65536ul
#define MEMORY_GOOD_KB 196608ul

static bool sends_images(const struct move *m)
{
	for (unsigned i = 0; i < m->n_disks; i++) {
		if (source_info(m->disks[i].source)->kind == SOURCE_BLOCK)
			return false;
	}
	return m->n_disks > 0;
}

static void root(struct move *m, struct finding *f)
{
	if (!geteuid())
		finding_ok(f, "running as root");
	else if (sends_images(m))
		finding_ok(f, "not root, and image files need no root");
	else
		finding_bad(f, CHECK_CRITICAL, "run as root",
			    "not root: disks cannot be read, file systems not frozen");
}

static bool is_ours(const struct move *m, dev_t dev)
{
	char below[DISKS_MAX][64];
	unsigned n = sysfs_disks_below(dev, below, DISKS_MAX);

	for (unsigned i = 0; i < n; i++) {
		for (unsigned d = 0; d < m->n_disks; d++) {
			if (!strcmp(below[i], source_info(m->disks[d].source)->name))
				return true;
		}
	}
	return false;
}

static bool can_freeze(const char *type)
{
	static const char *const types[] = { "ext2", "ext3", "ext4",   "xfs",  "btrfs",
					     "f2fs", "jfs",  "nilfs2", "gfs2", "reiserfs" };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!strcmp(type, types[i]))
			return true;
	}
	return false;
}

static void file_systems(struct move *m, struct finding *f)
{
	char stiff[300] = "";
	unsigned n = 0;
	struct mounted fs;

	for (unsigned at = 0; sysfs_next_mount(&at, &fs);) {
		size_t len = strlen(stiff);

		if (!fs.writable || !is_ours(m, fs.dev))
			continue;
		n++;
		if (!can_freeze(fs.type))
			(void)snprintf(stiff + len, sizeof stiff - len, "%s%.80s (%s)",
				       len ? ", " : "", fs.point, fs.type);
	}
	if (stiff[0])
		finding_bad(
		    f, CHECK_WARNING,
		    "unmount it before 'sync --final', or make sure that nothing writes there",
		    "cannot be frozen, so its last changes may be cut: %s", stiff);
	else
		finding_ok(f, "%u mounted for writing from these disks, all can be frozen", n);
}

/* 1 in 100 left is not enough for a repair that adds an initramfs. */
static void full_file_systems(struct move *m, struct finding *f)
{
	struct mounted fs;
	struct statvfs v;

	for (unsigned at = 0; sysfs_next_mount(&at, &fs);) {
		if (!fs.writable || !is_ours(m, fs.dev) || statvfs(fs.point, &v) || !v.f_blocks)
			continue;
		if ((uint64_t)v.f_bavail * 100 >= v.f_blocks &&
		    (!v.f_files || (uint64_t)v.f_ffree * 100 >= v.f_files))
			continue;
		finding_bad(f, CHECK_WARNING,
			    "free some space: the repair on the target needs room",
			    "'%.200s' is more than 99 %% full", fs.point);
		return;
	}
	finding_ok(f, "space and inodes are left on each file system");
}

static void firmware(struct move *m, struct finding *f)
{
	if (sends_images(m))
		finding_ok(f, "image files: said by --facts, or found on the target");
	else
		finding_ok(f, "%s; give the target the same, or let bootfix convert",
			   facts_firmware());
}

static void kernel(struct move *m, struct finding *f)
{
	unsigned long major = 0, minor = 0;
	struct utsname u;
	char *end = NULL;

	(void)m;
	if (!uname(&u))
		major = strtoul(u.release, &end, 10);
	if (end && *end == '.')
		minor = strtoul(end + 1, NULL, 10);
	if (!major) {
		finding_bad(f, CHECK_WARNING, "look at 'uname -r'",
			    "the kernel's version is not known");
		return;
	}
	if (major < 3 || (major == 3 && minor < 10))
		finding_bad(f, CHECK_WARNING,
			    "rehearse the boot on the receiver before you hand back",
			    "kernel %s is older than what is tested", u.release);
	else
		finding_ok(f, "%s, %s", u.release, u.machine);
}

/* True when a line of the file names the module, as "kernel/.../NAME.ko". */
static bool lists_module(const char *path, const char *name)
{
	char line[4096], slash[64];

	(void)snprintf(slash, sizeof slash, "/%s.ko", name);
	scoped(fclosep) FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof line, in)) {
		line[strcspn(line, ":\n")] = 0;
		if (strstr(line, slash))
			return true;
	}
	return false;
}

static const char *const wanted[] = { "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net" };
enum { N_WANTED = sizeof wanted / sizeof *wanted };

static void virtio(struct move *m, struct finding *f)
{
	char builtin[200], dep[200], as_module[128] = "";
	struct utsname u;

	if (sends_images(m)) {
		finding_ok(f, "image files: bootfix looks into each kernel on the target");
		return;
	}
	(void)uname(&u);
	(void)snprintf(builtin, sizeof builtin, "/lib/modules/%s/modules.builtin", u.release);
	(void)snprintf(dep, sizeof dep, "/lib/modules/%s/modules.dep", u.release);
	if (access(dep, R_OK)) {
		finding_bad(f, CHECK_WARNING, "make sure that the kernel has virtio drivers",
			    "no modules of the running kernel %s are installed", u.release);
		return;
	}
	for (size_t i = 0; i < N_WANTED; i++) {
		size_t len = strlen(as_module);

		if (lists_module(builtin, wanted[i]))
			continue;
		if (!lists_module(dep, wanted[i])) {
			finding_bad(
			    f, CHECK_CRITICAL,
			    "install a kernel that has it: the full one of the distribution",
			    "kernel %s has no %s", u.release, wanted[i]);
			return;
		}
		(void)snprintf(as_module + len, sizeof as_module - len, " %s", wanted[i]);
	}
	if (as_module[0])
		finding_ok(f, "modules:%s; bootfix adds to the initramfs what is not in it",
			   as_module);
	else
		finding_ok(f, "all virtio drivers are built in");
}

/* A driver that the kernel has built in need not be in the image. */
static void initramfs_content(const char *path, const char *release, struct finding *f)
{
	char builtin[200], lacking[128] = "";
	bool found[N_WANTED];
	struct err e = { 0 };

	(void)snprintf(builtin, sizeof builtin, "/lib/modules/%s/modules.builtin", release);
	if (initramfs_has(path, wanted, N_WANTED, found, &e) < 0) {
		finding_bad(f, CHECK_WARNING, "nothing to do: bootfix looks into it on the target",
			    "%s is there; %.200s", path, e.text);
		return;
	}
	for (size_t i = 0; i < N_WANTED; i++) {
		size_t len = strlen(lacking);

		if (!found[i] && !lists_module(builtin, wanted[i]))
			(void)snprintf(lacking + len, sizeof lacking - len, " %s", wanted[i]);
	}
	if (lacking[0])
		finding_bad(f, CHECK_WARNING, "nothing to do: bootfix adds them on the target",
			    "%s would not boot on virtio as it is, it lacks:%s", path, lacking);
	else
		finding_ok(f, "%s has all virtio drivers", path);
}

static void initramfs(struct move *m, struct finding *f)
{
	static const char *const names[] = { "/boot/initrd.img-%s", "/boot/initramfs-%s.img",
					     "/boot/initrd-%s" };
	char path[300];
	struct utsname u;

	if (sends_images(m)) {
		finding_ok(f, "image files: bootfix looks for it on the target");
		return;
	}
	(void)uname(&u);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *pc = strchr(names[i], '%');

		(void)snprintf(path, sizeof path, "%.*s%s%s", (int)(pc - names[i]), names[i],
			       u.release, pc + 2);
		if (!access(path, F_OK)) {
			initramfs_content(path, u.release, f);
			return;
		}
	}
	finding_bad(
	    f, CHECK_WARNING,
	    "update-initramfs -c -k all, or dracut --force, unless this kernel boots without",
	    "no initramfs of kernel %s is in /boot", u.release);
}

static void encryption(struct move *m, struct finding *f)
{
	struct mounted fs;
	char name[64], uuid[128];

	for (unsigned at = 0; sysfs_next_mount(&at, &fs);) {
		if (!is_ours(m, fs.dev) || !sysfs_name(fs.dev, name) ||
		    !sysfs_text(name, "dm/uuid", uuid, sizeof uuid) ||
		    strncmp(uuid, "CRYPT-", 6) != 0)
			continue;
		finding_bad(f, CHECK_WARNING,
			    "have its passphrase at hand for finalize and for the first boot",
			    "'%.200s' is encrypted; it arrives encrypted", fs.point);
		return;
	}
	finding_ok(f, "no mounted file system of these disks is encrypted");
}

static void clock_check(struct move *m, struct finding *f)
{
	struct timex t = { 0 };
	time_t now = time(NULL);

	(void)m;
	if (now < YEAR_2024)
		finding_bad(f, CHECK_CRITICAL, "set the clock", "the clock is years behind");
	else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
		finding_bad(f, CHECK_WARNING,
			    "look at 'date'; start chrony or systemd-timesyncd when it is wrong",
			    "nothing keeps the clock");
	else
		finding_ok(f, "kept in time");
}

static void memory(struct move *m, struct finding *f)
{
	char text[4096];
	unsigned long kb = 0;

	(void)m;
	const char *p =
	    read_text("/proc/meminfo", text, sizeof text) ? strstr(text, "MemAvailable:") : NULL;
	if (p)
		kb = strtoul(p + strlen("MemAvailable:"), NULL, 10);
	if (!kb)
		finding_bad(f, CHECK_WARNING, "look at 'free'", "free memory is not known");
	else if (kb < MEMORY_GOOD_KB)
		finding_bad(f, kb < MEMORY_LEAST_KB ? CHECK_CRITICAL : CHECK_WARNING,
			    "stop something, or send over one connection: --connections 1",
			    "only %lu MiB of memory are available", kb / 1024);
	else
		finding_ok(f, "%lu MiB available", kb / 1024);
}

static void cpu(struct move *m, struct finding *f)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	double load = 0;

	(void)m;
	if (getloadavg(&load, 1) == 1 && load > 2.0 * (double)n)
		finding_bad(f, CHECK_WARNING, "wait for a quieter hour, or use --limit",
			    "load %.1f on %ld processors", load, n);
	else
		finding_ok(f, "load %.1f on %ld processors", load, n);
}

const struct check host_checks[] = {
	{ "root", root },
	{ "file-systems", file_systems },
	{ "space", full_file_systems },
	{ "encryption", encryption },
	{ "firmware", firmware },
	{ "kernel", kernel },
	{ "virtio", virtio },
	{ "initramfs", initramfs },
	{ "clock", clock_check },
	{ "memory", memory },
	{ "cpu", cpu },
	{ 0 },
};
