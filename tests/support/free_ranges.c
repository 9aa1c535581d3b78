/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * free_ranges - what the sender calls free on a disk or image, for comparison with other tools
 *
 * free_ranges live|final SOURCE: "OFF LEN" a line on standard output, all ranges however short;
 * "NAME|TYPE|OFF|SIZE|FREE|VERDICT|WHY" of each part on standard error.
 */
#include <stdio.h>
#include <string.h>

#include "usage.h"

static void print(const struct usage *u)
{
	for (unsigned i = 0; i < u->n_parts; i++) {
		const struct usage_part *p = &u->parts[i];

		(void)fprintf(stderr, "%s|%s|%llu|%llu|%llu|%s|%s\n", p->name, p->type,
			      (unsigned long long)p->off, (unsigned long long)p->size,
			      (unsigned long long)p->free, usage_verdict_word(p->verdict), p->why);
	}
	for (size_t i = 0; i < u->free.n; i++)
		(void)printf("%llu %llu\n", (unsigned long long)u->free.v[i].off,
			     (unsigned long long)u->free.v[i].len);
}

int main(int argc, char **argv)
{
	static struct usage u;
	struct source *s = NULL;
	struct err e = { 0 };

	if (argc != 3) {
		(void)fputs("usage: free_ranges live|final SOURCE\n", stderr);
		return 2;
	}
	struct usage_context c = { .phase = strcmp(argv[1], "live") ? USAGE_FINAL : USAGE_LIVE };
	if (source_open(argv[2], &s, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	int r = usage_look(s, &c, &u);
	if (!r)
		print(&u);
	usage_release(&u);
	source_close(s);
	return r ? 1 : 0;
}
