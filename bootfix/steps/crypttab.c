/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step crypttab: as fstab, with one rule more. A line that formats its device at boot (swap or tmp
 * with a random key) must never go by a name that another disk may have tomorrow: it gets the
 * partition's own id, or is commented out.
 */
#include "edit/crypttab.h"
#include "base/cleanup.h"
#include "plan.h"
#include "steps/edit-steps.h"
#include "steps/spec.h"

#include <errno.h>
#include <stdio.h>

#define PATH "/etc/crypttab"
#define NAME "crypttab"

struct look {
	const struct guest *g;
	struct plan *p;
	const char *text;
	struct edits ed;
	unsigned n_changed;
};

static bool copy_field(const char *text, struct span s, char *ret, size_t size)
{
	if (s.len >= size)
		return false;
	memcpy(ret, text + s.off, s.len);
	ret[s.len] = 0;
	return true;
}

static int disarm(struct look *k, const struct columns *c, const char *device, struct err *e)
{
	plan_finding(
	    k->p, NAME, LEVEL_WARN, PATH,
	    "line %u: it formats '%s' at every boot, and that name may be another disk now: "
	    "commented out",
	    c->number, device);
	k->n_changed++;
	return crypttab_comment_out(&k->ed, c, e);
}

static int rename_device(struct look *k, const struct columns *c, const struct spec_answer *a,
			 struct err *e)
{
	char text[160];

	/* Scripts of systems without systemd know paths, not all of them tags. */
	if (k->g->os.init != INIT_SYSTEMD && !strncmp(a->text, "PARTUUID=", 9))
		(void)snprintf(text, sizeof text, "/dev/disk/by-partuuid/%s", a->text + 9);
	else
		(void)snprintf(text, sizeof text, "%s", a->text);
	k->n_changed++;
	return crypttab_set_device(&k->ed, c, text, e);
}

static int drop_tpm(struct look *k, const struct columns *c, struct err *e)
{
	unsigned n = 0;
	int r = crypttab_drop_options(&k->ed, k->text, c, "tpm2-", &n, e);

	if (r < 0 || !n)
		return r;
	k->n_changed++;
	plan_finding(
	    k->p, NAME, LEVEL_WARN, PATH,
	    "line %u: its key is sealed in the source's TPM; the passphrase is asked for now",
	    c->number);
	return 0;
}

static int one_line(struct look *k, const struct columns *c, struct err *e)
{
	bool formats = crypttab_formats(k->text, c);
	struct spec_answer a;
	char device[512];
	int r = 0;

	if (!copy_field(k->text, c->field[CRYPTTAB_DEVICE], device, sizeof device))
		return 0;
	a = spec_answer(k->g, device, formats);
	if (a.guessed && formats)
		a.fate = SPEC_UNSURE; /* a guess is not good enough to format by */
	switch (a.fate) {
	case SPEC_KEEP:
		break;
	case SPEC_CHANGE:
		r = rename_device(k, c, &a, e);
		break;
	case SPEC_UNSURE:
		if (formats)
			return disarm(k, c, device, e);
		plan_finding(
		    k->p, NAME, LEVEL_WARN, PATH,
		    "line %u: '%s' follows the hardware, and its volume is not known: left "
		    "alone",
		    c->number, device);
		break;
	case SPEC_GONE:
		if (formats)
			return disarm(k, c, device, e);
		if (c->n > CRYPTTAB_OPTIONS &&
		    (columns_has_option(k->text, c->field[CRYPTTAB_OPTIONS], "nofail") ||
		     columns_has_option(k->text, c->field[CRYPTTAB_OPTIONS], "noauto")))
			return 0;
		plan_finding(
		    k->p, NAME, LEVEL_WARN, PATH,
		    "line %u: '%s' is on none of the disks; the boot no longer waits for it",
		    c->number, device);
		k->n_changed++;
		return crypttab_let_fail(&k->ed, k->text, c, e);
	}
	return r < 0 ? r : drop_tpm(k, c, e);
}

static int edit(struct look *k, const struct buf *file, struct buf *out, struct err *e)
{
	struct lines l = { .text = (const char *)file->data, .len = file->len };
	struct columns c;
	int r = 0;

	k->text = l.text;
	while (!r && crypttab_next(&l, &c))
		r = one_line(k, &c, e);
	return r < 0 ? r : edits_apply(&k->ed, l.text, l.len, out, e);
}

static int plan_crypttab(const struct guest *g, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	struct look k = { .g = g, .p = p };
	int r = plan_read(p, PATH, MAX_TEXT_FILE, &file, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = edit(&k, &file, &out, e);
	edits_free(&k.ed);
	if (r < 0)
		return r;
	if (!k.n_changed) {
		plan_finding(p, NAME, LEVEL_OK, PATH, "nothing to change");
		return 0;
	}
	return plan_write(p, NAME, PATH, &out, 0644,
			  "encrypted volumes no longer depend on where a disk is plugged in", e);
}

const struct step step_crypttab = { .name = NAME, .needs_root = true, .plan = plan_crypttab };
