/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-time set-up of the cryptographic library. The primitives are OpenSSL's assembly (AES-NI,
 * PCLMUL, AVX, SHA-NI) from libcrypto.a in both worlds; it chooses its code by one capability
 * word, which inside the kernel is set here from a CPUID table that the caller has sanitised.
 *
 * Inside the kernel every public function of lib/crypto that uses vector registers saves and
 * restores the user's (lib/crypto/vector.h), once per call; batch calls exist so that this costs
 * nothing per block. Nothing here sleeps, allocates or logs.
 */
#pragma once

#include "lib/base/types.h"

/* The CPUID words that decide which code runs, as the CPU lays them out. */
struct crypto_caps {
	u32 leaf1_ecx;
	u32 leaf1_edx;
	u32 leaf7_ebx;
	u32 leaf7_ecx;
};

/*
 * Must run before any other function of lib/crypto inside the kernel; harmless to repeat. AES-NI,
 * PCLMUL, SSSE3, MOVBE and AVX are required: -EOPNOTSUPP without them. On the host libcrypto looks
 * at the CPU itself, `caps` (may then be NULL) is only checked.
 */
int __must_check crypto_init(const struct crypto_caps *caps);

/* Equal, in time that depends on `size` alone. */
bool crypto_equal(const void *a, const void *b, size_t size);

/* Overwrites a secret; never optimised away (same as mem_wipe()). */
void crypto_wipe(void *secret, size_t size);
