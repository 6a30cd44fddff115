/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM (NIST SP 800-38D) for 96-bit nonces over OpenSSL's assembly: the stitched routine does
 * the bulk of each message, counter mode and GHASH apart do the rest. The hash state has to lie
 * 32 bytes before the table of powers (the stitched routine counts on it), and contexts are shared
 * between threads; so each batch copies the table once into a state of its own on the stack.
 *
 * Messages are at most 2^32 bytes (sizes are u32), far below GCM's limit of 2^36.
 */
#include "lib/crypto/aes_gcm.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/openssl_asm.h"
#include "lib/crypto/vector.h"

/* Layout known to aesni_gcm_encrypt() and _decrypt(). */
struct ghash {
	alignas(16) u8 xi[16];
	u8 h[16];
	u8 htable[16][16];
};
static_assert(offsetof(struct ghash, htable) == 32, "stitched layout");
static_assert(offsetof(struct aes_gcm, rounds) == 240, "AES_KEY layout");

int aes_gcm_init(struct aes_gcm *ctx, const void *key, size_t key_size)
{
	static const u8 zero[16];
	struct vector_guard g;
	u64 words[2];
	u8 h[16];

	if (key_size != 16 && key_size != 32)
		return -EINVAL;
	memset(ctx, 0, sizeof(*ctx));
	crypto_begin(&g);
	aesni_set_encrypt_key(key, (int)key_size * 8, ctx->round_keys);
	aesni_encrypt(zero, h, ctx->round_keys);
	memcpy(words, h, sizeof(words));
	words[0] = __builtin_bswap64(words[0]);
	words[1] = __builtin_bswap64(words[1]);
	memcpy(ctx->h, words, sizeof(words));
	gcm_init_avx(ctx->htable, words);
	crypto_end(&g);
	mem_wipe(h, sizeof(h));
	mem_wipe(words, sizeof(words));
	return 0;
}

void aes_gcm_wipe(struct aes_gcm *ctx)
{
	mem_wipe(ctx, sizeof(*ctx));
}

/* All below runs inside a vector bracket. */

static void ghash_load(struct ghash *x, const struct aes_gcm *ctx)
{
	memcpy(x->h, ctx->h, sizeof(x->h) + sizeof(x->htable));
}
static_assert(offsetof(struct aes_gcm, htable) == offsetof(struct aes_gcm, h) + 16, "one copy");

/* Hashes `size` bytes, padded with zeros to a whole block. */
static void ghash_padded(struct ghash *x, const u8 *at, size_t size)
{
	size_t whole = size & ~(size_t)15;
	u8 last[16] = {0};

	if (whole)
		gcm_ghash_avx(x->xi, x->htable, at, whole);
	if (size > whole) {
		memcpy(last, at + whole, size - whole);
		gcm_ghash_avx(x->xi, x->htable, last, 16);
	}
}

static void counter_add(u8 iv[16], u32 n)
{
	u32 be;

	memcpy(&be, iv + 12, 4);
	be = __builtin_bswap32(__builtin_bswap32(be) + n);
	memcpy(iv + 12, &be, 4);
}

static void ctr_crypt(const struct aes_gcm *ctx, u8 iv[16], const u8 *in, u8 *out, size_t size)
{
	size_t blocks = size / 16, rest = size % 16;
	u8 stream[16];

	if (blocks) {
		aesni_ctr32_encrypt_blocks(in, out, blocks, ctx->round_keys, iv);
		counter_add(iv, blocks);
	}
	if (rest) {
		aesni_encrypt(iv, stream, ctx->round_keys);
		for (size_t i = 0; i < rest; i++)
			out[blocks * 16 + i] = in[blocks * 16 + i] ^ stream[i];
	}
}

/* Nonce and associated data; leaves the first counter in iv and E(K, J0) in mask. */
static void message_begin(const struct aes_gcm *ctx, struct ghash *x, const struct aes_gcm_unit *u,
			  u8 iv[16], u8 mask[16])
{
	memcpy(iv, u->nonce, AES_GCM_NONCE);
	memset(iv + 12, 0, 3);
	iv[15] = 1;
	aesni_encrypt(iv, mask, ctx->round_keys);
	iv[15] = 2;
	memset(x->xi, 0, sizeof(x->xi));
	ghash_padded(x, u->aad, u->aad_size);
}

static void message_tag(struct ghash *x, const struct aes_gcm_unit *u, const u8 mask[16],
			u8 tag[AES_GCM_TAG])
{
	u64 sizes[2] = {__builtin_bswap64((u64)u->aad_size * 8),
			__builtin_bswap64((u64)u->size * 8)};

	gcm_ghash_avx(x->xi, x->htable, (const u8 *)sizes, 16);
	for (int i = 0; i < AES_GCM_TAG; i++)
		tag[i] = x->xi[i] ^ mask[i];
}

static void seal_one(const struct aes_gcm *ctx, struct ghash *x, struct aes_gcm_unit *u)
{
	const u8 *in = u->in;
	u8 *out = u->out;
	u8 iv[16], mask[16];
	size_t done;

	message_begin(ctx, x, u, iv, mask);
	done = aesni_gcm_encrypt(in, out, u->size, ctx->round_keys, iv, x->xi);
	ctr_crypt(ctx, iv, in + done, out + done, u->size - done);
	ghash_padded(x, out + done, u->size - done);
	message_tag(x, u, mask, u->tag);
}

static bool open_one(const struct aes_gcm *ctx, struct ghash *x, const struct aes_gcm_unit *u)
{
	const u8 *in = u->in;
	u8 *out = u->out;
	u8 iv[16], mask[16], tag[AES_GCM_TAG];
	size_t done;

	message_begin(ctx, x, u, iv, mask);
	done = aesni_gcm_decrypt(in, out, u->size, ctx->round_keys, iv, x->xi);
	ghash_padded(x, in + done, u->size - done);
	ctr_crypt(ctx, iv, in + done, out + done, u->size - done);
	message_tag(x, u, mask, tag);
	if (crypto_equal(tag, u->tag, AES_GCM_TAG))
		return true;
	memset(out, 0, u->size);
	return false;
}

void aes_gcm_seal_units(const struct aes_gcm *ctx, struct aes_gcm_unit *units, size_t count)
{
	struct vector_guard g;
	struct ghash x;

	crypto_begin(&g);
	ghash_load(&x, ctx);
	for (size_t i = 0; i < count; i++)
		seal_one(ctx, &x, &units[i]);
	crypto_end(&g);
	mem_wipe(&x, sizeof(x));
}

int aes_gcm_open_units(const struct aes_gcm *ctx, struct aes_gcm_unit *units, size_t count,
		       size_t *ret_bad)
{
	struct vector_guard g;
	struct ghash x;
	size_t i;

	crypto_begin(&g);
	ghash_load(&x, ctx);
	for (i = 0; i < count; i++) {
		if (!open_one(ctx, &x, &units[i]))
			break;
	}
	crypto_end(&g);
	mem_wipe(&x, sizeof(x));
	if (i == count)
		return 0;
	if (ret_bad)
		*ret_bad = i;
	return -EBADMSG;
}

void aes_gcm_seal(const struct aes_gcm *ctx, const u8 nonce[AES_GCM_NONCE], const void *aad,
		  size_t aad_size, const void *in, void *out, size_t size, u8 tag[AES_GCM_TAG])
{
	struct aes_gcm_unit u = {
		.size = size, .aad = aad, .aad_size = aad_size, .in = in, .out = out};

	memcpy(u.nonce, nonce, AES_GCM_NONCE);
	aes_gcm_seal_units(ctx, &u, 1);
	memcpy(tag, u.tag, AES_GCM_TAG);
}

int aes_gcm_open(const struct aes_gcm *ctx, const u8 nonce[AES_GCM_NONCE], const void *aad,
		 size_t aad_size, const void *in, void *out, size_t size, const u8 tag[AES_GCM_TAG])
{
	struct aes_gcm_unit u = {
		.size = size, .aad = aad, .aad_size = aad_size, .in = in, .out = out};

	memcpy(u.nonce, nonce, AES_GCM_NONCE);
	memcpy(u.tag, tag, AES_GCM_TAG);
	return aes_gcm_open_units(ctx, &u, 1, NULL);
}
