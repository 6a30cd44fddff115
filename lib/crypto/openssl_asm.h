/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routines of libcrypto.a that we call: its assembly for x86-64, below EVP and below
 * CRYPTO_gcm128_*. What crosses into the kernel is then four objects that refer to nothing but
 * OPENSSL_ia32cap_P; no cpuid, no rdtsc, no .init hook. The names and calling conventions are
 * OpenSSL-internal: the known-answer tests fail at once if a version changes them.
 */
#pragma once

#include "lib/base/types.h"

/* AES_KEY: 60 words of round keys, then the number of rounds. Returns 0. */
int aesni_set_encrypt_key(const u8 *key, int bits, void *aes_key);
void aesni_encrypt(const u8 *in, u8 *out, const void *aes_key);
/* Big-endian 32-bit counter in the last bytes of iv; iv itself is not advanced. */
void aesni_ctr32_encrypt_blocks(const u8 *in, u8 *out, size_t blocks, const void *aes_key,
				const u8 iv[16]);

/* h: the hash key as two host-order 64-bit words. */
void gcm_init_avx(u8 htable[16][16], const u64 h[2]);
/* size is a multiple of 16. */
void gcm_ghash_avx(u8 xi[16], const u8 htable[16][16], const u8 *in, size_t size);

/*
 * Stitched CTR and GHASH over a multiple of 96 bytes; returns how many bytes it did (0 when `size`
 * is too small) and advances iv and xi. `xi` lies 32 bytes before the table (struct ghash).
 */
size_t aesni_gcm_encrypt(const u8 *in, u8 *out, size_t size, const void *aes_key, u8 iv[16],
			 u8 *xi);
size_t aesni_gcm_decrypt(const u8 *in, u8 *out, size_t size, const void *aes_key, u8 iv[16],
			 u8 *xi);

void sha256_block_data_order(u32 h[8], const void *in, size_t blocks);
