/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* The size can never change: neither side can make the other fault on a page that went away. */
#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static bool block_size_fits(uint32_t block_size)
{
	return block_size >= BLOCK_SIZE_MIN && block_size <= BLOCK_SIZE_MAX &&
	       is_power_of_two(block_size);
}

static uint32_t slots_for(uint32_t block_size)
{
	return (uint32_t)(RING_BYTES / block_size);
}

static int map(int fd, uint32_t block_size, bool writable, struct ring *ret, struct err *e)
{
	uint32_t slots = slots_for(block_size);
	size_t len = (size_t)slots * block_size;
	void *base =
	    mmap(NULL, len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return err_set(e, ERR_SYS, errno, "map a ring of %zu bytes", len);
	ret->fd = fd;
	ret->base = base;
	ret->len = len;
	ret->slots = slots;
	ret->block_size = block_size;
	return 0;
}

int ring_make(uint32_t block_size, struct ring *ret, struct err *e)
{
	scoped(close_fdp) int fd = -1;
	int r;

	if (!block_size_fits(block_size))
		return err_set(e, ERR_SYS, EINVAL, "a ring with blocks of %u bytes", block_size);
	fd = memfd_create("transit-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "make a ring");
	if (ftruncate(fd, (off_t)slots_for(block_size) * block_size) ||
	    fcntl(fd, F_ADD_SEALS, RING_SEALS))
		return err_set(e, ERR_SYS, errno, "size a ring");
	r = map(fd, block_size, true, ret, e);
	if (r < 0)
		return r;
	(void)take_fd(&fd);
	return 0;
}

int ring_map(int fd, uint32_t block_size, bool writable, struct ring *ret, struct err *e)
{
	struct stat st;
	int seals;

	if (!block_size_fits(block_size))
		return err_set(e, ERR_PEER, EPROTO, "a ring with blocks of %u bytes", block_size);
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & RING_SEALS) != RING_SEALS)
		return err_set(e, ERR_PEER, EPROTO, "the ring is not a sealed memory file");
	if (fstat(fd, &st) || (uint64_t)st.st_size != (uint64_t)slots_for(block_size) * block_size)
		return err_set(e, ERR_PEER, EPROTO, "the ring is not of the agreed size");
	return map(fd, block_size, writable, ret, e);
}

uint8_t *ring_slot(const struct ring *r, uint32_t slot)
{
	if (!r->base || slot >= r->slots)
		return NULL;
	return r->base + (size_t)slot * r->block_size;
}

void ring_close(struct ring *r)
{
	if (r->base)
		(void)munmap(r->base, r->len);
	if (r->base && r->fd >= 0)
		(void)close(r->fd);
	*r = (struct ring){ .fd = -1 };
}
