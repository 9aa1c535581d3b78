/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect.h"

#include "base/cleanup.h"
#include "guest.h"

#include <string.h>

/* fstab writes blanks inside a field as \040: three octal digits. */
static size_t unescape(const char *s, size_t len, char *ret, size_t size)
{
	size_t o = 0;

	for (size_t i = 0; i < len && o + 1 < size; i++) {
		char c = s[i];

		if (c == '\\' && i + 3 < len && s[i + 1] >= '0' && s[i + 1] <= '3' &&
		    s[i + 2] >= '0' && s[i + 2] <= '7' && s[i + 3] >= '0' && s[i + 3] <= '7') {
			c = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 |
				   (s[i + 3] - '0'));
			i += 3;
		}
		ret[o++] = c;
	}
	ret[o] = 0;
	return o;
}

/* The next field of the line at *at; false at its end. */
static bool field(const char **at, const char *end, char *ret, size_t size)
{
	const char *p = *at, *start;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	start = p;
	while (p < end && *p != ' ' && *p != '\t')
		p++;
	*at = p;
	if (p == start || (size_t)(p - start) >= size)
		return false;
	(void)unescape(start, (size_t)(p - start), ret, size);
	return true;
}

static int add_mnt(struct guest *g, const struct mnt *m, struct err *e)
{
	struct mnt *more;

	if (g->n_mnts >= MAX_MNTS)
		return err_set(e, ERR_GUEST, E2BIG, "/etc/fstab has more than %d lines", MAX_MNTS);
	more = realloc(g->mnts, (g->n_mnts + 1) * sizeof *more);
	if (!more)
		return err_set(e, ERR_SYS, ENOMEM, "/etc/fstab");
	g->mnts = more;
	g->mnts[g->n_mnts++] = *m;
	return 0;
}

static int parse_line(struct guest *g, const char *line, const char *end, unsigned number,
		      struct err *e)
{
	struct mnt m = { .line = number, .vol = -1 };
	const struct vol *v;
	const char *at = line;

	if (!field(&at, end, m.spec, sizeof m.spec) || m.spec[0] == '#' ||
	    !field(&at, end, m.dir, sizeof m.dir) || !field(&at, end, m.type, sizeof m.type))
		return 0;
	(void)field(&at, end, m.options, sizeof m.options);
	/* "/boot/" and "/boot" are one place. */
	for (size_t len = strlen(m.dir); len > 1 && m.dir[len - 1] == '/'; len--)
		m.dir[len - 1] = 0;
	if (guest_vol(g, m.spec, &v, NULL) == VOL_FOUND)
		m.vol = (int)(v - g->vols);
	return add_mnt(g, &m, e);
}

int inspect_fstab(struct guest *g, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	const char *p, *stop;
	int r = guest_read(g, "/etc/fstab", MAX_TEXT_FILE, &text, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	p = (const char *)text.data;
	stop = p + text.len;
	for (unsigned number = 1; p < stop; number++) {
		const char *end = memchr(p, '\n', (size_t)(stop - p));

		if (!end)
			end = stop;
		r = parse_line(g, p, end, number, e);
		if (r < 0)
			return r;
		p = end + 1;
	}
	return 0;
}
