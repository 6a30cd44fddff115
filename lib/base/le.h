/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian fields of bytes on disk and wire: alignment 1, not mixable with host integers.
 * Each accessor compiles to one load or store.
 */
#pragma once

#include "lib/base/types.h"

struct le16 {
	u8 b[2];
};
struct le32 {
	u8 b[4];
};
struct le64 {
	u8 b[8];
};
typedef struct le16 le16;
typedef struct le32 le32;
typedef struct le64 le64;

static inline u16 le16_get(le16 v)
{
	u16 x;
	__builtin_memcpy(&x, v.b, sizeof(x));
	return x;
}

static inline u32 le32_get(le32 v)
{
	u32 x;
	__builtin_memcpy(&x, v.b, sizeof(x));
	return x;
}

static inline u64 le64_get(le64 v)
{
	u64 x;
	__builtin_memcpy(&x, v.b, sizeof(x));
	return x;
}

static inline le16 le16_put(u16 x)
{
	le16 v;
	__builtin_memcpy(v.b, &x, sizeof(x));
	return v;
}

static inline le32 le32_put(u32 x)
{
	le32 v;
	__builtin_memcpy(v.b, &x, sizeof(x));
	return v;
}

static inline le64 le64_put(u64 x)
{
	le64 v;
	__builtin_memcpy(v.b, &x, sizeof(x));
	return v;
}

/* Read an integer that lies at any alignment in a byte buffer the caller has bounds-checked. */
static inline u16 le16_at(const void *p)
{
	return le16_get(*(const le16 *)p);
}

static inline u32 le32_at(const void *p)
{
	return le32_get(*(const le32 *)p);
}

static inline u64 le64_at(const void *p)
{
	return le64_get(*(const le64 *)p);
}
