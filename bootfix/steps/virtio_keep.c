/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "steps/virtio_keep.h"

#include "base/cleanup.h"
#include "edit/lines.h"
#include "edit/shellvar.h"
#include "guest.h"
#include "plan.h"

#include <errno.h>
#include <stdio.h>

#define NAME "virtio"
#define MODULES_FILE "/etc/initramfs-tools/modules"
#define DRACUT_FILE "/etc/dracut.conf.d/90-bootfix.conf"
#define MKINITFS_FILE "/etc/mkinitfs/mkinitfs.conf"

static const char *const drivers[] = { "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net",
				       "sd_mod" };
enum { N_DRIVERS = sizeof drivers / sizeof drivers[0] };

void virtio_keep_kernel(struct virtio_keep *k, enum initramfs_kind kind, const struct modules *m)
{
	k->kinds[kind] = true;
	for (unsigned i = 0; i < N_DRIVERS; i++)
		if (modules_find(m, drivers[i]))
			k->drivers |= 1U << i;
}

static bool first_word_is(const struct buf *file, const char *word)
{
	struct lines l = { .text = (const char *)file->data, .len = file->len };
	struct piece first;

	while (lines_next(&l)) {
		struct piece line = lines_piece(&l);

		if (piece_word(&line, &first) && piece_is(first, word))
			return true;
	}
	return false;
}

static int keep_tools(const struct virtio_keep *k, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf add = { 0 };
	int r = plan_read(p, MODULES_FILE, MAX_TEXT_FILE, &file, e);

	if (r < 0 && r != -ENOENT)
		return r;
	r = 0;
	for (unsigned i = 0; !r && i < N_DRIVERS; i++) {
		if (!(k->drivers & 1U << i) || first_word_is(&file, drivers[i]))
			continue;
		if (!add.len && file.len && file.data[file.len - 1] != '\n')
			r = buf_add_str(&add, "\n", e);
		if (!r)
			r = buf_add_str(&add, drivers[i], e);
		if (!r)
			r = buf_add_str(&add, "\n", e);
	}
	if (r < 0 || !add.len)
		return r;
	r = buf_add(&file, add.data, add.len, e);
	return r < 0 ? r
		     : plan_write(p, NAME, MODULES_FILE, &file, 0644,
				  "the next initramfs of the guest has virtio, too", e);
}

static int keep_dracut(const struct virtio_keep *k, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	int r =
	    buf_add_str(&text, "# Written by bootfix: disks are virtio now.\nadd_drivers+=\"", e);

	for (unsigned i = 0; !r && i < N_DRIVERS; i++) {
		if (!(k->drivers & 1U << i))
			continue;
		r = buf_add_str(&text, " ", e);
		if (!r)
			r = buf_add_str(&text, drivers[i], e);
	}
	if (!r)
		r = buf_add_str(&text, " \"\n", e);
	return r < 0 ? r
		     : plan_write(p, NAME, DRACUT_FILE, &text, 0644,
				  "the next initramfs of the guest has virtio, too", e);
}

static int keep_mkinitfs(struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	char now[1024], want[1056];
	int r = plan_read(p, MKINITFS_FILE, MAX_TEXT_FILE, &file, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!shellvar_get((const char *)file.data, file.len, "features", now, sizeof now) ||
	    strstr(now, "virtio"))
		return 0;
	(void)snprintf(want, sizeof want, "%s virtio", now);
	r = shellvar_set((const char *)file.data, file.len, "features", want, &out, e);
	return r < 0 ? r
		     : plan_write(p, NAME, MKINITFS_FILE, &out, 0644,
				  "the next initramfs of the guest has virtio, too", e);
}

int virtio_keep_plan(const struct virtio_keep *k, struct plan *p, struct err *e)
{
	int r = 0;

	if (k->kinds[INITRAMFS_TOOLS] && guest_has(p->guest, "/etc/initramfs-tools"))
		r = keep_tools(k, p, e);
	if (!r && k->kinds[INITRAMFS_DRACUT])
		r = keep_dracut(k, p, e);
	if (!r && k->kinds[INITRAMFS_MKINITFS])
		r = keep_mkinitfs(p, e);
	if (k->kinds[INITRAMFS_MKINITCPIO] || k->kinds[INITRAMFS_UNKNOWN])
		plan_finding(p, NAME, LEVEL_WARN, NULL,
			     "add virtio_pci, virtio_blk and virtio_scsi to the configuration of "
			     "the tool that builds the initramfs before the next kernel update");
	return r;
}
