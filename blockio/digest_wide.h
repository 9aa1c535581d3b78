/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * digest_wide.h - XXH3-128 in the processor's wide registers, where it has them
 *
 * Why     the library as it is packaged takes what every x86 can do, which costs three times as
 * much; and its choice at run time is not in the static archive that transit-send-static needs.
 * Threads any.
 */
#ifndef BLOCKIO_DIGEST_WIDE_H
#define BLOCKIO_DIGEST_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False where digest_wide() must not be called: another processor, or another kind of one. */
bool digest_wide_here(void);
/* The same value as XXH3_128bits_withSeed(): high word, then low word. */
void digest_wide(const void *data, size_t len, uint64_t seed, uint64_t ret[static 2]);

#endif
