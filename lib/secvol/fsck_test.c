/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a checker says: a damaged block is found by the scrub and by the check, under the path of
 * its file; the rest is still read; an older root opens. And labels, statistics, items.
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

/* ---- back to an older root ------------------------------------------------------------------- */

static bool is_there(const char *name)
{
	u64 obj;

	return secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &obj, NULL) == 0;
}

static void expect_file(const char *name, size_t size)
{
	static u8 found[sizeof(data)];
	u64 obj;

	assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &obj, NULL), 0);
	assert_int_equal(secvol_read(v, obj, 0, found, size), size);
	assert_memory_equal(found, data, size);
}

/* A volume of several generations: g1, g2, ... one file more in each, one in the last's log. */
static u64 generations(u32 count)
{
	struct secvol_format_params fmt = {.size_blocks = 16384, .ag_log2 = 24};
	struct secvol_info info;
	char name[8];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7 + i / 4096);
	assert_int_equal(fixture_init(&f, 16384), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	for (u32 i = 1; i <= count; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		make(SECVOL_ROOT_OBJ, name, 20000 * i);
		if (i > 1) {
			snprintf(name, sizeof(name), "g%u", i - 1);
			assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, name, 2, false), 0);
		}
		assert_int_equal(secvol_checkpoint(v), 0);
	}
	make(SECVOL_ROOT_OBJ, "log", 30000);
	assert_int_equal(secvol_commit(v), 0);
	secvol_info(v, &info);
	secvol_abandon(v);
	return info.gen;
}

static void an_older_root_becomes_the_present(void **state)
{
	struct secvol_to_root r;
	struct secvol_info info;
	u64 newest = generations(5);

	assert_int_equal(secvol_to_root(&f.params, newest, false, &r), -EINVAL);
	assert_int_equal(secvol_to_root(&f.params, newest + 1, false, &r), -EINVAL);
	assert_int_equal(secvol_to_root(&f.params, newest - 4, true, &r), -EUCLEAN);
	assert_int_equal(secvol_to_root(&f.params, newest - 1, false, &r), 0);
	assert_int_equal(r.from, newest);
	assert_int_equal(r.made, newest + 1);
	assert_true(r.from_opened && r.from_files == 3 && r.to_files == 2);
	/* Writable, consistent, and the newer state is gone from it. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	secvol_info(v, &info);
	assert_int_equal(info.gen, newest + 1);
	assert_int_equal(secvol_check(v, on_damage, NULL), 0);
	assert_true(!is_there("log") && !is_there("g5"));
	expect_file("g4", 80000);
	secvol_abandon(v);
	/* Nothing was overwritten: back again, with what its log held. */
	assert_int_equal(secvol_to_root(&f.params, newest, false, &r), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	expect_file("g5", 100000);
	expect_file("log", 30000);
	make(SECVOL_ROOT_OBJ, "new", 150000);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "g5", 2, false), 0);
	assert_int_equal(secvol_check(v, on_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	expect_file("new", 150000);
	assert_int_equal(secvol_check(v, on_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static int none(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	return -ENOENT;
}

static struct secvol_anchored kept;

static int keep(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		const struct secvol_anchored *to)
{
	kept = *to;
	return 0;
}

static void what_going_back_refuses(void **state)
{
	struct secvol_anchor anchor = {.policy = SECVOL_ANCHOR_STRICT, .get = none, .put = keep};
	struct secvol_to_root r;
	u64 newest = generations(3), block;
	u8 slot[SV_BLOCK];

	/* An anchor, unless asked; then it hears of the state that was and of the new one. */
	f.params.anchor = &anchor;
	assert_int_equal(secvol_to_root(&f.params, newest - 1, false, &r), -ESTALE);
	assert_int_equal(secvol_to_root(&f.params, newest - 1, true, &r), 0);
	assert_int_equal(kept.current.gen, newest);
	assert_true(kept.current.seq > 0);
	assert_int_equal(kept.next.gen, newest + 1);
	f.params.anchor = NULL;
	/* Damaged content, unless asked. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	make(SECVOL_ROOT_OBJ, "bad", 50000);
	assert_int_equal(secvol_checkpoint(v), 0);
	{
		u64 obj;

		assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "bad", 3, &obj, NULL), 0);
		block = first_block(obj);
	}
	make(SECVOL_ROOT_OBJ, "later", 50000);
	assert_int_equal(secvol_checkpoint(v), 0);
	newest = v->gen;
	secvol_abandon(v);
	bs_mem_block(f.bs, block)[9] ^= 1;
	assert_int_equal(secvol_to_root(&f.params, newest - 1, false, &r), -EBADMSG);
	assert_true(r.damages > 0);
	assert_int_equal(secvol_to_root(&f.params, newest - 1, true, &r), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_true(!is_there("later") && is_there("bad"));
	/* A key that the owner has done away with: its roots are of the past. */
	newest = v->gen;
	memcpy(slot, bs_mem_block(f.bs, newest % 4), sizeof(slot));
	assert_int_equal(secvol_rotate(v), 0);
	secvol_abandon(v);
	memcpy(bs_mem_block(f.bs, newest % 4), slot, sizeof(slot)); /* the host has kept it */
	assert_int_equal(secvol_to_root(&f.params, newest, true, &r), -EKEYREJECTED);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* Snapshots and their lists; whichever request of the store fails, one of the two states stays. */
static void going_back_with_snapshots_and_a_log(void **state)
{
	struct secvol_to_root r;
	u64 newest = generations(3), obj;

	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	make(SECVOL_ROOT_OBJ, "kept", 60000);
	assert_int_equal(secvol_snapshot_create(v, "s", 1), 0);
	assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "kept", 4, &obj, NULL), 0);
	assert_int_equal(secvol_write(v, obj, 4096, data, 40000), 40000);
	assert_int_equal(secvol_commit(v), 0); /* in the log: settled by who goes back */
	assert_int_equal(secvol_checkpoint(v), 0);
	assert_int_equal(secvol_snapshot_delete(v, "s", 1), 0);
	newest = v->gen;
	secvol_abandon(v);
	for (u64 back = 1; back < 3; back++) {
		struct bs *copy;
		struct bs_mem_env mem = {.alloc = fixture_alloc, .free = fixture_free, .arg = &f};
		struct secvol_params p = f.params;

		assert_int_equal(bs_mem_new(&mem, 16384, &copy), 0);
		for (u64 i = 0; i < 16384; i++) {
			u8 *block = bs_mem_block(f.bs, i); /* NULL where nothing was written */

			if (block)
				assert_int_equal(bs_write(copy, i, 1, block), 0);
		}
		p.bs = copy;
		assert_int_equal(secvol_to_root(&p, newest - back, false, &r), 0);
		assert_int_equal(secvol_open(&p, &v, NULL), 0);
		assert_int_equal(secvol_check(v, on_damage, NULL), 0);
		assert_int_equal(secvol_snapshot_delete(v, "s", 1), 0);
		assert_int_equal(secvol_check(v, on_damage, NULL), 0);
		assert_int_equal(secvol_close(v), 0);
		copy->ops->close(copy);
	}
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(damage_is_found_and_named, a_damaged_node_is_found, an_older_root_becomes_the_present,
	   what_going_back_refuses, going_back_with_snapshots_and_a_log)
