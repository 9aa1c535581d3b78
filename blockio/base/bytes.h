/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bytes.h - big-endian reads and writes, checked arithmetic, rounding
 *
 * Shape   wire and disk values are read byte by byte: no struct is laid over peer bytes.
 * Errors  checked_* return false when the result does not fit; *ret is then unchanged.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | (unsigned)p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t r;

	if (__builtin_add_overflow(a, b, &r))
		return false;
	*ret = r;
	return true;
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t r;

	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*ret = r;
	return true;
}

static inline bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* ${unit} is a power of two. */
static inline uint64_t round_down_to(uint64_t v, uint64_t unit)
{
	return v & ~(unit - 1);
}

static inline uint64_t div_round_up(uint64_t v, uint64_t unit)
{
	return v / unit + (v % unit ? 1 : 0);
}

/* True when all ${len} bytes are zero. */
static inline bool all_zero(const void *data, size_t len)
{
	const uint8_t *p = data;

	if (!len)
		return true;
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

#endif
