/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The B-tree alone: random puts, replacements and deletes of many keys against a sorted array, with
 * a node cache that holds next to nothing, commits, reopenings and crashes in between. And nodes:
 * what is encoded is decoded, what is malformed is refused.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

#define KEYS 60000u

struct value {
	u16 size; /* 0: absent; else size - 1 bytes */
	u8 seed;
};

static struct fixture f;
static struct secvol *v;
static struct value now[KEYS], committed[KEYS];
static u64 seed;

static u32 rnd(u32 n)
{
	return (u32)(fixture_next(&seed) >> 20) % n;
}

/* Spreads the keys over objects and offsets, in ascending order of k. */
static struct sv_key key_of(u32 k)
{
	return sv_key(100 + k / 300, SV_XATTR, (u64)(k % 300) * 0x123456789abull);
}

static void bytes_of(const struct value *val, u8 *to)
{
	for (u32 i = 0; i + 1 < val->size; i++)
		to[i] = (u8)(val->seed + i);
}

static void compare(void)
{
	struct sv_key key = sv_key(100, 0, 0);
	u8 want[SV_ITEM_MAX];
	const u8 *val;
	u32 size;

	for (u32 k = 0; k < KEYS; k++) {
		struct sv_key expect = key_of(k);

		if (!now[k].size)
			continue;
		assert_int_equal(sv_tree_next(v, &v->fs, &key, &val, &size), 0);
		assert_int_equal(sv_key_cmp(&key, &expect), 0);
		assert_int_equal(size, now[k].size - 1);
		bytes_of(&now[k], want);
		assert_memory_equal(val, want, size);
		key.off++;
		if (k % 64 == 0)
			sv_nodes_trim(v);
	}
	assert_int_equal(sv_tree_next(v, &v->fs, &key, &val, &size), -ENOENT);
}

static void put(u32 k, u32 size)
{
	struct sv_key key = key_of(k);
	u8 val[SV_ITEM_MAX];

	now[k].size = (u16)(1 + size);
	now[k].seed = (u8)rnd(256);
	bytes_of(&now[k], val);
	assert_int_equal(sv_tree_put(v, &v->fs, &key, val, size), 0);
	v->dirty = true;
}

static void del(u32 k)
{
	struct sv_key key = key_of(k);

	assert_int_equal(sv_tree_delete(v, &v->fs, &key), now[k].size ? 0 : -ENOENT);
	now[k].size = 0;
	v->dirty = true;
}

static void phase(u32 ops, u32 del_percent, bool sequential)
{
	u32 at = rnd(KEYS);

	for (u32 i = 0; i < ops; i++) {
		u32 k = sequential ? (at + i) % KEYS : rnd(KEYS);

		if (rnd(100) < del_percent)
			del(k);
		else
			put(k, rnd(rnd(20) ? 75 : 600));
		if (v->dirty_nodes > 350 || rnd(10000) == 0) {
			assert_int_equal(secvol_commit(v), 0);
			memcpy(committed, now, sizeof(now));
		}
		if (i % 16 == 0)
			sv_nodes_trim(v);
	}
	compare();
	if (rnd(3) == 0) {
		secvol_abandon(v);
		memcpy(now, committed, sizeof(now));
	} else {
		assert_int_equal(secvol_close(v), 0);
		memcpy(committed, now, sizeof(now));
	}
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_open_commit(v), 0);
	compare();
}

static void random_changes_equal_a_sorted_array(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 60000};

	for (u32 round = 1; round <= 2; round++) {
		seed = 0x9e3779b97f4a7c15ull * round;
		memset(now, 0, sizeof(now));
		memset(committed, 0, sizeof(now));
		assert_int_equal(fixture_init(&f, 60000), 0);
		f.params.node_cache_bytes = 200000;
		fmt.node_log2 = round == 2 ? 15 : 14;
		assert_int_equal(secvol_format(&f.params, &fmt), 0);
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(sv_open_commit(v), 0);
		phase(60000, 10, false);
		phase(60000, 0, true);
		assert_int_equal(v->fs.root.level, fmt.node_log2 == 14 ? 2 : 1);
		phase(60000, 75, false);
		phase(50000, 95, true);
		phase(30000, 20, false);
		phase(KEYS, 100, true);
		phase(25000, 30, true);
		for (u32 k = 0; k < KEYS; k++) {
			if (now[k].size)
				del(k);
		}
		assert_int_equal(secvol_check(v, NULL, NULL), 0);
		assert_int_equal(secvol_close(v), 0);
		fixture_fini(&f);
		assert_int_equal(f.in_use, 0);
	}
}

static void reopen(void)
{
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_open_commit(v), 0);
	compare();
}

/*
 * Where a stretch of keys has gone, an interior node can begin above keys that still belong below
 * it. They come back in each order, and all of them are there after reopening.
 */
static void a_stretch_that_was_deleted_is_filled_again(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 60000, .node_log2 = 14};
	enum { UP, DOWN, RANDOM, ORDERS };
	/* A leaf holds six of them. */
	u32 count = 12000, size = 2400;

	memset(now, 0, sizeof(now));
	seed = 77;
	assert_int_equal(fixture_init(&f, 60000), 0);
	f.params.node_cache_bytes = 200000;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_open_commit(v), 0);
	for (u32 order = UP; order < ORDERS; order++) {
		u32 from = order == UP ? 0 : 1500 + rnd(1000);
		u32 to = order == UP ? count : count - 1500 - rnd(1000);

		for (u32 k = from; k < to; k++) {
			if (now[k].size)
				del(k);
		}
		reopen();
		for (u32 i = 0; i < to - from; i++) {
			u32 k = order == UP ? i : to - from - 1 - i;

			put(from + (order == RANDOM ? rnd(to - from) : k), size);
		}
		reopen();
		assert_int_equal(v->fs.root.level, 2);
	}
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* Any change of a node's bytes is either refused or decodes to something that encodes the same. */
static void malformed_nodes_are_refused(void **state)
{
	static u8 bytes[16384], again[16384], scratch[16384];
	struct sv_node_expect expect = {.tree = SV_TREE_FS, .level = 0, .gen = 9};
	struct sv_node *n, *m;
	u32 refused = 0, gap_end;

	assert_int_equal(fixture_init(&f, 16), 0);
	n = sv_node_new(&f.env, SV_TREE_FS, 0, 100, 16384);
	seed = 42;
	for (u32 i = 0; i < 60; i++) {
		struct sv_key key = sv_key(5 + i / 20, SV_XATTR, i * 77777ull);

		sv_node_insert(n, i, &key, bytes, rnd(100), scratch);
	}
	assert_int_equal(sv_node_encode(n, 9, bytes, sizeof(bytes)), 0);
	assert_int_equal(sv_node_decode(&f.env, bytes, sizeof(bytes), &expect, &m), 0);
	assert_int_equal(m->n, n->n);
	assert_int_equal(m->used, n->used);
	sv_node_free(&f.env, m);
	gap_end = sizeof(bytes) - (n->used - 48 - n->n * 6);
	for (u32 i = 0; i < 20000; i++) {
		u32 at = rnd(3) ? rnd(48 + 60 * 6) : rnd(sizeof(bytes));
		u8 old = bytes[at];

		bytes[at] = (u8)rnd(256);
		if (sv_node_decode(&f.env, bytes, sizeof(bytes), &expect, &m) == 0) {
			assert_int_equal(sv_node_encode(m, 9, again, sizeof(again)), 0);
			/* But for the gap between slots and records, which nothing reads. */
			assert_memory_equal(again, bytes, 48 + n->n * 6);
			assert_memory_equal(again + gap_end, bytes + gap_end,
					    sizeof(bytes) - gap_end);
			sv_node_free(&f.env, m);
		} else {
			refused++;
		}
		bytes[at] = old;
	}
	assert_true(refused > 9000);
	/* What could not be decoded is not encoded either. */
	memset(again, 0x5a, sizeof(again));
	assert_int_equal(sv_node_encode(n, 9, again, n->used - 1), -EUCLEAN);
	n->items[1].key = n->items[2].key;
	assert_int_equal(sv_node_encode(n, 9, again, sizeof(again)), -EUCLEAN);
	assert_int_equal(again[0], 0x5a);
	sv_node_free(&f.env, n);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/*
 * A checkpoint of many leaves, in a volume of many groups: while some of them wait to be written, a
 * place for the next one is looked for in a group that is not in memory yet.
 */
static void leaves_are_written_while_groups_are_read(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 30000, .ag_log2 = 20};
	enum { LEAVES = 1200, SIZE = 2400 };

	memset(now, 0, sizeof(now));
	seed = 5;
	assert_int_equal(fixture_init(&f, 30000), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_open_commit(v), 0);
	for (u32 k = 0; k < 6 * LEAVES; k++)
		put(k, SIZE);
	for (u32 round = 0; round < 3; round++) {
		reopen();
		for (u32 k = round; k < 6 * LEAVES; k += 6) {
			struct sv_key key = key_of(k);
			u8 val[SIZE];

			now[k].seed = (u8)rnd(256);
			bytes_of(&now[k], val);
			assert_int_equal(sv_delta_put(v, &key, val, SIZE), 0);
		}
		assert_int_equal(secvol_checkpoint(v), 0);
		assert_true(v->loaded_ags < v->ag_count);
	}
	reopen();
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* ---- forged trees ---------------------------------------------------------------------------- */

/* A node of one item per key, sealed as a volume's owner can, at a place of its own. */
static void forge_node(u8 level, u64 step, u32 n, const struct sv_ptr *child, struct sv_ptr *ret)
{
	struct sv_node *node = sv_node_new(&f.env, SV_TREE_FS, level, n, 1 << 14);
	struct sv_key owner = sv_key(SV_TREE_FS, 0, 0);
	u8 scratch[1 << 14];

	*ret = (struct sv_ptr){
		.nblk = v->node_blocks, .birth = v->gen + 1, .type = SV_TREE_FS, .level = level};
	for (u32 i = 0; i < n; i++) {
		struct sv_key key = sv_key(i * step, SV_INODE, 0);
		struct sv_bptr p = {0};

		if (child)
			sv_ptr_encode(v, child, &p);
		sv_node_insert(node, i, &key, &p, sizeof(p), scratch);
	}
	assert_int_equal(sv_alloc_node(v, false, &ret->addr), 0);
	assert_int_equal(sv_node_encode(node, ret->birth, v->node_buf, v->node_size), 0);
	assert_int_equal(
		sv_seal_unit(v, SV_DOM_NODE, level, &owner, v->node_buf, v->node_size, ret), 0);
	memcpy(v->io, v->node_buf, v->node_size);
	assert_int_equal(bs_write(v->bs, ret->addr, ret->nblk, v->io), 0);
	sv_node_free(&f.env, node);
}

static u32 damages;

static void count_damage(void *arg, u64 obj, const char *what, int err)
{
	if (++damages > 20000)
		fail_msg("a few nodes are walked for ever");
}

/* Few nodes whose pointers all lead to the same one below: a walk must not follow each of them. */
static void a_node_has_one_place_in_the_tree(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 6000};
	struct sv_ptr child, parent;
	u64 step = 1;

	assert_int_equal(fixture_init(&f, 6000), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(sv_open_commit(v), 0);
	forge_node(0, 0, 1, NULL, &child);
	for (u8 level = 1; level < 8; level++, step *= 200, child = parent)
		forge_node(level, step, 200, &child, &parent);
	v->fs.root = parent;
	v->dirty = true;
	assert_int_equal(secvol_checkpoint(v), 0);
	secvol_abandon(v);

	f.params.read_only = true;
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	damages = 0;
	assert_int_equal(secvol_check(v, count_damage, NULL), -EUCLEAN);
	secvol_abandon(v);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* An address with the bit that marks nodes in memory is no address on a store. */
static void pointers_lead_to_the_store(void **state)
{
	struct sv_node_expect expect = {.tree = SV_TREE_FS, .level = 1, .gen = 9};
	struct sv_bptr p = {.addr_nblk = le64_put(SV_VIRTUAL | 5 | 4ull << 48)};
	struct sv_key key = sv_key(3, SV_INODE, 0);
	u8 scratch[1 << 14], bytes[1 << 14];
	struct sv_node *n, *m = NULL;

	assert_int_equal(fixture_init(&f, 64), 0);
	n = sv_node_new(&f.env, SV_TREE_FS, 1, 4, 1 << 14);
	sv_node_insert(n, 0, &key, &p, sizeof(p), scratch);
	assert_int_equal(sv_node_encode(n, 9, bytes, sizeof(bytes)), 0);
	assert_int_equal(sv_node_decode(&f.env, bytes, sizeof(bytes), &expect, &m), -EUCLEAN);
	sv_node_free(&f.env, n);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(random_changes_equal_a_sorted_array, leaves_are_written_while_groups_are_read,
	   a_stretch_that_was_deleted_is_filled_again, malformed_nodes_are_refused,
	   a_node_has_one_place_in_the_tree, pointers_lead_to_the_store)
