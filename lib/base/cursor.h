/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading bytes that came from elsewhere. A cursor never reads past its end: a read that would
 * sets `bad`, returns zeros and every later read fails too, so a parser may check once at the end
 * of a record. Borrowed memory: the caller keeps the bytes alive and unchanging.
 */
#pragma once

#include "lib/base/le.h"

struct cursor {
	const u8 *pos;
	const u8 *end;
	bool bad;
};

static inline struct cursor cursor_of(const void *bytes, size_t size)
{
	return (struct cursor){.pos = bytes, .end = (const u8 *)bytes + size, .bad = false};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->pos);
}

static inline bool cursor_is_ok(const struct cursor *c)
{
	return !c->bad;
}

/* All was read and nothing is left over. */
static inline bool cursor_is_done(const struct cursor *c)
{
	return !c->bad && c->pos == c->end;
}

/* Borrows the next `size` bytes, or NULL. */
static inline const void *cursor_take(struct cursor *c, size_t size)
{
	const u8 *at = c->pos;

	if (c->bad || size > (size_t)(c->end - c->pos)) {
		c->bad = true;
		return NULL;
	}
	c->pos += size;
	return at;
}

static inline void cursor_copy(struct cursor *c, void *to, size_t size)
{
	const void *at = cursor_take(c, size);

	if (at)
		__builtin_memcpy(to, at, size);
	else
		__builtin_memset(to, 0, size);
}

static inline u8 cursor_u8(struct cursor *c)
{
	const u8 *at = cursor_take(c, 1);
	return at ? *at : 0;
}

static inline u16 cursor_le16(struct cursor *c)
{
	const void *at = cursor_take(c, 2);
	return at ? le16_at(at) : 0;
}

static inline u32 cursor_le32(struct cursor *c)
{
	const void *at = cursor_take(c, 4);
	return at ? le32_at(at) : 0;
}

static inline u64 cursor_le64(struct cursor *c)
{
	const void *at = cursor_take(c, 8);
	return at ? le64_at(at) : 0;
}
