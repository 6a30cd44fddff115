/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file whose blocks lie in many places: few requests, the right bytes, and a block that
 * cannot be read harms only those who want it.
 */
#include "tests/unit.h"

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"
#include "tests/fakes/secvol_store.h"

#define BLOCKS 64u

struct watched {
	struct store_above s;
	u32 reads;
	u64 bad; /* a block that cannot be read; 0: none */
	u32 bad_reads;
};

static struct fixture f;
static struct secvol *v;
static struct watched store;
static u64 file;
static u8 expect[BLOCKS][BS_BLOCK], got[BLOCKS][BS_BLOCK];

static void watch(struct store_above *s, struct bs_req *r)
{
	struct watched *w = (struct watched *)s;

	if (r->op != BS_READ)
		return;
	w->reads++;
	if (w->bad && w->bad >= r->block && w->bad < r->block + r->count) {
		w->bad_reads++;
		r->result = -EIO;
	}
}

static void put(u32 block, u8 version)
{
	for (u32 i = 0; i < BS_BLOCK; i++)
		expect[block][i] = (u8)(block * 7 + version + i / 64);
	assert_int_equal(secvol_write(v, file, block * (u64)BS_BLOCK, expect[block], BS_BLOCK),
			 BS_BLOCK);
}

static void reopen(void)
{
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
}

/* Every third block was written again later, in two rounds. */
static void begin(void)
{
	struct secvol_format_params fmt = {.size_blocks = 8192};
	struct secvol_attr a;

	assert_int_equal(fixture_init(&f, 8192), 0);
	fixture_share(&f);
	memset(&store, 0, sizeof(store));
	store_above_init(&store.s, f.bs, watch);
	f.params.bs = &store.s.bs;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "f", 1, 0100644, 0, 0, 0, false, &a), 0);
	file = a.obj;
	for (u32 i = 0; i < BLOCKS; i++)
		put(i, 1);
	assert_int_equal(secvol_commit(v), 0);
	for (u32 from = 1; from < 3; from++) {
		for (u32 i = from; i < BLOCKS; i += 6)
			put(i, (u8)(1 + from));
		assert_int_equal(secvol_commit(v), 0);
	}
	reopen();
}

static void end(void)
{
	assert_int_equal(secvol_check(v, NULL, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	f.params.bs = f.bs;
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static void expect_blocks(u32 block, u32 count)
{
	memset(got, 0, sizeof(got));
	assert_int_equal(secvol_read(v, file, block * (u64)BS_BLOCK, got, count * BS_BLOCK),
			 count * BS_BLOCK);
	assert_memory_equal(got, expect[block], count * BS_BLOCK);
}

static void scattered_blocks_take_few_requests(void **state)
{
	begin();
	for (u32 block = 0; block + 32 < BLOCKS; block += 5) {
		reopen();		      /* nothing is cached */
		expect_blocks(BLOCKS - 1, 1); /* the leaf */
		store.reads = 0;
		expect_blocks(block, 32);
		assert_in_range(store.reads, 1, 3);
	}
	reopen();
	expect_blocks(0, BLOCKS); /* the buffer has no room for what is not wanted */
	end();
}

/* The block's own place is found by reading it alone from a store that says where. */
static u64 last_read;

static void note_place(struct store_above *s, struct bs_req *r)
{
	if (r->op == BS_READ)
		last_read = r->block;
}

static void a_bad_block_harms_itself_alone(void **state)
{
	u8 *to[32];

	begin();
	store.s.after = note_place;
	expect_blocks(9, 1); /* between others that were written again */
	store.s.after = watch;
	store.bad = last_read;
	reopen();
	expect_blocks(0, 9);
	expect_blocks(10, 20);
	assert_int_equal(secvol_read(v, file, 9 * BS_BLOCK, got, BS_BLOCK), -EIO);
	/* One that nobody wants any more, in the middle of what is read. */
	store.bad = 0;
	put(9, 9);
	assert_int_equal(secvol_checkpoint(v), 0);
	reopen();
	store.bad = last_read;
	store.bad_reads = 0;
	expect_blocks(0, 32);
	assert_int_equal(store.bad_reads, 1); /* it was read along */
	/* Who works under the mutex does not ask again: it is not read along there. */
	for (u32 i = 0; i < ARRAY_SIZE(to); i++)
		to[i] = got[i];
	sv_lock(v);
	assert_int_equal(sv_extent_read(v, file, 0, ARRAY_SIZE(to), to), 0);
	sv_unlock(v);
	assert_memory_equal(got, expect, ARRAY_SIZE(to) * BS_BLOCK);
	store.bad = 0;
	end();
}

UNIT_TESTS(scattered_blocks_take_few_requests, a_bad_block_harms_itself_alone)
