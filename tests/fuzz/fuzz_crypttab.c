/* SPDX-License-Identifier: GPL-3.0-or-later */
/* crypttab: any bytes; an edited line is still one line */
#include "edit/crypttab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct lines l = { .text = text, .len = size };
	struct columns c;

	while (crypttab_next(&l, &c)) {
		struct edits ed = { 0 };
		struct buf out = { 0 };
		unsigned n;

		(void)crypttab_formats(text, &c);
		if (crypttab_set_device(&ed, &c, "UUID=1", NULL) < 0 ||
		    crypttab_drop_options(&ed, text, &c, "tpm2-", &n, NULL) < 0)
			abort();
		if (!n && crypttab_let_fail(&ed, text, &c, NULL) < 0)
			abort();
		if (edits_apply(&ed, text, size, &out, NULL) < 0)
			abort();
		edits_free(&ed);
		buf_free(&out);
	}
	return 0;
}
