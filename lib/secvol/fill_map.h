/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which chunks of a store's file may have their holes filled with zeros before a small write. A
 * block that a file system has not given to a file yet costs it writes of its own when it is made
 * durable (of its maps, or a commit of its journal), which take several times as long as the block.
 * A small write is likely to be followed by a flush, and by others beside it: so the whole chunk
 * around it is filled first. Large writes go past this.
 *
 * There are file systems that call a hole what was written and is only in memory yet. So nothing is
 * filled where something was written since the last good flush, by us or by who had the file
 * before.
 *
 * The owner's lock guards a map. Nobody may write to a file while it is filled, and a write is
 * noted when it is over, whether it went well or not.
 */
#pragma once

#include "lib/base/string.h"
#include "lib/base/types.h"

#define FILL_CHUNK  MIB(1)
#define FILL_CHUNKS 1024u /* that are kept track of: of a segment all */

/* Zero: a new file. */
struct fill_map {
	u8 filled[FILL_CHUNKS / 8];    /* has no holes */
	u8 unflushed[FILL_CHUNKS / 8]; /* what seems to be a hole may be none */
	u32 writes;
};

static inline void fill_map_put(u8 *map, u64 offset, u64 size, bool on)
{
	for (u64 c = offset / FILL_CHUNK; c < FILL_CHUNKS && c * FILL_CHUNK < offset + size; c++) {
		u8 bit = (u8)(1u << c % 8);

		map[c / 8] = on ? map[c / 8] | bit : map[c / 8] & (u8)~bit;
	}
}

static inline bool fill_map_wants(const struct fill_map *m, u64 chunk)
{
	return chunk < FILL_CHUNKS &&
	       !((m->filled[chunk / 8] | m->unflushed[chunk / 8]) >> chunk % 8 & 1);
}

static inline void fill_map_filled(struct fill_map *m, u64 chunk)
{
	fill_map_put(m->filled, chunk * FILL_CHUNK, FILL_CHUNK, true);
}

/* Holes were made in [offset, offset + size). */
static inline void fill_map_punched(struct fill_map *m, u64 offset, u64 size)
{
	fill_map_put(m->filled, offset, size, false);
}

static inline void fill_map_wrote(struct fill_map *m, u64 offset, u64 size)
{
	fill_map_put(m->unflushed, offset, size, true);
	m->writes++;
}

/* The file was there before: who wrote it may not have flushed. */
static inline void fill_map_opened(struct fill_map *m)
{
	memset(m->unflushed, 0xff, sizeof(m->unflushed));
}

/* A flush went well that began when `writes` was what is given. */
static inline void fill_map_flushed(struct fill_map *m, u32 writes)
{
	if (m->writes == writes)
		memset(m->unflushed, 0, sizeof(m->unflushed));
}
