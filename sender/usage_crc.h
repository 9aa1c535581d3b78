/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usage_crc.h - CRC-32C as xfs and btrfs use it, from libext2fs */
#ifndef SENDER_USAGE_CRC_H
#define SENDER_USAGE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* ${crc} begins as all ones; the caller inverts the end. */
uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len);

#endif
