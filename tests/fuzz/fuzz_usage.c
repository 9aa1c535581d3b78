/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a disk: nothing crashes, and what is called free lies inside of it. The first byte
 * says at which place of an empty disk the rest begins, so that superblocks are found. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK (16 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t places[] = { 0, 512, 1024, 64 * KIB, MIB, MIB + 1024 };
	struct usage_context c = { .phase = USAGE_FINAL };
	static struct usage u;
	struct source *s = NULL;
	char path[64];

	if (size < 2)
		return 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, DISK) ||
	    pwrite(fd, data + 1, size - 1, (off_t)places[data[0] % 6]) != (ssize_t)size - 1)
		abort();
	/* Opened again for reading only; then nobody has it open for writing. */
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int r = source_open(path, &s, NULL);
	(void)close(fd);
	if (r)
		return 0;
	if (!usage_look(s, &c, &u)) {
		for (size_t i = 0; i < u.free.n; i++) {
			if (!extent_within(u.free.v[i], source_info(s)->size))
				abort();
		}
	}
	usage_release(&u);
	source_close(s);
	return 0;
}
