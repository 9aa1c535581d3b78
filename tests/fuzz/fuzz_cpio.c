/* SPDX-License-Identifier: GPL-3.0-or-later */
/* initramfs images: all packings */
#include "edit/initramfs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct initramfs im;

	if (initramfs_look(data, size, "6.1", &im, NULL) == 0) {
		if (im.image.end > size)
			abort();
		initramfs_free(&im);
	}
	return 0;
}
