// SPDX-License-Identifier: Apache-2.0
/*
 * The volume of the fuzz targets: HASH mode read-write with SECVOL_FAULT_NO_TAG_CHECK, so that what
 * a hostile *writer* could have signed is what the parsers see. Whatever happens, all memory must
 * come back and names and sizes must be sane.
 */
#include "fuzz/secvol_base.h"

#include <stdlib.h>
#include <string.h>

#include "lib/secvol/node.h"

static const struct op ops[] = {
	{.kind = OP_MKDIR, .a = "d"},
	{.kind = OP_CREATE, .a = "a"},
	{.kind = OP_WRITE, .a = "a", .len = 40, .seed = 1},
	{.kind = OP_CREATE, .a = "d/big"},
	{.kind = OP_WRITE, .a = "d/big", .len = 12000, .seed = 2},
	{.kind = OP_SYMLINK, .a = "e", .b = "d/big"},
	{.kind = OP_LINK, .a = "a", .b = "d/l"},
	{.kind = OP_COMMIT},
	{.kind = OP_SNAP, .a = "one"},
	{.kind = OP_WRITE, .a = "d/big", .off = 4096, .len = 5000, .seed = 3},
	{.kind = OP_SNAP, .a = "two"},
	{.kind = OP_WRITE, .a = "d/big", .len = 12000, .seed = 4},
	{.kind = OP_COMMIT},
};

struct fuzz_volume *fuzz_volume_get(void)
{
	static struct fuzz_volume f;
	static bool made;
	struct secvol_format_params format = {.size_blocks = EXPLORE_BLOCKS};
	struct secvol_report report;
	struct secvol_params p;
	struct secvol *v;
	u64 gen = 0, obj;

	if (made)
		return &f;
	made = true;
	explore_init(&f.x);
	f.x.plain = true;
	f.sim = bs_sim_new(EXPLORE_BLOCKS);
	p = explore_params(&f.x, &f.sim->bs);
	if (secvol_format(&p, &format) || secvol_open(&p, &v, &report))
		abort();
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++)
		if (volume_apply(v, &ops[i]))
			abort();
	if (volume_find(v, "a", &obj) || secvol_setxattr(v, obj, "user.x", "value", 5, 0) ||
	    secvol_sites_write(v, obj, 0, 1,
			       &(struct secvol_site){.offset = 77, .kind = 1, .len = 5}, 1) ||
	    secvol_reserve(v, obj, 8192, 40000))
		abort();
	if (secvol_close(v))
		abort();
	f.disk = sim_state_copy(&f.sim->now);
	for (u64 b = 0; b < SV_ROOT_SLOTS; b++) {
		const struct sv_root_slot *slot = (const void *)f.disk.block[b];

		if (!slot || le64_get(slot->clear.gen) < gen)
			continue;
		gen = le64_get(slot->clear.gen);
		f.root_block = b;
		f.log_block = le64_get(slot->body.log_addr) & ((1ull << 48) - 1);
		f.snap_block = le64_get(slot->body.snap_tree.addr_nblk) & ((1ull << 48) - 1);
		f.log_seq = le64_get(slot->body.log_first_seq);
		f.node_block = le64_get(slot->body.fs_tree.addr_nblk) & ((1ull << 48) - 1);
	}
	f.x.hooks.faults = SECVOL_FAULT_NO_TAG_CHECK;
	return &f;
}

static void use_objects(struct secvol *v)
{
	static struct secvol_site sites[SECVOL_SITES_PER_CHUNK];
	static char text[4096];
	static u8 bytes[20000];
	u16 version;

	for (u64 obj = 1; obj < 9; obj++) {
		struct secvol_attr a;
		long n;
		u64 at;

		if (secvol_getattr(v, obj, &a))
			continue;
		n = secvol_read(v, obj, 0, bytes, sizeof(bytes));
		if (n > (long)sizeof(bytes))
			abort();
		(void)!secvol_readlink(v, obj, text, sizeof(text));
		(void)!secvol_getxattr(v, obj, "user.x", bytes, sizeof(bytes));
		(void)!secvol_listxattr(v, obj, text, sizeof(text));
		(void)!secvol_seek(v, obj, 0, true, &at);
		n = secvol_sites_read(v, obj, 0, &version, sites, ARRAY_SIZE(sites));
		if (n > (long)ARRAY_SIZE(sites))
			abort();
	}
}

void fuzz_volume_use(struct fuzz_volume *f, struct bs_sim *sim)
{
	struct secvol_params p = explore_params(&f->x, &sim->bs);
	struct op write = {.kind = OP_WRITE, .a = "d/big", .off = 3000, .len = 5000, .seed = 9};
	struct op make = {.kind = OP_CREATE, .a = "d/new"};
	struct op gone = {.kind = OP_UNLINK, .a = "a"};
	struct secvol_report report;
	struct secvol *v;
	u8 digest[32];

	for (int read_only = 1; read_only >= 0; read_only--) {
		p.read_only = read_only;
		if (secvol_open(&p, &v, &report))
			continue;
		use_objects(v);
		/* A directory that holds itself, or a huge sparse file, would keep a dump busy. */
		if (secvol_check(v, NULL, NULL) == 0)
			(void)!volume_dump(v, digest);
		if (!read_only) {
			(void)!volume_apply(v, &write);
			(void)!volume_apply(v, &make);
			(void)!volume_apply(v, &gone);
			(void)!secvol_commit(v);
			(void)!secvol_snapshot_delete(v, "one", 3);
			(void)!secvol_snapshot_rollback(v, "two", 3);
			(void)!secvol_snapshot_create(v, "new", 3);
		}
		secvol_abandon(v);
	}
	p.read_only = true;
	for (u32 i = 0; i < 2; i++) {
		p.snapshot = i ? "two" : "one";
		if (secvol_open(&p, &v, &report))
			continue;
		use_objects(v);
		(void)!secvol_check(v, NULL, NULL);
		secvol_abandon(v);
	}
	if (f->x.env.live)
		abort(); /* leaked */
}

static void leaf_change(struct sv_node *n, const u8 *bytes, size_t size)
{
	static u8 scratch[16384];
	struct sv_key key;
	bool equal;
	u32 i;

	if (bytes[0] & 0x80) {
		key = sv_key(bytes[1], bytes[2], bytes[3]);
		i = sv_node_search(n, &key, &equal);
		if (equal)
			sv_node_remove(n, i);
	} else {
		i = bytes[0] % n->n;
		key = n->items[i].key;
		sv_node_remove(n, i);
	}
	sv_node_insert(n, i, &key, bytes + 4, (u32)MIN(size - 4, (size_t)SV_ITEM_MAX), scratch);
}

void fuzz_volume_use_leaf(u8 tree, u64 block, const u8 *bytes, size_t size)
{
	struct fuzz_volume *f = fuzz_volume_get();
	struct bs_sim *sim = bs_sim_from(&f->disk);
	struct sv_node_expect expect = {.tree = tree};
	struct sv_node *n;
	u8 node[4 * BS_BLOCK];
	bool fits = true;

	for (u32 i = 0; i < 4; i++)
		memcpy(node + i * BS_BLOCK, bs_sim_edit(sim, block + i), BS_BLOCK);
	expect.gen = le64_get(((const struct sv_node_header *)node)->gen);
	if (sv_node_decode(&f->x.env.env, node, sizeof(node), &expect, &n))
		abort();
	if (size >= 4 && sv_node_reserve(&f->x.env.env, n, 1, sizeof(node)) == 0) {
		leaf_change(n, bytes, size);
		fits = sv_node_encode(n, expect.gen, node, sizeof(node)) == 0;
		for (u32 i = 0; fits && i < 4; i++)
			memcpy(bs_sim_edit(sim, block + i), node + i * BS_BLOCK, BS_BLOCK);
	}
	sv_node_free(&f->x.env.env, n); /* what is left after the use is a leak */
	if (fits)
		fuzz_volume_use(f, sim);
	bs_sim_free(sim);
}
