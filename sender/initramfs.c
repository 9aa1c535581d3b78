/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "initramfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

/* ".../virtio_blk.ko", ".ko.xz", ".ko.zst": the name, then .ko. Dashes and underscores are one. */
static bool line_has(const char *line, const char *name)
{
	const char *base = strrchr(line, '/');
	size_t n = strlen(name);

	base = base ? base + 1 : line;
	for (size_t i = 0; i < n; i++) {
		if (base[i] != name[i] && !(base[i] == '-' && name[i] == '_'))
			return false;
	}
	return !strncmp(base + n, ".ko", 3);
}

struct listing {
	const char *const *names;
	size_t n;
	bool *found;
	size_t lines;
};

static void on_line(const char *line, void *arg)
{
	struct listing *l = arg;

	l->lines++;
	for (size_t k = 0; k < l->n; k++)
		l->found[k] = l->found[k] || line_has(line, l->names[k]);
}

int initramfs_has(const char *image, const char *const *names, size_t n, bool *ret_found,
		  struct err *e)
{
	static const char *const listers[] = { "lsinitramfs", "lsinitrd" };
	struct listing l = { .names = names, .n = n, .found = ret_found };
	int r = -ENOENT;

	memset(ret_found, 0, n * sizeof *ret_found);
	/* The first lister that is installed. */
	for (size_t i = 0; i < sizeof listers / sizeof *listers && r == -ENOENT; i++) {
		char name[16], path[256];
		char *argv[] = { name, path, NULL };

		(void)snprintf(name, sizeof name, "%s", listers[i]);
		(void)snprintf(path, sizeof path, "%s", image);
		r = tool_run(argv, INITRAMFS_SECONDS, on_line, &l, NULL);
	}
	if (r == -ENOENT)
		return err_set(e, ERR_SYS, ENOENT, "neither lsinitramfs nor lsinitrd can be run");
	if (r == -ETIME)
		return err_set(e, ERR_SYS, ETIME, "the lister of '%s' took over %d s", image,
			       INITRAMFS_SECONDS);
	if (r || !l.lines)
		return err_set(e, ERR_SYS, EIO, "'%s' could not be listed", image);
	return 0;
}
