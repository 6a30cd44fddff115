/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making room on a sparse file before small writes. A block that a file system has not given to a file yet
 * costs it writes of its own when it is made durable (of its maps, or a commit of its journal), which take
 * several times as long as the block. A small write is likely to be followed by a flush, and by others
 * beside it: so the whole MiB around it is first written with zeros where it is a hole. Large writes go
 * past this.
 */
#pragma once

#include "lib/base/types.h"

#define BS_FILL_CHUNK MIB(1)
#define BS_FILL_SMALL KIB(64) /* the longest write that is small */

/* Which chunks of the first GiB of one file have no hole; zero: none is known. */
struct bs_fill {
	u8 known[128];
};

static inline u32 bs_fill_chunk(u64 offset)
{
	return (u32)(offset / BS_FILL_CHUNK);
}

static inline bool bs_fill_is_known(const struct bs_fill *f, u32 chunk)
{
	return chunk >= 8 * sizeof(f->known) || f->known[chunk / 8] >> chunk % 8 & 1;
}

void bs_fill_know(struct bs_fill *f, u32 chunk);
/* Holes were made in [offset, offset + size). */
void bs_fill_forget(struct bs_fill *f, u64 offset, u64 size);

/*
 * Zeros into the holes of a chunk; nobody may write there meanwhile. Does less or nothing where the file
 * system has no holes, or little room.
 */
void bs_fill_chunk_run(int fd, u32 chunk);
