/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage_lvm.c - a physical volume of LVM2: extents of no volume are free; plain volumes are views
 *
 * Only groups on one physical volume whose segments are all linear or striped: the copy of the
 * metadata on it is then the only one, and an area that no segment names has no reader. Snapshots,
 * pools, mirrors and caches share areas in ways of their own, and are copied whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "lvm_text.h"
#include "usage_internal.h"

#define SECTOR 512u
#define LABEL_SECTORS 4u
#define CRC_FIRST 0xf597a6cfu
#define ID_LEN 32u
#define AREAS_MAX 16u
#define TEXT_MAX (4 * MIB)
#define EXTENTS_MAX (UINT64_C(1) << 32)
#define SECTORS_MAX (UINT64_C(1) << 50)
#define SEGMENTS_MAX 4096u

static const uint8_t area_magic[16] = { ' ', 'L', 'V', 'M', '2', ' ', 'x', '[',
					'5', 'A', '%', 'r', '0', 'N', '*', '>' };

struct physical {
	struct reading *rd;
	struct source *source;
	char id[ID_LEN + 1];
	struct extent area; /* of metadata */
	uint64_t extent;    /* bytes of an extent */
	uint64_t start;     /* of the first extent, in the view */
	uint64_t count;     /* extents */
	char group_id[ID_LEN + 1];
	const char *group;
};

static uint32_t crc_of(const uint8_t *p, size_t len)
{
	return ~(uint32_t)crc32_z(~CRC_FIRST, p, len);
}

/* ---- label, areas, text ---- */

static int find_label(struct physical *pv, uint8_t *sector, uint64_t *ret)
{
	for (unsigned i = 0; i < LABEL_SECTORS; i++) {
		int r = reading_read(pv->rd, sector, SECTOR, (uint64_t)i * SECTOR);

		if (r)
			return r;
		if (memcmp(sector, "LABELONE", 8) != 0)
			continue;
		if (get_le64(sector + 8) != i || memcmp(sector + 24, "LVM2 001", 8) != 0 ||
		    crc_of(sector + 20, SECTOR - 20) != get_le32(sector + 16))
			break;
		*ret = get_le32(sector + 20);
		return 0;
	}
	return reading_doubt(pv->rd, "no label of LVM2 with a right checksum");
}

/* After the identity and the size: areas of data, a zero entry, areas of metadata, a zero entry. */
static int find_area(struct physical *pv)
{
	uint8_t s[SECTOR] = { 0 };
	uint64_t at = 0;
	unsigned lists = 0;
	int r = find_label(pv, s, &at);

	if (r)
		return r;
	if (at < 32 || at > SECTOR - ID_LEN - 8)
		return reading_doubt(pv->rd, "a label that makes no sense");
	memcpy(pv->id, s + at, ID_LEN);
	for (at += ID_LEN + 8; at + 16 <= SECTOR && lists < 2; at += 16) {
		struct extent x = { .off = get_le64(s + at), .len = get_le64(s + at + 8) };

		if (!x.off) {
			lists++;
			continue;
		}
		if (lists != 1)
			continue;
		if (pv->area.len)
			return reading_doubt(pv->rd, "it has two areas of metadata");
		pv->area = x;
	}
	if (pv->area.len < UINT64_C(2) * SECTOR ||
	    !extent_within(pv->area, view_size(pv->rd->view)))
		return reading_doubt(pv->rd, "it has no metadata");
	return 0;
}

/* The committed text: it may go on at the beginning of the ring. */
static int read_text(struct physical *pv, char **ret)
{
	uint8_t h[SECTOR] = { 0 };
	int r = reading_read(pv->rd, h, sizeof h, pv->area.off);

	if (r)
		return r;
	if (crc_of(h + 4, SECTOR - 4) != get_le32(h) || memcmp(h + 4, area_magic, 16) != 0 ||
	    get_le32(h + 20) != 1 || get_le64(h + 24) != pv->area.off ||
	    get_le64(h + 32) != pv->area.len)
		return reading_doubt(pv->rd, "its metadata has no head with a right checksum");
	uint64_t at = get_le64(h + 40), len = get_le64(h + 48), ring = pv->area.len;
	if (at < SECTOR || at >= ring || !len || len > ring - SECTOR || len > TEXT_MAX ||
	    get_le32(h + 60) & 1)
		return reading_doubt(pv->rd, "it belongs to no volume group");
	scoped(freep) char *text = malloc((size_t)len + 1);
	if (!text)
		return -ENOMEM;
	uint64_t first = len < ring - at ? len : ring - at;
	r = reading_read(pv->rd, text, (size_t)first, pv->area.off + at);
	if (!r)
		r = reading_read(pv->rd, text + first, (size_t)(len - first),
				 pv->area.off + SECTOR);
	if (r)
		return r;
	if (crc_of((uint8_t *)text, (size_t)len) != get_le32(h + 56))
		return reading_doubt(pv->rd, "its metadata has a wrong checksum");
	text[len] = 0;
	*ret = take_ptr(&text);
	return 0;
}

/* ---- the group ---- */

/* "Abcdef-ghij-..." without its dashes. */
static void plain_id(const char *from, char to[static ID_LEN + 1])
{
	size_t n = 0;

	for (; *from && n < ID_LEN; from++) {
		if (*from != '-')
			to[n++] = *from;
	}
	to[n] = 0;
}

static bool has_word(const struct lvm_node *n, const char *list, const char *word)
{
	const struct lvm_node *l = lvm_child(n, list, LVM_LIST);

	for (const struct lvm_node *i = l ? l->child : NULL; i; i = i->next) {
		if (i->kind == LVM_STRING && !strcmp(i->string, word))
			return true;
	}
	return false;
}

/* The one section with a list of physical volumes. */
static const struct lvm_node *find_group(const struct lvm_node *root)
{
	const struct lvm_node *found = NULL;

	for (const struct lvm_node *n = root->child; n; n = n->next) {
		if (n->kind != LVM_SECTION)
			continue;
		if (found)
			return NULL;
		found = n;
	}
	return found;
}

static int take_physical(struct physical *pv, const struct lvm_node *vg, const char **ret_name)
{
	const struct lvm_node *all = lvm_child(vg, "physical_volumes", LVM_SECTION);
	const struct lvm_node *one = all ? all->child : NULL;
	char id[ID_LEN + 1];
	uint64_t sectors, start, end;

	if (!one || one->next)
		return reading_doubt(pv->rd, "its group has more than one physical volume");
	plain_id(lvm_string(one, "id"), id);
	plain_id(lvm_string(vg, "id"), pv->group_id);
	if (one->kind != LVM_SECTION || strcmp(id, pv->id) != 0)
		return reading_doubt(pv->rd, "its metadata is that of another physical volume");
	if (!lvm_number(vg, "extent_size", SECTORS_MAX >> 20, &sectors) || !sectors ||
	    !lvm_number(one, "pe_start", SECTORS_MAX, &start) || !start ||
	    !lvm_number(one, "pe_count", EXTENTS_MAX, &pv->count))
		return reading_doubt(pv->rd, "its metadata has no sizes that make sense");
	pv->extent = sectors * SECTOR;
	pv->start = start * SECTOR;
	if (!checked_mul(pv->extent, pv->count, &end) || !checked_add(end, pv->start, &end) ||
	    end > view_size(pv->rd->view) ||
	    pv->start < pv->area.off + (pv->area.off < pv->start ? pv->area.len : 0))
		return reading_doubt(pv->rd, "its extents lie outside of it");
	*ret_name = one->name;
	return 0;
}

/* ---- volumes ---- */

struct segment {
	uint64_t begin, count; /* extents of the volume */
	uint64_t at;           /* extent of the physical volume, of the only stripe */
	bool plain;
};

static int take_segment(struct physical *pv, const struct lvm_node *n, const char *pv_name,
			struct segment *ret)
{
	const struct lvm_node *stripes = lvm_child(n, "stripes", LVM_LIST);
	uint64_t count = 0, each;
	int r = 0;

	if (strcmp(lvm_string(n, "type"), "striped") != 0)
		return reading_doubt(pv->rd, "it has volumes of type '%.30s'",
				     lvm_string(n, "type"));
	if (!lvm_number(n, "start_extent", EXTENTS_MAX, &ret->begin) ||
	    !lvm_number(n, "extent_count", EXTENTS_MAX, &ret->count) ||
	    !lvm_number(n, "stripe_count", 128, &count) || !count || !stripes || ret->count % count)
		return reading_doubt(pv->rd, "a segment that makes no sense");
	each = ret->count / count;
	ret->plain = count == 1;
	const struct lvm_node *i = stripes->child;
	for (uint64_t k = 0; k < count && !r; k++) {
		const struct lvm_node *from = i ? i->next : NULL;

		if (!from || i->kind != LVM_STRING || strcmp(i->string, pv_name) != 0 ||
		    from->kind != LVM_NUMBER || from->number > pv->count ||
		    each > pv->count - from->number)
			return reading_doubt(pv->rd, "a segment that lies outside of it");
		ret->at = from->number;
		r = reading_used(pv->rd, (struct extent){ .off = pv->start + ret->at * pv->extent,
							  .len = each * pv->extent });
		i = from->next;
	}
	if (!r && i)
		r = reading_doubt(pv->rd, "a segment with more areas than stripes");
	return r;
}

static int by_begin(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* The segments as one view; none when they leave a gap, or are not plain. */
static int make_view(struct physical *pv, struct segment *v, size_t n, struct view **ret)
{
	scoped(view_freep) struct view *view = NULL;
	uint64_t at = 0;
	int r = view_new(pv->source, &view);

	qsort(v, n, sizeof *v, by_begin);
	for (size_t i = 0; i < n && !r; i++) {
		uint64_t off = pv->start + v[i].at * pv->extent, left = v[i].count * pv->extent;

		if (!v[i].plain || v[i].begin != at)
			return 0;
		at += v[i].count;
		while (left && !r) {
			struct extent disk;

			r = view_on_disk(pv->rd->view, off, &disk);
			if (r)
				break;
			if (disk.len > left)
				disk.len = left;
			r = view_add(view, disk);
			off += disk.len;
			left -= disk.len;
		}
	}
	if (r == -ERANGE)
		return 0;
	if (!r && n)
		*ret = take_ptr(&view);
	return r;
}

static int take_volume(struct physical *pv, const struct lvm_node *n, const char *pv_name,
		       struct lvm_group *g)
{
	scoped(freep) struct segment *v = calloc(SEGMENTS_MAX, sizeof *v);
	char id[ID_LEN + 1];
	size_t count = 0;
	int r = 0;

	if (!v)
		return -ENOMEM;
	for (const struct lvm_node *s = n->child; s && !r; s = s->next) {
		if (s->kind != LVM_SECTION)
			continue;
		if (count == SEGMENTS_MAX)
			return reading_doubt(pv->rd, "a volume of too many segments");
		r = take_segment(pv, s, pv_name, &v[count++]);
	}
	if (r || g->n == LVM_VOLUMES_MAX)
		return r;
	struct lvm_volume *lv = &g->v[g->n++];
	plain_id(lvm_string(n, "id"), id);
	(void)snprintf(lv->name, sizeof lv->name, "%.60s/%.60s", pv->group, n->name);
	(void)snprintf(lv->uuid, sizeof lv->uuid, "LVM-%s%s", pv->group_id, id);
	if (!has_word(n, "status", "VISIBLE") || has_word(n, "status", "PVMOVE") ||
	    has_word(n, "status", "LOCKED"))
		return 0;
	return make_view(pv, v, count, &lv->view);
}

static int take_group(struct physical *pv, const struct lvm_node *root, struct lvm_group *g)
{
	const struct lvm_node *vg = find_group(root);
	const struct lvm_node *volumes = vg ? lvm_child(vg, "logical_volumes", LVM_SECTION) : NULL;
	const char *pv_name = NULL;
	int r;

	if (!vg)
		return reading_doubt(pv->rd, "its metadata has no volume group");
	r = take_physical(pv, vg, &pv_name);
	if (r)
		return r;
	if (!pv_name)
		return reading_doubt(pv->rd, "its metadata does not name it");
	if (has_word(vg, "status", "EXPORTED") || has_word(vg, "status", "PARTIAL"))
		return reading_doubt(pv->rd, "its group is exported or incomplete");
	pv->group = vg->name;
	(void)snprintf(g->uuid, sizeof g->uuid, "LVM-%s", pv->group_id);
	r = reading_free(pv->rd,
			 (struct extent){ .off = pv->start, .len = pv->count * pv->extent });
	for (const struct lvm_node *n = volumes ? volumes->child : NULL; n && !r; n = n->next)
		r = n->kind == LVM_SECTION ? take_volume(pv, n, pv_name, g)
					   : reading_doubt(pv->rd, "a volume that makes no sense");
	return r;
}

int usage_lvm_read(struct reading *rd, struct source *s, struct lvm_group *ret)
{
	struct physical pv = { .rd = rd, .source = s };
	scoped(freep) char *text = NULL;
	struct lvm_text *tree = NULL;
	int r = find_area(&pv);

	*ret = (struct lvm_group){ 0 };
	if (!r)
		r = read_text(&pv, &text);
	if (!r && lvm_text_parse(text, &tree))
		r = reading_doubt(rd, "its metadata cannot be parsed");
	if (!r)
		r = take_group(&pv, lvm_text_root(tree), ret);
	lvm_text_free(tree);
	if (r)
		usage_lvm_release(ret);
	return r;
}

void usage_lvm_release(struct lvm_group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		view_free(g->v[i].view);
	*g = (struct lvm_group){ 0 };
}
