/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a volume lies in a directory (the `dir` block store): the kernel's and the host tools'
 * backends agree by using this.
 *
 *   DIR/root           blocks 0..15: root slots and reserved
 *   DIR/seg.00000000   the next 1 GiB (one default allocation group)
 *   DIR/seg.00000001   ...
 *
 * Files are sparse and grow as they are written; a missing file, and what lies behind the end of
 * one, reads as zeros.
 */
#pragma once

#include "lib/base/types.h"

#define SEGMENT_ROOT_BLOCKS 16u
#define SEGMENT_BLOCKS	    (1u << 18) /* 1 GiB */
#define SEGMENT_MAX	    (1u << 20) /* files beside `root`: 1 PiB */
#define SEGMENT_BLOCK_LIMIT (SEGMENT_ROOT_BLOCKS + (u64)SEGMENT_BLOCKS * SEGMENT_MAX)

enum { SEGMENT_NAME_SIZE = 16 };

struct segment_place {
	u32 file;   /* 0: `root`; i: seg.(i - 1) */
	u32 blocks; /* how many of those asked for lie in this file */
	u64 offset; /* bytes from its start */
};

/* Where `count` (>= 1) blocks from `block` on begin; -ENOSPC beyond SEGMENT_BLOCK_LIMIT. */
int __must_check segment_find(u64 block, u32 count, struct segment_place *ret_place);

/* Blocks that file `file` holds at most. */
static inline u32 segment_file_blocks(u32 file)
{
	return file ? SEGMENT_BLOCKS : SEGMENT_ROOT_BLOCKS;
}

/* First block of a file. */
static inline u64 segment_first_block(u32 file)
{
	return file ? SEGMENT_ROOT_BLOCKS + (u64)(file - 1) * SEGMENT_BLOCKS : 0;
}

void segment_name(u32 file, char name[SEGMENT_NAME_SIZE]);
