/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step cmdline: root=, resume= and kin in every file where a loader keeps command lines, and in the
 * files from which the guest makes the next ones. In place: nothing is regenerated.
 */
#include "edit/cmdline.h"
#include "base/cleanup.h"
#include "edit/console.h"
#include "edit/grubcfg.h"
#include "edit/shellvar.h"
#include "plan.h"
#include "steps/edit-steps.h"
#include "steps/spec.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define NAME "cmdline"
#define GRUBENV_BLOCK 1024U

/* One file while its edits are collected. */
struct look {
	const struct guest *g;
	struct plan *p;
	const char *path;
	const char *text;
	struct edits ed;
	unsigned n_root, n_resume, n_gone, n_console;
};

static bool copy_span(const char *text, struct span s, char *ret, size_t size)
{
	if (s.len >= size || memchr(text + s.off, 0, s.len))
		return false;
	memcpy(ret, text + s.off, s.len);
	ret[s.len] = 0;
	return true;
}

/* The kernel itself knows PARTUUID= but no UUID=: that takes an initramfs. */
static bool kernel_has_initrd(const struct guest *g, const char *text, struct span path)
{
	const char *slash = path.len ? memrchr(text + path.off, '/', path.len) : NULL;
	struct piece base = { text + path.off, path.len };

	if (slash)
		base =
		    (struct piece){ slash + 1, path.len - (size_t)(slash + 1 - (text + path.off)) };
	for (size_t i = 0; i < g->n_kernels; i++) {
		const char *image = strrchr(g->kernels[i].image, '/');

		if (image && (!path.len || piece_is(base, image + 1)) && g->kernels[i].initrd[0])
			return true;
	}
	return false;
}

static int on_root(struct look *k, const struct cmdline_token *t, bool initrd, struct err *e)
{
	struct span at = t->value;
	struct spec_answer a;
	char spec[512];

	if (!copy_span(k->text, at, spec, sizeof spec))
		return 0;
	/* cryptdevice=/dev/sda2:name - what stands before the colon is the device. */
	if (piece_is((struct piece){ k->text + t->key.off, t->key.len }, "cryptdevice")) {
		at.len = strcspn(spec, ":");
		spec[at.len] = 0;
	}
	a = spec_answer(k->g, spec, !initrd);
	if (a.fate == SPEC_UNSURE || (a.fate == SPEC_GONE && spec_kind(spec) == SPEC_UNSTABLE))
		plan_finding(k->p, NAME, LEVEL_WARN, k->path,
			     "'%.200s' follows the hardware, and its volume is not known: left "
			     "alone",
			     spec);
	if (a.fate != SPEC_CHANGE)
		return 0;
	if (a.guessed)
		plan_finding(k->p, NAME, LEVEL_WARN, k->path,
			     "'%.100s' taken for %s by the order of the disks: no facts given",
			     spec, a.text);
	k->n_root++;
	return edits_add(&k->ed, at, a.text, e);
}

/* A wrong resume= makes the boot wait, some for ever; no resume= costs nothing. */
static int on_resume(struct look *k, const struct cmdline_token *t, struct err *e)
{
	struct spec_answer a;
	char spec[512];

	if (!copy_span(k->text, t->value, spec, sizeof spec))
		return 0;
	a = spec_answer(k->g, spec, false);
	if (a.fate == SPEC_GONE) {
		k->n_gone++;
		return cmdline_drop(&k->ed, t, e);
	}
	if (a.fate != SPEC_CHANGE)
		return 0;
	k->n_resume++;
	return edits_add(&k->ed, t->value, a.text, e);
}

static bool resume_is_gone(const struct look *k, struct span line)
{
	struct cmdline_token t;
	char spec[512];

	return cmdline_find(k->text, line, "resume", &t) &&
	       copy_span(k->text, t.value, spec, sizeof spec) &&
	       spec_answer(k->g, spec, false).fate == SPEC_GONE;
}

/* Keys whose value is the device the boot needs. boot= is FIPS: where the kernel's checksum is. */
static bool names_root(struct piece key)
{
	static const char *const keys[] = { "root", "boot", "mount.usr", "cryptdevice",
					    "cryptroot" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (piece_is(key, keys[i]))
			return true;
	return false;
}

static bool is_xen_console(const struct look *k, const struct cmdline_token *t)
{
	return piece_is((struct piece){ k->text + t->key.off, t->key.len }, "console") &&
	       console_is_xen((struct piece){ k->text + t->value.off, t->value.len });
}

static bool has_other_console(const struct look *k, struct span line)
{
	struct cmdline_token t;

	while (cmdline_next(k->text, &line, &t))
		if (piece_is((struct piece){ k->text + t.key.off, t.key.len }, "console") &&
		    !is_xen_console(k, &t))
			return true;
	return false;
}

/* The last console= is where the guest's init speaks. The only one stays: what it was meant for is
 * not known, and the kernel's own choice may be no better. */
static int on_console(struct look *k, const struct cmdline_token *t, struct span line,
		      struct err *e)
{
	if (!has_other_console(k, line)) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->path,
			     "'%.*s' is the only console, and the target does not have it: add "
			     "console=tty0 in the guest",
			     (int)t->all.len, k->text + t->all.off);
		return 0;
	}
	k->n_console++;
	return cmdline_drop(&k->ed, t, e);
}

static int edit_line(struct look *k, struct span line, bool initrd, struct err *e)
{
	struct span rest = line;
	struct cmdline_token t;
	int r = 0;

	while (!r && cmdline_next(k->text, &rest, &t)) {
		struct piece key = { k->text + t.key.off, t.key.len };

		if (!t.has_value)
			continue;
		if (names_root(key))
			r = on_root(k, &t, initrd, e);
		else if (piece_is(key, "resume"))
			r = on_resume(k, &t, e);
		else if (piece_is(key, "resume_offset") && resume_is_gone(k, line))
			r = cmdline_drop(&k->ed, &t, e);
		else if (is_xen_console(k, &t))
			r = on_console(k, &t, line, e);
	}
	return r;
}

static int edit_loader(struct look *k, size_t len, struct err *e)
{
	enum grubcfg_kind kind = grubcfg_kind_of(k->path);
	struct lines l = { .text = k->text, .len = len };
	struct grubcfg_line line;
	int r = 0;

	while (!r && grubcfg_next(&l, kind, &line)) {
		if (line.odd)
			plan_finding(
			    k->p, NAME, LEVEL_WARN, k->path,
			    "line %u goes on on the next one, is too long or has quotes inside "
			    "quotes: left alone",
			    line.number);
		else
			r = edit_line(k, line.args, kernel_has_initrd(k->g, k->text, line.kernel),
				      e);
	}
	if (kind == GRUBCFG_GRUB2 && grubcfg_by_number(k->text, len) && k->g->n_disks > 1)
		plan_finding(k->p, NAME, LEVEL_WARN, k->path,
			     "finds its files by disk number only: keep the order of the disks");
	return r;
}

/* A command line in the value of a variable, or all of the line that sets it. */
static int edit_value(struct look *k, const struct shellvar *v, struct span line, struct err *e)
{
	if (v->plain)
		return edit_line(k, line, true, e);
	plan_finding(k->p, NAME, LEVEL_WARN, k->path,
		     "line %u is put together by the shell: left alone", v->number);
	return 0;
}

/* /etc/default/grub and its folder: the next update-grub must not bring the old names back. */
static int edit_default(struct look *k, size_t len, struct err *e)
{
	struct lines l = { .text = k->text, .len = len };
	struct shellvar v;
	int r = 0;

	while (!r && shellvar_next(&l, &v)) {
		struct piece key = { k->text + v.key.off, v.key.len };
		struct piece value = { k->text + v.value.off, v.value.len };

		if (piece_begins(key, "GRUB_CMDLINE_")) {
			r = edit_value(k, &v, v.value, e);
		} else if (piece_is(key, "GRUB_DISABLE_LINUX_UUID") && v.plain &&
			   piece_is(value, "true")) {
			k->n_root++;
			r = edits_add(&k->ed, v.value, "false", e);
		}
	}
	return r;
}

/* /etc/update-extlinux.conf of Alpine: root= stands there as it will on the command line. */
static int edit_update_extlinux(struct look *k, size_t len, struct err *e)
{
	struct lines l = { .text = k->text, .len = len };
	struct shellvar v;
	int r = 0;

	while (!r && shellvar_next(&l, &v)) {
		struct piece key = { k->text + v.key.off, v.key.len };
		bool root = piece_is(key, "root");

		if (root || piece_is(key, "default_kernel_opts"))
			r = edit_value(k, &v, root ? l.line : v.value, e);
	}
	return r;
}

/* /etc/sysconfig/bootloader of old SUSE: what the entry of the next kernel gets. */
static int edit_sysconfig(struct look *k, size_t len, struct err *e)
{
	struct lines l = { .text = k->text, .len = len };
	struct shellvar v;
	int r = 0;

	while (!r && shellvar_next(&l, &v)) {
		struct piece key = { k->text + v.key.off, v.key.len };
		size_t n = strlen("_APPEND");

		if (key.len > n && !memcmp(key.s + key.len - n, "_APPEND", n))
			r = edit_value(k, &v, v.value, e);
	}
	return r;
}

/* initramfs-tools' conf.d: what the next image will wait for. */
static int edit_resume_conf(struct look *k, size_t len, struct err *e)
{
	struct lines l = { .text = k->text, .len = len };
	struct shellvar v;
	char spec[512];
	int r = 0;

	while (!r && shellvar_next(&l, &v)) {
		struct spec_answer a;

		if (!piece_is((struct piece){ k->text + v.key.off, v.key.len }, "RESUME") ||
		    !v.plain || !copy_span(k->text, v.value, spec, sizeof spec))
			continue;
		a = spec_answer(k->g, spec, false);
		if (a.fate != SPEC_CHANGE && a.fate != SPEC_GONE)
			continue;
		k->n_resume++;
		r = edits_add(&k->ed, v.value, a.fate == SPEC_CHANGE ? a.text : "none", e);
	}
	return r;
}

/* The whole file is one command line (/etc/kernel/cmdline). */
static int edit_plain(struct look *k, size_t len, struct err *e)
{
	const char *end = memchr(k->text, '\n', len);

	return edit_line(k, (struct span){ 0, end ? (size_t)(end - k->text) : len }, true, e);
}

/* grubenv: lines in blocks of exactly 1024 bytes, filled up with '#'. */
static int edit_grubenv(struct look *k, size_t len, struct err *e)
{
	struct lines l = { .text = k->text, .len = len };
	int r = 0;

	if (len % GRUBENV_BLOCK) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->path,
			     "%zu bytes are no environment block of GRUB: left alone; make a new "
			     "one with grub2-editenv in the guest",
			     len);
		return 0;
	}
	while (!r && lines_next(&l)) {
		struct piece line = lines_piece(&l);
		size_t n = strlen("kernelopts=");

		if (piece_begins(line, "kernelopts="))
			r = edit_line(k, (struct span){ l.line.off + n, l.line.len - n }, true, e);
	}
	return r;
}

/* GRUB finds the file by its blocks on the disk: the length stays what it was. */
static int refill_grubenv(struct buf *b, size_t len, struct err *e)
{
	int r = 0;

	while (b->len && b->data[b->len - 1] == '#')
		b->len--;
	if (b->len > len)
		return err_set(e, ERR_GUEST, ENOSPC, "grubenv would be longer than %zu bytes", len);
	while (!r && b->len < len)
		r = buf_add(b, "#", 1, e);
	return r;
}

typedef int edit_fn(struct look *k, size_t len, struct err *e);

static int one_file(const struct guest *g, struct plan *p, const char *path, edit_fn *edit,
		    struct err *e)
{
	struct look k = { .g = g, .p = p, .path = path };
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	char why[128];
	int r = plan_read(p, path, MAX_CONFIG_FILE, &file, e);

	if (r == -ENOENT || (!r && !file.len))
		return 0;
	if (r < 0)
		return r;
	k.text = (const char *)file.data;
	r = edit(&k, file.len, e);
	if (!r && k.ed.n)
		r = edits_apply(&k.ed, k.text, file.len, &out, e);
	if (!r && k.ed.n && edit == edit_grubenv)
		r = refill_grubenv(&out, file.len, e);
	edits_free(&k.ed);
	if (r < 0)
		return err_under(e, r, "%s", path);
	if (!out.len)
		return 0;
	(void)snprintf(why, sizeof why,
		       "device names replaced: %u, resume settings changed: %u, dropped: %u, "
		       "consoles dropped: %u",
		       k.n_root, k.n_resume, k.n_gone, k.n_console);
	return plan_write(p, NAME, path, &out, 0644, why, e);
}

struct folder {
	const struct guest *g;
	struct plan *p;
	const char *dir, *end; /* names that end so */
	edit_fn *edit;
	struct err *e;
};

static int on_file(void *arg, const char *name, unsigned char type)
{
	const struct folder *f = arg;
	size_t n = strlen(name), m = strlen(f->end);
	char path[MAX_PATH];

	if ((type != DT_REG && type != DT_LNK) || n < m || strcmp(name + n - m, f->end) != 0)
		return 0;
	if (snprintf(path, sizeof path, "%s/%s", f->dir, name) >= (int)sizeof path)
		return 0;
	return one_file(f->g, f->p, path, f->edit, f->e);
}

static int whole_folder(struct folder f)
{
	int r = guest_list(f.g, f.dir, on_file, &f, f.e);

	return r == -ENOENT ? 0 : r;
}

static int plan_cmdline(const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions;
	int r = 0;

	for (size_t i = 0; !r && i < g->loader.n_configs; i++) {
		const char *path = g->loader.configs[i];
		const char *slash = strrchr(path, '/');
		bool env = slash && !strcmp(slash, "/grubenv");

		r = one_file(g, p, path, env ? edit_grubenv : edit_loader, e);
	}
	if (!r)
		r = one_file(g, p, "/boot/grub2/grubenv", edit_grubenv, e);
	if (!r)
		r = one_file(g, p, "/etc/default/grub", edit_default, e);
	if (!r)
		r = whole_folder(
		    (struct folder){ g, p, "/etc/default/grub.d", ".cfg", edit_default, e });
	if (!r)
		r = one_file(g, p, "/etc/kernel/cmdline", edit_plain, e);
	if (!r)
		r = one_file(g, p, "/etc/update-extlinux.conf", edit_update_extlinux, e);
	if (!r)
		r = one_file(g, p, "/etc/sysconfig/bootloader", edit_sysconfig, e);
	if (!r)
		r = whole_folder((struct folder){ g, p, "/etc/initramfs-tools/conf.d", "",
						  edit_resume_conf, e });
	if (!r && p->n_actions == n_actions)
		plan_finding(p, NAME, LEVEL_OK, NULL, "nothing to change in %zu loader files",
			     g->loader.n_configs);
	return r;
}

const struct step step_cmdline = { .name = NAME, .needs_root = true, .plan = plan_cmdline };
