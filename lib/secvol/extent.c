/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a file's blocks lie. An extent is a run of up to 64 blocks with one tag each; none crosses
 * a multiple of 64 file blocks (a "chunk"), so everything about a chunk is found between two keys.
 * Overwriting part of an extent cuts it: each block has its own tag, counter and owner key, so the
 * parts stay valid as they are.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

static u64 chunk_of(u64 block)
{
	return block & ~(u64)(SV_EXTENT_BLOCKS - 1);
}

int sv_extent_decode(const struct secvol *v, const struct sv_key *key, const u8 *val, u32 size,
		     struct sv_extent_mem *e, const u8 **ret_macs)
{
	const struct sv_extent *x = (const struct sv_extent *)val;
	u64 a, b;

	if (size < sizeof(*x))
		return -EUCLEAN;
	a = le64_get(x->addr_nblk);
	b = le64_get(x->birth_flags);
	memset(e, 0, sizeof(*e));
	e->block = key->off;
	e->ptr.addr = a & ((1ull << 48) - 1);
	e->ptr.nblk = (u32)(a >> 48);
	e->ptr.birth = b & (SV_MAX_GEN - 1);
	e->ptr.ctr = le64_get(x->ctr0);
	e->ptr.kid = le32_get(x->kid);
	if (e->ptr.nblk == 0 || e->ptr.nblk > SV_EXTENT_BLOCKS || b >> 40 ||
	    e->block > INT64_MAX / SV_BLOCK ||
	    chunk_of(e->block) != chunk_of(e->block + e->ptr.nblk - 1) ||
	    size != sizeof(*x) + e->ptr.nblk * sv_mac_size(v) || e->ptr.addr < SV_FIRST_AG ||
	    !range_within(e->ptr.addr, e->ptr.nblk, v->size_blocks) || e->ptr.birth > v->gen + 1 ||
	    le32_get(x->csize) != e->ptr.nblk * SV_BLOCK)
		return -EUCLEAN;
	if (sv_hashed(v)) {
		e->ptr.ctr = e->ptr.addr;
		e->ptr.kid = v->kid;
	}
	*ret_macs = val + sizeof(*x);
	return 0;
}

/* Builds the item in `to`; returns its size. Part [skip, skip + count) of the extent. */
static u32 encode_part(const struct secvol *v, const struct sv_ptr *p, const u8 *macs, u32 skip,
		       u32 count, u8 *to)
{
	struct sv_extent *x = (struct sv_extent *)to;
	u32 mac = sv_mac_size(v);

	x->addr_nblk = le64_put((p->addr + skip) | (u64)count << 48);
	x->birth_flags = le64_put(p->birth);
	x->ctr0 = le64_put(v->p.mode == SECVOL_HASH ? 0 : p->ctr + skip);
	x->kid = le32_put(v->p.mode == SECVOL_HASH ? 0 : p->kid);
	x->csize = le32_put(count * SV_BLOCK);
	memcpy(x + 1, macs + skip * mac, count * mac);
	return sizeof(*x) + count * mac;
}

int sv_extent_prepare(struct secvol *v, const struct sv_inode_mem *i, u64 block)
{
	struct sv_key lo = sv_key(i->attr.obj, SV_EXTENT, chunk_of(block));
	struct sv_key hi = sv_key(i->attr.obj, SV_EXTENT, chunk_of(block) + SV_EXTENT_BLOCKS - 1);

	int err = sv_reserved_prepare(v, i, chunk_of(block));

	if (err)
		return err;
	if (i->inlined)
		lo = sv_key(i->attr.obj, SV_INLINE, 0);
	return sv_tree_prepare(v, &v->fs, &lo, &hi, i->attr.reserved ? 8 : 4);
}

/* Takes [from, to) out of the extent at *key, whose parts outside of it stay. */
static int cut_one(struct secvol *v, struct sv_inode_mem *i, const struct sv_key *key,
		   const struct sv_extent_mem *e, u64 from, u64 to)
{
	u32 left = (u32)(from - e->block), cut = (u32)(to - from);
	u32 right = e->ptr.nblk - left - cut;
	struct sv_key right_key = sv_key(key->obj, SV_EXTENT, to);
	u32 size;
	int err;

	if (left) {
		size = encode_part(v, &e->ptr, v->val[0], 0, left, v->val[1]);
		err = sv_tree_put(v, &v->fs, key, v->val[1], size);
	} else {
		err = sv_tree_delete(v, &v->fs, key);
	}
	if (!err && right) {
		size = encode_part(v, &e->ptr, v->val[0], left + cut, right, v->val[1]);
		err = sv_tree_put(v, &v->fs, &right_key, v->val[1], size);
	}
	if (err)
		return err;
	sv_free_blocks(v, e->ptr.addr + left, cut, e->ptr.birth, e->ptr.kid);
	i->attr.blocks -= cut;
	return 0;
}

int sv_extent_replace(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
		      const struct sv_ptr *ext, const u8 *macs)
{
	u64 end = block + count;
	struct sv_key key = sv_key(i->attr.obj, SV_EXTENT, chunk_of(block));
	struct sv_extent_mem e;
	const u8 *val, *old_macs;
	u32 size;
	int err = sv_extent_prepare(v, i, block);

	while (!err) {
		err = sv_item_next(v, &key, end - 1, &val, &size);
		if (err == -ENOENT) {
			err = 0;
			break;
		}
		if (!err)
			err = sv_extent_decode(v, &key, val, size, &e, &old_macs);
		if (err)
			break;
		if (e.block + e.ptr.nblk > block) {
			memcpy(v->val[0], old_macs, e.ptr.nblk * sv_mac_size(v));
			err = cut_one(v, i, &key, &e, MAX(e.block, block),
				      MIN(e.block + e.ptr.nblk, end));
		}
		key.off = e.block + e.ptr.nblk;
	}
	if (!err)
		err = sv_reserved_clear(v, i, block, end);
	if (!err && ext) {
		key = sv_key(i->attr.obj, SV_EXTENT, block);
		size = encode_part(v, ext, macs, 0, count, v->val[1]);
		err = sv_tree_put(v, &v->fs, &key, v->val[1], size);
		if (!err)
			i->attr.blocks += count;
	}
	sv_inode_dirty(v, i);
	return err;
}
