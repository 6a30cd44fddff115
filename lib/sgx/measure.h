/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MRENCLAVE: SHA-256 over one 64-byte record for ECREATE, for each EADD and for each EEXTEND, the
 * latter followed by the 256 bytes it measures. The same stream comes out of the signer, the
 * simulation's loader and the CPU when pages are added in the same order.
 */
#pragma once

#include "lib/crypto/sha256.h"
#include "lib/sgx/sgx.h"

struct sgx_measure {
	struct sha256 hash;
	size_t fill; /* bytes of `records` that are not hashed yet */
	/* When set: gets the stream as well, in pieces, the last one from sgx_measure_final(). */
	void (*tap)(void *tap_arg, const void *bytes, size_t size);
	void *tap_arg;
	u8 records[4096];
};

/* Without a tap; set one afterwards. */
void sgx_measure_create(struct sgx_measure *m, u64 enclave_size, u32 ssa_frame_pages);

/* EADD; the content of a page that is only added is the host's choice. */
void sgx_measure_add(struct sgx_measure *m, u64 offset, u64 secinfo_flags);

/* Sixteen EEXTENDs. */
void sgx_measure_extend_page(struct sgx_measure *m, u64 offset, const u8 page[4096]);

void sgx_measure_final(struct sgx_measure *m, u8 ret_mrenclave[SGX_HASH_SIZE]);
