/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/edits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int edits_add(struct edits *e, struct span at, const char *text)
{
	struct edit *grown, *last = e->n ? &e->v[e->n - 1] : NULL;

	if (last && at.off < last->at.off + last->at.len)
		return -EINVAL;
	grown = reallocarray(e->v, e->n + 1, sizeof *e->v);
	if (!grown)
		return -ENOMEM;
	e->v = grown;
	grown[e->n] = (struct edit){ .at = at, .text = strdup(text), .text_len = strlen(text) };
	if (!grown[e->n].text)
		return -ENOMEM;
	e->n++;
	return 0;
}

int edits_apply(const struct edits *e, const char *text, size_t len, struct buf *out)
{
	size_t done = 0;
	int r;

	for (size_t i = 0; i < e->n; i++) {
		const struct edit *d = &e->v[i];

		if (d->at.off > len || d->at.len > len - d->at.off)
			return -EINVAL;
		r = buf_add(out, text + done, d->at.off - done);
		if (r < 0)
			return r;
		r = buf_add(out, d->text, d->text_len);
		if (r < 0)
			return r;
		done = d->at.off + d->at.len;
	}
	return buf_add(out, text + done, len - done);
}

void edits_free(struct edits *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].text);
	free(e->v);
	*e = (struct edits){ 0 };
}
