/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM with 128 or 256 bit keys, 12-byte nonces and 16-byte tags. A context is read-only after
 * aes_gcm_init() and may be used by many threads at once.
 *
 * Both seal and open read their input or output more than once (the cipher and GHASH are separate
 * passes over a block): buffers must be memory that no one else writes. Ciphertext from the host
 * is copied in before it is opened, and sealed into trusted memory before it is copied out.
 */
#pragma once

#include "lib/base/types.h"

#define AES_GCM_NONCE 12
#define AES_GCM_TAG   16

struct aes_gcm {
	alignas(16) u8 round_keys[15 * 16];
	u32 rounds;
	u32 pad[3];
	alignas(16) u8 h[16]; /* GHASH key, in the form the table was made from */
	alignas(16) u8 htable[16][16];
};

/* One message of a batch. `in` and `out` may be the same buffer, and may not otherwise overlap. */
struct aes_gcm_unit {
	u8 nonce[AES_GCM_NONCE];
	u32 size;
	const void *aad;
	size_t aad_size;
	const void *in;
	void *out;
	u8 tag[AES_GCM_TAG]; /* written by seal, compared by open */
};

/* `key_size` is 16 or 32, -EINVAL otherwise. */
int __must_check aes_gcm_init(struct aes_gcm *ctx, const void *key, size_t key_size);
void aes_gcm_wipe(struct aes_gcm *ctx);

void aes_gcm_seal(const struct aes_gcm *ctx, const u8 nonce[AES_GCM_NONCE], const void *aad,
		  size_t aad_size, const void *in, void *out, size_t size, u8 tag[AES_GCM_TAG]);

/* -EBADMSG when the tag does not fit; `out` is then zeroed. */
int __must_check aes_gcm_open(const struct aes_gcm *ctx, const u8 nonce[AES_GCM_NONCE],
			      const void *aad, size_t aad_size, const void *in, void *out,
			      size_t size, const u8 tag[AES_GCM_TAG]);

/* Batches: one vector bracket for all units. Open stops at the first bad unit (zeroed; -EBADMSG),
 * whose index goes to *ret_bad when that is not NULL. */
void aes_gcm_seal_units(const struct aes_gcm *ctx, struct aes_gcm_unit *units, size_t count);
int __must_check aes_gcm_open_units(const struct aes_gcm *ctx, struct aes_gcm_unit *units,
				    size_t count, size_t *ret_bad);
