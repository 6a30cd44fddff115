/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocation group in memory: its two bitmaps, brought in from the store when the group is first
 * looked at, or made up by who knows better than the store (to_root.c). Bits of the bitmaps
 * themselves and of what lies behind the group's end are set for ever.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

static u32 bitmap_size(const struct sv_ag *ag)
{
	return ag->bm_blocks * SV_BLOCK;
}

void sv_ag_free(struct secvol *v, struct sv_ag *ag)
{
	sv_free(v, ag->cur, bitmap_size(ag));
	sv_free(v, ag->used, bitmap_size(ag));
	sv_free(v, ag, sizeof(*ag));
}

/* Clears or checks what is the group's own to give away: [head, nblocks). */
static void set_free(const struct secvol *v, const struct sv_ag *ag, u8 *map)
{
	u32 at = sv_ag_head(v);

	memset(map, 0xff, bitmap_size(ag));
	for (; at % 8 && at < ag->nblocks; at++)
		sv_bit_put(map, at, false);
	if (at < ag->nblocks)
		memset(map + at / 8, 0, (ag->nblocks - at) / 8);
	for (at = MAX(at, ALIGN_DOWN(ag->nblocks, 8u)); at < ag->nblocks; at++)
		sv_bit_put(map, at, false);
}

static bool rest_is_set(const struct secvol *v, const struct sv_ag *ag, const u8 *map)
{
	u32 at;

	for (at = 0; at < sv_ag_head(v); at++) {
		if (!sv_bit_get(map, at))
			return false;
	}
	for (at = ag->nblocks; at % 8 && sv_bit_get(map, at);)
		at++;
	for (at /= 8; at < bitmap_size(ag) && map[at] == 0xff;)
		at++;
	return at == bitmap_size(ag);
}

/* All in use, as far as anybody knows. */
static struct sv_ag *ag_new(struct secvol *v, u32 index)
{
	struct sv_ag *ag = sv_zalloc(v, sizeof(*ag));

	if (!ag)
		return NULL;
	ag->index = index;
	ag->start = SV_FIRST_AG + index * sv_ag_blocks(v);
	ag->nblocks = (u32)MIN(sv_ag_blocks(v), v->size_blocks - ag->start);
	ag->bm_blocks = sv_bm_blocks(v);
	ag->cur = sv_alloc(v, bitmap_size(ag));
	ag->used = sv_alloc(v, bitmap_size(ag));
	if (!ag->cur || !ag->used) {
		sv_ag_free(v, ag);
		return NULL;
	}
	memset(ag->cur, 0xff, bitmap_size(ag));
	return ag;
}

static u32 bits_set(u64 word)
{
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (u32)(word * 0x0101010101010101 >> 56);
}

/* Counts what the bitmaps say, and lets the volume have the group. */
static void ag_enter(struct secvol *v, struct sv_ag *ag)
{
	/* The lowest bit of each node-sized group, of 4 blocks or 8. */
	u64 lowest = v->node_blocks == 4 ? 0x1111111111111111 : 0x0101010101010101;

	for (u32 at = 0; at < bitmap_size(ag); at += 8) {
		u64 cur = le64_at(ag->cur + at), used = le64_at(ag->used + at), any = used;

		for (u32 k = 1; k < v->node_blocks; k *= 2)
			any |= any >> k;
		ag->free += bits_set(~cur);
		ag->avail += bits_set(~used);
		ag->quads += bits_set(~any & lowest);
	}
	v->ag[ag->index] = ag;
	v->quads += ag->quads;
	v->loaded_ags++;
}

static int bitmap_fetch(struct secvol *v, struct sv_ag *ag, u64 addr)
{
	int err = 0;

	for (u32 at = 0; !err && at < ag->bm_blocks; at += SV_IO_BLOCKS) {
		u32 n = MIN(ag->bm_blocks - at, SV_IO_BLOCKS);

		err = bs_read(v->bs, addr + at, n, v->io);
		if (!err)
			memcpy(ag->cur + at * SV_BLOCK, v->io, n * SV_BLOCK);
	}
	return err;
}

/* The committed bitmap of a group that was written before. */
static int ag_read(struct secvol *v, struct sv_ag *ag, const struct sv_ag_item *item)
{
	struct sv_key owner = sv_key(0, SV_AG, ag->index);
	int err = -EUCLEAN;

	ag->which = item->which;
	ag->written = true;
	ag->ptr.addr = ag->start + (item->which ? ag->bm_blocks : 0);
	ag->ptr.nblk = ag->bm_blocks;
	ag->ptr.birth = le64_get(item->birth);
	ag->ptr.ctr = sv_hashed(v) ? ag->ptr.addr : le64_get(item->ctr);
	ag->ptr.kid = le32_get(item->kid);
	memcpy(ag->ptr.mac, item->mac, 32);
	if (item->which > 1 || ag->ptr.birth > v->gen)
		return -EUCLEAN;
	for (u32 k = 0; k < sv_copies(v); k++) {
		err = bitmap_fetch(v, ag, ag->ptr.addr + k * 2 * ag->bm_blocks);
		if (!err)
			err = sv_open_unit(v, SV_DOM_BITMAP, 0, &owner, ag->cur, bitmap_size(ag),
					   &ag->ptr);
		if (!err)
			break;
	}
	return !err && !rest_is_set(v, ag, ag->cur) ? -EUCLEAN : err;
}

/* The group's item; flags 1 where there is none yet. */
static int item_get(struct secvol *v, u32 index, struct sv_ag_item *ret)
{
	struct sv_key key = sv_key(0, SV_AG, index);
	const u8 *val;
	u32 size;
	int err = sv_tree_lookup(v, &v->ags, &key, &val, &size);

	memset(ret, 0, sizeof(*ret));
	ret->flags = 1;
	if (err)
		return err == -ENOENT ? 0 : err;
	if (size != sizeof(*ret))
		return -EUCLEAN;
	memcpy(ret, val, sizeof(*ret));
	return 0;
}

int sv_ag_load(struct secvol *v, u32 index, struct sv_ag **ret_ag)
{
	struct sv_ag_item item;
	struct sv_ag *ag;
	int err;

	if (index >= v->ag_count)
		return -EUCLEAN;
	if (v->ag[index]) {
		*ret_ag = v->ag[index];
		return 0;
	}
	err = item_get(v, index, &item);
	if (err)
		return err;
	ag = ag_new(v, index);
	if (!ag)
		return -ENOMEM;
	if (item.flags & 1)
		set_free(v, ag, ag->cur);
	else
		err = ag_read(v, ag, &item);
	if (err) {
		sv_ag_free(v, ag);
		return err;
	}
	memcpy(ag->used, ag->cur, bitmap_size(ag));
	ag_enter(v, ag);
	if (!(item.flags & 1) && ag->free != le32_get(item.free)) {
		sv_ag_unload(v, index);
		return -EUCLEAN;
	}
	*ret_ag = ag;
	return 0;
}

int sv_ag_adopt(struct secvol *v, u32 index, const u8 *cur, const u8 *used, u8 which, bool written,
		u32 kid)
{
	struct sv_ag *ag = ag_new(v, index);

	if (!ag)
		return -ENOMEM;
	ag->which = which;
	ag->written = ag->dirty = written;
	ag->ptr.kid = kid;
	memcpy(ag->used, ag->cur, bitmap_size(ag));
	for (u32 i = sv_ag_head(v); i < ag->nblocks; i++) {
		u64 addr = ag->start + i;
		bool is_cur = cur[addr / 8] >> (addr % 8) & 1;
		bool is_used = used[addr / 8] >> (addr % 8) & 1;

		sv_bit_put(ag->cur, i, is_cur);
		sv_bit_put(ag->used, i, is_cur || is_used);
		ag->dirty |= is_cur;
	}
	ag_enter(v, ag);
	return 0;
}

void sv_ag_unload(struct secvol *v, u32 index)
{
	v->quads -= v->ag[index]->quads;
	v->loaded_ags--;
	sv_ag_free(v, v->ag[index]);
	v->ag[index] = NULL;
}

int sv_ag_load_another(struct secvol *v)
{
	struct sv_ag *ag;

	for (u32 i = 0; v->loaded_ags < v->ag_count && i < v->ag_count; i++) {
		if (!v->ag[i])
			return sv_ag_load(v, i, &ag);
	}
	return -ENOENT;
}
