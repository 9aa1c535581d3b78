/* SPDX-License-Identifier: GPL-3.0-or-later */
/* loader files in all four languages, and the command lines in them */
#include "edit/cmdline.h"
#include "edit/grubcfg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	(void)grubcfg_by_number(text, size);
	for (int kind = GRUBCFG_GRUB2; kind <= GRUBCFG_BLS; kind++) {
		struct lines l = { .text = text, .len = size };
		struct grubcfg_line line;

		while (grubcfg_next(&l, (enum grubcfg_kind)kind, &line)) {
			struct span rest = line.args;
			struct cmdline_token t;
			struct edits ed = { 0 };
			struct buf out = { 0 };

			while (cmdline_next(text, &rest, &t)) {
				int r = t.has_value ? edits_add(&ed, t.value, "x", NULL)
						    : cmdline_drop(&ed, &t, NULL);

				if (r < 0)
					abort();
			}
			if (edits_apply(&ed, text, size, &out, NULL) < 0)
				abort();
			edits_free(&ed);
			buf_free(&out);
		}
	}
	return 0;
}
