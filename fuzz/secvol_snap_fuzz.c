// SPDX-License-Identifier: Apache-2.0
/* One record of the snapshot tree's leaf is the input; see fuzz_volume_use_leaf(). */
#include "fuzz/secvol_base.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	fuzz_volume_use_leaf(SV_TREE_SNAP, fuzz_volume_get()->snap_block, bytes, size);
	return 0;
}
