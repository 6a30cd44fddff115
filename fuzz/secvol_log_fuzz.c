// SPDX-License-Identifier: Apache-2.0
/*
 * A block of the index log. With byte 0 even, the rest is the sealed part behind a good header:
 * what records a hostile writer could have signed. Odd: the rest is the block itself, header first,
 * as the host can write it.
 */
#include <string.h>

#include "fuzz/secvol_base.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct fuzz_volume *f = fuzz_volume_get();
	struct bs_sim *sim = bs_sim_from(&f->disk);
	struct sv_log_header h = {.magic = le32_put(SV_LOG_MAGIC),
				  .seq = le64_put(f->log_seq),
				  .flags = le32_put(SV_LOG_COMMIT),
				  .flushed_seq = le64_put(f->log_seq - 1)};
	u8 block[4 * BS_BLOCK] = {0};
	u32 len;

	if (size < 9)
		goto out;
	len = (u32)MIN(size - 1, sizeof(block) - sizeof(h) - 32);
	if (bytes[0] & 1) {
		memcpy(block, bytes + 1, len);
	} else {
		h.len = le32_put(len);
		memcpy(block, &h, sizeof(h));
		memcpy(block + sizeof(h), bytes + 1, len);
	}
	for (u32 i = 0; i < 4; i++)
		memcpy(bs_sim_edit(sim, f->log_block + i), block + i * BS_BLOCK, BS_BLOCK);
	fuzz_volume_use(f, sim);
out:
	bs_sim_free(sim);
	return 0;
}
