/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blktrace_api.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "sysfs.h"

#define DEV_MINOR_BITS 20 /* inside the kernel */

int trace_debugfs(void)
{
	struct statfs st;

	scoped(close_fdp) int fd = open("/sys/kernel/debug", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !fstatfs(fd, &st) && (unsigned long)st.f_type == DEBUGFS_MAGIC)
		return take_fd(&fd);
	scoped(close_fdp) int fs = fsopen("debugfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

static int open_in(const struct trace_disk *t, const char *file)
{
	char path[128];

	(void)snprintf(path, sizeof path, "block/%s/%s", t->name, file);
	return openat(t->debugfs, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* ---- whose trace it is ---- */

static bool read_mark(const struct trace_disk *t, char ret[static TRACE_MARK_MAX])
{
	char path[128], boot[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "block/%s/dropped", t->name);
	if (fstatat(t->debugfs, path, &st, AT_SYMLINK_NOFOLLOW) ||
	    !read_text("/proc/sys/kernel/random/boot_id", boot, sizeof boot))
		return false;
	boot[strcspn(boot, "\n")] = 0;
	(void)snprintf(ret, TRACE_MARK_MAX, "boot %s device %u inode %ju made %jd.%09ld\n", boot,
		       t->device, (uintmax_t)st.st_ino, (intmax_t)st.st_ctim.tv_sec,
		       st.st_ctim.tv_nsec);
	return true;
}

static void mark_name(const struct trace_disk *t, char ret[static 32])
{
	(void)snprintf(ret, 32, "trace-%u", t->d->n);
}

static bool keep_mark(const struct trace_disk *t)
{
	char name[32];

	mark_name(t, name);
	return !store_put(t->store, name, t->mark, NULL);
}

static bool still_ours(const struct trace_disk *t)
{
	char now[TRACE_MARK_MAX];

	return read_mark(t, now) && !strcmp(now, t->mark);
}

/* What a killed run of this store left behind. Anything else is somebody's. */
static bool remove_stale(struct trace_disk *t)
{
	char name[32], kept[STORE_SMALL_MAX], now[TRACE_MARK_MAX];

	mark_name(t, name);
	return store_get(t->store, name, kept, NULL) > 0 && read_mark(t, now) &&
	       !strcmp(kept, now) && !source_trace_teardown(t->d->source);
}

/* ---- set up and take down ---- */

static bool device_number(const char *name, uint32_t *ret)
{
	char text[32], *at;

	if (!sysfs_text(name, "dev", text, sizeof text))
		return false;
	unsigned long major = strtoul(text, &at, 10);
	if (*at != ':')
		return false;
	*ret = (uint32_t)(major << DEV_MINOR_BITS | strtoul(at + 1, NULL, 10));
	return true;
}

/* The same disk under another name: what is written there is no event here. */
static bool has_other_paths(const char *name)
{
	char path[512], uuid[160];

	(void)snprintf(path, sizeof path, "/sys/class/block/%s/holders", name);
	scoped(closedirp) DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (sysfs_text(de->d_name, "dm/uuid", uuid, sizeof uuid) &&
		    !strncmp(uuid, "mpath-", 6))
			return true;
	}
	return false;
}

/* Requests report their completion with the sectors that they had; drivers without requests do
 * not, and what is in flight at a boundary would be missed. */
static enum trace_why check_driver(struct trace_disk *t, const struct source_info *i)
{
	char path[128];

	if (i->kind != SOURCE_BLOCK)
		return TRACE_IMAGE;
	(void)snprintf(path, sizeof path, "/sys/class/block/%s/mq", i->name);
	if (access(path, F_OK) || !device_number(i->name, &t->device))
		return TRACE_BIO;
	if (has_other_paths(i->name))
		return TRACE_PATHS;
	(void)snprintf(t->name, sizeof t->name, "%s", i->name);
	return TRACE_FINE;
}

static int set_up(struct trace_disk *t)
{
	/* Whatever writes, from its queueing to its end; reads are not even recorded. */
	struct blk_user_trace_setup setup = { .act_mask = BLK_TC_WRITE,
					      .buf_size = t->buffers.size,
					      .buf_nr = t->buffers.number };
	int r = source_trace_setup(t->d->source, &setup);

	if (!r) {
		(void)snprintf(t->name, sizeof t->name, "%s", setup.name);
		t->set_up = true;
	}
	return r;
}

static unsigned possible_cpus(void)
{
	char text[256];
	const char *last = text;

	/* "0-3,8-11": the last number is the highest. */
	if (!read_text("/sys/devices/system/cpu/possible", text, sizeof text))
		return 0;
	for (const char *p; (p = strpbrk(last, "-,"));)
		last = p + 1;
	return (unsigned)strtoul(last, NULL, 10) + 1;
}

static void close_files(struct trace_disk *t)
{
	for (unsigned i = 0; i < t->n_files; i++)
		close_fdp(&t->files[i].fd);
	free(t->files);
	t->files = NULL;
	t->n_files = 0;
}

static enum trace_why open_files(struct trace_disk *t)
{
	unsigned n = possible_cpus(), opened = 0;

	if (!n || n > CPU_SETSIZE)
		return TRACE_CPU;
	t->files = calloc(n, sizeof *t->files);
	if (!t->files)
		return TRACE_SETUP;
	for (unsigned i = 0; i < n; i++) {
		t->files[i].fd = -1;
		trace_parser_init(&t->files[i].parser, t->device, t->dirty, &t->starts);
	}
	t->n_files = n;
	trace_disk_more_files(t);
	for (unsigned i = 0; i < n; i++)
		opened += t->files[i].fd >= 0;
	if (opened && !atomic_load(&t->lost))
		return TRACE_FINE;
	close_files(t);
	/* Debugfs shows them to a locked-down kernel's root, and opens none. */
	return opened ? TRACE_SETUP : TRACE_DENIED;
}

void trace_disk_more_files(struct trace_disk *t)
{
	char file[32];

	for (unsigned i = 0; i < t->n_files; i++) {
		if (t->files[i].fd >= 0)
			continue;
		(void)snprintf(file, sizeof file, "trace%u", i);
		t->files[i].fd = open_in(t, file);
		if (t->files[i].fd < 0 && errno != ENOENT)
			trace_disk_lose(t, TRACE_READ);
	}
}

enum trace_why trace_disk_open(struct trace_disk *t, struct move_disk *d, struct store *store,
			       int debugfs, struct trace_buffers buffers)
{
	const struct source_info *i = source_info(d->source);
	enum trace_why why;
	int r;

	*t = (struct trace_disk){ .d = d, .store = store, .debugfs = debugfs, .buffers = buffers };
	why = check_driver(t, i);
	if (why)
		return why;
	if (debugfs < 0)
		return TRACE_NO_DEBUGFS;
	if (dirty_new(i->size, &t->dirty, NULL))
		return TRACE_SETUP;
	r = set_up(t);
	if (r == -EBUSY && remove_stale(t))
		r = set_up(t);
	if (r)
		return trace_why_of_setup(-r);
	if (!read_mark(t, t->mark) || !keep_mark(t))
		return TRACE_SETUP;
	return open_files(t);
}

enum trace_why trace_disk_start(struct trace_disk *t)
{
	return trace_why_of_setup(-source_trace_start(t->d->source));
}

void trace_disk_remove(struct trace_disk *t)
{
	/* Without a mark nobody else can have come in between. */
	if (t->set_up && (!*t->mark || still_ours(t)))
		(void)source_trace_teardown(t->d->source);
	t->set_up = false;
}

void trace_disk_close(struct trace_disk *t)
{
	char name[32];

	trace_disk_remove(t);
	if (*t->mark) {
		mark_name(t, name);
		(void)store_put(t->store, name, "", NULL);
	}
	close_files(t);
	dirty_free(t->dirty);
	t->dirty = NULL;
}

/* ---- what it says ---- */

void trace_disk_lose(struct trace_disk *t, enum trace_why why)
{
	unsigned kept = TRACE_FINE;

	if (!atomic_compare_exchange_strong(&t->lost, &kept, (unsigned)why) &&
	    trace_why_is_final(why) && !trace_why_is_final((enum trace_why)kept))
		atomic_store(&t->lost, (unsigned)why);
	if (t->dirty)
		dirty_lose(t->dirty);
}

static bool move_to(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof set, &set) && sched_getcpu() == (int)cpu;
}

static enum trace_why read_file(struct trace_disk *t, unsigned cpu, uint8_t *buf, size_t room)
{
	uint64_t ring = (uint64_t)t->buffers.size * t->buffers.number, done = 0;
	enum trace_why first = TRACE_FINE;

	/* What was there when we came is a ring at most; what comes meanwhile may wait. */
	while (done <= ring) {
		ssize_t n = read(t->files[cpu].fd, buf, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return TRACE_READ;
		if (n <= 0)
			break;
		done += (uint64_t)n;
		enum trace_why why = trace_parse(&t->files[cpu].parser, buf, (size_t)n);
		if (!first)
			first = why;
	}
	return first;
}

void trace_disk_read(struct trace_disk *t, unsigned cpu, uint8_t *buf, size_t room)
{
	enum trace_why why = TRACE_CPU;

	if (move_to(cpu)) {
		why = read_file(t, cpu, buf, room);
		/* Its CPU went away under it. */
		if (!why && sched_getcpu() != (int)cpu)
			why = TRACE_CPU;
	}
	if (why)
		trace_disk_lose(t, why);
}

static bool read_dropped(const struct trace_disk *t, uint64_t *ret)
{
	char text[32];

	scoped(close_fdp) int fd = open_in(t, "dropped");
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	*ret = strtoull(text, NULL, 10);
	return true;
}

/* Events go to ftrace instead, while its blk tracer is the current one. */
static bool ftrace_takes_them(void)
{
	char text[64];

	return (read_text("/sys/kernel/tracing/current_tracer", text, sizeof text) ||
		read_text("/sys/kernel/debug/tracing/current_tracer", text, sizeof text)) &&
	       !strncmp(text, "blk", 3) && (text[3] == '\n' || !text[3]);
}

enum trace_why trace_disk_check(struct trace_disk *t)
{
	uint64_t dropped = 0, before = t->dropped;

	if (!still_ours(t) || !read_dropped(t, &dropped))
		return TRACE_GONE;
	t->dropped = dropped;
	/* A trace that runs cannot be started. */
	if (source_trace_start(t->d->source) != -EINVAL)
		return TRACE_STOPPED;
	if (ftrace_takes_them())
		return TRACE_FTRACE;
	return dropped != before ? TRACE_DROPPED : TRACE_FINE;
}
