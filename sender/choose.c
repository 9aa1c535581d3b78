/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "choose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct move *m, const char *path, unsigned n, struct err *e)
{
	struct move_disk *d = &m->disks[m->n_disks];

	for (unsigned i = 0; i < m->n_disks; i++) {
		if (m->disks[i].n == n)
			return err_set(e, ERR_USAGE, EINVAL,
				       "disk %u is given twice: '%s' and '%s'", n,
				       source_info(m->disks[i].source)->path, path);
	}
	int r = source_open(path, &d->source, e);
	if (r)
		return r;
	d->n = n;
	m->n_disks++;
	return 0;
}

static bool is_taken(const struct sender_options *o, const bool *used, unsigned n)
{
	for (unsigned i = 0; i < o->n_disks; i++) {
		if (o->disks[i].n == (int)n)
			return true;
	}
	return used[n];
}

static int named(struct move *m, struct err *e)
{
	bool used[DISKS_MAX] = { false };

	for (unsigned i = 0; i < m->o->n_disks; i++) {
		const struct disk_map *map = &m->o->disks[i];
		unsigned n = 0;

		if (map->n != DISK_BY_ORDER)
			n = (unsigned)map->n;
		else
			while (is_taken(m->o, used, n))
				n++;
		used[n] = true;
		int r = add(m, map->src, n, e);
		if (r)
			return r;
	}
	return 0;
}

static int all_of_machine(struct move *m, struct err *e)
{
	char names[DISKS_MAX][64], root[64], path[80];
	bool have_root = source_root_disk(root);
	unsigned next = have_root ? 1 : 0;
	int n = source_list(names, DISKS_MAX, e);

	if (n < 0)
		return n;
	if (!n)
		return err_refuse(e, "no-disks", ENODEV,
				  "no disk of this machine was found: name it with --disk");
	for (int i = 0; i < n; i++) {
		bool is_root = have_root && !strcmp(names[i], root);

		(void)snprintf(path, sizeof path, "/dev/%s", names[i]);
		/* The kernel writes '/' in a name as '!'. */
		for (char *c = path; *c; c++) {
			if (*c == '!')
				*c = '/';
		}
		int r = add(m, path, is_root ? 0 : next, e);
		if (r)
			return r;
		next += is_root ? 0 : 1;
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct move_disk *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

int choose_disks(struct move *m, struct err *e)
{
	int r = m->o->n_disks ? named(m, e) : all_of_machine(m, e);

	if (!r)
		qsort(m->disks, m->n_disks, sizeof *m->disks, by_number);
	return r;
}

int choose_check(const struct move *m, struct err *e)
{
	for (unsigned i = 0; i < m->n_disks; i++) {
		const struct source_info *s = source_info(m->disks[i].source);
		const struct invite_disk *t = invite_disk(&m->invite, m->disks[i].n);

		if (!t)
			return err_refuse(
			    e, wire_error_word(WIRE_NO_TICKET), ENOENT,
			    "'%s': the invite has no disk %u; map it with --disk %s=N", s->path,
			    m->disks[i].n, s->path);
		if (t->size < s->size)
			return err_refuse(e, wire_error_word(WIRE_TOO_SMALL), ENOSPC,
					  "'%s' has %llu bytes, target disk %u only %llu", s->path,
					  (unsigned long long)s->size, t->n,
					  (unsigned long long)t->size);
	}
	return 0;
}
