/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which volume a name of the source meant: the half of guest.h that knows no files. */
#include "guest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static const char *const tags[] = { "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=" };

enum spec_kind spec_kind(const char *spec)
{
	static const char *const stable[] = { "/dev/disk/by-uuid/", "/dev/disk/by-label/",
					      "/dev/disk/by-partuuid/", "/dev/disk/by-partlabel/" };
	static const char *const unstable[] = {
		"/dev/disk/by-id/", "/dev/disk/by-path/", "/dev/sd",     "/dev/hd",     "/dev/vd",
		"/dev/xvd",         "/dev/nvme",          "/dev/cciss/", "/dev/mmcblk", "/dev/dm-"
	};

	for (size_t i = 0; i < 4; i++)
		if (starts(spec, tags[i]) || starts(spec, stable[i]))
			return SPEC_STABLE;
	/* dm-uuid-LVM-... names a logical volume by what is on the disk, not by the disk. */
	if (starts(spec, "/dev/disk/by-id/dm-uuid-LVM-") ||
	    starts(spec, "/dev/disk/by-id/md-uuid-"))
		return SPEC_OTHER;
	for (size_t i = 0; i < sizeof unstable / sizeof *unstable; i++)
		if (starts(spec, unstable[i]))
			return SPEC_UNSTABLE;
	return SPEC_OTHER;
}

static const struct vol *vol_number(const struct guest *g, unsigned disk, unsigned number)
{
	for (size_t i = 0; i < g->n_vols; i++)
		if (g->vols[i].disk == disk && g->vols[i].number == number)
			return &g->vols[i];
	return NULL;
}

/* A name that two volumes have is a name of neither. */
static const struct vol *only(const struct guest *g, bool (*is)(const struct vol *, const char *),
			      const char *want)
{
	const struct vol *found = NULL;

	if (!*want)
		return NULL;
	for (size_t i = 0; i < g->n_vols; i++) {
		if (!is(&g->vols[i], want))
			continue;
		if (found)
			return NULL;
		found = &g->vols[i];
	}
	return found;
}

static bool has_uuid(const struct vol *v, const char *want)
{
	return !strcasecmp(v->uuid, want);
}

static bool has_label(const struct vol *v, const char *want)
{
	return !strcmp(v->label, want);
}

static bool has_partuuid(const struct vol *v, const char *want)
{
	return !strcasecmp(v->partuuid, want);
}

static bool has_partlabel(const struct vol *v, const char *want)
{
	return !strcmp(v->partlabel, want);
}

const struct vol *guest_vol_by_uuid(const struct guest *g, const char *uuid)
{
	return only(g, has_uuid, uuid);
}

static enum vol_answer by_tag(const struct guest *g, const char *spec, const struct vol **ret)
{
	static const struct {
		const char *tag, *dir;
		bool (*is)(const struct vol *, const char *);
	} ways[] = {
		{ "UUID=", "/dev/disk/by-uuid/", has_uuid },
		{ "LABEL=", "/dev/disk/by-label/", has_label },
		{ "PARTUUID=", "/dev/disk/by-partuuid/", has_partuuid },
		{ "PARTLABEL=", "/dev/disk/by-partlabel/", has_partlabel },
	};

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const char *way = starts(spec, ways[i].tag) ? ways[i].tag : ways[i].dir;

		if (!starts(spec, way))
			continue;
		*ret = only(g, ways[i].is, spec + strlen(way));
		return *ret ? VOL_FOUND : VOL_ABSENT;
	}
	return VOL_UNKNOWN;
}

/* Splits "sda12" or "nvme0n1p3" behind the disk's name ${disk}: the number, 0 for the disk itself,
 * -1 when ${name} is something else. */
static int number_behind(const char *name, const char *disk)
{
	size_t len = strlen(disk);
	const char *rest = name + len;
	long number;
	char *end;

	if (!len || strncmp(name, disk, len) != 0)
		return -1;
	if (!*rest)
		return 0;
	if (isdigit((unsigned char)disk[len - 1]) && *rest++ != 'p')
		return -1;
	if (*rest < '1' || *rest > '9')
		return -1;
	number = strtol(rest, &end, 10);
	return *end || number > MAX_PARTS ? -1 : (int)number;
}

static enum vol_answer on_disk(const struct guest *g, const struct facts_disk *d, unsigned number,
			       const struct vol **ret)
{
	*ret = d->moved ? vol_number(g, d->n, number) : NULL;
	return *ret ? VOL_FOUND : VOL_ABSENT;
}

static enum vol_answer by_facts(const struct guest *g, const char *spec, const struct vol **ret)
{
	const char *name = starts(spec, "/dev/") ? spec + 5 : spec;

	for (size_t i = 0; i < g->facts.n_disks; i++) {
		const struct facts_disk *d = &g->facts.disks[i];
		int number = number_behind(name, d->name);

		for (size_t k = 0; k < d->n_parts; k++)
			if (!strcmp(d->parts[k].name, name))
				return on_disk(g, d, d->parts[k].number, ret);
		if (number >= 0)
			return on_disk(g, d, (unsigned)number, ret);
		for (size_t k = 0; k < d->n_links; k++) {
			size_t len = strlen(d->links[k]);
			char *end;
			long part;

			if (!len || strncmp(spec, d->links[k], len) != 0)
				continue;
			if (!spec[len])
				return on_disk(g, d, 0, ret);
			if (!starts(spec + len, "-part"))
				continue;
			part = strtol(spec + len + 5, &end, 10);
			if (!*end && part > 0 && part <= MAX_PARTS)
				return on_disk(g, d, (unsigned)part, ret);
		}
	}
	/* Facts list every disk of the source: a kernel name that is not there was already wrong.
	 */
	return VOL_UNKNOWN;
}

/* Without facts: disks by letter or number, in the order of the command line. */
static enum vol_answer by_guess(const struct guest *g, const char *spec, const struct vol **ret)
{
	static const char *const letters[] = { "/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd" };
	unsigned disk = 0;
	int number = -1;

	for (size_t i = 0; i < sizeof letters / sizeof *letters && number < 0; i++) {
		size_t len = strlen(letters[i]);
		char name[32];

		if (!starts(spec, letters[i]) || spec[len] < 'a' || spec[len] > 'z')
			continue;
		disk = (unsigned)(spec[len] - 'a');
		memcpy(name, letters[i] + 5, len - 5);
		name[len - 5] = spec[len];
		name[len - 4] = 0;
		number = number_behind(spec + 5, name);
	}
	if (starts(spec, "/dev/nvme") && isdigit((unsigned char)spec[9]) &&
	    starts(spec + 10, "n1")) {
		char name[] = "nvme0n1";

		disk = (unsigned)(spec[9] - '0');
		name[4] = spec[9];
		number = number_behind(spec + 5, name);
	}
	if (number < 0)
		return VOL_UNKNOWN;
	*ret = vol_number(g, disk, (unsigned)number);
	return *ret ? VOL_FOUND : VOL_ABSENT;
}

/* Of an image the sender knows the size, and not what the guest calls it. */
static bool facts_name_disks(const struct facts *f)
{
	for (size_t i = 0; i < f->n_disks; i++)
		if (f->disks[i].name[0])
			return true;
	return false;
}

enum vol_answer guest_vol(const struct guest *g, const char *spec, const struct vol **ret,
			  bool *ret_guessed)
{
	const struct vol *found = NULL;
	enum vol_answer answer;
	char plain[512] = "";
	size_t o = 0;

	/* UUID="..." and 'LABEL=x' are both seen in the wild; no name holds quotes itself. */
	for (const char *p = spec; *p && o + 1 < sizeof plain; p++)
		if (*p != '"' && *p != '\'')
			plain[o++] = *p;
	plain[o] = 0;
	if (ret_guessed)
		*ret_guessed = false;
	answer = by_tag(g, plain, &found);
	if (answer == VOL_UNKNOWN && spec_kind(plain) == SPEC_UNSTABLE) {
		bool named = facts_name_disks(&g->facts);

		answer = named ? by_facts(g, plain, &found) : by_guess(g, plain, &found);
		if (ret_guessed)
			*ret_guessed = !named && answer != VOL_UNKNOWN;
	}
	if (answer == VOL_FOUND)
		*ret = found;
	return answer;
}

const struct vol *guest_vol_at(const struct guest *g, const char *dir)
{
	if (!strcmp(dir, "/") && g->root_vol >= 0)
		return &g->vols[g->root_vol];
	for (size_t i = 0; i < g->n_mnts; i++)
		if (!strcmp(g->mnts[i].dir, dir) && g->mnts[i].vol >= 0)
			return &g->vols[g->mnts[i].vol];
	return NULL;
}
