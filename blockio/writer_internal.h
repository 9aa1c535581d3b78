/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer_internal.h - shared by writer.c (what is written) and writer_verify.c (what is there)
 */
#ifndef BLOCKIO_WRITER_INTERNAL_H
#define BLOCKIO_WRITER_INTERNAL_H

#include "base/bytes.h"
#include "extent.h"
#include "writer.h"

struct writer {
	struct device *device;   /* borrowed */
	struct journal *journal; /* borrowed */
	uint64_t blocks, size;
	uint32_t block_size;
	struct digest_ctx *digest;
	uint8_t *buf; /* one block, page-aligned */
	bool failed, want_disk_digest;
	uint64_t pending_bytes, written_bytes;
	struct journal_entry *pending; /* written, not yet flushed */
	size_t n_pending;
	struct extent_set touched; /* the blocks of pending */
};

size_t writer_block_len(const struct writer *w, uint64_t block);
/* Marks the writer failed and the journal suspect; returns ${r}. */
int writer_fail(struct writer *w, int r);

#endif
