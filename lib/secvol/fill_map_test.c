/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the map that says where holes may be filled. */
#include "tests/unit.h"

#include "lib/secvol/fill_map.h"

static void what_was_written_is_left_alone_until_a_flush(void **state)
{
	struct fill_map m = {0};
	u32 writes;

	assert_true(fill_map_wants(&m, 0) && fill_map_wants(&m, FILL_CHUNKS - 1));
	assert_false(fill_map_wants(&m, FILL_CHUNKS));
	/* over the edge of two chunks */
	fill_map_wrote(&m, 3 * FILL_CHUNK - 4096, 8192);
	assert_true(fill_map_wants(&m, 1) && fill_map_wants(&m, 4));
	assert_false(fill_map_wants(&m, 2) || fill_map_wants(&m, 3));
	fill_map_punched(&m, 2 * FILL_CHUNK, FILL_CHUNK);
	assert_false(fill_map_wants(&m, 2));
	/* a flush says nothing of a write that ended while it lasted */
	writes = m.writes;
	fill_map_wrote(&m, 7 * FILL_CHUNK, 4096);
	fill_map_flushed(&m, writes);
	assert_false(fill_map_wants(&m, 2) || fill_map_wants(&m, 7));
	fill_map_flushed(&m, m.writes);
	assert_true(fill_map_wants(&m, 2) && fill_map_wants(&m, 7));
	/* behind what is kept track of */
	fill_map_wrote(&m, (u64)FILL_CHUNKS * FILL_CHUNK - 4096, 8192);
	assert_false(fill_map_wants(&m, FILL_CHUNKS - 1));
}

static void what_is_full_is_filled_once_and_after_a_punch(void **state)
{
	struct fill_map m = {0};

	fill_map_filled(&m, 5);
	assert_true(fill_map_wants(&m, 4) && fill_map_wants(&m, 6));
	assert_false(fill_map_wants(&m, 5));
	fill_map_flushed(&m, m.writes);
	assert_false(fill_map_wants(&m, 5));
	fill_map_punched(&m, 6 * FILL_CHUNK - 4096, 4096);
	assert_true(fill_map_wants(&m, 5));
}

static void a_file_that_was_there_is_flushed_first(void **state)
{
	struct fill_map m = {0};

	fill_map_opened(&m);
	assert_false(fill_map_wants(&m, 0) || fill_map_wants(&m, FILL_CHUNKS - 1));
	fill_map_flushed(&m, m.writes);
	assert_true(fill_map_wants(&m, 0) && fill_map_wants(&m, FILL_CHUNKS - 1));
}

UNIT_TESTS(what_was_written_is_left_alone_until_a_flush,
	   what_is_full_is_filled_once_and_after_a_punch, a_file_that_was_there_is_flushed_first)
