/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing keys. Another key for a slot is a rewrap: the VMK stays, so it is no revocation of
 * what an old key's holder may have read or copied. Rotation makes a new VMK epoch: everything
 * written from then on is under it, and steps in the background rewrite what is older. The old
 * epoch's VMK stays in the sealed part of the root until no block needs it, snapshots' blocks
 * included.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

static int begin(struct secvol *v)
{
	int err;

	sv_commit_lock(v);
	sv_lock(v);
	err = !v->rw || v->p.mode != SECVOL_SEALED ? -EROFS : v->failed;
	if (!err && v->open_commit_due)
		err = sv_open_commit(v);
	return err ? err : sv_make_room(v, 0, 64, true);
}

static int end(struct secvol *v, int err)
{
	sv_end(v);
	sv_commit_unlock(v);
	return err;
}

/* ---- slots ----------------------------------------------------------------------------------- */

long secvol_slots(struct secvol *v, struct secvol_slot_info info[SECVOL_KEY_SLOTS])
{
	sv_lock(v);
	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++)
		sv_slot_info(&v->slots[i], &info[i]);
	sv_unlock(v);
	return SECVOL_KEY_SLOTS;
}

/* Until every root slot is of now: an older one would still open with a key that was removed. */
static int commit_everywhere(struct secvol *v)
{
	int err = 0;

	for (u32 i = 0; !err && i < SV_ROOT_SLOTS; i++)
		err = sv_commit(v, false);
	return err;
}

/* Puts `slot` in place and commits; the old one is back when that fails. */
static int slot_replace(struct secvol *v, u32 index, const struct sv_keyslot *slot)
{
	struct sv_keyslot old = v->slots[index];
	int err;

	v->slots[index] = *slot;
	v->dirty = true;
	err = commit_everywhere(v);
	if (err)
		v->slots[index] = old;
	return err;
}

int secvol_slot_set(struct secvol *v, u32 index, const struct secvol_key_source *src)
{
	struct sv_keyslot slot;
	int err = begin(v);

	if (!err && index >= SECVOL_KEY_SLOTS)
		err = -EINVAL;
	if (!err)
		err = sv_keyslot_make(v, src ? src : v->p.keys, &slot);
	if (!err)
		err = slot_replace(v, index, &slot);
	return end(v, err);
}

int secvol_slot_clear(struct secvol *v, u32 index)
{
	struct sv_keyslot slot = {0};
	u32 others = 0;
	int err = begin(v);

	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++)
		others += i != index && v->slots[i].type != SECVOL_SLOT_EMPTY;
	if (!err && (index >= SECVOL_KEY_SLOTS || !others))
		err = -EINVAL; /* nobody could open it again */
	if (!err)
		err = slot_replace(v, index, &slot);
	return end(v, err);
}

/* ---- rotation -------------------------------------------------------------------------------- */

bool sv_is_old(struct secvol *v, u32 kid)
{
	struct sv_session *s;

	return sv_session_find(v, kid, &s) == 0 && s->epoch < v->epoch;
}

static u64 old_live(const struct secvol *v, u16 epoch)
{
	u64 live = 0;

	for (u32 i = 0; i < v->session_count; i++) {
		if (v->sessions[i].epoch == epoch)
			live += v->sessions[i].live;
	}
	return live;
}

/* The epochs that nothing needs any more are forgotten. */
static void drop_old(struct secvol *v)
{
	for (u32 i = 0; i < ARRAY_SIZE(v->old_vmk); i++) {
		u16 epoch = le16_get(v->old_vmk[i].epoch);

		if (epoch && (!old_live(v, epoch) || sv_fault(v, SECVOL_FAULT_ROTATE_DROP))) {
			mem_wipe(&v->old_vmk[i], sizeof(v->old_vmk[i]));
			v->dirty = true;
		}
	}
}

static int rotate(struct secvol *v)
{
	struct sv_keyslot slots[SECVOL_KEY_SLOTS], slot;
	u8 vmk[32];
	u32 at = 0;
	int err;

	drop_old(v);
	while (at < ARRAY_SIZE(v->old_vmk) && le16_get(v->old_vmk[at].epoch))
		at++;
	if (at == ARRAY_SIZE(v->old_vmk) || v->epoch == UINT16_MAX)
		return -EBUSY; /* two are still being left */
	err = v->env.random(v->env.arg, vmk, sizeof(vmk));
	if (err)
		return err;
	memcpy(slots, v->slots, sizeof(slots));
	v->old_vmk[at].epoch = le16_put(v->epoch);
	memcpy(v->old_vmk[at].key, v->vmk, 32);
	memcpy(v->vmk, vmk, 32);
	mem_wipe(vmk, sizeof(vmk));
	v->epoch++;
	/* Keys that are not at hand cannot wrap the new VMK: their slots go. */
	err = sv_keyslot_make(v, v->p.keys, &slot);
	if (err) {
		memcpy(v->vmk, v->old_vmk[at].key, 32);
		v->epoch--;
		mem_wipe(&v->old_vmk[at], sizeof(v->old_vmk[at]));
		return err;
	}
	memset(v->slots, 0, sizeof(v->slots));
	v->slots[0] = slot;
	v->slot_index = 0;
	err = sv_session_start(v);
	if (!err)
		err = sv_tree_dirty_all(v, &v->keys);
	if (!err)
		err = commit_everywhere(v);
	v->rotate_key = sv_key(0, 0, 0);
	return err ? sv_fail(v, err) : 0;
}

int secvol_rotate(struct secvol *v)
{
	int err = begin(v);

	if (!err) /* what is in memory first: the step's session must not have begun */
		err = sv_commit(v, false);
	return end(v, err ? err : rotate(v));
}

static int rewrite_extent(struct secvol *v, const struct sv_key *key, u32 count, u8 *buf)
{
	u8 *dst[SV_EXTENT_BLOCKS];
	struct sv_inode_mem *i;
	int err;

	for (u32 k = 0; k < count; k++)
		dst[k] = buf + k * SV_BLOCK;
	err = sv_extent_read(v, key->obj, key->off, count, dst);
	if (!err)
		err = sv_inode_get(v, key->obj, &i);
	return err ? err : sv_data_rewrite(v, i, key->off, count, (const u8 *const *)dst);
}

/* File content of old epochs from v->rotate_key on; -ENOENT: no more. */
static int rotate_data(struct secvol *v, u32 blocks)
{
	u8 *buf = sv_alloc(v, SV_EXTENT_BLOCKS * SV_BLOCK);
	u32 done = 0;
	int err = buf ? 0 : -ENOMEM;

	while (!err && done < blocks) {
		struct sv_extent_mem e;
		const u8 *val, *macs;
		u32 size;

		err = sv_make_room(v, SV_EXTENT_BLOCKS, 16, false);
		if (!err)
			err = sv_tree_next(v, &v->fs, &v->rotate_key, &val, &size);
		if (err)
			break;
		if (v->rotate_key.type == SV_EXTENT) {
			err = sv_extent_decode(v, &v->rotate_key, val, size, &e, &macs);
			if (!err && sv_is_old(v, e.ptr.kid)) {
				err = rewrite_extent(v, &v->rotate_key, e.ptr.nblk, buf);
				done += e.ptr.nblk;
			}
		}
		v->rotate_key.off++;
		sv_nodes_trim(v);
	}
	sv_free(v, buf, SV_EXTENT_BLOCKS * SV_BLOCK);
	return err;
}

/* Nodes and bitmaps of old epochs. */
static int rotate_nodes(struct secvol *v)
{
	struct sv_tree *trees[] = {&v->fs, &v->ags, &v->snaps};
	int err = 0;

	for (u32 i = 0; !err && i < ARRAY_SIZE(trees); i++) {
		struct sv_key key = sv_key(0, 0, 0);

		while (!err) {
			err = sv_make_room(v, 0, 160, true);
			if (!err)
				err = sv_base_refresh(v, trees[i], &key, 128);
			if (err == -ENOENT)
				break;
			if (!err)
				err = sv_commit(v, false);
		}
		if (err == -ENOENT)
			err = 0;
	}
	for (u32 i = 0; !err && i < v->ag_count; i++) {
		struct sv_ag *ag;

		err = sv_ag_load(v, i, &ag);
		if (!err && ag->written && sv_is_old(v, ag->ptr.kid)) {
			ag->dirty = true;
			v->dirty = true;
		}
	}
	return err ? err : sv_commit(v, false);
}

int secvol_rotate_step(struct secvol *v, u32 blocks, u64 *ret_left)
{
	u64 left = 0;
	int err = begin(v);

	if (!err)
		err = rotate_data(v, blocks);
	if (err == -ENOENT) {
		v->rotate_key = sv_key(0, 0, 0);
		err = sv_commit(v, false);
		if (!err)
			err = rotate_nodes(v);
		if (!err) {
			drop_old(v);
			err = v->dirty ? sv_commit(v, false) : 0;
		}
	}
	for (u32 i = 0; !err && i < ARRAY_SIZE(v->old_vmk); i++) {
		if (le16_get(v->old_vmk[i].epoch))
			left += MAX(old_live(v, le16_get(v->old_vmk[i].epoch)), (u64)1);
	}
	*ret_left = left;
	return end(v, err);
}
