/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * virtio_keep.h - the guest's own tool puts virtio into the next image, too
 *
 * Why     a kernel update on the target builds a new image; most tools look at the hardware and get
 *         it right, a fixed list or a rebuild somewhere else does not.
 * Flow    one virtio_keep_kernel() for each image that was short of something, then one plan.
 */
#ifndef STEPS_VIRTIO_KEEP_H
#define STEPS_VIRTIO_KEEP_H

#include "edit/initramfs.h"

struct virtio_keep {
	bool kinds[INITRAMFS_STATIC + 1]; /* which tools made such images */
	unsigned drivers;                 /* bit i: drivers[i] is a module of one of them */
};

void virtio_keep_kernel(struct virtio_keep *k, enum initramfs_kind kind, const struct modules *m);
int virtio_keep_plan(const struct virtio_keep *k, struct plan *p, struct err *e)
    __attribute__((warn_unused_result));

#endif
