/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "steps/spec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Volumes inside LVM, md or LUKS have names we may not see from outside. */
static bool may_hide_volumes(const struct guest *g)
{
	for (size_t i = 0; i < g->n_vols; i++) {
		enum vol_kind k = g->vols[i].kind;

		if (k == VOL_LUKS || k == VOL_PV || k == VOL_MD || k == VOL_OTHER ||
		    k == VOL_AMBIGUOUS)
			return true;
	}
	return false;
}

/* Only these can be looked up without doubt. */
static const struct tag {
	const char *begin;
	bool uuid;
} tags[] = {
	{ "UUID=", true },
	{ "LABEL=", false },
	{ "/dev/disk/by-uuid/", true },
	{ "/dev/disk/by-label/", false },
};

static const struct tag *tag_of(const char *spec)
{
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		if (begins(spec, tags[i].begin))
			return &tags[i];
	return NULL;
}

/* Quotes are allowed around the value; udev's escapes in a path are not undone. */
static bool is_nowhere(const struct guest *g, const char *spec)
{
	const struct tag *tag = tag_of(spec);
	char want[256];
	size_t n;

	if (!tag)
		return false;
	spec += strlen(tag->begin);
	spec += *spec == '"';
	n = strcspn(spec, "\"");
	if (!n || n >= sizeof want || memchr(spec, '\\', n))
		return false;
	memcpy(want, spec, n);
	want[n] = 0;
	for (size_t i = 0; i < g->n_vols; i++)
		if (tag->uuid ? !strcasecmp(g->vols[i].uuid, want)
			      : !strcmp(g->vols[i].label, want))
			return false;
	return g->n_vols && !may_hide_volumes(g);
}

/* Goes into a text file: plain characters only, whatever the superblock says. */
static bool is_plain(const char *id)
{
	if (!*id)
		return false;
	for (; *id; id++)
		if (!strchr("0123456789abcdefABCDEF-", *id))
			return false;
	return true;
}

/* Copied disks have copied ids: one that two partitions have is a name of neither. */
static bool has_own_partuuid(const struct guest *g, const struct vol *v)
{
	const struct vol *found = NULL;
	char spec[80];

	(void)snprintf(spec, sizeof spec, "PARTUUID=%s", v->partuuid);
	return is_plain(v->partuuid) && guest_vol(g, spec, &found, NULL) == VOL_FOUND && found == v;
}

static bool name_volume(const struct guest *g, const struct vol *v, bool want_part, char *ret,
			size_t size)
{
	bool has_uuid = (v->kind == VOL_FS || v->kind == VOL_SWAP || v->kind == VOL_SUSPEND ||
			 v->kind == VOL_LUKS) &&
			is_plain(v->uuid) && guest_vol_by_uuid(g, v->uuid) == v;

	if (has_uuid && !want_part)
		(void)snprintf(ret, size, "UUID=%s", v->uuid);
	else if (has_own_partuuid(g, v))
		(void)snprintf(ret, size, "PARTUUID=%s", v->partuuid);
	else
		return false;
	return true;
}

struct spec_answer spec_answer(const struct guest *g, const char *spec, bool want_part)
{
	struct spec_answer a = { .fate = SPEC_KEEP };
	enum spec_kind kind = spec_kind(spec);

	if (kind == SPEC_STABLE && is_nowhere(g, spec))
		a.fate = SPEC_GONE;
	if (kind != SPEC_UNSTABLE)
		return a;
	switch (guest_vol(g, spec, &a.vol, &a.guessed)) {
	case VOL_FOUND:
		a.fate = name_volume(g, a.vol, want_part, a.text, sizeof a.text) ? SPEC_CHANGE
										 : SPEC_UNSURE;
		break;
	case VOL_ABSENT:
		a.fate = SPEC_GONE;
		break;
	case VOL_UNKNOWN:
		a.fate = SPEC_UNSURE;
		break;
	}
	return a;
}
