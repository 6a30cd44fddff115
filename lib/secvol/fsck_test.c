/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a checker says: a damaged block is found by the scrub and by the check, under the path of its
 * file; the rest is still read; an older root opens. And labels, statistics, items.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

static struct fixture f;
static struct secvol *v;
static u8 data[200000];

static u64 make(u64 dir, const char *name, size_t size)
{
	struct secvol_attr a;

	assert_int_equal(secvol_create(v, dir, name, strlen(name), size ? 0100644 : 0040755, 0, 0,
				       0, false, &a),
			 0);
	if (size)
		assert_int_equal(secvol_write(v, a.obj, 0, data, size), size);
	return a.obj;
}

static u64 damaged;

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	damaged = obj;
}

static u64 first_block(u64 obj)
{
	struct sv_key key = sv_key(obj, SV_EXTENT, 0);
	const u8 *val;
	u32 size;

	assert_int_equal(sv_tree_next(v, &v->fs, &key, &val, &size), 0);
	return le64_get(((const struct sv_extent *)val)->addr_nblk) & ((1ull << 48) - 1);
}

static void count_item(void *arg, u64 obj, u8 type, u64 off, const u8 *val, u32 size)
{
	u32 *counts = arg;

	counts[type]++;
}

static void damage_is_found_and_named(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 4096};
	struct secvol_scrub s = {0};
	struct secvol_info info;
	struct secvol_params p;
	u32 counts[256] = {0};
	u64 dir, sub, good, bad, gen;
	char path[300];

	assert_int_equal(fixture_init(&f, 4096), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	dir = make(SECVOL_ROOT_OBJ, "dir", 0);
	sub = make(dir, "sub", 0);
	good = make(SECVOL_ROOT_OBJ, "good", 50000);
	assert_int_equal(secvol_checkpoint(v), 0);
	secvol_info(v, &info);
	gen = info.gen;
	bad = make(sub, "bad file", sizeof(data));
	assert_int_equal(secvol_set_label(v, "a label", 7), 0);
	assert_int_equal(secvol_path(v, bad, path, sizeof(path)), 0);
	assert_string_equal(path, "/dir/sub/bad file");
	assert_int_equal(secvol_path(v, bad, path, 10), -ERANGE);
	assert_int_equal(secvol_path(v, 999, path, sizeof(path)), -ENOENT);
	assert_int_equal(secvol_path(v, SECVOL_ROOT_OBJ, path, sizeof(path)), 0);
	assert_string_equal(path, "/");
	assert_int_equal(secvol_items(v, count_item, counts), 0);
	assert_int_equal(counts[SV_INODE], 5);
	assert_int_equal(counts[SV_DIRENT], 4);
	while (!s.passes)
		assert_int_equal(secvol_scrub(v, &s, 16, on_damage, NULL), 0);
	assert_int_equal(s.damaged, 0);
	assert_true(s.blocks >= (sizeof(data) + 50000) / 4096);
	bs_mem_block(f.bs, first_block(bad) + 3)[77] ^= 1;
	while (s.passes < 2)
		assert_int_equal(secvol_scrub(v, &s, 16, on_damage, NULL), 0);
	assert_int_equal(s.damaged, 1);
	assert_int_equal(damaged, bad);
	damaged = 0;
	assert_int_equal(secvol_check(v, on_damage, NULL), -EBADMSG);
	assert_int_equal(damaged, bad);
	assert_int_equal(secvol_close(v), 0);
	/* What does open can be taken out. */
	p = f.params;
	p.read_only = true;
	assert_int_equal(secvol_open(&p, &v, NULL), 0);
	secvol_info(v, &info);
	assert_string_equal(info.label, "a label");
	assert_int_equal(secvol_read(v, good, 0, data, 50000), 50000);
	assert_int_equal(secvol_read(v, bad, 0, data, 4096), 4096);
	assert_int_equal(secvol_read(v, bad, 3 * 4096, data, 4096), -EBADMSG);
	secvol_abandon(v);
	/* A kept older root; and one that is no longer there. */
	p.root_gen = gen;
	assert_int_equal(secvol_open(&p, &v, NULL), 0);
	assert_int_equal(secvol_lookup(v, sub, "bad file", 8, &bad, NULL), -ENOENT); /* later */
	assert_int_equal(secvol_read(v, good, 0, data, 50000), 50000);
	secvol_abandon(v);
	p.root_gen = 1;
	assert_int_equal(secvol_open(&p, &v, NULL), -EUCLEAN);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* A damaged leaf does not end the scrub. */
static void a_damaged_node_is_found(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 8192};
	struct secvol_scrub s = {0};
	char name[32];

	assert_int_equal(fixture_init(&f, 8192), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	for (u32 i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		make(SECVOL_ROOT_OBJ, name, 1500);
	}
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	{
		struct sv_key key = sv_key(0, 0, 0);
		struct sv_node *root;
		struct sv_ptr p;
		const u8 *val;
		u32 size;

		assert_int_equal(sv_base_next(v, &v->fs, &key, &val, &size), 0);
		root = sv_node_find(v, v->fs.root.addr);
		assert_true(root->level > 0 && root->n > 4);
		assert_int_equal(
			sv_ptr_decode(v, (const struct sv_bptr *)sv_node_value(root, 2), &p), 0);
		bs_mem_block(f.bs, p.addr)[5] ^= 1;
	}
	for (u32 i = 0; !s.passes; i++) {
		assert_int_equal(secvol_scrub(v, &s, 4, NULL, NULL), 0);
		assert_true(i < 1000);
	}
	assert_int_equal(s.damaged, 1);
	assert_true(s.blocks > 100);
	secvol_abandon(v);
	fixture_fini(&f);
}

UNIT_TESTS(damage_is_found_and_named, a_damaged_node_is_found)
