/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On x86 compiled for AVX2, by CMakeLists.txt: nothing else may be in this file. */
#include "digest_wide.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

bool digest_wide_here(void)
{
#ifdef __AVX2__
	return __builtin_cpu_supports("avx2") != 0;
#else
	return false;
#endif
}

void digest_wide(const void *data, size_t len, uint64_t seed, uint64_t ret[static 2])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data, len, seed);

	ret[0] = h.high64;
	ret[1] = h.low64;
}
