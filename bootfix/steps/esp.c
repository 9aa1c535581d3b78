/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UEFI remembers loaders in NVRAM, which stays behind. New firmware starts EFI/BOOT/BOOTX64.EFI and
 * nothing else: the guest's own signed files are copied there. */
#include "guest.h"
#include "plan.h"
#include "steps.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct arch {
	const char *boot, *shim, *mm, *grub; /* lower case */
};

static const struct arch x86_64 = { "bootx64.efi", "shimx64.efi", "mmx64.efi", "grubx64.efi" };

/* One vendor's folder below EFI. */
struct vendor {
	char name[64];
	char shim[64], mm[64], grub[64], cfg[64]; /* names as they are on the ESP; "" when absent */
};

struct walk {
	const struct guest *g;
	struct vendor best, now;
	char boot[64]; /* the fallback loader that is there */
};

static void keep(char ret[static 64], const char *name)
{
	if (strlen(name) < 64)
		memcpy(ret, name, strlen(name) + 1);
}

/* vfat does not tell letters apart by case, firmware and packages write both. */
static int on_file(void *arg, const char *name, unsigned char type)
{
	struct walk *w = arg;

	if (type == DT_DIR)
		return 0;
	if (!strcasecmp(name, x86_64.boot))
		keep(w->boot, name);
	if (!strcasecmp(name, x86_64.shim))
		keep(w->now.shim, name);
	if (!strcasecmp(name, x86_64.mm))
		keep(w->now.mm, name);
	if (!strcasecmp(name, x86_64.grub))
		keep(w->now.grub, name);
	if (!strcasecmp(name, "grub.cfg"))
		keep(w->now.cfg, name);
	return 0;
}

static int on_folder(void *arg, const char *name, unsigned char type)
{
	struct walk *w = arg;
	char dir[MAX_PATH];
	bool boot = !strcasecmp(name, "BOOT");

	if ((type != DT_DIR && type != DT_UNKNOWN) || strlen(name) >= sizeof w->now.name)
		return 0;
	memset(&w->now, 0, sizeof w->now);
	keep(w->now.name, name);
	(void)snprintf(dir, sizeof dir, "%.800s/EFI/%.64s", w->g->loader.esp_dir, name);
	if (guest_list(w->g, dir, on_file, w, NULL) < 0)
		return 0;
	/* A vendor with a shim beats one without: its files are signed. */
	if (!boot && w->now.grub[0] && (!w->best.grub[0] || (w->now.shim[0] && !w->best.shim[0])))
		w->best = w->now;
	return 0;
}

static int copy(const struct guest *g, struct plan *p, const struct vendor *v, const char *from,
		const char *to, struct err *e)
{
	char a[MAX_PATH], b[MAX_PATH];

	(void)snprintf(a, sizeof a, "%.800s/EFI/%.64s/%.64s", g->loader.esp_dir, v->name, from);
	(void)snprintf(b, sizeof b, "%.800s/EFI/BOOT/%.64s", g->loader.esp_dir, to);
	return plan_copy(p, "esp", a, b, "the path that firmware without memory starts", e);
}

/* GRUB as distributions sign it looks for its configuration beside itself, or in the vendor's
 * folder by a built-in name: the copy beside the fallback serves the first, the second is there. */
static int plan(const struct guest *g, struct plan *p, struct err *e)
{
	struct walk w = { .g = g };
	char dir[MAX_PATH];
	int r;

	if (!g->loader.esp_dir[0]) {
		plan_finding(
		    p, "esp", LEVEL_WARN, NULL,
		    "the EFI system partition is not mounted by the guest's fstab: not looked at");
		return 0;
	}
	(void)snprintf(dir, sizeof dir, "%.800s/EFI", g->loader.esp_dir);
	r = guest_list(g, dir, on_folder, &w, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (w.boot[0]) {
		plan_finding(p, "esp", LEVEL_OK, NULL, "the fallback path EFI/BOOT is there");
		return 0;
	}
	if (!w.best.grub[0]) {
		plan_finding(
		    p, "esp", LEVEL_BLOCKED, NULL,
		    "no fallback path EFI/BOOT, and no GRUB on the EFI system partition to make "
		    "one from");
		return 0;
	}
	r = copy(g, p, &w.best, w.best.shim[0] ? w.best.shim : w.best.grub, "BOOTX64.EFI", e);
	if (!r && w.best.shim[0])
		r = copy(g, p, &w.best, w.best.grub, "grubx64.efi", e);
	if (!r && w.best.mm[0])
		r = copy(g, p, &w.best, w.best.mm, "mmx64.efi", e);
	if (!r && w.best.cfg[0])
		r = copy(g, p, &w.best, w.best.cfg, "grub.cfg", e);
	return r;
}

static bool applies(const struct guest *g)
{
	return g->firmware == FIRMWARE_UEFI && g->loader.esp >= 0;
}

const struct step step_esp = {
	.name = "esp", .needs_root = true, .applies = applies, .plan = plan
};
