/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys. A volume master key (VMK) per epoch, wrapped in key slots by keys that come from outside;
 * a session key per read-write open, derived from the VMK and a random salt; the key table, which
 * remembers the salts of sessions whose blocks are still alive.
 *
 *   KEK = HKDF(user key, salt = keyid, "secvol1/kek" || uuid || role || id size || id || epoch)
 *   K_s = HKDF(VMK, salt = session salt, "secvol1/s" || uuid || kid)
 *   pinned image: VMK = HKDF(image key, "secvol1/image")
 *
 * Wrapping is AES-256-GCM with nonce 0 under a KEK that is used once (a fresh keyid per wrap).
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/sha256.h"

static int fixed_describe(void *arg, struct secvol_slot_info *slot)
{
	const struct secvol_fixed_key *k = arg;

	slot->type = k->type;
	return 0;
}

static int fixed_get(void *arg, const struct secvol_slot_info *slot, u8 ikm[64], size_t *ret_size)
{
	const struct secvol_fixed_key *k = arg;

	if (slot->type != k->type)
		return -ENOENT;
	memcpy(ikm, k->key, k->size);
	*ret_size = k->size;
	return 0;
}

void secvol_fixed_key_source(struct secvol_key_source *src, struct secvol_fixed_key *key)
{
	src->arg = key;
	src->describe = fixed_describe;
	src->get = fixed_get;
}

void sv_slot_info(const struct sv_keyslot *slot, struct secvol_slot_info *info)
{
	memset(info, 0, sizeof(*info));
	info->type = slot->type;
	info->flags = slot->flags;
	info->policy = le16_get(slot->policy);
	info->isvsvn = le16_get(slot->isvsvn);
	info->configsvn = le16_get(slot->configsvn);
	memcpy(info->cpusvn, slot->cpusvn, 16);
	memcpy(info->keyid, slot->keyid, 16);
	info->epoch = le16_get(slot->epoch);
}

struct kek_info {
	char text[11];
	u8 uuid[16];
	u8 role;
	u8 id_size;
	u8 id[SECVOL_VOLUME_ID_MAX];
	le16 epoch;
};
static_assert(sizeof(struct kek_info) == 11 + 16 + 2 + 64 + 2, "kek info");

/* The key encryption key of a slot, or why there is none. */
static int derive_kek(struct secvol *v, const struct secvol_key_source *src,
		      const struct secvol_slot_info *slot, const u8 uuid[16],
		      struct aes_gcm *ret_kek)
{
	struct kek_info info = {.text = "secvol1/kek", .role = v->p.role};
	u8 ikm[64], salt[32] = {0}, kek[32];
	size_t size = 0;
	int err = src->get(src->arg, slot, ikm, &size);

	if (err)
		return err;
	if (size < 16 || size > sizeof(ikm))
		return -EINVAL;
	memcpy(info.uuid, uuid, 16);
	info.id_size = (u8)v->p.volume_id_size;
	memcpy(info.id, v->volume_id, SECVOL_VOLUME_ID_MAX);
	info.epoch = le16_put(slot->epoch);
	memcpy(salt, slot->keyid, 16);
	hkdf_sha256(ikm, size, salt, sizeof(salt), &info, sizeof(info), kek, sizeof(kek));
	err = aes_gcm_init(ret_kek, kek, sizeof(kek));
	mem_wipe(ikm, sizeof(ikm));
	mem_wipe(kek, sizeof(kek));
	return err;
}

static const u8 zero_nonce[AES_GCM_NONCE];

int sv_keyslot_make(struct secvol *v, const struct secvol_key_source *src, struct sv_keyslot *slot)
{
	struct secvol_slot_info info = {.epoch = v->epoch};
	struct aes_gcm kek;
	int err = v->env.random(v->env.arg, info.keyid, sizeof(info.keyid));

	if (!err)
		err = src->describe(src->arg, &info);
	if (!err)
		err = derive_kek(v, src, &info, v->uuid, &kek);
	if (err)
		return err;
	memset(slot, 0, sizeof(*slot));
	slot->type = info.type;
	slot->flags = info.flags;
	slot->policy = le16_put(info.policy);
	slot->isvsvn = le16_put(info.isvsvn);
	slot->configsvn = le16_put(info.configsvn);
	memcpy(slot->cpusvn, info.cpusvn, 16);
	memcpy(slot->keyid, info.keyid, 16);
	slot->epoch = le16_put(v->epoch);
	aes_gcm_seal(&kek, zero_nonce, slot, offsetof(struct sv_keyslot, wrapped), v->vmk,
		     slot->wrapped, sizeof(slot->wrapped), slot->tag);
	aes_gcm_wipe(&kek);
	return 0;
}

int sv_keyslots_open(struct secvol *v, const struct sv_keyslot slots[4], u16 epoch,
		     const u8 uuid[16])
{
	struct secvol_slot_info info;
	struct aes_gcm kek;

	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++) {
		const struct sv_keyslot *s = &slots[i];
		int err;

		if (s->type == SECVOL_SLOT_EMPTY || le16_get(s->epoch) != epoch ||
		    !mem_is_zero(s->rsv, sizeof(s->rsv)))
			continue;
		sv_slot_info(s, &info);
		if (derive_kek(v, v->p.keys, &info, uuid, &kek))
			continue;
		err = aes_gcm_open(&kek, zero_nonce, s, offsetof(struct sv_keyslot, wrapped),
				   s->wrapped, v->vmk, sizeof(v->vmk), s->tag);
		aes_gcm_wipe(&kek);
		if (!err) {
			v->epoch = epoch;
			v->slot_isvsvn = info.isvsvn;
			v->slot_index = (u8)i;
			return 0;
		}
	}
	return -EKEYREJECTED;
}

int sv_image_key(struct secvol *v)
{
	struct secvol_slot_info info = {.type = SECVOL_SLOT_USER};
	u8 ikm[64];
	size_t size = 0;
	int err = v->p.keys->get(v->p.keys->arg, &info, ikm, &size);

	if (err)
		return err == -ENOENT ? -EKEYREJECTED : err;
	if (size < 16 || size > sizeof(ikm))
		return -EINVAL;
	hkdf_sha256(ikm, size, NULL, 0, "secvol1/image", 13, v->vmk, sizeof(v->vmk));
	mem_wipe(ikm, sizeof(ikm));
	v->epoch = 0;
	return 0;
}

int sv_session_find(struct secvol *v, u32 kid, struct sv_session **ret_s)
{
	u32 lo = 0, hi = v->session_count;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (v->sessions[mid].kid == kid) {
			*ret_s = &v->sessions[mid];
			return 0;
		}
		if (v->sessions[mid].kid < kid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -EUCLEAN; /* a pointer that names an unknown session */
}

static const u8 *vmk_of(struct secvol *v, u16 epoch)
{
	if (epoch == v->epoch)
		return v->vmk;
	for (u32 i = 0; i < ARRAY_SIZE(v->old_vmk); i++) {
		if (epoch && le16_get(v->old_vmk[i].epoch) == epoch)
			return v->old_vmk[i].key;
	}
	return NULL;
}

int sv_session_ctx(struct secvol *v, u32 kid, const struct aes_gcm **ret_ctx)
{
	struct {
		char text[9];
		u8 uuid[16];
		le32 kid;
	} info = {.text = "secvol1/s", .kid = le32_put(kid)};
	struct sv_session *s;
	const u8 *vmk;
	u8 key[32];
	u32 size = v->p.suite == SECVOL_AES256_GCM ? 32 : 16;
	int err = sv_session_find(v, kid, &s);

	if (err)
		return err;
	if (!s->ctx) {
		vmk = vmk_of(v, s->epoch);
		if (!vmk)
			return -EUCLEAN;
		s->ctx = sv_alloc(v, sizeof(*s->ctx));
		if (!s->ctx)
			return -ENOMEM;
		memcpy(info.uuid, v->uuid, 16);
		hkdf_sha256(vmk, 32, s->salt, 32, &info, sizeof(info), key, sizeof(key));
		err = aes_gcm_init(s->ctx, key, size);
		if (v->hooks.on_nonce)
			sha256(key, size, s->key_id);
		mem_wipe(key, sizeof(key));
		if (err)
			return err;
	}
	*ret_ctx = s->ctx;
	return 0;
}

void sv_session_live(struct secvol *v, u32 kid, s64 blocks)
{
	struct sv_session *s;

	if (v->p.mode == SECVOL_SEALED && sv_session_find(v, kid, &s) == 0)
		s->live += (u64)blocks;
}

int sv_session_add(struct secvol *v, u32 kid, u16 epoch, const u8 salt[32])
{
	struct sv_session *s;
	u32 at;

	if (v->session_count == v->session_cap) {
		u32 cap = v->session_cap ? v->session_cap * 2 : 16;
		struct sv_session *bigger = sv_alloc(v, array_size(cap, sizeof(*bigger)));

		if (!bigger)
			return -ENOMEM;
		if (v->session_count)
			memcpy(bigger, v->sessions, v->session_count * sizeof(*bigger));
		sv_free(v, v->sessions, v->session_cap * sizeof(*bigger));
		v->sessions = bigger;
		v->session_cap = cap;
	}
	for (at = v->session_count; at > 0 && v->sessions[at - 1].kid >= kid; at--) {
		if (v->sessions[at - 1].kid == kid)
			return -EEXIST;
	}
	s = &v->sessions[at];
	memmove(s + 1, s, (v->session_count - at) * sizeof(*s));
	memset(s, 0, sizeof(*s));
	s->kid = kid;
	s->epoch = epoch;
	memcpy(s->salt, salt, 32);
	v->session_count++;
	return 0;
}

int sv_session_start(struct secvol *v)
{
	u32 kid = v->session_count ? v->sessions[v->session_count - 1].kid + 1 : 1;
	u8 salt[32];
	int err;

	if (kid <= v->kid)
		kid = v->kid + 1;
	if (kid == 0)
		return -EOVERFLOW;
	err = v->env.random(v->env.arg, salt, sizeof(salt));
	if (!err)
		err = sv_session_add(v, kid, v->epoch, salt);
	if (err)
		return err;
	v->kid = kid;
	v->next_ctr = 0;
	return 0;
}

void secvol_wipe_keys(struct secvol *v)
{
	struct sv_session *s = v->sessions;
	u32 count = MIN(v->session_count, v->session_cap);

	mem_wipe(v->vmk, sizeof(v->vmk));
	mem_wipe(v->old_vmk, sizeof(v->old_vmk));
	for (u32 i = 0; s && i < count; i++) {
		if (s[i].ctx)
			aes_gcm_wipe(s[i].ctx);
	}
}

void sv_sessions_free(struct secvol *v)
{
	for (u32 i = 0; i < v->session_count; i++) {
		if (v->sessions[i].ctx) {
			aes_gcm_wipe(v->sessions[i].ctx);
			sv_free(v, v->sessions[i].ctx, sizeof(struct aes_gcm));
		}
	}
	sv_free(v, v->sessions, v->session_cap * sizeof(*v->sessions));
	v->sessions = NULL;
	v->session_count = v->session_cap = 0;
}

int sv_key_table_load(struct secvol *v)
{
	struct sv_key key = sv_key(0, SV_KEY, 0);
	const struct sv_key_item *item;
	struct sv_session *s;
	const u8 *val;
	u32 size;
	int err;

	if (v->p.mode != SECVOL_SEALED)
		return 0;
	while ((err = sv_tree_next(v, &v->keys, &key, &val, &size)) == 0) {
		item = (const struct sv_key_item *)val;
		if (key.obj || key.type != SV_KEY || size != sizeof(*item) ||
		    key.off > UINT32_MAX || key.off > v->kid)
			return -EUCLEAN;
		/* The current session is there already, from the root slot. */
		err = sv_session_add(v, (u32)key.off, le16_get(item->epoch), item->salt);
		if (err && err != -EEXIST)
			return err;
		err = sv_session_find(v, (u32)key.off, &s);
		if (err)
			return err;
		if (memcmp(s->salt, item->salt, 32) != 0 || s->epoch != le16_get(item->epoch))
			return -EUCLEAN;
		s->live = s->live_committed = le64_get(item->live);
		s->in_table = true;
		key.off++;
	}
	return err == -ENOENT ? 0 : err;
}
