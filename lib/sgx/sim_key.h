/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EGETKEY and EREPORT in software, for the simulation backend: the same rules and the same
 * derivation structures as Intel's simulation, but under base keys that the caller brings (ours
 * come from a per-user secret; Intel's constants serve the tests). They protect data at rest
 * against those who lack that secret, and nothing else.
 */
#pragma once

#include "lib/sgx/sgx.h"

/* A simulated CPU: what its fuses hold. */
struct sgx_sim_cpu {
	u8 seal[16];
	u8 report[16];
	u8 provision[16];
	u8 provision_seal[16];
	u8 einittoken[16];
	u8 owner_epoch[16];
	u8 cpusvn[SGX_CPUSVN_SIZE]; /* current; all zeros in a request mean this one */
};

/* The base keys of one machine's 32-byte secret. */
void sgx_sim_cpu_init(struct sgx_sim_cpu *cpu, const u8 secret[32]);

/*
 * EGETKEY for the enclave described by `secs`. 0, the CPU's error code, or -EINVAL where the CPU
 * would raise #GP (reserved bits).
 */
int __must_check sgx_sim_getkey(const struct sgx_sim_cpu *cpu, const struct sgx_secs *secs,
				const struct sgx_keyrequest *request, u8 ret_key[SGX_KEY_SIZE]);

/* EREPORT by the enclave `secs` for `target`; -EINVAL for reserved bits. */
int __must_check sgx_sim_report(const struct sgx_sim_cpu *cpu, const struct sgx_secs *secs,
				const struct sgx_targetinfo *target,
				const u8 data[SGX_REPORTDATA_SIZE], struct sgx_report *ret_report);
