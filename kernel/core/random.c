// SPDX-License-Identifier: Apache-2.0
/*
 * Random bytes for keys, tokens and programs. The source is the CPU (RDSEED, or RDRAND where it
 * has none to give), conditioned by HMAC-SHA256 into the key of a ChaCha20 generator. Each
 * request takes a key of its own out of the generator and overwrites the generator's, so what
 * was handed out cannot be computed from later state. Every RESEED_BYTES fresh entropy is mixed
 * in. When the source fails or repeats itself, the request fails: there is no other source.
 */
#include "kernel/core/random.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/sync/spinlock.h"
#include "lib/base/string.h"
#include "lib/crypto/sha256.h"

#define KEY_SIZE     32
#define BLOCK_SIZE   64
#define SEED_WORDS   12
#define RESEED_BYTES MIB(1)

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANDOM);
static u8 key[KEY_SIZE]; /* lock */
static u64 until_reseed; /* lock; 0: no seed yet */
static u64 last_word;	 /* of the source, to notice a stuck one; lock */

static u32 rotate(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(u32 *x, u32 a, u32 b, u32 c, u32 d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

/* One ChaCha20 block (RFC 8439) with nonce zero. */
static void chacha_block(const u8 chacha_key[KEY_SIZE], u64 counter, u8 out[BLOCK_SIZE])
{
	u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	u32 x[16];

	memcpy(&start[4], chacha_key, KEY_SIZE);
	memcpy(&start[12], &counter, sizeof(counter));
	memcpy(x, start, sizeof(x));
	for (u32 i = 0; i < 10; i++) {
		quarter_round(x, 0, 4, 8, 12);
		quarter_round(x, 1, 5, 9, 13);
		quarter_round(x, 2, 6, 10, 14);
		quarter_round(x, 3, 7, 11, 15);
		quarter_round(x, 0, 5, 10, 15);
		quarter_round(x, 1, 6, 11, 12);
		quarter_round(x, 2, 7, 8, 13);
		quarter_round(x, 3, 4, 9, 14);
	}
	for (u32 i = 0; i < 16; i++)
		x[i] += start[i];
	memcpy(out, x, BLOCK_SIZE);
	mem_wipe(start, sizeof(start));
	mem_wipe(x, sizeof(x));
}

static bool entropy_word(u64 *ret)
{
	u64 word;

	if (!arch_rdseed(&word) && !arch_rdrand(&word))
		return false;
	/* Broken sources return a constant, all ones in known errata. */
	if (word == last_word || !word || !~word)
		return false;
	last_word = word;
	*ret = word;
	return true;
}

static int reseed(void)
{
	u64 words[SEED_WORDS];
	u8 fresh[SHA256_SIZE];

	for (u32 i = 0; i < SEED_WORDS; i++) {
		if (!entropy_word(&words[i]))
			return -EIO;
	}
	hmac_sha256(key, sizeof(key), words, sizeof(words), fresh);
	memcpy(key, fresh, sizeof(key));
	mem_wipe(words, sizeof(words));
	mem_wipe(fresh, sizeof(fresh));
	until_reseed = RESEED_BYTES;
	return 0;
}

/* A key for one request; the generator's own moves on. */
static int take_key(size_t size, u8 ret_key[KEY_SIZE])
{
	u8 block[BLOCK_SIZE];
	int ret = 0;

	spin_lock(&lock);
	if (!until_reseed)
		ret = reseed();
	if (!ret) {
		chacha_block(key, 0, block);
		memcpy(key, block, KEY_SIZE);
		memcpy(ret_key, block + KEY_SIZE, KEY_SIZE);
		until_reseed -= MIN(until_reseed, (u64)size);
	}
	spin_unlock(&lock);
	mem_wipe(block, sizeof(block));
	return ret;
}

int random_bytes(void *bytes, size_t size)
{
	u8 request_key[KEY_SIZE], block[BLOCK_SIZE];
	u8 *out = bytes;
	u64 counter = 0;
	int ret;

	ret = take_key(size, request_key);
	if (ret)
		return ret;
	while (size) {
		size_t n = MIN(size, (size_t)BLOCK_SIZE);

		chacha_block(request_key, counter++, block);
		memcpy(out, block, n);
		out += n;
		size -= n;
	}
	mem_wipe(request_key, sizeof(request_key));
	mem_wipe(block, sizeof(block));
	return 0;
}

void random_wipe(void)
{
	mem_wipe(key, sizeof(key));
	until_reseed = 0;
}
