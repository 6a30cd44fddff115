/* SPDX-License-Identifier: Apache-2.0 */
/* AES-128-CMAC (RFC 4493) over single AES blocks; short messages only, so no need for speed. */
#include "lib/crypto/cmac.h"

#include "lib/base/string.h"
#include "lib/crypto/openssl_asm.h"
#include "lib/crypto/vector.h"

struct aes_key {
	alignas(16) u8 bytes[244 + 12];
};

/* Multiplies by x in GF(2^128). */
static void shift_left(u8 v[16])
{
	u8 carry = v[0] >> 7;

	for (int i = 0; i < 15; i++)
		v[i] = (u8)(v[i] << 1 | v[i + 1] >> 7);
	v[15] = (u8)(v[15] << 1) ^ (carry ? 0x87 : 0);
}

void aes128_cmac(const u8 key[16], const void *bytes, size_t size, u8 mac[AES_CMAC_SIZE])
{
	u8 x[16] = {0}, sub[16] = {0}, last[16] = {0};
	const u8 *at = bytes;
	struct vector_guard g;
	struct aes_key k;

	crypto_begin(&g);
	aesni_set_encrypt_key(key, 128, k.bytes);
	for (; size > 16; size -= 16, at += 16) {
		for (int i = 0; i < 16; i++)
			x[i] ^= at[i];
		aesni_encrypt(x, x, k.bytes);
	}
	aesni_encrypt(sub, sub, k.bytes);
	shift_left(sub);
	if (size)
		memcpy(last, at, size);
	if (size < 16) {
		last[size] = 0x80;
		shift_left(sub);
	}
	for (int i = 0; i < 16; i++)
		x[i] ^= last[i] ^ sub[i];
	aesni_encrypt(x, mac, k.bytes);
	crypto_end(&g);
	mem_wipe(&k, sizeof(k));
	mem_wipe(sub, sizeof(sub));
	mem_wipe(x, sizeof(x));
}

void aes128_block(const u8 key[16], const u8 in[16], u8 out[16])
{
	struct vector_guard g;
	struct aes_key k;

	crypto_begin(&g);
	aesni_set_encrypt_key(key, 128, k.bytes);
	aesni_encrypt(in, out, k.bytes);
	crypto_end(&g);
	mem_wipe(&k, sizeof(k));
}
