// SPDX-License-Identifier: Apache-2.0
/*
 * Block numbers to places in the files of a `dir` block store. Pure arithmetic; no file name ever
 * comes from the storage itself.
 */
#include "lib/secvol/segment.h"

#include "abi/errno.h"
#include "lib/base/fmt.h"

int segment_find(u64 block, u32 count, struct segment_place *ret_place)
{
	u64 at, left;

	if (count == 0 || block >= SEGMENT_BLOCK_LIMIT || count > SEGMENT_BLOCK_LIMIT - block)
		return -ENOSPC;
	if (block < SEGMENT_ROOT_BLOCKS) {
		ret_place->file = 0;
		at = block;
	} else {
		ret_place->file = 1 + (u32)((block - SEGMENT_ROOT_BLOCKS) / SEGMENT_BLOCKS);
		at = (block - SEGMENT_ROOT_BLOCKS) % SEGMENT_BLOCKS;
	}
	left = segment_file_blocks(ret_place->file) - at;
	ret_place->offset = at * PAGE_SIZE;
	ret_place->blocks = (u32)MIN((u64)count, left);
	return 0;
}

void segment_name(u32 file, char name[SEGMENT_NAME_SIZE])
{
	if (file == 0)
		fmt_snprintf(name, SEGMENT_NAME_SIZE, "root");
	else
		fmt_snprintf(name, SEGMENT_NAME_SIZE, "seg.%08x", file - 1);
}
