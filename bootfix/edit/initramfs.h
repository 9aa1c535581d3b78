/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * initramfs.h - does an image bring the target's disks up, and the archive that makes it do so
 *
 * Why      appended, not rebuilt: the kernel unpacks one archive after the other over the same
 *          tree, so a small archive with the missing modules and the guest's own indexes is enough
 *          where udev or mdev loads drivers by alias. No guest program runs, and what the source's
 *          image knows of LVM, LUKS and md stays.
 * Flow     initramfs_look -> initramfs_missing -> initramfs_supplement.
 * Errors   as cpio.h; only a needed file that cannot be read is -ENOENT with *e filled.
 * Owner    initramfs_free() releases what initramfs_look() found.
 */
#ifndef EDIT_INITRAMFS_H
#define EDIT_INITRAMFS_H

#include "edit/cpio.h"
#include "edit/modules.h"
#include "types.h"

enum initramfs_kind {
	INITRAMFS_UNKNOWN,
	INITRAMFS_TOOLS, /* Debian, Ubuntu */
	INITRAMFS_DRACUT,
	INITRAMFS_MKINITCPIO, /* Arch */
	INITRAMFS_MKINITFS,   /* Alpine */
	INITRAMFS_STATIC, /* nash or SUSE mkinitrd: a fixed list of insmod; appending is no use */
};

/* etc/lvm/lvmlocal.conf inside: settings that go before those of lvm.conf. */
enum initramfs_lvm { LVM_LOCAL_NONE, LVM_LOCAL_OURS, LVM_LOCAL_OTHER };

#define INITRAMFS_MARKER "etc/bootfix-supplement"

struct initramfs {
	struct cpio_image image;
	enum initramfs_kind kind;
	bool coldplug; /* udev, mdev or nlplug-findfs is inside */
	bool usr_lib;  /* modules live below usr/lib/modules: lib is a link or not used for them */
	bool marker;   /* a supplement of ours is already inside */
	bool other_kernel;      /* modules of other versions only */
	struct strlist present; /* names of this kernel's modules inside */
	bool lvm_devices;       /* a list of the devices LVM may use (system.devices) is inside */
	enum initramfs_lvm lvm_local;
	struct strlist configs; /* "etc/lvm/lvm.conf", "etc/mdadm.conf": own copies of the image */
	char resume[128]; /* RESUME= of initramfs-tools' conf/conf.d, the last one; "" when none */
};

/* ${version} is the kernel's folder below lib/modules. */
int initramfs_look(const uint8_t *img, size_t len, const char *version, struct initramfs *ret,
		   struct err *e);
void initramfs_free(struct initramfs *im);

/* What virtio disks and NICs need of one kernel. ${alias} is the text of modules.alias. Fills
 * ${modules} with the closure of modules, dependencies first, built-in ones left out, and
 * ${lacking} with drivers the kernel does not have at all ("virtio_blk"). */
int initramfs_wanted(const struct modules *m, const char *alias, size_t alias_len,
		     struct strlist *modules, struct strlist *lacking, struct err *e);

/* Those of ${wanted} that are not in the image. */
int initramfs_missing(const struct initramfs *im, const struct strlist *wanted,
		      struct strlist *missing, struct err *e);

struct initramfs_files {
	const char *version;
	const struct strlist *indexes; /* "modules.dep", ...: all of the kernel's folder */
	const char *resume; /* new RESUME= for initramfs-tools ("" for none), or NULL: no change */
	bool free_lvm;      /* LVM is to look at all disks: a file cannot be taken out again */
	/* Whole file of the kernel's module folder by relative path. */
	int (*read)(void *ctx, const char *path, struct buf *ret, struct err *e);
	void *ctx;
};

/* The bytes to put behind the image, padding included, for ${missing} modules. ${img_len} is the
 * length of the present file. */
int initramfs_supplement(const struct initramfs *im, size_t img_len, const struct modules *m,
			 const struct strlist *missing, const struct initramfs_files *files,
			 struct buf *out, struct err *e);

/* As it goes behind the image: plain newc at a multiple of 4, or one more lz4 frame when the image
 * ends in one (kernels before 5.10 read on in it and take padding for a broken frame). */
int initramfs_fit(const struct cpio_image *image, size_t img_len, const struct buf *archive,
		  struct buf *out, struct err *e);

const char *initramfs_kind_word(enum initramfs_kind kind);

#endif
