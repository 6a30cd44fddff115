/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on numbers that someone else chose. */
#pragma once

#include "lib/base/types.h"

static inline bool __must_check overflow_checked(bool overflow)
{
	return overflow;
}

/* True when the result does not fit in *ret; *ret is then unspecified. */
#define check_add_overflow(a, b, ret) overflow_checked(__builtin_add_overflow(a, b, ret))
#define check_sub_overflow(a, b, ret) overflow_checked(__builtin_sub_overflow(a, b, ret))
#define check_mul_overflow(a, b, ret) overflow_checked(__builtin_mul_overflow(a, b, ret))

/* count * elem bytes, or SIZE_MAX, which no allocator grants. */
static inline size_t array_size(size_t count, size_t elem)
{
	size_t bytes;
	return __builtin_mul_overflow(count, elem, &bytes) ? SIZE_MAX : bytes;
}

static inline size_t flex_size(size_t base, size_t count, size_t elem)
{
	size_t bytes = array_size(count, elem);
	return __builtin_add_overflow(base, bytes, &bytes) ? SIZE_MAX : bytes;
}

/* Bytes of a struct that ends in a flexible array `member` of `count` elements. */
#define struct_size(p, member, count) flex_size(sizeof(*(p)), count, sizeof((p)->member[0]))

/* [off, off + len) lies within [0, limit). */
static inline bool range_within(u64 off, u64 len, u64 limit)
{
	return off <= limit && len <= limit - off;
}

static inline bool ranges_overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}
