/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata that is there twice: whatever single block of it is damaged, the volume opens with all
 * that it held, to the last commit in its log; the check says that something is wrong, and a scrub
 * repairs it.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

#define BLOCKS 6000u
#define FILES  150u

static struct fixture f;
static struct secvol *v;
static u8 data[9000], back[9000];

static void quiet(void *arg, u64 obj, const char *what, int err)
{
}

static void report_damage(void *arg, u64 obj, const char *what, int err)
{
	print_error("object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static u32 size_of(u32 i)
{
	return i % 3 ? 700 + i : 5000 + i;
}

static void name_of(u32 i, char name[32])
{
	snprintf(name, 32, "a file with a number: %u", i);
}

static void put(u32 i)
{
	struct secvol_attr a;
	char name[32];

	name_of(i, name);
	assert_int_equal(
		secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false, &a),
		0);
	assert_int_equal(secvol_write(v, a.obj, 0, data + i, size_of(i)), size_of(i));
}

/* Nodes of several levels, a snapshot, two groups, and commits that only the log has. */
static void make(void)
{
	struct secvol_format_params fmt = {.size_blocks = BLOCKS, .ag_log2 = 23, .dup = true};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 13 + i / 256);
	assert_int_equal(fixture_init(&f, BLOCKS), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	for (u32 i = 0; i < FILES - 20; i++)
		put(i);
	assert_int_equal(secvol_snapshot_create(v, "s", 1), 0);
	for (u32 i = FILES - 20; i < FILES; i++) {
		if (i == FILES - 10)
			assert_int_equal(secvol_checkpoint(v), 0);
		put(i);
		if (i > FILES - 10)
			assert_int_equal(secvol_commit(v), 0);
	}
	assert_int_equal(secvol_commit(v), 0);
	assert_true(v->fs.root.level > 0 && v->log.blocks > 5);
	secvol_abandon(v);
}

static void expect_all(struct secvol_params *p)
{
	assert_int_equal(secvol_open(p, &v, NULL), 0);
	for (u32 i = 0; i < FILES; i++) {
		char name[32];
		u64 obj;

		name_of(i, name);
		assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &obj, NULL),
				 0);
		assert_int_equal(secvol_read(v, obj, 0, back, sizeof(back)), size_of(i));
		assert_memory_equal(back, data + i, size_of(i));
	}
}

/* Blocks that hold file content: the only ones of which there is one. */
static void find_content(u8 *is_content)
{
	struct sv_key key = sv_key(0, 0, 0);
	struct sv_extent_mem e;
	const u8 *val, *macs;
	u32 size;

	while (sv_tree_next(v, &v->fs, &key, &val, &size) == 0) {
		if (key.type == SV_EXTENT) {
			assert_int_equal(sv_extent_decode(v, &key, val, size, &e, &macs), 0);
			memset(is_content + e.ptr.addr, 1, e.ptr.nblk);
		}
		key.off++;
	}
}

static void any_single_damage_is_survived(void **state)
{
	static u8 is_content[BLOCKS];
	struct secvol_params ro;
	u32 tried = 0, noticed = 0;

	make();
	ro = f.params;
	ro.read_only = true;
	expect_all(&ro);
	find_content(is_content);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	secvol_abandon(v);
	for (u64 b = 0; b < BLOCKS; b++) {
		u8 *block = bs_mem_block(f.bs, b);

		if (!block || is_content[b] || mem_is_zero(block, SV_BLOCK))
			continue;
		block[70 + b % 4000] ^= 0x10;
		expect_all(&ro);
		noticed += secvol_check(v, quiet, NULL) != 0;
		secvol_abandon(v);
		block[70 + b % 4000] ^= 0x10;
		tried++;
	}
	print_message("%u blocks, %u of them used\n", tried, noticed);
	assert_true(tried > 60 && noticed > 30);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static void a_scrub_repairs(void **state)
{
	static u8 is_content[BLOCKS];
	u32 repaired = 0;

	make();
	/* At a root, so that all there is can be repaired. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	put(FILES);
	assert_int_equal(secvol_snapshot_delete(v, "s", 1), 0);
	assert_int_equal(secvol_checkpoint(v), 0);
	find_content(is_content);
	for (u64 b = 0; b < BLOCKS; b++) {
		struct secvol_scrub s = {0};
		u8 *block = bs_mem_block(f.bs, b);

		if (!block || is_content[b] || mem_is_zero(block, SV_BLOCK))
			continue;
		block[70 + b % 4000] ^= 0x10;
		while (!s.passes)
			assert_int_equal(secvol_scrub(v, &s, 10000, report_damage, NULL), 0);
		assert_int_equal(s.damaged, 0);
		assert_in_range(s.repaired, 0, 1);
		repaired += (u32)s.repaired;
		s = (struct secvol_scrub){0};
		while (!s.passes)
			assert_int_equal(secvol_scrub(v, &s, 10000, report_damage, NULL), 0);
		assert_int_equal(s.repaired + s.damaged, 0);
	}
	print_message("%u blocks repaired\n", repaired);
	assert_true(repaired > 20);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	expect_all(&f.params);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* Power went between the two: the next writer opens a volume that the check finds whole. */
static void a_lost_copy_of_the_root_comes_back(void **state)
{
	make();
	for (u32 lost = 0; lost < 2; lost++) {
		u64 slot;

		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		slot = v->gen % SV_ROOT_SLOTS;
		secvol_abandon(v);
		memset(bs_mem_block(f.bs, lost ? SV_ROOT_COPY + slot : slot) + 512, 0, 1024);
		expect_all(&f.params);
		assert_int_equal(secvol_check(v, report_damage, NULL), 0);
		secvol_abandon(v);
	}
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(any_single_damage_is_survived, a_scrub_repairs, a_lost_copy_of_the_root_comes_back)
