/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : BUF_CAP, room;
	uint8_t *p;

	if (more > cap || b->len > cap - more)
		return -EFBIG;
	if (b->room > b->len + more)
		return 0;
	room = b->room ? b->room : 64;
	while (room <= b->len + more)
		room *= 2;
	p = realloc(b->data, room);
	if (!p)
		return -ENOMEM;
	b->data = p;
	b->room = room;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	int r = make_room(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
	return 0;
}

int buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n, r;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	r = buf_add(b, s, (size_t)n);
	free(s);
	return r;
}

int buf_add_zeros(struct buf *b, size_t len)
{
	int r = make_room(b, len);

	if (r < 0)
		return r;
	memset(b->data + b->len, 0, len + 1);
	b->len += len;
	return 0;
}

void buf_free(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->room = 0;
}

const char *buf_text(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}
