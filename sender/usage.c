/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "usage_internal.h"

/* A boot loader may fill the space before the first partition. */
#define KEEP_BEFORE (64 * MIB)
/* The track after a link of logical partitions; the end of a disk, with signatures of arrays. */
#define KEEP_AFTER MIB

/* ---- what readers use ---- */

int reading_doubt(struct reading *rd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(rd->why, sizeof rd->why, fmt, ap);
	va_end(ap);
	return -EUCLEAN;
}

int reading_read(struct reading *rd, void *buf, size_t len, uint64_t off)
{
	int r = view_read(rd->view, buf, len, off);

	if (r)
		return reading_doubt(rd, "%s at byte %llu of it",
				     r == -ERANGE ? "something would lie outside," : "read error",
				     (unsigned long long)off);
	return 0;
}

/* Memory does not grow with the number of holes: short ones are given up. */
static void thin_out(struct extent_set *s, uint64_t *grain)
{
	while (s->n > FREE_RANGES_MAX) {
		size_t kept = 0;

		*grain = *grain ? *grain * 2 : USAGE_GRAIN;
		for (size_t i = 0; i < s->n; i++) {
			if (s->v[i].len >= *grain)
				s->v[kept++] = s->v[i];
		}
		s->n = kept;
	}
}

static int each_piece(struct reading *rd, struct extent x,
		      int (*what)(struct reading *rd, struct extent disk))
{
	int r = 0;

	if (!extent_within(x, view_size(rd->view)))
		return reading_doubt(rd, "a range that lies outside");
	while (x.len && !r) {
		struct extent disk;

		r = view_on_disk(rd->view, x.off, &disk);
		if (r)
			break;
		if (disk.len > x.len)
			disk.len = x.len;
		x.off += disk.len;
		x.len -= disk.len;
		r = what(rd, disk);
	}
	return r;
}

static int add_piece(struct reading *rd, struct extent disk)
{
	if (disk.len < rd->grain)
		return 0;
	thin_out(rd->free, &rd->grain);
	return extent_set_add(rd->free, disk);
}

static int subtract_piece(struct reading *rd, struct extent disk)
{
	return extent_set_subtract(rd->free, disk);
}

int reading_free(struct reading *rd, struct extent x)
{
	return each_piece(rd, x, add_piece);
}

int reading_used(struct reading *rd, struct extent x)
{
	return each_piece(rd, x, subtract_piece);
}

/* ---- the parts of a disk ---- */

struct look {
	struct source *source;
	const struct source_info *info;
	const struct usage_context *c;
	uint64_t grain; /* of the whole */
	struct usage *ret;
};

static const struct reader {
	const char *type;
	int (*read)(struct reading *rd);
} readers[] = {
	{ "ext2", usage_ext_read }, { "ext3", usage_ext_read },    { "ext4", usage_ext_read },
	{ "xfs", usage_xfs_read },  { "btrfs", usage_btrfs_read }, { "swap", usage_swap_read },
};

static const struct reader *find_reader(const char *type)
{
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
		if (!strcmp(readers[i].type, type))
			return &readers[i];
	}
	return NULL;
}

/* A line of the report; NULL when there are too many, and then the part is copied whole. */
static struct usage_part *add_part(struct look *l, const char *name, struct view *v)
{
	struct extent first = { 0 };

	if (l->ret->n_parts == USAGE_PARTS_MAX)
		return NULL;
	struct usage_part *p = &l->ret->parts[l->ret->n_parts++];
	*p = (struct usage_part){ .verdict = USAGE_UNKNOWN, .size = view_size(v) };
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	if (!view_on_disk(v, 0, &first))
		p->off = first.off;
	return p;
}

static int says(struct usage_part *p, enum usage_verdict verdict, const char *why)
{
	p->verdict = verdict;
	(void)snprintf(p->why, sizeof p->why, "%s", why);
	return 0;
}

/* The part's free ranges become the disk's. */
static int believe(struct look *l, struct usage_part *p, const struct extent_set *free,
		   enum stillness still)
{
	int r = 0;

	p->free = extent_set_total(free);
	p->verdict = still == STILL_NOT ? USAGE_PROVISIONAL : USAGE_BELIEVED;
	l->ret->provisional |= still == STILL_NOT && p->free;
	for (size_t i = 0; i < free->n && !r; i++) {
		thin_out(&l->ret->free, &l->grain);
		r = extent_set_add(&l->ret->free, free->v[i]);
	}
	return r;
}

/* 0, or -EUCLEAN with words: who could write to ${device}. NULL: the kernel has none but the disk;
 * empty: it could have one, and has not. */
static int find_still(const struct look *l, const char *device, const char *type,
		      enum stillness *ret, char why[static USAGE_WHY])
{
	*ret = STILL_IDLE;
	/* Seen once for a whole file; a volume that is not active is out of everybody's reach. */
	if (l->info->kind == SOURCE_FILE || (device && !device[0]))
		return 0;
	return usage_state(device ? device : l->info->name, type, l->c, ret, why);
}

static int read_content(struct look *l, struct usage_part *p, struct view *v, const char *device,
			const struct reader *reader)
{
	struct extent_set free = { 0 };
	struct reading rd = { .view = v, .grain = l->c->grain, .free = &free };
	int r = find_still(l, device, reader->type, &rd.still, rd.why);

	if (!r)
		r = reader->read(&rd);
	if (!r)
		r = believe(l, p, &free, rd.still);
	extent_set_free(&free);
	if (r == -ENOMEM)
		return r;
	return r ? says(p, USAGE_DOUBTED, rd.why[0] ? rd.why : "it cannot be understood") : 0;
}

static int look_at(struct look *l, const char *name, struct view *v, const char *device);

static int read_volumes(struct look *l, struct lvm_group *g)
{
	char name[160], device[64];
	int r = 0;

	for (unsigned i = 0; i < g->n && !r; i++) {
		bool mapped =
		    l->info->kind == SOURCE_BLOCK && usage_state_mapped(g->v[i].uuid, device);

		if (!g->v[i].view)
			continue;
		(void)snprintf(name, sizeof name, "volume %s", g->v[i].name);
		r = look_at(l, name, g->v[i].view, mapped ? device : "");
	}
	return r;
}

/* Free extents of the group; then what lies on its volumes. */
static int read_physical(struct look *l, struct usage_part *p, struct view *v, const char *device)
{
	struct extent_set free = { 0 };
	struct reading rd = { .view = v, .grain = l->c->grain, .free = &free };
	scoped(freep) struct lvm_group *g = calloc(1, sizeof *g);
	int r = g ? usage_lvm_read(&rd, l->source, g) : -ENOMEM;

	if (!r && l->info->kind == SOURCE_BLOCK &&
	    !usage_state_only_lvm(device ? device : l->info->name, g->uuid))
		r = reading_doubt(&rd, "something uses it that is not its volume group");
	if (!r)
		r = believe(l, p, &free, STILL_IDLE);
	if (!r)
		r = read_volumes(l, g);
	extent_set_free(&free);
	if (g)
		usage_lvm_release(g);
	if (r == -ENOMEM)
		return r;
	return r ? says(p, USAGE_DOUBTED, rd.why) : 0;
}

static int look_at(struct look *l, const char *name, struct view *v, const char *device)
{
	struct usage_part *p = add_part(l, name, v);
	struct content c;

	if (!p)
		return 0;
	int r = usage_probe(v, l->info->logical_sector, &c);
	if (r == -ENOMEM)
		return r;
	(void)snprintf(p->type, sizeof p->type, "%s", r ? "" : c.type);
	const struct reader *reader = r ? NULL : find_reader(c.type);
	if (r)
		return says(p, USAGE_DOUBTED, "it cannot be read");
	if (c.mixed || (c.table && c.type[0]))
		return says(p, USAGE_UNKNOWN, "signatures of more than one kind");
	if (!strcmp(c.type, "LVM2_member"))
		return read_physical(l, p, v, device);
	if (reader)
		return read_content(l, p, v, device, reader);
	return says(p, USAGE_UNKNOWN,
		    c.type[0] ? "copied whole: this kind is not looked into"
			      : "copied whole: nothing was recognised");
}

/* ---- the table, and what lies between partitions ---- */

static int new_view(const struct look *l, struct extent x, struct view **ret)
{
	scoped(view_freep) struct view *v = NULL;
	int r = view_new(l->source, &v);

	if (!r)
		r = view_add(v, x);
	if (!r)
		*ret = take_ptr(&v);
	return r;
}

static int look_at_partition(struct look *l, const struct part_range *part)
{
	scoped(view_freep) struct view *v = NULL;
	char name[64], device[64];
	int r = new_view(l, part->x, &v);
	bool known =
	    l->info->kind == SOURCE_BLOCK && usage_state_partition(l->info->name, part->x, device);

	if (r)
		return r;
	(void)snprintf(name, sizeof name, "partition %u", part->number);
	return look_at(l, name, v, known ? device : NULL);
}

/* Space between partitions, where nothing was ever made. */
static int look_at_gap(struct look *l, struct extent x, const struct part_table *t)
{
	struct extent_set free = { 0 };
	struct content c = { 0 };
	scoped(view_freep) struct view *v = NULL;
	int r = new_view(l, x, &v);
	struct usage_part *p = r ? NULL : add_part(l, "gap", v);

	if (!p)
		return r;
	r = usage_probe(v, l->info->logical_sector, &c);
	if (r == -ENOMEM)
		return r;
	if (r || c.mixed || c.table || c.type[0])
		return says(p, USAGE_UNKNOWN, "something was recognised between the partitions");
	r = extent_set_add(&free, x);
	for (unsigned i = 0; i < t->n_links && !r; i++)
		r = extent_set_subtract(
		    &free, (struct extent){ .off = t->links[i].off, .len = KEEP_AFTER });
	if (!r)
		r = believe(l, p, &free, STILL_IDLE);
	extent_set_free(&free);
	return r;
}

static int look_at_gaps(struct look *l, const struct part_table *t)
{
	uint64_t end = l->info->size > KEEP_AFTER ? l->info->size - KEEP_AFTER : 0;
	uint64_t at = t->v[0].x.off < KEEP_BEFORE ? t->v[0].x.off : KEEP_BEFORE;
	int r = 0;

	for (unsigned i = 0; i <= t->n && !r; i++) {
		uint64_t to = i < t->n && t->v[i].x.off < end ? t->v[i].x.off : end;

		if (to > at && to - at >= MIB)
			r = look_at_gap(l, (struct extent){ .off = at, .len = to - at }, t);
		if (i < t->n)
			at = t->v[i].x.off + t->v[i].x.len;
	}
	return r;
}

static int look_at_table(struct look *l, struct usage_part *disk, struct view *v)
{
	struct reading rd = { .view = v };
	char why[USAGE_WHY];
	scoped(freep) struct part_table *t = calloc(1, sizeof *t);
	int r = t ? usage_table_read(&rd, l->info->logical_sector, t) : -ENOMEM;

	if (r == -ENOMEM)
		return r;
	if (r || !t->n)
		return says(disk, USAGE_DOUBTED,
			    rd.why[0] ? rd.why : "its partition table is empty or cannot be read");
	if (l->info->kind == SOURCE_BLOCK && !usage_state_agrees(l->info->name, t, why))
		return says(disk, USAGE_DOUBTED, why);
	l->ret->n_parts--; /* its partitions speak for it */
	for (unsigned i = 0; i < t->n && !r; i++)
		r = look_at_partition(l, &t->v[i]);
	return r ? r : look_at_gaps(l, t);
}

/* ---- the disk ---- */

/* Words when somebody may write to it whom nothing else would show; NULL otherwise. */
static const char *foreign_writer(const struct look *l)
{
	int r;

	if (l->info->kind == SOURCE_BLOCK)
		return usage_state_looped(l->info->name)
			   ? "a loop device lies over it, or that cannot be told"
			   : NULL;
	r = source_has_writer(l->source);
	if (!r)
		return NULL;
	return r > 0 ? "it is open for writing elsewhere"
		     : "whether it is open for writing elsewhere cannot be told";
}

static int look_at_disk(struct look *l)
{
	scoped(view_freep) struct view *v = NULL;
	struct content c;
	int r = new_view(l, (struct extent){ .len = l->info->size }, &v);
	const char *why = foreign_writer(l);

	if (r)
		return r;
	if (why)
		return says(add_part(l, "disk", v), USAGE_DOUBTED, why);
	r = usage_probe(v, l->info->logical_sector, &c);
	if (r || !c.table || c.type[0] || c.mixed)
		return look_at(l, "disk", v, NULL);
	return look_at_table(l, add_part(l, "disk", v), v);
}

int usage_look(struct source *s, const struct usage_context *c, struct usage *ret)
{
	struct look l = {
		.source = s, .info = source_info(s), .c = c, .grain = c->grain, .ret = ret
	};
	int r;

	*ret = (struct usage){ 0 };
	r = look_at_disk(&l);
	if (r) {
		usage_release(ret);
		ret->n_parts = 0;
		ret->provisional = false;
	}
	return r;
}

void usage_release(struct usage *u)
{
	extent_set_free(&u->free);
}

const char *usage_verdict_word(enum usage_verdict v)
{
	static const char *const words[] = { "believed", "provisional", "unknown", "doubted" };

	return words[v];
}
