/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes whose metadata is there twice (secvol_format_params.dup): nodes, bitmaps, root slots and
 * blocks of the log. Every reader takes the second copy where the first does not open; here both
 * are looked at, and a bad one is written again from the good one. The bytes are the same, sealed
 * once: what is repaired is exactly what the tag in the pointer above asks for.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

struct twice {
	struct secvol *v;
	bool repair;
	u32 bad;
};

static int verify_root(struct twice *t)
{
	struct secvol *v = t->v;
	u64 at[2] = {v->gen % SV_ROOT_SLOTS, SV_ROOT_COPY + v->gen % SV_ROOT_SLOTS};
	bool good[2];
	u8 digest[32];

	for (u32 k = 0; k < 2; k++) {
		int err = bs_read(v->bs, at[k], 1, v->io);

		memcpy(v->bounce + k * SV_BLOCK, v->io, SV_BLOCK);
		sha256(v->bounce + k * SV_BLOCK, SV_BLOCK, digest);
		good[k] = !err && crypto_equal(digest, v->root_sha256, 32);
	}
	if (!good[0] && !good[1])
		return -EBADMSG;
	if (good[0] && good[1])
		return 0;
	t->bad++;
	if (!t->repair)
		return 0;
	memcpy(v->io, v->bounce + (good[0] ? 0 : SV_BLOCK), SV_BLOCK);
	return bs_write(v->bs, at[good[0] ? 1 : 0], 1, v->io);
}

/* A cut of power between the two leaves one: whoever may write makes them two again. */
int sv_twice_heal_root(struct secvol *v)
{
	struct twice t = {.v = v, .repair = true};

	return v->dup ? verify_root(&t) : 0;
}

static int bitmap_is_good(struct secvol *v, const struct sv_ag *ag, u64 addr, u8 *buf)
{
	struct sv_key owner = sv_key(0, SV_AG, ag->index);

	for (u32 at = 0; at < ag->bm_blocks; at += SV_IO_BLOCKS) {
		u32 n = MIN(ag->bm_blocks - at, SV_IO_BLOCKS);
		int err = bs_read(v->bs, addr + at, n, v->io);

		if (err)
			return err;
		memcpy(buf + at * SV_BLOCK, v->io, n * SV_BLOCK);
	}
	return sv_open_unit(v, SV_DOM_BITMAP, 0, &owner, buf, ag->bm_blocks * SV_BLOCK, &ag->ptr);
}

/* From the place of one copy to the other's. */
static int bitmap_copy(struct secvol *v, const struct sv_ag *ag, u64 from, u64 to)
{
	int err = 0;

	for (u32 at = 0; !err && at < ag->bm_blocks; at += SV_IO_BLOCKS) {
		u32 n = MIN(ag->bm_blocks - at, SV_IO_BLOCKS);

		err = bs_read(v->bs, from + at, n, v->io);
		if (!err)
			err = bs_write(v->bs, to + at, n, v->io);
	}
	return err;
}

static int verify_bitmap(struct twice *t, const struct sv_ag *ag)
{
	u64 at[2] = {ag->ptr.addr, ag->ptr.addr + 2 * ag->bm_blocks};
	u8 *buf = sv_alloc(t->v, ag->bm_blocks * SV_BLOCK);
	int err[2];

	if (!buf)
		return -ENOMEM;
	for (u32 k = 0; k < 2; k++)
		err[k] = bitmap_is_good(t->v, ag, at[k], buf);
	sv_free(t->v, buf, ag->bm_blocks * SV_BLOCK);
	if (!err[0] == !err[1])
		return err[0];
	t->bad++;
	return t->repair ? bitmap_copy(t->v, ag, at[err[0] ? 1 : 0], at[err[0] ? 0 : 1]) : 0;
}

static int verify_bitmaps(struct twice *t)
{
	struct secvol *v = t->v;
	int first = 0;

	for (u32 i = 0; v->ag && i < v->ag_count; i++) {
		bool was_loaded = v->ag[i];
		struct sv_ag *ag;
		int err = sv_ag_load(v, i, &ag);

		if (!err && ag->written)
			err = verify_bitmap(t, ag);
		if (!err && !was_loaded && v->loaded_ags > 16) /* memory is not for this */
			sv_ag_unload(v, i);
		first = first ? first : err;
	}
	return first;
}

static int verify_below(struct twice *t, struct sv_tree *tree, const struct sv_ptr *p)
{
	struct sv_node *n;
	u32 bad;
	int err = 0;

	if (!(p->addr & SV_VIRTUAL)) {
		err = sv_node_verify(t->v, tree, p, t->repair, &bad);
		t->bad += err ? 0 : bad;
	}
	if (!err && p->level)
		err = sv_child(t->v, tree, p, NULL, NULL, &n);
	for (u32 i = 0; !err && p->level && i < n->n; i++) {
		struct sv_ptr child;

		err = sv_ptr_decode(t->v, (const struct sv_bptr *)sv_node_value(n, i), &child);
		if (!err && child.level + 1 != n->level)
			err = -EUCLEAN;
		if (!err)
			err = verify_below(t, tree, &child);
	}
	return err;
}

int sv_twice_verify(struct secvol *v, bool repair, u32 *ret_bad)
{
	struct sv_tree *trees[] = {&v->keys, &v->ags, &v->snaps};
	struct twice t = {.v = v, .repair = repair};
	int first = v->dup && !v->p.root_gen ? verify_root(&t) : 0;

	for (u32 i = 0; v->dup && i < ARRAY_SIZE(trees); i++) {
		int err = trees[i]->root.addr ? verify_below(&t, trees[i], &trees[i]->root) : 0;

		first = first ? first : err;
	}
	if (v->dup) {
		int err = verify_bitmaps(&t);

		first = first ? first : err;
	}
	*ret_bad = t.bad;
	return first;
}
