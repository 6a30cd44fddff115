/* SPDX-License-Identifier: Apache-2.0 */
/* The measurement stream; see measure.h. Records are built in a zeroed 64-byte block each. */
#include "lib/sgx/measure.h"

#include "lib/base/string.h"

#define RECORD_SIZE 64

void sgx_measure_create(struct sgx_measure *m, u64 enclave_size, u32 ssa_frame_pages)
{
	u8 record[RECORD_SIZE] = "ECREATE";

	memcpy(record + 8, &ssa_frame_pages, sizeof(ssa_frame_pages));
	memcpy(record + 12, &enclave_size, sizeof(enclave_size));
	sha256_init(&m->hash);
	sha256_update(&m->hash, record, sizeof(record));
}

void sgx_measure_add(struct sgx_measure *m, u64 offset, u64 secinfo_flags)
{
	u8 record[RECORD_SIZE] = "EADD";

	memcpy(record + 8, &offset, sizeof(offset));
	memcpy(record + 16, &secinfo_flags, sizeof(secinfo_flags));
	sha256_update(&m->hash, record, sizeof(record));
}

void sgx_measure_extend_page(struct sgx_measure *m, u64 offset, const u8 page[4096])
{
	for (u64 chunk = 0; chunk < 4096; chunk += SGX_CHUNK_SIZE) {
		u8 record[RECORD_SIZE] = "EEXTEND";
		u64 at = offset + chunk;

		memcpy(record + 8, &at, sizeof(at));
		sha256_update(&m->hash, record, sizeof(record));
		sha256_update(&m->hash, page + chunk, SGX_CHUNK_SIZE);
	}
}

void sgx_measure_final(struct sgx_measure *m, u8 ret_mrenclave[SGX_HASH_SIZE])
{
	sha256_final(&m->hash, ret_mrenclave);
}
