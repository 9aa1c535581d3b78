/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step console: logins on Xen's consoles, which the target does not have. init would start each
 * again and again, systemd would wait for the device. The kernel's console= is the step cmdline's.
 */
#include "edit/console.h"
#include "base/cleanup.h"
#include "guest.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define INITTAB "/etc/inittab"
#define NAME "console"

static int comment_lines(const struct buf *file, struct edits *ed, struct err *e)
{
	struct lines l = { .text = (const char *)file->data, .len = file->len };
	int r = 0;

	while (!r && lines_next(&l))
		if (console_inittab(lines_piece(&l)))
			r = edits_add(ed, (struct span){ l.line.off, 0 }, "#", e);
	return r;
}

static int plan_inittab(struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	struct edits ed = { 0 };
	int r = plan_read(p, INITTAB, MAX_TEXT_FILE, &file, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = comment_lines(&file, &ed, e);
	if (!r && ed.n)
		r = edits_apply(&ed, (const char *)file.data, file.len, &out, e);
	edits_free(&ed);
	if (r < 0 || !out.len)
		return r;
	return plan_write(p, NAME, INITTAB, &out, 0644,
			  "no login on a console that the target does not have", e);
}

/* A job or a link for each terminal. Upstart starts what is in the folder; of getty.target.wants,
 * systemd starts what is linked. */
static const struct folder {
	const char *dir, *end; /* names that end so */
} folders[] = {
	{ "/etc/event.d", "" },
	{ "/etc/init", ".conf" },
	{ "/etc/systemd/system/getty.target.wants", ".service" },
};

struct look {
	const struct guest *g;
	struct plan *p;
	const struct folder *folder;
	struct err *e;
};

/* "hvc0", "hvc0.conf", "serial-getty@hvc0.service". */
static bool names_xen_console(const char *name, const char *end)
{
	const char *at = strchr(name, '@'), *tty = at ? at + 1 : name;
	size_t n = strlen(tty), m = strlen(end);

	return n >= m && !strcmp(tty + n - m, end) && console_is_xen((struct piece){ tty, n - m });
}

/* Out of the folder, not only to another name in it: event.d knows no endings. */
static int on_file(void *arg, const char *name, unsigned char type)
{
	const struct look *k = arg;
	char from[MAX_PATH], path[MAX_PATH];
	struct stat st;
	int r;

	if ((type != DT_REG && type != DT_LNK) || !names_xen_console(name, k->folder->end))
		return 0;
	if (snprintf(from, sizeof from, "%s/%s", k->folder->dir, name) >= (int)sizeof from ||
	    snprintf(path, sizeof path, "%s.%s.bootfix-saved", k->folder->dir, name) >=
		(int)sizeof path)
		return 0;
	r = guest_lstat(k->g, path, &st, k->e);
	if (!r)
		plan_finding(k->p, NAME, LEVEL_WARN, from,
			     "stays: %s is there from an earlier run, remove one of them", path);
	if (r != -ENOENT)
		return r;
	return plan_rename(k->p, NAME, from, path,
			   "no login on a console that the target does not have", k->e);
}

static int plan_console(const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions, n_findings = p->n_findings;
	/* systemd does not read it. */
	int r = g->os.init == INIT_SYSTEMD ? 0 : plan_inittab(p, e);

	for (size_t i = 0; !r && i < sizeof folders / sizeof folders[0]; i++) {
		struct look k = { g, p, &folders[i], e };

		r = guest_list(g, k.folder->dir, on_file, &k, e);
		if (r == -ENOENT)
			r = 0;
	}
	if (!r && p->n_actions == n_actions && p->n_findings == n_findings)
		plan_finding(p, NAME, LEVEL_OK, NULL, "no login on a console of Xen");
	return r;
}

const struct step step_console = { .name = NAME, .needs_root = true, .plan = plan_console };
