// SPDX-License-Identifier: Apache-2.0
/* The newest root slot of a volume is the input. */
#include <string.h>

#include "fuzz/secvol_base.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct fuzz_volume *f = fuzz_volume_get();
	struct bs_sim *sim = bs_sim_from(&f->disk);

	memcpy(bs_sim_edit(sim, f->root_block), bytes, MIN(size, (size_t)BS_BLOCK));
	fuzz_volume_use(f, sim);
	bs_sim_free(sim);
	return 0;
}
