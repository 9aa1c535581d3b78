/* SPDX-License-Identifier: GPL-3.0-or-later */
/* KEY=value files: set, then get what was set */
#include "edit/shellvar.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct buf out = { 0 };
	char value[16];

	if (shellvar_set(text, size, "A", "x y", &out, NULL) == 0) {
		if (!shellvar_get((const char *)out.data, out.len, "A", value, sizeof value) ||
		    strcmp(value, "x y") != 0)
			abort();
	}
	buf_free(&out);
	return 0;
}
