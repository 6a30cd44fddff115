// SPDX-License-Identifier: Apache-2.0
/*
 * The tree's root node is the input: its header and slots from the start, and its records, which
 * end at the end of the node, from the input's second half.
 */
#include <string.h>

#include "fuzz/secvol_base.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct fuzz_volume *f = fuzz_volume_get();
	struct bs_sim *sim = bs_sim_from(&f->disk);
	u8 node[4 * BS_BLOCK];
	size_t head = MIN(size / 2, sizeof(node) / 2),
	       tail = MIN(size - size / 2, sizeof(node) / 2);

	for (u32 i = 0; i < 4; i++)
		memcpy(node + i * BS_BLOCK, bs_sim_edit(sim, f->node_block + i), BS_BLOCK);
	memcpy(node, bytes, head);
	memcpy(node + sizeof(node) - tail, bytes + size - tail, tail);
	for (u32 i = 0; i < 4; i++)
		memcpy(bs_sim_edit(sim, f->node_block + i), node + i * BS_BLOCK, BS_BLOCK);
	fuzz_volume_use(f, sim);
	bs_sim_free(sim);
	return 0;
}
