/* SPDX-License-Identifier: GPL-3.0-or-later */
/* depmod indexes: the input is modules.dep, modules.builtin and modules.alias at once */
#include "edit/initramfs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct strlist wanted = { 0 }, lacking = { 0 };
	struct modules m;

	if (modules_parse(text, size, text, size, &m, NULL) == 0) {
		(void)initramfs_wanted(&m, text, size, &wanted, &lacking, NULL);
		modules_free(&m);
	}
	strlist_free(&wanted);
	strlist_free(&lacking);
	return 0;
}
