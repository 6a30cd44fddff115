/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes of many groups, of which few are in memory: what lies together, and what happens where
 * one cannot be brought in.
 */
#include "tests/unit.h"

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

/* In a volume of which several groups have to be loaded to know that there is room for nodes. */
static void log_and_data_lie_together(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 1u << 28};
	static u8 data[3 * SV_BLOCK];
	struct secvol_attr a;
	struct fixture f;
	struct secvol *vol;

	assert_int_equal(fixture_init(&f, fmt.size_blocks), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	for (u32 round = 0; round < 3; round++) {
		char name[] = {(char)('a' + round)};

		assert_int_equal(secvol_open(&f.params, &vol, NULL), 0);
		assert_int_equal(
			secvol_create(vol, SECVOL_ROOT_OBJ, name, 1, 0100644, 0, 0, 0, false, &a),
			0);
		assert_int_equal(secvol_write(vol, a.obj, 0, data, sizeof(data)), sizeof(data));
		assert_int_equal(secvol_commit(vol), 0);
		assert_int_equal(vol->log.segs.n, 1);
		assert_int_equal((vol->log.segs.run[0].addr - SV_FIRST_AG) / sv_ag_blocks(vol),
				 vol->data_ag);
		assert_int_equal(secvol_close(vol), 0);
	}
	fixture_fini(&f);
}

/* A volume of small groups, with one file and a checkpoint. */
static struct secvol *with_small_groups(struct fixture *f, u64 blocks, const u8 *data, size_t size,
					u64 *ret_obj)
{
	struct secvol_format_params fmt = {.size_blocks = blocks, .ag_log2 = 21};
	struct secvol_attr a;
	struct secvol *vol;

	assert_int_equal(fixture_init(f, blocks), 0);
	assert_int_equal(secvol_format(&f->params, &fmt), 0);
	assert_int_equal(secvol_open(&f->params, &vol, NULL), 0);
	assert_int_equal(secvol_create(vol, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a),
			 0);
	assert_int_equal(secvol_write(vol, a.obj, 0, data, size), size);
	assert_int_equal(secvol_checkpoint(vol), 0);
	*ret_obj = a.obj;
	return vol;
}

/* All but `keep`; none may have changes. */
static void unload_groups(struct secvol *vol, u32 keep)
{
	for (u32 i = 0; i < vol->ag_count; i++) {
		if (vol->ag[i] && i != keep)
			sv_ag_unload(vol, i);
	}
}

/* Where little is free in the loaded groups others are asked; they need not answer. */
static void a_group_that_cannot_be_loaded_is_not_needed(void **state)
{
	static u8 data[3 * SV_BLOCK];
	struct fixture f;
	u64 addr, obj;
	struct secvol *vol = with_small_groups(&f, 1u << 15, data, sizeof(data), &obj);
	u32 n;

	unload_groups(vol, vol->data_ag);
	f.fail_alloc_after = 0;
	assert_int_equal(sv_alloc_blocks(vol, 8, &addr, &n), 0);
	assert_int_equal(f.fail_alloc_after, -1); /* one was asked */
	assert_int_equal((addr - SV_FIRST_AG) / sv_ag_blocks(vol), vol->data_ag);
	assert_true(n > 0);
	secvol_abandon(vol);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* A write that needs one whose bitmap is damaged says so, and nothing has happened. */
static void a_damaged_group_that_is_needed_is_named(void **state)
{
	static u8 data[40 * SV_BLOCK];
	struct fixture f;
	u64 obj;
	/* What is held back for commits is more than one group has. */
	struct secvol *vol = with_small_groups(&f, 1u << 16, data, sizeof(data), &obj);
	u32 which = vol->data_ag;
	u8 *bitmap;

	assert_true(vol->ag[which]->written);
	bitmap = bs_mem_block(f.bs, vol->ag[which]->ptr.addr);
	unload_groups(vol, UINT32_MAX);
	bitmap[5] ^= 1;
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(secvol_write(vol, obj, 0, data, sizeof(data)), -EBADMSG);
	bitmap[5] ^= 1;
	assert_int_equal(secvol_write(vol, obj, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(secvol_check(vol, NULL, NULL), 0);
	assert_int_equal(secvol_close(vol), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(log_and_data_lie_together, a_group_that_cannot_be_loaded_is_not_needed,
	   a_damaged_group_that_is_needed_is_named)
