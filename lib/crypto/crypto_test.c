/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers (NIST, RFCs), and every size against EVP of the same library. */
#include "tests/unit.h"

#include <stdio.h>

#include <openssl/evp.h>

#include "abi/errno.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/crypto/aes_gcm.h"
#include "lib/crypto/cmac.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

static size_t unhex(u8 *to, const char *text)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		to[i] = (u8)byte;
	}
	return n;
}

static void assert_hex(const u8 *got, const char *want)
{
	u8 bytes[512];
	size_t n = unhex(bytes, want);

	assert_memory_equal(got, bytes, n);
}

static void sha256_known(void **state)
{
	u8 d[32];
	struct sha256 s;

	sha256("abc", 3, d);
	assert_hex(d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256("", 0, d);
	assert_hex(d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_init(&s);
	for (int i = 0; i < 1000000; i += 100)
		sha256_update(&s,
			      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			      100);
	sha256_final(&s, d);
	assert_hex(d, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void sha256_every_size(void **state)
{
	u8 in[300], d[32], want[32], units[3][32];

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (u8)(i * 7 + 1);
	for (unsigned n = 0; n <= 300; n++) {
		struct sha256 s;
		unsigned size = 32;

		EVP_Digest(in, n, want, &size, EVP_sha256(), NULL);
		sha256(in, n, d);
		assert_memory_equal(d, want, 32);
		sha256_init(&s);
		for (unsigned at = 0; at < n;) {
			unsigned part = MIN(n - at, 1 + (at * 5) % 67);

			sha256_update(&s, in + at, part);
			at += part;
		}
		sha256_final(&s, d);
		assert_memory_equal(d, want, 32);
	}
	sha256_units(in, 100, 3, units);
	for (int i = 0; i < 3; i++) {
		sha256(in + 100 * i, 100, d);
		assert_memory_equal(d, units[i], 32);
	}
}

static void hmac_and_hkdf_known(void **state)
{
	u8 key[131], mac[32], ikm[22], salt[13], info[10], okm[42];

	memset(key, 0x0b, 20);
	hmac_sha256(key, 20, "Hi There", 8, mac);
	assert_hex(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, 131);
	hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, mac);
	assert_hex(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	memset(ikm, 0x0b, 22);
	unhex(salt, "000102030405060708090a0b0c");
	unhex(info, "f0f1f2f3f4f5f6f7f8f9");
	hkdf_sha256(ikm, 22, salt, 13, info, 10, okm, 42);
	assert_hex(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5"
			"b887185865");
	hkdf_sha256(ikm, 22, NULL, 0, NULL, 0, okm, 42);
	assert_hex(okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395fa"
			"a4b61a96c8");
}

/* McGrew and Viega, test cases 4 and 16. */
static void gcm_known(void **state)
{
	static const char *plain =
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
	u8 key[32], nonce[12], aad[20], in[60], out[60], back[60], tag[16];
	struct aes_gcm g;

	unhex(nonce, "cafebabefacedbaddecaf888");
	unhex(aad, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
	unhex(in, plain);
	unhex(key, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
	assert_int_equal(aes_gcm_init(&g, key, 16), 0);
	aes_gcm_seal(&g, nonce, aad, 20, in, out, 60, tag);
	assert_hex(out, "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b254"
			"66931c7d8f6a5aac84aa051ba30b396a0aac973d58e091");
	assert_hex(tag, "5bc94fbc3221a5db94fae95ae7121a47");
	assert_int_equal(aes_gcm_open(&g, nonce, aad, 20, out, back, 60, tag), 0);
	assert_memory_equal(back, in, 60);
	assert_int_equal(aes_gcm_init(&g, key, 32), 0);
	aes_gcm_seal(&g, nonce, aad, 20, in, out, 60, tag);
	assert_hex(out,
		   "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590"
		   "dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
	assert_hex(tag, "76fc6ece0f4e1768cddf8853bb2d551b");
	assert_int_equal(aes_gcm_init(&g, key, 24), -EINVAL);
	aes_gcm_wipe(&g);
	assert_true(mem_is_zero(&g, sizeof(g)));
}

static void evp_seal(const u8 *key, size_t key_size, const u8 *nonce, const u8 *aad, int aad_size,
		     const u8 *in, u8 *out, int size, u8 *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	assert_int_equal(EVP_EncryptInit_ex(c,
					    key_size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
					    NULL, key, nonce),
			 1);
	if (aad_size)
		assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, aad, aad_size), 1);
	if (size)
		assert_int_equal(EVP_EncryptUpdate(c, out, &n, in, size), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, out + size, &n), 1);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag);
	EVP_CIPHER_CTX_free(c);
}

/* Sizes around each path's border: tail only, stitched with tails, 4 KiB blocks, a node. */
static void gcm_like_evp(void **state)
{
	static const unsigned big[] = {4096, 4097, 16384, 16399, 70000};
	static u8 in[70000], out[70000], want[70016], back[70000];
	u8 key[32], nonce[12], aad[70], tag[16], want_tag[16];
	struct aes_gcm g;

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (u8)(i * 31 + (i >> 8));
	memcpy(key, in + 100, 32);
	memcpy(nonce, in + 200, 12);
	memcpy(aad, in + 300, sizeof(aad));
	for (unsigned key_size = 16; key_size <= 32; key_size += 16) {
		assert_int_equal(aes_gcm_init(&g, key, key_size), 0);
		for (unsigned i = 0; i < 700 + ARRAY_SIZE(big); i++) {
			unsigned size = i < 700 ? i : big[i - 700], aad_size = i % 71;

			evp_seal(key, key_size, nonce, aad, (int)aad_size, in, want, (int)size,
				 want_tag);
			aes_gcm_seal(&g, nonce, aad, aad_size, in, out, size, tag);
			assert_memory_equal(tag, want_tag, 16);
			assert_memory_equal(out, want, size);
			assert_int_equal(
				aes_gcm_open(&g, nonce, aad, aad_size, out, back, size, tag), 0);
			assert_memory_equal(back, in, size);
			assert_int_equal(
				aes_gcm_open(&g, nonce, aad, aad_size, out, out, size, tag), 0);
			assert_memory_equal(out, in, size);
			tag[i % 16] ^= 1 << (i % 8);
			assert_int_equal(
				aes_gcm_open(&g, nonce, aad, aad_size, want, back, size, tag),
				-EBADMSG);
			assert_true(mem_is_zero(back, size));
		}
	}
}

static void gcm_batch_names_the_bad_unit(void **state)
{
	static u8 plain[5][4096], sealed[5][4096];
	struct aes_gcm_unit u[5];
	struct aes_gcm g;
	size_t bad = 99;

	assert_int_equal(aes_gcm_init(&g, "0123456789abcdef", 16), 0);
	memset(u, 0, sizeof(u));
	for (int i = 0; i < 5; i++) {
		memset(plain[i], i, 4096);
		u[i].nonce[0] = (u8)i;
		u[i].size = 4096;
		u[i].in = plain[i];
		u[i].out = sealed[i];
		u[i].aad = "x";
		u[i].aad_size = 1;
	}
	aes_gcm_seal_units(&g, u, 5);
	sealed[3][77] ^= 4;
	for (int i = 0; i < 5; i++) {
		u[i].in = sealed[i];
		u[i].out = plain[i];
		memset(plain[i], 0xee, 4096);
	}
	assert_int_equal(aes_gcm_open_units(&g, u, 5, &bad), -EBADMSG);
	assert_int_equal(bad, 3);
	assert_int_equal(plain[2][5], 2);
	assert_true(mem_is_zero(plain[3], 4096));
	assert_int_equal(plain[4][0], 0xee);
}

static void cmac_known(void **state)
{
	u8 key[16], msg[64], mac[16];

	unhex(key, "2b7e151628aed2a6abf7158809cf4f3c");
	unhex(msg,
	      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
	      "e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
	aes128_cmac(key, msg, 0, mac);
	assert_hex(mac, "bb1d6929e95937287fa37d129b756746");
	aes128_cmac(key, msg, 16, mac);
	assert_hex(mac, "070a16b46b4d4144f79bdd9dd04a287c");
	aes128_cmac(key, msg, 40, mac);
	assert_hex(mac, "dfa66747de9ae63030ca32611497c827");
	aes128_cmac(key, msg, 64, mac);
	assert_hex(mac, "51f0bebf7e3b9d92fc49741779363cfe");
	aes128_block(key, msg, mac);
	assert_hex(mac, "3ad77bb40d7a3660a89ecaf32466ef97");
}

static void caps_are_required(void **state)
{
	struct crypto_caps caps = {.leaf1_ecx = 1 << 1 | 1 << 9 | 1 << 22 | 1 << 25 | 1 << 28};

	assert_int_equal(crypto_init(&caps), 0);
	caps.leaf1_ecx &= ~(1u << 1);
	assert_int_equal(crypto_init(&caps), -EOPNOTSUPP);
	assert_true(crypto_equal("abc", "abc", 3));
	assert_false(crypto_equal("abc", "abd", 3));
}

UNIT_TESTS(sha256_known, sha256_every_size, hmac_and_hkdf_known, gcm_known, gcm_like_evp,
	   gcm_batch_names_the_bad_unit, cmac_known, caps_are_required)
