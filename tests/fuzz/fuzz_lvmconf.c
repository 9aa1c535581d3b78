/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lvm.conf */
#include "edit/lvmconf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct lvmconf_filter f;
	size_t at = 0;

	while (lvmconf_next(text, size, &at, &f)) {
		struct lvmconf_pattern pattern;

		if (f.list.off + f.list.len > size)
			abort();
		while (lvmconf_pattern_next(text, &f.list, &pattern))
			if (pattern.regex.s + pattern.regex.len > text + size)
				abort();
	}
	return 0;
}
