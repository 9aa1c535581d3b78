/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * modprobe's aliases of systems that load drivers by them (RHEL 5 and 6, SLES 10 and 11): ifup
 * loads "eth0", and mkinitrd puts every scsi_hostadapter into the next image.
 */
#include "base/cleanup.h"
#include "edit/lines.h"
#include "steps/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define DIR "/etc/modprobe.d"
#define WHY "aliases name the target's drivers"
#define INDEX_MAX ((size_t)32 << 20)

/* "alias NAME DRIVER" */
struct alias {
	struct piece name, driver;
};

static bool alias_next(struct lines *l, struct alias *ret)
{
	while (lines_next(l)) {
		struct piece words[3];

		if (piece_words(lines_piece(l), words, 3) < 3 || !piece_is(words[0], "alias"))
			continue;
		*ret = (struct alias){ words[1], words[2] };
		return true;
	}
	return false;
}

/* "eth0", and "scsi_hostadapter" with or without a number. */
static bool is_numbered(struct piece name, const char *what)
{
	size_t n = strlen(what);

	if (!piece_begins(name, what))
		return false;
	while (n < name.len && isdigit((unsigned char)name.s[n]))
		n++;
	return n == name.len;
}

static bool is_virtio(struct piece driver)
{
	return piece_begins(driver, "virtio");
}

/* Some installed kernel has the driver as a module. */
static bool has_module(const struct guest *g, const char *driver)
{
	char path[2 * MAX_PATH], file[80];

	(void)snprintf(file, sizeof file, "/%s.ko", driver);
	for (size_t i = 0; i < g->n_kernels; i++) {
		scoped(buf_free) struct buf dep = { 0 };

		(void)snprintf(path, sizeof path, "%s/modules.dep", g->kernels[i].modules);
		if (!guest_read(g, path, INDEX_MAX, &dep, NULL) && dep.data &&
		    strstr((const char *)dep.data, file))
			return true;
	}
	return false;
}

static bool has_virtio_disk(const struct leftovers_file *f)
{
	struct lines l = { .text = f->text, .len = f->len };
	struct alias a;

	while (alias_next(&l, &a))
		if (is_numbered(a.name, "scsi_hostadapter") && is_virtio(a.driver))
			return true;
	return false;
}

static int set_driver(struct leftovers_file *f, struct piece old, const char *driver, struct err *e)
{
	if (has_module(f->g, driver))
		return edits_add(&f->ed, (struct span){ (size_t)(old.s - f->text), old.len },
				 driver, e);
	plan_finding(f->p, LEFTOVERS, LEVEL_WARN, f->path,
		     "'%.*s' is a driver of the source, and no kernel here has the module %s: left "
		     "alone",
		     (int)(old.len < 100 ? old.len : 100), old.s, driver);
	return 0;
}

/* The first host adapter becomes the target's; the others stay: without their hardware they do
 * nothing. */
static int edit_aliases(struct leftovers_file *f, struct err *e)
{
	bool scsi = !strcmp(f->g->facts.target_bus, "virtio-scsi"), done = has_virtio_disk(f);
	struct lines l = { .text = f->text, .len = f->len };
	struct alias a;
	int r = 0;

	while (!r && alias_next(&l, &a)) {
		if (is_numbered(a.name, "eth") && a.name.len > 3 && !is_virtio(a.driver) &&
		    !piece_is(a.driver, "off")) {
			r = set_driver(f, a.driver, "virtio_net", e);
		} else if (is_numbered(a.name, "scsi_hostadapter") && !done) {
			done = true;
			r = set_driver(f, a.driver, scsi ? "virtio_scsi" : "virtio_blk", e);
		}
	}
	return r;
}

struct folder {
	const struct guest *g;
	struct plan *p;
	struct err *e;
};

static int on_file(void *arg, const char *name, unsigned char type)
{
	const struct folder *f = arg;
	char path[MAX_PATH];

	if (type != DT_REG || snprintf(path, sizeof path, DIR "/%s", name) >= (int)sizeof path)
		return 0;
	return leftovers_edit(f->g, f->p, path, edit_aliases, WHY, f->e);
}

int leftovers_modprobe(const struct guest *g, struct plan *p, struct err *e)
{
	struct folder f = { g, p, e };
	int r;

	/* Newer systems load drivers by what the hardware says. */
	if (g->os.init == INIT_SYSTEMD)
		return 0;
	r = leftovers_edit(g, p, "/etc/modprobe.conf", edit_aliases, WHY, e);
	if (!r)
		r = guest_list(g, DIR, on_file, &f, e);
	return r == -ENOENT ? 0 : r;
}
