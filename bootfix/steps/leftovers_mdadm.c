/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mdadm.conf: an array whose members may only be looked for under old names is not assembled. */
#include "edit/lines.h"
#include "steps/leftovers.h"

#include <stdio.h>
#include <strings.h>

#define WHY "members of md arrays are looked for on all disks"

/* One line of the file, with those that continue it (they begin with a blank). */
struct entry {
	unsigned number;
	bool device, array;
	struct span keyword;
	struct span
	    members; /* "devices=..." with the blanks in front; length 0: none by old names */
	bool old, all, by_uuid;
};

/* mdadm takes three letters of a keyword, in any case. */
static bool is_keyword(struct piece word, const char *keyword)
{
	return word.len >= 3 && word.len <= strlen(keyword) &&
	       !strncasecmp(word.s, keyword, word.len);
}

static bool has_old_name(struct piece list)
{
	char name[256];

	while (list.len) {
		const char *comma = memchr(list.s, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.s) : list.len;

		(void)snprintf(name, sizeof name, "%.*s", (int)(n < 255 ? n : 255), list.s);
		if (leftovers_is_old_name(name))
			return true;
		n += comma ? 1 : 0;
		list = (struct piece){ list.s + n, list.len - n };
	}
	return false;
}

static void learn_word(struct entry *en, const char *text, struct piece word, size_t gap)
{
	size_t n = strlen("devices=");

	if (en->device) {
		en->old |= has_old_name(word);
		en->all |= piece_is(word, "partitions");
	}
	if (!en->array)
		return;
	if (word.len > 5 && !strncasecmp(word.s, "uuid=", 5))
		en->by_uuid = true;
	if (word.len > n && !strncasecmp(word.s, "devices=", n) &&
	    has_old_name((struct piece){ word.s + n, word.len - n }))
		en->members = (struct span){ (size_t)(word.s - text) - gap, word.len + gap };
}

static void learn_line(struct entry *en, const struct lines *l)
{
	struct piece rest = lines_piece(l), word;
	const char *behind = rest.s;
	bool goes_on = rest.len && is_blank(rest.s[0]);

	while (piece_word(&rest, &word) && word.s[0] != '#') {
		if (!goes_on) {
			*en = (struct entry){ .number = l->number,
					      .device = is_keyword(word, "device"),
					      .array = is_keyword(word, "array"),
					      .keyword = { (size_t)(word.s - l->text), word.len } };
			goes_on = true;
		} else {
			learn_word(en, l->text, word, (size_t)(word.s - behind));
		}
		behind = word.s + word.len;
	}
}

static int end_entry(struct leftovers_file *f, struct entry *en, struct err *e)
{
	struct entry was = *en;

	*en = (struct entry){ 0 };
	if (was.device && was.old && !was.all)
		return edits_add(&f->ed, (struct span){ was.keyword.off + was.keyword.len, 0 },
				 " partitions", e);
	if (!was.members.len)
		return 0;
	if (was.by_uuid)
		return edits_add(&f->ed, was.members, "", e);
	plan_finding(
	    f->p, LEFTOVERS, LEVEL_WARN, f->path,
	    "line %u: an array is known by names of the source's disks only: put its UUID= "
	    "there (mdadm --detail --scan) and take devices= away",
	    was.number);
	return 0;
}

static int edit_mdadm(struct leftovers_file *f, struct err *e)
{
	struct lines l = { .text = f->text, .len = f->len };
	struct entry en = { 0 };
	int r = 0;

	while (!r && lines_next(&l)) {
		struct piece line = lines_piece(&l);

		if (line.len && !is_blank(line.s[0]))
			r = end_entry(f, &en, e);
		if (!r)
			learn_line(&en, &l);
	}
	return r < 0 ? r : end_entry(f, &en, e);
}

int leftovers_mdadm(const struct guest *g, struct plan *p, struct err *e)
{
	int r = leftovers_edit(g, p, "/etc/mdadm.conf", edit_mdadm, WHY, e);

	return r < 0 ? r : leftovers_edit(g, p, "/etc/mdadm/mdadm.conf", edit_mdadm, WHY, e);
}
