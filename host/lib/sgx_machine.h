/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's SGX can do, by CPUID leaves 7 and 12H. */
#pragma once

#include "host/lib/enclave_image.h"
#include "lib/sgx/sgx.h"

struct sgx_machine {
	bool sgx, flc, sgx1, sgx2;
	u32 miscselect;			  /* bits that may be set */
	u32 size_log2;			  /* of the largest 64-bit enclave */
	struct sgx_attributes attributes; /* that may be set; XFRM also in use by the system */
	u64 epc_size;
};

typedef void (*sgx_cpuid_fn)(u32 leaf, u32 subleaf, u32 ret[4]); /* EAX, EBX, ECX, EDX */

/* `xcr0`: the extended states that the system uses. */
void sgx_machine_read(struct sgx_machine *machine, sgx_cpuid_fn cpuid, u64 xcr0);

/*
 * Whether the machine can run our enclaves of this size. -ENODEV with `error` naming the first
 * thing that is missing, and what to do.
 */
int __must_check sgx_machine_check(const struct sgx_machine *machine, u64 enclave_size,
				   struct enclave_error *error);
