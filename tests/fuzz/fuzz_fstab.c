/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fstab: any bytes; what is not the named word must come out as it went in */
#include "edit/fstab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct lines l = { .text = text, .len = size };
	struct columns c;
	char word[256];

	while (fstab_next(&l, &c)) {
		struct edits ed = { 0 };
		struct buf out = { 0 };
		struct span s = c.field[FSTAB_SPEC];

		(void)fstab_word(text, c.field[FSTAB_DIR], word, sizeof word);
		if (fstab_set_spec(&ed, &c, "UUID=1", NULL) < 0 ||
		    fstab_let_fail(&ed, text, &c, true, NULL) < 0 ||
		    edits_apply(&ed, text, size, &out, NULL) < 0)
			abort();
		if (out.len < size - s.len + 6 || memcmp(out.data, text, s.off) != 0 ||
		    memcmp(out.data + s.off, "UUID=1", 6) != 0)
			abort();
		edits_free(&ed);
		buf_free(&out);
	}
	return 0;
}
