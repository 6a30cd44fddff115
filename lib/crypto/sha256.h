/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869). */
#pragma once

#include "lib/base/types.h"

#define SHA256_SIZE  32
#define SHA256_BLOCK 64

struct sha256 {
	u32 h[8];
	u64 total; /* bytes so far */
	u32 fill;  /* bytes in `block` */
	u8 block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t size);
void sha256_final(struct sha256 *s, u8 digest[SHA256_SIZE]);
void sha256(const void *bytes, size_t size, u8 digest[SHA256_SIZE]);

/*
 * The digests of `count` units of `unit` bytes each that lie one after the other, in one bracket.
 */
void sha256_units(const void *bytes, size_t unit, size_t count, u8 (*digests)[SHA256_SIZE]);

struct hmac_sha256 {
	struct sha256 inner;
	struct sha256 outer;
};

void hmac_sha256_init(struct hmac_sha256 *m, const void *key, size_t key_size);
void hmac_sha256_update(struct hmac_sha256 *m, const void *bytes, size_t size);
void hmac_sha256_final(struct hmac_sha256 *m, u8 mac[SHA256_SIZE]);
void hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
		 u8 mac[SHA256_SIZE]);

/* Extract and expand. `out_size` is at most 255 * 32; `salt` may be NULL with size 0. */
void hkdf_sha256(const void *ikm, size_t ikm_size, const void *salt, size_t salt_size,
		 const void *info, size_t info_size, void *out, size_t out_size);
