/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a proxy says, in pieces of any size: nothing is read or written past the buffers, and no
 * way is open before HTTP said 2xx or SOCKS said 0. The first byte picks the kind, whether there is
 * a password, and the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool may_be_open(const struct proxy_talk *t, const uint8_t *all, size_t size)
{
	if (t->proxy->kind == PROXY_HTTP)
		return size >= 16 && !memcmp(all, "HTTP/1.", 7) && all[9] == '2';
	return size >= 9 && all[0] == 5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proxy_talk t;
	const struct address target = { .host = "192.0.2.7", .port = 443 };
	struct proxy p = { .kind = PROXY_HTTP };
	size_t piece;
	int r;

	if (!size)
		return 0;
	if (data[0] & 1)
		p.kind = PROXY_SOCKS5;
	if (data[0] & 2)
		memcpy(p.user, "user", 5);
	piece = (data[0] >> 2) + 1u;
	r = proxy_talk_begin(&t, &p, &target, NULL);
	for (size_t at = 1; at < size && !r; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (n > sizeof t.in - t.in_len)
			abort(); /* a full buffer must have been an end */
		memcpy(t.in + t.in_len, data + at, n);
		t.in_len += n;
		t.out_len = 0; /* it was sent */
		r = proxy_talk_step(&t, NULL);
	}
	if (r > 0 && !may_be_open(&t, data + 1, size - 1))
		abort();
	return 0;
}
