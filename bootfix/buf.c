/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof *b);
}

int buf_add(struct buf *b, const void *data, size_t len, struct err *e)
{
	size_t want;

	if (__builtin_add_overflow(b->len, len, &want) || want > SIZE_MAX / 4)
		return err_set(e, ERR_SYS, ENOMEM, "buffer of %zu + %zu bytes", b->len, len);
	if (want + 1 > b->room) {
		/* By halves more: callers build megabytes out of lines. One byte for the NUL. */
		size_t room = want + want / 2 + 64;
		uint8_t *bigger = realloc(b->data, room);

		if (!bigger)
			return err_set(e, ERR_SYS, ENOMEM, "buffer of %zu bytes", want);
		b->data = bigger;
		b->room = room;
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len = want;
	b->data[want] = 0;
	return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *e)
{
	return buf_add(b, s, strlen(s), e);
}
