/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/edits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int edits_add(struct edits *ed, struct span at, const char *text, struct err *e)
{
	struct edit *grown, *last = ed->n ? &ed->v[ed->n - 1] : NULL;
	char *copy;

	if (last && at.off < last->at.off + last->at.len)
		return err_set(e, ERR_GUEST, EINVAL, "edits out of order at byte %zu", at.off);
	grown = reallocarray(ed->v, ed->n + 1, sizeof *ed->v);
	if (!grown)
		return err_set(e, ERR_SYS, ENOMEM, "edit");
	ed->v = grown;
	copy = strdup(text);
	if (!copy)
		return err_set(e, ERR_SYS, ENOMEM, "edit");
	grown[ed->n++] = (struct edit){ .at = at, .text = copy, .text_len = strlen(copy) };
	return 0;
}

int edits_apply(const struct edits *ed, const char *text, size_t len, struct buf *out,
		struct err *e)
{
	size_t done = 0;
	int r;

	for (size_t i = 0; i < ed->n; i++) {
		const struct edit *d = &ed->v[i];

		if (d->at.off > len || d->at.len > len - d->at.off)
			return err_set(e, ERR_GUEST, EINVAL, "edit past the end");
		r = buf_add(out, text + done, d->at.off - done, e);
		if (r < 0)
			return r;
		r = buf_add(out, d->text, d->text_len, e);
		if (r < 0)
			return r;
		done = d->at.off + d->at.len;
	}
	return buf_add(out, text + done, len - done, e);
}

void edits_free(struct edits *ed)
{
	for (size_t i = 0; i < ed->n; i++)
		free(ed->v[i].text);
	free(ed->v);
	*ed = (struct edits){ 0 };
}
