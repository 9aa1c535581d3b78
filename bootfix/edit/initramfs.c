/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/initramfs.h"
#include "edit/cpio_out.h"
#include "edit/unpack.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What the content of a member is looked at for. */
enum text_for { TEXT_NONE, TEXT_RESUME, TEXT_LVM_LOCAL };

struct look {
	struct initramfs *im;
	const char *version;
	size_t n_other;
	enum text_for text_for; /* of the member that arrives */
	char text[1024];        /* its beginning */
	size_t text_len;
};

#define LVM_LOCAL "etc/lvm/lvmlocal.conf"
static const char lvm_local[] = "# Written by bootfix: the list of devices is the source's.\n"
				"devices {\n\tuse_devicesfile=0\n}\n";

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static void learn_kind(struct initramfs *im, const char *name)
{
	/* clang-format off */
	static const struct {
		const char *begins;
		enum initramfs_kind kind;
	} signs[] = {
		{ "conf/initramfs.conf",   INITRAMFS_TOOLS },
		{ "scripts/init-premount", INITRAMFS_TOOLS },
		{ "usr/lib/dracut/",       INITRAMFS_DRACUT },
		{ "lib/dracut/",           INITRAMFS_DRACUT },
		{ "dracut-state.sh",       INITRAMFS_DRACUT },
		{ "init_functions",        INITRAMFS_MKINITCPIO },
		{ "sbin/nlplug-findfs",    INITRAMFS_MKINITFS },
		{ "bin/nash",              INITRAMFS_STATIC },
		{ "sbin/nash",             INITRAMFS_STATIC },
		{ "run_all.sh",            INITRAMFS_STATIC },
	};
	static const char *const coldplugs[] = {
		"sbin/udevd", "usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd",
		"usr/lib/udev/udevd", "lib/udev/udevd", "bin/udevadm", "usr/bin/udevadm",
		"sbin/udevadm", "sbin/mdev", "sbin/nlplug-findfs",
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
		if (im->kind == INITRAMFS_UNKNOWN && begins(name, signs[i].begins))
			im->kind = signs[i].kind;
	for (size_t i = 0; i < sizeof coldplugs / sizeof coldplugs[0]; i++)
		im->coldplug |= !strcmp(name, coldplugs[i]);
}

static int learn_module(struct look *k, const char *path, struct err *e)
{
	size_t n = strlen(k->version);
	char name[64];

	if (!modules_name(path, strlen(path), name))
		return 0;
	if (strncmp(path, k->version, n) != 0 || path[n] != '/') {
		k->n_other++;
		return 0;
	}
	return strlist_add(&k->im->present, name, e);
}

/* The last RESUME= wins, as in the shell that reads conf.d. */
static void learn_resume(struct look *k)
{
	const char *at = strstr(k->text, "RESUME=");
	size_t n;

	if (!at || (at != k->text && at[-1] != '\n'))
		return;
	at += strlen("RESUME=");
	n = strcspn(at, " \t\r\n");
	if (n < sizeof k->im->resume) {
		memcpy(k->im->resume, at, n);
		k->im->resume[n] = 0;
	}
}

/* The member before is complete. */
static void end_text(struct look *k)
{
	k->text[k->text_len] = 0;
	if (k->text_for == TEXT_RESUME)
		learn_resume(k);
	else if (k->text_for == TEXT_LVM_LOCAL)
		k->im->lvm_local = strcmp(k->text, lvm_local) ? LVM_LOCAL_OTHER : LVM_LOCAL_OURS;
	k->text_for = TEXT_NONE;
}

static int want_text(struct look *k, enum text_for what)
{
	k->text_for = what;
	k->text_len = 0;
	return 1;
}

/* Files of /etc that say which disks may be used. */
static bool is_config(const char *name)
{
	static const char *const names[] = { "etc/lvm/lvm.conf", "etc/mdadm.conf",
					     "etc/mdadm/mdadm.conf" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static int on_member(void *ctx, const struct cpio_member *m, struct err *e)
{
	struct look *k = ctx;

	end_text(k);
	learn_kind(k->im, m->name);
	if (!strcmp(m->name, INITRAMFS_MARKER))
		k->im->marker = true;
	if (!strcmp(m->name, "lib") && S_ISLNK(m->mode))
		k->im->usr_lib = true;
	if (begins(m->name, "usr/lib/modules/")) {
		k->im->usr_lib = true;
		return learn_module(k, m->name + strlen("usr/lib/modules/"), e);
	}
	if (begins(m->name, "lib/modules/"))
		return learn_module(k, m->name + strlen("lib/modules/"), e);
	if (!strcmp(m->name, "etc/lvm/devices/system.devices"))
		k->im->lvm_devices = true;
	if (!strcmp(m->name, LVM_LOCAL) && S_ISREG(m->mode))
		return want_text(k, TEXT_LVM_LOCAL);
	if (begins(m->name, "conf/conf.d/") && S_ISREG(m->mode))
		return want_text(k, TEXT_RESUME);
	return is_config(m->name) ? strlist_add_once(&k->im->configs, m->name, e) : 0;
}

static int on_data(void *ctx, const uint8_t *data, size_t len, struct err *e)
{
	struct look *k = ctx;
	size_t room = sizeof k->text - 1 - k->text_len;

	(void)e;
	if (len > room)
		len = room;
	memcpy(k->text + k->text_len, data, len);
	k->text_len += len;
	return 0;
}

int initramfs_look(const uint8_t *img, size_t len, const char *version, struct initramfs *ret,
		   struct err *e)
{
	static const struct cpio_ops ops = { .on_member = on_member, .on_data = on_data };
	struct initramfs im = { 0 };
	struct look k = { .im = &im, .version = version };
	int r = cpio_walk(img, len, &ops, &k, &im.image, e);

	if (r < 0) {
		initramfs_free(&im);
		return r;
	}
	end_text(&k);
	im.other_kernel = k.n_other && !im.present.n;
	*ret = im;
	return 0;
}

void initramfs_free(struct initramfs *im)
{
	strlist_free(&im->present);
	strlist_free(&im->configs);
}

/* One driver of the target: by what the hardware calls itself, and by name for kernels that have
 * it built in (those are in no alias file). */
static int want(const struct modules *m, const char *alias, size_t alias_len, const char *modalias,
		const char *driver, struct strlist *modules, struct strlist *lacking, struct err *e)
{
	struct strlist names = { 0 };
	int r = 0;

	if (modules_builtin(m, driver))
		return 0;
	r = modules_for_alias(alias, alias_len, modalias, &names, e);
	if (!r && !names.n && modules_find(m, driver))
		r = strlist_add(&names, driver, e);
	if (!r && !names.n)
		r = strlist_add_once(lacking, driver, e);
	for (size_t i = 0; !r && i < names.n; i++)
		if (modules_find(m, names.v[i]))
			r = modules_closure(m, names.v[i], modules, e);
	strlist_free(&names);
	return r;
}

int initramfs_wanted(const struct modules *m, const char *alias, size_t alias_len,
		     struct strlist *modules, struct strlist *lacking, struct err *e)
{
	/* Device 10xx is transitional, 104x modern; the class bytes are those QEMU shows. sd_mod:
	 * disks behind virtio-scsi are SCSI disks. */
	/* clang-format off */
	static const struct {
		const char *modalias, *driver;
	} hardware[] = {
		{ "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00", "virtio_pci" },
		{ "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc80i00", "virtio_pci" },
		{ "pci:v00001AF4d00001004sv00001AF4sd00000008bc01sc00i00", "virtio_pci" },
		{ "pci:v00001AF4d00001048sv00001AF4sd00001100bc01sc00i00", "virtio_pci" },
		{ "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", "virtio_pci" },
		{ "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00", "virtio_pci" },
		{ "virtio:d00000002v00001AF4", "virtio_blk" },
		{ "virtio:d00000001v00001AF4", "virtio_net" },
		{ "virtio:d00000008v00001AF4", "virtio_scsi" },
		{ "scsi:t-0x00",               "sd_mod" },
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof hardware / sizeof hardware[0]; i++) {
		int r = want(m, alias, alias_len, hardware[i].modalias, hardware[i].driver, modules,
			     lacking, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int initramfs_missing(const struct initramfs *im, const struct strlist *wanted,
		      struct strlist *missing, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < wanted->n; i++)
		if (!strlist_has(&im->present, wanted->v[i]))
			r = strlist_add(missing, wanted->v[i], e);
	return r;
}

static int add_file(struct cpio_out *c, const char *dir, const char *path,
		    const struct initramfs_files *files, struct err *e)
{
	scoped(buf_free) struct buf data = { 0 };
	char full[CPIO_NAME_MAX];
	int r = files->read(files->ctx, path, &data, e);

	if (r < 0)
		return err_under(e, r, "%.100s", path);
	if (snprintf(full, sizeof full, "%s/%s", dir, path) >= (int)sizeof full)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "'%.100s'", path);
	return cpio_out_file(c, full, 0644, data.data, data.len, e);
}

static int add_marker(struct cpio_out *c, const char *version, const struct strlist *missing,
		      struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	int r = buf_add_str(&text, "# Modules that bootfix added to this image for kernel ", e);

	if (!r)
		r = buf_add_str(&text, version, e);
	for (size_t i = 0; !r && i < missing->n; i++) {
		r = buf_add_str(&text, "\n", e);
		if (!r)
			r = buf_add_str(&text, missing->v[i], e);
	}
	if (!r)
		r = buf_add_str(&text, "\n", e);
	return r < 0 ? r : cpio_out_file(c, INITRAMFS_MARKER, 0644, text.data, text.len, e);
}

/* conf.d is read in the order of names, so ours comes last. */
static int add_resume(struct cpio_out *c, const char *resume, struct err *e)
{
	char text[256];
	int n = snprintf(text, sizeof text, "RESUME=%s\n", resume);

	if (n >= (int)sizeof text)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "RESUME=");
	return cpio_out_file(c, "conf/conf.d/zz-bootfix", 0644, text, (size_t)n, e);
}

int initramfs_fit(const struct cpio_image *image, size_t img_len, const struct buf *archive,
		  struct buf *out, struct err *e)
{
	static const char zeros[8];
	size_t nuls = img_len - image->end, pad = -img_len & 3;
	int r;

	if (image->last == CPIO_LZ4 && !nuls)
		return pack_lz4(archive->data, archive->len, out, e);
	/* A stream of lz4 blocks ends at four NULs, not before. */
	if (image->last == CPIO_LZ4 && nuls + pad < 4)
		pad += 4;
	r = buf_add(out, zeros, pad, e);
	return r < 0 ? r : buf_add(out, archive->data, archive->len, e);
}

int initramfs_supplement(const struct initramfs *im, size_t img_len, const struct modules *m,
			 const struct strlist *missing, const struct initramfs_files *files,
			 struct buf *out, struct err *e)
{
	scoped(buf_free) struct buf archive = { 0 };
	struct cpio_out c = { .out = &archive };
	char dir[256];
	int r;

	if (snprintf(dir, sizeof dir, "%slib/modules/%s", im->usr_lib ? "usr/" : "",
		     files->version) >= (int)sizeof dir)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "kernel version");
	/* The marker speaks of modules: it makes later plans keep the drop-in. */
	r = missing->n ? add_marker(&c, files->version, missing, e) : 0;
	for (size_t i = 0; !r && i < missing->n; i++) {
		const struct modules_entry *en = modules_find(m, missing->v[i]);

		r = en ? add_file(&c, dir, en->path, files, e)
		       : err_set(e, ERR_GUEST, ENOENT, "module '%.63s'", missing->v[i]);
	}
	if (!r && files->resume)
		r = add_resume(&c, files->resume, e);
	if (!r && files->free_lvm)
		r = cpio_out_file(&c, LVM_LOCAL, 0644, lvm_local, strlen(lvm_local), e);
	/* Without new modules the indexes inside are right. */
	for (size_t i = 0; !r && missing->n && i < files->indexes->n; i++)
		r = add_file(&c, dir, files->indexes->v[i], files, e);
	if (!r)
		r = cpio_out_end(&c, e);
	else
		strlist_free(&c.dirs);
	return r < 0 ? r : initramfs_fit(&im->image, img_len, &archive, out, e);
}

const char *initramfs_kind_word(enum initramfs_kind kind)
{
	switch (kind) {
	case INITRAMFS_TOOLS:
		return "initramfs-tools";
	case INITRAMFS_DRACUT:
		return "dracut";
	case INITRAMFS_MKINITCPIO:
		return "mkinitcpio";
	case INITRAMFS_MKINITFS:
		return "mkinitfs";
	case INITRAMFS_STATIC:
		return "a fixed module list";
	case INITRAMFS_UNKNOWN:
		break;
	}
	return "an unknown tool";
}
