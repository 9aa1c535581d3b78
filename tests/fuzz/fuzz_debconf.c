/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.dat */
#include "edit/debconf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span s;

	if (debconf_find((const char *)data, size, "a", &s) && s.off + s.len > size)
		abort();
	return 0;
}
