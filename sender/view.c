/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define PIECES_MAX 4096
#define CACHE_BYTES (64 * KIB)

struct piece_of_view {
	uint64_t at; /* in the view */
	struct extent disk;
};

struct view {
	struct source *source;
	struct piece_of_view *v;
	size_t n;
	uint64_t size;
	uint8_t *cache; /* CACHE_BYTES, aligned; cache_len bytes of the disk from cache_off on */
	uint64_t cache_off;
	size_t cache_len;
};

int view_new(struct source *s, struct view **ret)
{
	scoped(view_freep) struct view *v = calloc(1, sizeof *v);

	if (!v)
		return -ENOMEM;
	v->source = s;
	v->cache = aligned_alloc(SOURCE_ALIGN, CACHE_BYTES);
	if (!v->cache)
		return -ENOMEM;
	*ret = take_ptr(&v);
	return 0;
}

void view_free(struct view *v)
{
	if (!v)
		return;
	free(v->v);
	free(v->cache);
	free(v);
}

int view_add(struct view *v, struct extent disk)
{
	if (!extent_within(disk, source_info(v->source)->size) || v->n == PIECES_MAX)
		return -ERANGE;
	if (!disk.len)
		return 0;
	struct piece_of_view *p = reallocarray(v->v, v->n + 1, sizeof *p);
	if (!p)
		return -ENOMEM;
	v->v = p;
	v->v[v->n++] = (struct piece_of_view){ .at = v->size, .disk = disk };
	v->size += disk.len; /* at most PIECES_MAX disks, whose size is bounded */
	return 0;
}

uint64_t view_size(const struct view *v)
{
	return v->size;
}

int view_on_disk(const struct view *v, uint64_t off, struct extent *ret)
{
	size_t lo = 0, hi = v->n;

	if (off >= v->size)
		return -ERANGE;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->v[mid].at <= off)
			lo = mid;
		else
			hi = mid;
	}
	uint64_t in = off - v->v[lo].at;
	*ret = (struct extent){ .off = v->v[lo].disk.off + in, .len = v->v[lo].disk.len - in };
	return 0;
}

static int fill_cache(struct view *v, uint64_t disk_off)
{
	uint64_t size = source_info(v->source)->size;
	uint64_t off = round_down_to(disk_off, CACHE_BYTES);
	size_t len = size - off < CACHE_BYTES ? (size_t)(size - off) : CACHE_BYTES;

	v->cache_len = 0;
	if (source_read(v->source, v->cache, len, off, NULL))
		return -EIO;
	v->cache_off = off;
	v->cache_len = len;
	return 0;
}

int view_read(struct view *v, void *buf, size_t len, uint64_t off)
{
	uint8_t *to = buf;

	if (!extent_within((struct extent){ .off = off, .len = len }, v->size))
		return -ERANGE;
	while (len) {
		struct extent disk;
		int r = view_on_disk(v, off, &disk);

		if (!r && (disk.off < v->cache_off || disk.off - v->cache_off >= v->cache_len))
			r = fill_cache(v, disk.off);
		if (r)
			return r;
		size_t skip = (size_t)(disk.off - v->cache_off), n = v->cache_len - skip;

		if (n > len)
			n = len;
		if (n > disk.len)
			n = (size_t)disk.len;
		memcpy(to, v->cache + skip, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}
