/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with OpenSSL's block function, and the two constructions over it that the tree uses.
 * Secrets in HMAC states are wiped when the MAC is taken.
 */
#include "lib/crypto/sha256.h"

#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/openssl_asm.h"
#include "lib/crypto/vector.h"

static void store_be32(u8 *to, u32 v)
{
	v = __builtin_bswap32(v);
	memcpy(to, &v, 4);
}

void sha256_init(struct sha256 *s)
{
	static const u32 start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(s->h, start, sizeof(s->h));
	s->total = 0;
	s->fill = 0;
}

/* The two below run inside a vector bracket. */
static void absorb(struct sha256 *s, const u8 *at, size_t size)
{
	s->total += size;
	if (s->fill) {
		size_t part = MIN(size, (size_t)(SHA256_BLOCK - s->fill));

		memcpy(s->block + s->fill, at, part);
		s->fill += part;
		at += part;
		size -= part;
		if (s->fill < SHA256_BLOCK)
			return;
		sha256_block_data_order(s->h, s->block, 1);
		s->fill = 0;
	}
	if (size >= SHA256_BLOCK) {
		sha256_block_data_order(s->h, at, size / SHA256_BLOCK);
		at += size & ~(size_t)(SHA256_BLOCK - 1);
		size %= SHA256_BLOCK;
	}
	memcpy(s->block, at, size);
	s->fill = size;
}

static void finish(struct sha256 *s, u8 digest[SHA256_SIZE])
{
	u64 bits = __builtin_bswap64(s->total * 8);

	s->block[s->fill++] = 0x80;
	if (s->fill > SHA256_BLOCK - 8) {
		memset(s->block + s->fill, 0, SHA256_BLOCK - s->fill);
		sha256_block_data_order(s->h, s->block, 1);
		s->fill = 0;
	}
	memset(s->block + s->fill, 0, SHA256_BLOCK - 8 - s->fill);
	memcpy(s->block + SHA256_BLOCK - 8, &bits, 8);
	sha256_block_data_order(s->h, s->block, 1);
	for (int i = 0; i < 8; i++)
		store_be32(digest + 4 * i, s->h[i]);
}

void sha256_update(struct sha256 *s, const void *bytes, size_t size)
{
	struct vector_guard g;

	if (!size)
		return;
	if (s->fill + size < SHA256_BLOCK) { /* only copies */
		absorb(s, bytes, size);
		return;
	}
	crypto_begin(&g);
	absorb(s, bytes, size);
	crypto_end(&g);
}

void sha256_final(struct sha256 *s, u8 digest[SHA256_SIZE])
{
	struct vector_guard g;

	crypto_begin(&g);
	finish(s, digest);
	crypto_end(&g);
	mem_wipe(s, sizeof(*s));
}

void sha256(const void *bytes, size_t size, u8 digest[SHA256_SIZE])
{
	sha256_units(bytes, size, 1, (u8(*)[SHA256_SIZE])digest);
}

void sha256_units(const void *bytes, size_t unit, size_t count, u8 (*digests)[SHA256_SIZE])
{
	const u8 *at = bytes;
	struct vector_guard g;
	struct sha256 s;

	crypto_begin(&g);
	for (size_t i = 0; i < count; i++, at += unit) {
		sha256_init(&s);
		if (unit)
			absorb(&s, at, unit);
		finish(&s, digests[i]);
	}
	crypto_end(&g);
	mem_wipe(&s, sizeof(s));
}

void hmac_sha256_init(struct hmac_sha256 *m, const void *key, size_t key_size)
{
	u8 pad[SHA256_BLOCK] = {0};

	if (key_size > SHA256_BLOCK)
		sha256(key, key_size, pad);
	else if (key_size)
		memcpy(pad, key, key_size);
	for (int i = 0; i < SHA256_BLOCK; i++)
		pad[i] ^= 0x36;
	sha256_init(&m->inner);
	sha256_update(&m->inner, pad, sizeof(pad));
	for (int i = 0; i < SHA256_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_init(&m->outer);
	sha256_update(&m->outer, pad, sizeof(pad));
	mem_wipe(pad, sizeof(pad));
}

void hmac_sha256_update(struct hmac_sha256 *m, const void *bytes, size_t size)
{
	sha256_update(&m->inner, bytes, size);
}

void hmac_sha256_final(struct hmac_sha256 *m, u8 mac[SHA256_SIZE])
{
	u8 digest[SHA256_SIZE];

	sha256_final(&m->inner, digest);
	sha256_update(&m->outer, digest, sizeof(digest));
	sha256_final(&m->outer, mac);
	mem_wipe(digest, sizeof(digest));
}

void hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
		 u8 mac[SHA256_SIZE])
{
	struct hmac_sha256 m;

	hmac_sha256_init(&m, key, key_size);
	hmac_sha256_update(&m, bytes, size);
	hmac_sha256_final(&m, mac);
}

void hkdf_sha256(const void *ikm, size_t ikm_size, const void *salt, size_t salt_size,
		 const void *info, size_t info_size, void *out, size_t out_size)
{
	u8 prk[SHA256_SIZE], t[SHA256_SIZE];
	struct hmac_sha256 m;
	u8 *to = out;
	u8 round = 1;

	hmac_sha256(salt, salt_size, ikm, ikm_size, prk);
	for (size_t done = 0; done < out_size; round++) {
		size_t part = MIN(out_size - done, sizeof(t));

		hmac_sha256_init(&m, prk, sizeof(prk));
		if (round > 1)
			hmac_sha256_update(&m, t, sizeof(t));
		hmac_sha256_update(&m, info, info_size);
		hmac_sha256_update(&m, &round, 1);
		hmac_sha256_final(&m, t);
		memcpy(to + done, t, part);
		done += part;
	}
	mem_wipe(prk, sizeof(prk));
	mem_wipe(t, sizeof(t));
}
