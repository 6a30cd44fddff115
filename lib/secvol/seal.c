/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing and opening what lies on the store, and the pointers that hold its tags.
 *
 * SEALED: AES-GCM under the session's key, nonce = counter || domain; the counter lives in memory
 * alone and starts at 0 with each session key, so no crash, rollback or clone repeats a nonce.
 * HASH: SHA-256 of the plaintext. PINNED: SHA-256 of the ciphertext, and the counter is the block's
 * address; there the hash authenticates and the cipher only hides.
 *
 * Ciphertext is copied to trusted memory before it is opened, and sealed there before it is copied
 * out: both directions read memory twice, and the host could change it in between. Where the store
 * copies by itself (BS_CAP_PRIVATE_BUFFERS) its buffers are trusted, and neither copy is made here.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

void sv_ptr_encode(const struct secvol *v, const struct sv_ptr *p, struct sv_bptr *to)
{
	to->addr_nblk = le64_put(p->addr | (u64)p->nblk << 48);
	to->birth_type = le64_put(p->birth | (u64)p->type << 40 | (u64)p->level << 48 |
				  (u64)(p->copy ? SV_PTR_COPY : 0) << 56);
	if (sv_hashed(v)) {
		memcpy(to->sha256, p->mac, 32);
		return;
	}
	to->ctr = le64_put(p->ctr);
	to->kid = le32_put(p->kid);
	to->csize = le32_put(p->copy ? (u32)(p->copy / v->node_blocks) : p->nblk * SV_BLOCK);
	memcpy(to->tag, p->mac, 16);
}

int sv_ptr_decode(const struct secvol *v, const struct sv_bptr *from, struct sv_ptr *p)
{
	u64 a = le64_get(from->addr_nblk), b = le64_get(from->birth_type);

	memset(p, 0, sizeof(*p));
	p->addr = a & ((1ull << 48) - 1);
	p->nblk = (u32)(a >> 48);
	p->birth = b & (SV_MAX_GEN - 1);
	p->type = (u8)(b >> 40);
	p->level = (u8)(b >> 48);
	p->flags = (u8)(b >> 56);
	if (sv_hashed(v)) {
		memcpy(p->mac, from->sha256, 32);
		p->ctr = p->addr;
		p->kid = v->kid;
	} else {
		p->ctr = le64_get(from->ctr);
		p->kid = le32_get(from->kid);
		memcpy(p->mac, from->tag, 16);
	}
	if (p->addr & SV_VIRTUAL) /* a node in memory */
		return 0;
	if (v->dup && p->flags == SV_PTR_COPY) {
		p->copy = (u64)le32_get(from->csize) * v->node_blocks;
		if (p->nblk != v->node_blocks || p->copy < SV_FIRST_AG ||
		    !range_within(p->copy, p->nblk, v->size_blocks))
			return -EUCLEAN;
	}
	if (p->flags != (v->dup ? SV_PTR_COPY : 0) || p->nblk == 0 || p->addr < SV_FIRST_AG ||
	    !range_within(p->addr, p->nblk, v->size_blocks) || p->birth > v->gen + 1 ||
	    (!sv_hashed(v) && !p->copy && le32_get(from->csize) != p->nblk * SV_BLOCK))
		return -EUCLEAN;
	return 0;
}

int sv_take_ctr(struct secvol *v, u32 count, u64 *ret_first)
{
	if (v->open_commit_due)
		return -EROFS; /* the session on the store is another's */
	if (v->next_ctr >= 1ull << 32)
		return -EOVERFLOW; /* a commit starts a new session long before */
	*ret_first = v->next_ctr;
	v->next_ctr += count;
	if (sv_fault(v, SECVOL_FAULT_NONCE_REUSE) && v->next_ctr % 5 == 0)
		v->next_ctr -= 1;
	return 0;
}

void sv_make_nonce(u8 nonce[AES_GCM_NONCE], u64 ctr, u32 domain)
{
	le64 c = le64_put(ctr);
	le32 d = le32_put(domain);

	memcpy(nonce, &c, 8);
	memcpy(nonce + 8, &d, 4);
}

void sv_aad(const struct secvol *v, struct sv_aad *aad, u8 domain, u8 level,
	    const struct sv_key *owner, u64 birth)
{
	memcpy(aad->uuid, v->uuid, 16);
	aad->domain = domain;
	aad->level = level;
	sv_key_encode(owner, aad->key);
	aad->birth = le64_put(birth);
}

static void audit(struct secvol *v, u32 kid, const u8 *nonce)
{
	struct sv_session *s;

	if (v->hooks.on_nonce && sv_session_find(v, kid, &s) == 0)
		v->hooks.on_nonce(v->hooks.arg, s->key_id, nonce);
}

int sv_seal_unit(struct secvol *v, u8 domain, u8 level, const struct sv_key *owner, u8 *buf,
		 u32 size, struct sv_ptr *p)
{
	const struct aes_gcm *ctx;
	u8 nonce[AES_GCM_NONCE];
	struct sv_aad aad;
	u8 tag[16];
	int err;

	memset(p->mac, 0, sizeof(p->mac));
	p->kid = v->kid;
	p->ctr = p->addr;
	if (sv_sealed(v)) {
		if (!sv_hashed(v)) {
			err = sv_take_ctr(v, 1, &p->ctr);
			if (err)
				return err;
		}
		err = sv_session_ctx(v, p->kid, &ctx);
		if (err)
			return err;
		sv_make_nonce(nonce, p->ctr, domain);
		sv_aad(v, &aad, domain, level, owner, p->birth);
		aes_gcm_seal(ctx, nonce, &aad, sizeof(aad), buf, buf, size, tag);
		audit(v, p->kid, nonce);
		memcpy(p->mac, tag, 16);
	}
	if (sv_hashed(v))
		sha256(buf, size, p->mac);
	return 0;
}

/* Counter mode without a tag: what opens a PINNED block, whose hash has been checked. */
static int open_hashed(struct secvol *v, const struct aes_gcm *ctx, const u8 *nonce,
		       const struct sv_aad *aad, const u8 *in, u8 *out, u32 size)
{
	u8 tag[16];

	/* GCM is counter mode: sealing the ciphertext again gives the plaintext back. */
	aes_gcm_seal(ctx, nonce, aad, sizeof(*aad), in, out, size, tag);
	mem_wipe(tag, sizeof(tag));
	return 0;
}

int sv_open_unit(struct secvol *v, u8 domain, u8 level, const struct sv_key *owner, u8 *buf,
		 u32 size, const struct sv_ptr *p)
{
	const struct aes_gcm *ctx;
	u8 nonce[AES_GCM_NONCE];
	struct sv_aad aad;
	u8 digest[32];
	int err;

	if (sv_hashed(v)) {
		sha256(buf, size, digest);
		if (!crypto_equal(digest, p->mac, 32) && !sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK))
			return -EBADMSG;
		if (!sv_sealed(v))
			return 0;
	}
	err = sv_session_ctx(v, p->kid, &ctx);
	if (err)
		return err;
	sv_make_nonce(nonce, p->ctr, domain);
	sv_aad(v, &aad, domain, level, owner, p->birth);
	if (sv_hashed(v) || sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK))
		return open_hashed(v, ctx, nonce, &aad, buf, buf, size);
	return aes_gcm_open(ctx, nonce, &aad, sizeof(aad), buf, buf, size, p->mac);
}

static void fill_units(const struct secvol *v, u64 obj, u64 block, u32 n, u64 ctr, u64 birth,
		       struct aes_gcm_unit *units, struct sv_aad *aads)
{
	for (u32 i = 0; i < n; i++) {
		struct sv_key owner = sv_key(obj, SV_EXTENT, block + i);

		sv_aad(v, &aads[i], SV_DOM_DATA, 0, &owner, birth);
		sv_make_nonce(units[i].nonce, ctr + i, SV_DOM_DATA);
		units[i].size = SV_BLOCK;
		units[i].aad = &aads[i];
		units[i].aad_size = sizeof(aads[i]);
	}
}

int sv_seal_blocks(struct secvol *v, u64 obj, u64 block, u32 count, const u8 *const *src, u8 *to,
		   struct sv_ptr *ext, u8 *macs)
{
	struct aes_gcm_unit units[SV_SEAL_BATCH];
	struct sv_aad aads[SV_SEAL_BATCH];
	const struct aes_gcm *ctx = NULL;
	bool is_private = v->bs->caps & BS_CAP_PRIVATE_BUFFERS;
	int err;

	ext->kid = v->kid;
	ext->ctr = ext->addr;
	if (sv_sealed(v)) {
		err = sv_session_ctx(v, v->kid, &ctx);
		if (!err && !sv_hashed(v))
			err = sv_take_ctr(v, count, &ext->ctr);
		if (err)
			return err;
	}
	for (u32 at = 0; at < count; at += SV_SEAL_BATCH) {
		u32 n = MIN(count - at, SV_SEAL_BATCH);
		u8 *out = is_private ? to + at * SV_BLOCK : v->bounce;

		if (sv_sealed(v)) {
			fill_units(v, obj, block + at, n, ext->ctr + at, ext->birth, units, aads);
			for (u32 i = 0; i < n; i++) {
				units[i].in = src[at + i];
				units[i].out = out + i * SV_BLOCK;
			}
			aes_gcm_seal_units(ctx, units, n);
			for (u32 i = 0; i < n; i++) {
				audit(v, v->kid, units[i].nonce);
				if (!sv_hashed(v))
					memcpy(macs + (at + i) * 16, units[i].tag, 16);
			}
		} else {
			for (u32 i = 0; i < n; i++)
				memcpy(out + i * SV_BLOCK, src[at + i], SV_BLOCK);
		}
		if (sv_hashed(v))
			sha256_units(out, SV_BLOCK, n, (u8(*)[32])(macs + at * 32));
		if (!is_private)
			memcpy(to + at * SV_BLOCK, out, n * SV_BLOCK);
	}
	return 0;
}

static int open_batch(const struct secvol *v, const struct aes_gcm *ctx, const u8 *bounce,
		      struct aes_gcm_unit *units, u32 n, const u8 *macs)
{
	u8 digests[SV_SEAL_BATCH][32];

	if (sv_hashed(v)) {
		sha256_units(bounce, SV_BLOCK, n, digests);
		if (!crypto_equal(digests, macs, n * 32) && !sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK))
			return -EBADMSG;
	}
	if (!sv_sealed(v)) {
		for (u32 i = 0; i < n; i++)
			memcpy(units[i].out, units[i].in, SV_BLOCK);
		return 0;
	}
	if (sv_hashed(v) || sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK)) {
		aes_gcm_seal_units(ctx, units, n); /* counter mode, see open_hashed() */
		return 0;
	}
	for (u32 i = 0; i < n; i++)
		memcpy(units[i].tag, macs + i * 16, 16);
	return aes_gcm_open_units(ctx, units, n, NULL);
}

int sv_open_blocks(const struct secvol *v, u8 *bounce, const struct aes_gcm *ctx, u64 obj,
		   u64 block, u32 count, const u8 *from, u8 *const *dst, const struct sv_ptr *ext,
		   const u8 *macs)
{
	struct aes_gcm_unit units[SV_SEAL_BATCH];
	struct sv_aad aads[SV_SEAL_BATCH];
	bool is_private = v->bs->caps & BS_CAP_PRIVATE_BUFFERS;
	u32 mac_size = sv_mac_size(v);
	int err = 0;

	for (u32 at = 0; !err && at < count; at += SV_SEAL_BATCH) {
		u32 n = MIN(count - at, SV_SEAL_BATCH);
		const u8 *in = is_private ? from + at * SV_BLOCK : bounce;

		if (!is_private)
			memcpy(bounce, from + at * SV_BLOCK, n * SV_BLOCK);
		fill_units(v, obj, block + at, n, ext->ctr + at, ext->birth, units, aads);
		for (u32 i = 0; i < n; i++) {
			units[i].in = in + i * SV_BLOCK;
			units[i].out = dst[at + i];
		}
		err = open_batch(v, ctx, in, units, n, macs + at * mac_size);
	}
	return err;
}
