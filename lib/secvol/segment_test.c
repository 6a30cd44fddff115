/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the mapping from blocks to the files of a `dir` store. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/secvol/segment.h"

static void places_are_contiguous(void **state)
{
	struct segment_place p;
	char name[SEGMENT_NAME_SIZE];

	assert_int_equal(segment_find(0, 1, &p), 0);
	assert_true(p.file == 0 && p.offset == 0 && p.blocks == 1);
	assert_int_equal(segment_find(10, 100, &p), 0);
	assert_true(p.file == 0 && p.offset == 10 * 4096 && p.blocks == 6);
	assert_int_equal(segment_find(16, 100, &p), 0);
	assert_true(p.file == 1 && p.offset == 0 && p.blocks == 100);
	assert_int_equal(segment_find(16 + SEGMENT_BLOCKS - 1, 5, &p), 0);
	assert_true(p.file == 1 && p.offset == GIB(1) - 4096 && p.blocks == 1);
	assert_int_equal(segment_find(16 + SEGMENT_BLOCKS, 5, &p), 0);
	assert_true(p.file == 2 && p.offset == 0 && p.blocks == 5);
	for (u32 f = 0; f < 5; f++) {
		assert_int_equal(segment_find(segment_first_block(f), 1, &p), 0);
		assert_true(p.file == f && p.offset == 0);
	}
	segment_name(0, name);
	assert_string_equal(name, "root");
	segment_name(1, name);
	assert_string_equal(name, "seg.00000000");
	segment_name(SEGMENT_MAX, name);
	assert_string_equal(name, "seg.000fffff");
}

static void the_end_is_refused(void **state)
{
	struct segment_place p;

	assert_int_equal(segment_find(SEGMENT_BLOCK_LIMIT - 1, 1, &p), 0);
	assert_int_equal(p.file, SEGMENT_MAX);
	assert_int_equal(segment_find(SEGMENT_BLOCK_LIMIT - 1, 2, &p), -ENOSPC);
	assert_int_equal(segment_find(SEGMENT_BLOCK_LIMIT, 1, &p), -ENOSPC);
	assert_int_equal(segment_find(~0ull, 1, &p), -ENOSPC);
	assert_int_equal(segment_find(5, 0, &p), -ENOSPC);
}

UNIT_TESTS(places_are_contiguous, the_end_is_refused)
