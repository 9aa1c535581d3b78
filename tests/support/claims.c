/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * claims - does a journal claim anything that is not on the disk?
 *
 * Use    claims JOURNAL_DIR DISK
 * Exit   0 every claim is true, 1 some are not (each is named), 2 the journal cannot be read
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "journal.h"

struct checker {
	struct journal *j;
	int fd;
	uint8_t *buf;
	struct digest_ctx *digest;
};

static bool is_there(struct checker *c, uint64_t block, const struct claim *claim)
{
	const struct journal_disk *d = journal_disk(c->j);
	uint64_t off = block * d->block_size;
	size_t len = (size_t)(d->size - off < d->block_size ? d->size - off : d->block_size);
	uint8_t digest[DIGEST_LEN];

	for (size_t done = 0; done < len;) {
		ssize_t n = pread(c->fd, c->buf + done, len - done, (off_t)(off + done));

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	if (claim->kind == CLAIM_ZERO)
		return all_zero(c->buf, len);
	return digest_block(c->digest, digest_kind_of(claim->digest), c->buf, len, digest) == 0 &&
	       !memcmp(digest, claim->digest, DIGEST_LEN);
}

static uint64_t check_all(struct checker *c, struct err *e)
{
	uint64_t wrong = 0;

	for (uint64_t b = 0; b < journal_blocks(c->j); b++) {
		struct claim claim;

		if (!journal_is_claimed(c->j, b))
			continue;
		if (journal_get(c->j, b, &claim, e) < 0 || !is_there(c, b, &claim)) {
			printf(
			    "block %llu: claimed as %s of generation %u, and is not on the disk\n",
			    (unsigned long long)b, claim.kind == CLAIM_ZERO ? "zero" : "data",
			    claim.gen);
			wrong++;
		}
	}
	return wrong;
}

int main(int argc, char **argv)
{
	scoped(journal_closep) struct journal *j = NULL;
	scoped(digest_freep) struct digest_ctx *digest = digest_new();
	scoped(freep) uint8_t *buf = malloc(BLOCK_SIZE_MAX);
	struct err e = { 0 };

	if (argc != 3 || !buf || !digest) {
		(void)fprintf(stderr, "usage: claims JOURNAL_DIR DISK\n");
		return 2;
	}
	scoped(close_fdp) int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || journal_open_readonly(argv[1], &j, &e) < 0) {
		(void)fprintf(stderr, "claims: %s\n", fd < 0 ? strerror(errno) : e.text);
		return 2;
	}
	struct checker c = { .j = j, .fd = fd, .buf = buf, .digest = digest };
	digest_seed(digest, journal_disk(j)->task);
	uint64_t wrong = check_all(&c, &e);
	printf("claims: %llu of %llu blocks claimed, %llu not true, epoch %llu%s\n",
	       (unsigned long long)journal_claimed(j), (unsigned long long)journal_blocks(j),
	       (unsigned long long)wrong, (unsigned long long)journal_epoch(j),
	       journal_is_suspect(j) ? ", suspect" : "");
	return wrong ? 1 : 0;
}
