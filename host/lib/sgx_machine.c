/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection. CPUID only says what may work: the driver has the last word. But CPUID knows why not,
 * and the driver's errors do not.
 */
#include "host/lib/sgx_machine.h"

#include <errno.h>
#include <string.h>

#define LEAF_FEATURES	 7
#define LEAF_SGX	 0x12
#define EPC_SECTIONS_MAX 64
#define EPC_TYPE	 1 /* EAX[3:0] of a sub-leaf that describes a section */

enum register_number {
	EAX,
	EBX,
	ECX,
	EDX,
};

static u64 read_epc_size(sgx_cpuid_fn cpuid)
{
	u64 size = 0;
	u32 r[4];

	for (u32 i = 0; i < EPC_SECTIONS_MAX; i++) {
		cpuid(LEAF_SGX, 2 + i, r);
		if ((r[EAX] & 0xf) != EPC_TYPE)
			break;
		size += (r[ECX] & 0xfffff000u) | (u64)(r[EDX] & 0xfffff) << 32;
	}
	return size;
}

void sgx_machine_read(struct sgx_machine *m, sgx_cpuid_fn cpuid, u64 xcr0)
{
	u32 r[4];

	memset(m, 0, sizeof(*m));
	cpuid(0, 0, r);
	if (r[EAX] < LEAF_FEATURES)
		return;
	cpuid(LEAF_FEATURES, 0, r);
	m->sgx = r[EBX] >> 2 & 1;
	m->flc = r[ECX] >> 30 & 1;
	if (!m->sgx)
		return;
	cpuid(LEAF_SGX, 0, r);
	m->sgx1 = r[EAX] & 1;
	m->sgx2 = r[EAX] >> 1 & 1;
	m->miscselect = r[EBX];
	m->size_log2 = r[EDX] >> 8 & 0xff;
	cpuid(LEAF_SGX, 1, r);
	m->attributes.flags = r[EAX] | (u64)r[EBX] << 32;
	m->attributes.xfrm = (r[ECX] | (u64)r[EDX] << 32) & xcr0;
	m->epc_size = read_epc_size(cpuid);
}

int sgx_machine_check(const struct sgx_machine *m, u64 enclave_size, struct enclave_error *error)
{
	const char *what = NULL;

	if (!m->sgx)
		what = "this machine has no SGX (CPUID 7, EBX bit 2): enable it in the BIOS, use a "
		       "machine or virtual machine that has it, or build with --sgx-mode SIM";
	else if (!m->sgx1)
		what = "the processor has SGX, but it is not enabled (CPUID 12H, EAX bit 0): "
		       "enable it in the BIOS";
	else if (!m->flc)
		what = "the processor has no flexible launch control (CPUID 7, ECX bit 30): enable "
		       "it in the BIOS; without it Linux has no SGX driver";
	else if (!m->sgx2)
		what = "the processor has SGX1 alone (CPUID 12H, EAX bit 1): memory that grows "
		       "needs SGX2, as in Ice Lake servers and later";
	else if (!(m->miscselect & SGX_MISC_EXINFO))
		what = "the processor does not tell an enclave about its page faults (CPUID 12H, "
		       "EBX bit 0: MISCSELECT.EXINFO)";
	else if (!m->epc_size)
		what = "SGX has no memory (EPC): set its size in the BIOS or in the virtual "
		       "machine's settings";
	if (what) {
		enclave_error_set(error, "%s", what);
		return -ENODEV;
	}
	if (m->size_log2 < 64 && enclave_size > 1ull << m->size_log2) {
		enclave_error_set(error,
				  "the enclave needs %llu GiB of addresses, this processor allows "
				  "%llu: make resource_limits.user_space_size smaller",
				  (unsigned long long)(enclave_size >> 30),
				  (unsigned long long)((1ull << m->size_log2) >> 30));
		return -ENODEV;
	}
	return 0;
}
