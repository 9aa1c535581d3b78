/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step virtio: every installed kernel finds virtio disks from its initramfs. What is missing goes
 * behind the image (edit/initramfs.h says why), and a drop-in keeps it there when the guest builds
 * its next image. An image that already has all of it is not touched.
 */
#include "base/cleanup.h"
#include "edit/initramfs.h"
#include "plan.h"
#include "steps/edit-steps.h"
#include "steps/spec.h"
#include "steps/virtio_keep.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME "virtio"
#define INDEX_MAX ((size_t)32 << 20)
#define MODULE_MAX ((size_t)64 << 20)
#define LARGE_IMAGE ((size_t)100 << 20)

/* One kernel, while it is looked at. */
struct look {
	const struct guest *g;
	const struct kernel *k;
	struct plan *p;
	struct modules modules;
	struct strlist indexes, wanted, lacking, missing;
	struct initramfs im;
	struct buf image;
	/* What else its supplement is to change: see struct initramfs_files. */
	const char *resume;
	char resume_text[128];
	bool free_lvm;
};

static void look_free(struct look *k)
{
	modules_free(&k->modules);
	strlist_free(&k->indexes);
	strlist_free(&k->wanted);
	strlist_free(&k->lacking);
	strlist_free(&k->missing);
	initramfs_free(&k->im);
	buf_free(&k->image);
}

static int read_module_file(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	const struct look *k = ctx;
	char full[2 * MAX_PATH];
	int r;

	(void)snprintf(full, sizeof full, "%s/%s", k->k->modules, path);
	r = guest_read(k->g, full, MODULE_MAX, ret, e);
	if (r == -ENOENT)
		return err_set(e, ERR_GUEST, ENOENT, "'%.200s' is not there", full);
	return r;
}

/* Absent is empty: a kernel with everything built in has no modules.dep worth the name. */
static int read_index(const struct look *k, const char *name, struct buf *ret, struct err *e)
{
	char full[2 * MAX_PATH];
	int r;

	(void)snprintf(full, sizeof full, "%s/%s", k->k->modules, name);
	r = guest_read(k->g, full, INDEX_MAX, ret, e);
	return r == -ENOENT ? 0 : r;
}

struct names {
	struct strlist *list;
	struct err *e;
};

static int on_index(void *arg, const char *name, unsigned char type)
{
	struct names *n = arg;

	if (type != DT_REG || strncmp(name, "modules.", 8) != 0)
		return 0;
	return strlist_add(n->list, name, n->e);
}

static int read_modules(struct look *k, struct err *e)
{
	scoped(buf_free) struct buf dep = { 0 };
	scoped(buf_free) struct buf builtin = { 0 };
	scoped(buf_free) struct buf alias = { 0 };
	struct names names = { .list = &k->indexes, .e = e };
	int r = guest_list(k->g, k->k->modules, on_index, &names, e);

	if (r == -ENOENT)
		return err_set(e, ERR_GUEST, ENOENT, "no folder %.200s", k->k->modules);
	if (!r)
		r = read_index(k, "modules.dep", &dep, e);
	if (!r)
		r = read_index(k, "modules.builtin", &builtin, e);
	if (!r)
		r = read_index(k, "modules.alias", &alias, e);
	if (!r)
		r = modules_parse((const char *)dep.data, dep.len, (const char *)builtin.data,
				  builtin.len, &k->modules, e);
	if (!r)
		r = initramfs_wanted(&k->modules, (const char *)alias.data, alias.len, &k->wanted,
				     &k->lacking, e);
	return r;
}

/* False, and said: the kernel has no driver at all for what the target will show it. */
static bool kernel_can(const struct look *k)
{
	bool scsi = !strcmp(k->g->facts.target_bus, "virtio-scsi");
	const char *driver = scsi ? "virtio_scsi" : "virtio_blk";

	if (strlist_has(&k->lacking, "virtio_pci"))
		driver = "virtio_pci";
	if (strlist_has(&k->lacking, driver)) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->image,
			     "kernel %s has no %s: it needs bus=ide or sata, nic=e1000",
			     k->k->version, driver);
		return false;
	}
	if (strlist_has(&k->lacking, "virtio_net"))
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->image,
			     "kernel %s has no virtio_net: give it another network card",
			     k->k->version);
	return true;
}

/* The RESUME= that initramfs-tools baked in waits for a volume: NULL when it may stay. */
static const char *new_resume(struct look *k)
{
	struct spec_answer a;

	if (k->im.kind != INITRAMFS_TOOLS || !k->im.resume[0] || !strcmp(k->im.resume, "none"))
		return NULL;
	a = spec_answer(k->g, k->im.resume, false);
	if (a.fate == SPEC_KEEP || a.fate == SPEC_UNSURE)
		return NULL;
	(void)snprintf(k->resume_text, sizeof k->resume_text, "%s",
		       a.fate == SPEC_CHANGE ? a.text : "");
	return k->resume_text;
}

/* A list of the source's devices in the image hides the target's disks from LVM. */
static bool may_free_lvm(const struct look *k)
{
	if (!k->im.lvm_devices || k->im.lvm_local == LVM_LOCAL_OURS)
		return false;
	if (k->im.lvm_local == LVM_LOCAL_NONE)
		return true;
	plan_finding(k->p, NAME, LEVEL_WARN, k->k->initrd,
		     "holds LVM's system.devices of the source and an lvmlocal.conf of the guest: "
		     "when that does not say use_devicesfile=0, build the image anew in the guest");
	return false;
}

/* What another step corrects in /etc is still the old in the image's own copy. */
static void say_old_copies(const struct look *k)
{
	for (size_t i = 0; i < k->p->n_actions; i++) {
		const char *path = k->p->actions[i].path;

		if (path && path[0] == '/' && strlist_has(&k->im.configs, path + 1))
			plan_finding(k->p, NAME, LEVEL_WARN, k->k->initrd,
				     "has its own copy of %s, as it was: if the boot does not find "
				     "its disks, build the image anew in the guest",
				     path);
	}
}

static int append(struct look *k, struct err *e)
{
	struct initramfs_files files = { .version = k->k->version,
					 .indexes = &k->indexes,
					 .resume = k->resume,
					 .free_lvm = k->free_lvm,
					 .read = read_module_file,
					 .ctx = k };
	scoped(buf_free) struct buf out = { 0 };
	char why[160];
	int r =
	    initramfs_supplement(&k->im, k->image.len, &k->modules, &k->missing, &files, &out, e);

	if (r < 0)
		return r;
	if (k->image.len + out.len > LARGE_IMAGE)
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->initrd,
			     "%zu MiB: old boot loaders cannot load images of that size",
			     (k->image.len + out.len) >> 20);
	if (k->missing.n)
		(void)snprintf(why, sizeof why, "%zu modules for virtio%s%s, %zu bytes behind it",
			       k->missing.n, k->resume ? ", another RESUME=" : "",
			       k->free_lvm ? ", LVM without its list of devices" : "", out.len);
	else
		(void)snprintf(why, sizeof why, "%s%s%s",
			       k->resume ? "RESUME= of the image named a volume that is not here"
					 : "",
			       k->resume && k->free_lvm ? "; " : "",
			       k->free_lvm ? "LVM's list of devices in it was the source's" : "");
	return plan_append(k->p, NAME, k->k->initrd, &out, why, e);
}

/* 1: this kernel boots; 0: it does not, and a finding says why. */
static int look_into_image(struct look *k, struct virtio_keep *keep, struct err *e)
{
	int r = plan_read(k->p, k->k->initrd, MAX_INITRD, &k->image, e);

	if (r == -ENOENT)
		return err_set(e, ERR_GUEST, ENOENT, "'%.200s' is not there", k->k->initrd);
	if (!r)
		r = initramfs_look(k->image.data, k->image.len, k->k->version, &k->im, e);
	if (!r)
		r = initramfs_missing(&k->im, &k->wanted, &k->missing, e);
	if (r < 0)
		return r;
	if (k->im.other_kernel) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->initrd,
			     "holds modules of another kernel than %s: left alone", k->k->version);
		return 0;
	}
	say_old_copies(k);
	k->resume = new_resume(k);
	k->free_lvm = may_free_lvm(k);
	if (!k->missing.n && !k->resume && !k->free_lvm) {
		plan_finding(k->p, NAME, LEVEL_OK, k->k->initrd, "has all that virtio needs");
		if (k->im.marker)
			virtio_keep_kernel(keep, k->im.kind, &k->modules);
		return 1;
	}
	if (k->missing.n && (k->im.kind == INITRAMFS_STATIC || !k->im.coldplug)) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->initrd,
			     "made by %s, it loads only what it was built for: rebuild it in the "
			     "guest with virtio_pci, virtio_blk, virtio_scsi",
			     initramfs_kind_word(k->im.kind));
		return 0;
	}
	r = append(k, e);
	if (r < 0)
		return r;
	if (k->missing.n)
		virtio_keep_kernel(keep, k->im.kind, &k->modules);
	return 1;
}

static int one_kernel(struct look *k, struct virtio_keep *keep, struct err *e)
{
	int r;

	if (!k->k->image[0] && !k->k->initrd[0]) {
		plan_finding(k->p, NAME, LEVEL_OK, k->k->modules,
			     "modules without a kernel image: not looked at");
		return 0;
	}
	r = read_modules(k, e);
	if (r < 0)
		return r;
	if (!kernel_can(k))
		return 0;
	if (k->k->initrd[0])
		return look_into_image(k, keep, e);
	if (k->wanted.n) {
		plan_finding(k->p, NAME, LEVEL_WARN, k->k->image,
			     "kernel %s has no initramfs, and virtio is not built in",
			     k->k->version);
		return 0;
	}
	plan_finding(k->p, NAME, LEVEL_OK, k->k->image, "virtio is built in");
	return 1;
}

static int plan_virtio(const struct guest *g, struct plan *p, struct err *e)
{
	struct virtio_keep keep = { 0 };
	size_t n_good = 0;

	for (size_t i = 0; i < g->n_kernels; i++) {
		struct look k = { .g = g, .k = &g->kernels[i], .p = p };
		struct err why = { 0 };
		int r = one_kernel(&k, &keep, &why);

		look_free(&k);
		if (r < 0 && why.kind != ERR_GUEST) {
			if (e)
				*e = why;
			return r;
		}
		if (r < 0)
			plan_finding(p, NAME, LEVEL_WARN, g->kernels[i].initrd, "left alone: %s",
				     why.text);
		n_good += r > 0;
	}
	if (!n_good)
		plan_finding(p, NAME, LEVEL_BLOCKED, NULL,
			     g->n_kernels ? "none of %zu kernels finds a virtio disk"
					  : "no installed kernel found (%zu)",
			     g->n_kernels);
	return virtio_keep_plan(&keep, p, e);
}

const struct step step_virtio = { .name = NAME, .needs_root = true, .plan = plan_virtio };
