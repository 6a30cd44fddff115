// SPDX-License-Identifier: Apache-2.0
/*
 * One record of the snapshot tree's leaf is the input: byte 0 chooses which item is replaced, or with
 * the high bit adds one whose object, type and offset are bytes 1 to 3; the rest is its value.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/secvol_base.h"
#include "lib/secvol/node.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

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

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct fuzz_volume *f = fuzz_volume_get();
	struct bs_sim *sim = bs_sim_from(&f->disk);
	struct sv_node_expect expect = {.tree = SV_TREE_SNAP};
	struct sv_node *n;
	u8 node[4 * BS_BLOCK];

	for (u32 i = 0; i < 4; i++)
		memcpy(node + i * BS_BLOCK, bs_sim_edit(sim, f->snap_block + i), BS_BLOCK);
	expect.gen = le64_get(((const struct sv_node_header *)node)->gen);
	if (sv_node_decode(&f->x.env.env, node, sizeof(node), &expect, &n))
		abort();
	if (size >= 4 && sv_node_reserve(&f->x.env.env, n, 1, sizeof(node)) == 0) {
		leaf_change(n, bytes, size);
		sv_node_encode(n, expect.gen, node, sizeof(node));
		for (u32 i = 0; i < 4; i++)
			memcpy(bs_sim_edit(sim, f->snap_block + i), node + i * BS_BLOCK, BS_BLOCK);
	}
	sv_node_free(&f->x.env.env, n);
	fuzz_volume_use(f, sim);
	bs_sim_free(sim);
	return 0;
}
