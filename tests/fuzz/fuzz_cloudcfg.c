/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes are a file of cloud-init's configuration. */
#include "edit/cloudcfg.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cloudcfg c = { 0 };

	cloudcfg_read((const char *)data, len, &c);
	return 0;
}
