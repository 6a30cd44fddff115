/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capability word of OpenSSL's assembly. On the host libcrypto fills its own from the CPU; in
 * the kernel this file defines it, and only the bits that choose between code paths we have tested
 * are let through. It is the one writable datum of lib/crypto, written once at boot.
 */
#include "lib/crypto/crypto.h"

#include "abi/errno.h"
#include "lib/base/string.h"

enum {
	LEAF1_ECX_PCLMUL = 1 << 1,
	LEAF1_ECX_SSSE3 = 1 << 9,
	LEAF1_ECX_MOVBE = 1 << 22,
	LEAF1_ECX_AES = 1 << 25,
	LEAF1_ECX_AVX = 1 << 28,
	LEAF1_ECX_NEEDED = LEAF1_ECX_PCLMUL | LEAF1_ECX_SSSE3 | LEAF1_ECX_MOVBE | LEAF1_ECX_AES |
			   LEAF1_ECX_AVX,
	LEAF7_EBX_BMI1 = 1 << 3,
	LEAF7_EBX_AVX2 = 1 << 5,
	LEAF7_EBX_BMI2 = 1 << 8,
	LEAF7_EBX_SHA = 1 << 29,
	LEAF7_EBX_USED = LEAF7_EBX_BMI1 | LEAF7_EBX_AVX2 | LEAF7_EBX_BMI2 | LEAF7_EBX_SHA,
	/*
	 * OpenSSL's own bits in word 0: FXSR present, and "prefer the AVX code" (it means Intel).
	 */
	WORD0_FXSR = 1 << 24,
	WORD0_PREFER_AVX = 1 << 30,
};

#ifdef OCCLUM_FREESTANDING
__attribute__((visibility("hidden"))) u32 OPENSSL_ia32cap_P[4];
#endif

int crypto_init(const struct crypto_caps *caps)
{
	if (caps && (caps->leaf1_ecx & LEAF1_ECX_NEEDED) != LEAF1_ECX_NEEDED)
		return -EOPNOTSUPP;
#ifdef OCCLUM_FREESTANDING
	if (!caps)
		return -EINVAL;
	OPENSSL_ia32cap_P[0] = WORD0_FXSR | WORD0_PREFER_AVX;
	OPENSSL_ia32cap_P[1] = LEAF1_ECX_NEEDED;
	OPENSSL_ia32cap_P[2] = caps->leaf7_ebx & LEAF7_EBX_USED;
	OPENSSL_ia32cap_P[3] = 0;
#endif
	return 0;
}

bool crypto_equal(const void *a, const void *b, size_t size)
{
	const volatile u8 *x = a, *y = b;
	u8 diff = 0;

	for (size_t i = 0; i < size; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

void crypto_wipe(void *secret, size_t size)
{
	mem_wipe(secret, size);
}
