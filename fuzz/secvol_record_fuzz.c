// SPDX-License-Identifier: Apache-2.0
/* One record of a well-formed leaf of the tree is the input; see fuzz_volume_use_leaf(). */
#include "fuzz/secvol_base.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	fuzz_volume_use_leaf(SV_TREE_FS, fuzz_volume_get()->node_block, bytes, size);
	return 0;
}
