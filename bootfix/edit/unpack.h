/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * unpack.h - one compressed segment of an initramfs, in pieces of at most 8 MiB
 *
 * Shape   stops at the end of the compressed stream and says how much input it took, so that the
 *         caller finds what follows.
 * Limits  the decoders get memory limits; how much comes out is limited by ${on_data}.
 * Errors  -EBADMSG for a broken or cut stream, -ENOMEM, or what ${on_data} returned.
 */
#ifndef EDIT_UNPACK_H
#define EDIT_UNPACK_H

#include "edit/cpio.h"
#include "types.h"

typedef int unpack_on_data(void *ctx, const uint8_t *data, size_t len, struct err *e);

int unpack(enum cpio_packing packing, const uint8_t *in, size_t len, unpack_on_data *on_data,
	   void *ctx, size_t *ret_used, struct err *e);

/* The legacy lz4 frame of ${len} bytes, behind what ${out} holds (for cpio_append.h). */
int pack_lz4(const uint8_t *in, size_t len, struct buf *out, struct err *e)
    __attribute__((warn_unused_result));

#endif
