/* SPDX-License-Identifier: GPL-3.0-or-later */
/* edit.h - what the tests of the editors share: repeatable noise, texts, edited copies */
#ifndef TEST_EDIT_H
#define TEST_EDIT_H

#include "test.h"

#include "edit/edits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline uint32_t noise(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* Bytes that parsers of lines stumble over, more often than chance would have them. */
static inline size_t noisy_text(uint64_t *seed, char *ret, size_t max)
{
	static const char often[] = " \t\n#=\"'\\,/:aU1\r";
	size_t len = noise(seed) % max;

	for (size_t i = 0; i < len; i++)
		ret[i] =
		    noise(seed) % 8 ? often[noise(seed) % (sizeof often - 1)] : (char)noise(seed);
	return len;
}

/* The text after the edits; the caller frees it. The edits are freed. */
static inline char *edited(struct edits *ed, const char *text, size_t len, size_t *ret_len)
{
	struct buf out = { 0 };
	struct err e = { 0 };

	assert_int_equal(edits_apply(ed, text, len, &out, &e), 0);
	edits_free(ed);
	if (ret_len)
		*ret_len = out.len;
	return (char *)out.data;
}

#endif
