/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space that is promised to files: blocks which have no place yet, and for which the volume keeps
 * as much free as they will need, so that writing them cannot meet ENOSPC. Copy on write gives each
 * write a new place anyway, so nothing is allocated ahead; what is kept is a number for the volume
 * and, per file, which of its blocks it is for.
 *
 * A RESERVED item stands for a run of them and lies under the run's last block, so that the first
 * item at or after a block is the one that can hold it. What is written, cut or punched leaves its
 * run.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define BLOCK_MAX ((u64)INT64_MAX / SV_BLOCK)

struct run {
	u64 first, last;
};

/* The first run that ends at or after `block`. */
static int run_next(struct secvol *v, u64 obj, u64 block, struct run *r)
{
	struct sv_key key = sv_key(obj, SV_RESERVED, block);
	const u8 *val;
	u32 size;
	int err = sv_item_next(v, &key, UINT64_MAX, &val, &size);

	return err ? err : sv_reserved_decode(&key, val, size, &r->first, &r->last);
}

int sv_reserved_decode(const struct sv_key *key, const u8 *val, u32 size, u64 *ret_first,
		       u64 *ret_last)
{
	u64 count;

	if (size != 8)
		return -EUCLEAN;
	count = le64_at(val);
	if (!count || key->off > BLOCK_MAX || count > key->off + 1)
		return -EUCLEAN;
	*ret_first = key->off + 1 - count;
	*ret_last = key->off;
	return 0;
}

static int run_put(struct secvol *v, u64 obj, u64 first, u64 last)
{
	struct sv_key key = sv_key(obj, SV_RESERVED, last);
	le64 count = le64_put(last + 1 - first);

	return sv_tree_put(v, &v->fs, &key, &count, sizeof(count));
}

static int run_delete(struct secvol *v, u64 obj, u64 last)
{
	struct sv_key key = sv_key(obj, SV_RESERVED, last);

	return sv_tree_delete(v, &v->fs, &key);
}

static void count(struct secvol *v, struct sv_inode_mem *i, u64 more, u64 less)
{
	i->attr.reserved += more - less;
	v->promised += more - less;
	sv_inode_dirty(v, i);
}

int sv_reserved_prepare(struct secvol *v, const struct sv_inode_mem *i, u64 block)
{
	struct sv_key lo = sv_key(i->attr.obj, SV_RESERVED, block);
	struct sv_key hi = sv_key(i->attr.obj, SV_RESERVED, block + SV_EXTENT_BLOCKS);
	struct run r;
	int err;

	if (!i->attr.reserved)
		return 0;
	err = run_next(v, i->attr.obj, hi.off, &r);
	if (!err)
		hi.off = r.last;
	return err && err != -ENOENT ? err : sv_tree_prepare(v, &v->fs, &lo, &hi, 8);
}

int sv_reserved_clear(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to)
{
	u64 obj = i->attr.obj;
	struct run r;
	int err = 0;

	while (!err && i->attr.reserved && from < to) {
		err = run_next(v, obj, from, &r);
		if (err || r.first >= to)
			return err == -ENOENT ? 0 : err;
		/* What is left behind keeps the item, what is left in front gets one. */
		err = r.last >= to ? run_put(v, obj, to, r.last) : run_delete(v, obj, r.last);
		if (!err && r.first < from)
			err = run_put(v, obj, r.first, from - 1);
		if (!err)
			count(v, i, 0, MIN(r.last + 1, to) - MAX(r.first, from));
		from = r.last + 1;
	}
	return err;
}

int sv_reserved_drop(struct secvol *v, struct sv_inode_mem *i)
{
	return sv_reserved_clear(v, i, 0, UINT64_MAX);
}

/* From *at on, below `end`: the next blocks that have neither a place nor a promise. */
static int gap_next(struct secvol *v, u64 obj, u64 *at, u64 end, u64 *ret_end)
{
	for (;;) {
		struct sv_key key = sv_key(obj, SV_EXTENT, *at & ~(u64)(SV_EXTENT_BLOCKS - 1));
		struct sv_extent_mem e;
		u64 until = end;
		const u8 *val, *macs;
		struct run r;
		u32 size;
		int err;

		if (*at >= end)
			return -ENOENT;
		for (;; key.off = e.block + e.ptr.nblk) { /* the extent at or behind *at */
			err = sv_item_next(v, &key, end - 1, &val, &size);
			if (err == -ENOENT)
				break;
			if (!err)
				err = sv_extent_decode(v, &key, val, size, &e, &macs);
			if (err)
				return err;
			if (e.block + e.ptr.nblk > *at) {
				until = MIN(until, e.block);
				break;
			}
		}
		if (until <= *at) {
			*at = e.block + e.ptr.nblk;
			continue;
		}
		err = run_next(v, obj, *at, &r);
		if (err && err != -ENOENT)
			return err;
		if (!err && r.first <= *at) {
			*at = r.last + 1;
			continue;
		}
		*ret_end = err ? until : MIN(until, r.first);
		return 0;
	}
}

static int gap_put(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to)
{
	u64 obj = i->attr.obj, first = from;
	struct run r;
	int err = from ? run_next(v, obj, from - 1, &r) : -ENOENT;

	/* One that ends right before it grows. */
	if (!err && r.last == from - 1) {
		first = r.first;
		err = run_delete(v, obj, r.last);
	} else if (err == -ENOENT) {
		err = 0;
	}
	if (!err)
		err = run_put(v, obj, first, to - 1);
	if (!err)
		count(v, i, to - from, 0);
	return err;
}

static int count_gaps(struct secvol *v, u64 obj, u64 from, u64 to, u64 *blocks, u64 *gaps)
{
	u64 end;
	int err;

	*blocks = *gaps = 0;
	while ((err = gap_next(v, obj, &from, to, &end)) == 0) {
		*blocks += end - from;
		++*gaps;
		from = end;
	}
	return err == -ENOENT ? 0 : err;
}

static int reserve(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to)
{
	u64 end;
	int err;

	while ((err = gap_next(v, i->attr.obj, &from, to, &end)) == 0) {
		if (!v->root_reserves)
			v->log.full = true; /* who reads the log learns of promises from its root */
		err = gap_put(v, i, from, end);
		if (err)
			return err;
		from = end;
	}
	return err == -ENOENT ? 0 : err;
}

static int get_file(struct secvol *v, u64 obj, struct sv_inode_mem **ret_i)
{
	int err = sv_inode_get(v, obj, ret_i);

	return err ? err : ((*ret_i)->attr.mode & 0170000) == 0100000 ? 0 : -EINVAL;
}

u64 sv_promise_cost(u64 blocks)
{
	return blocks + blocks / 32; /* and what leads to them, each with an extent of its own */
}

int secvol_reserve(struct secvol *v, u64 obj, u64 off, u64 len)
{
	u64 from = off / SV_BLOCK, to, blocks, gaps, room = 0, room_gaps = 0;
	struct sv_inode_mem *i;
	int err;

	if (!len || off > INT64_MAX || len > INT64_MAX - off)
		return len ? -EFBIG : -EINVAL;
	to = (off + len + SV_BLOCK - 1) / SV_BLOCK;
	for (;;) {
		err = sv_begin_write(v, sv_promise_cost(room), 8 + (u32)(room_gaps / 32), !room);
		if (err)
			return err;
		err = get_file(v, obj, &i);
		if (!err)
			err = sv_data_flush_obj(v, i); /* pages that wait get their place now */
		if (!err)
			err = count_gaps(v, obj, from, to, &blocks, &gaps);
		if (err || (blocks <= room && gaps <= room_gaps))
			break;
		sv_end(v);
		room = blocks;
		room_gaps = gaps;
		if (sv_promise_cost(room) > v->capacity || room_gaps > 1u << 20)
			return -ENOSPC;
	}
	if (!err)
		err = reserve(v, i, from, to);
	if (!err)
		sv_inode_touch(v, i, false);
	sv_end(v);
	return err;
}

/* ---- writes that must not meet ENOSPC -------------------------------------------------------- */

/* The block gets a place that is promised, or gives one back. */
static int is_covered(struct secvol *v, struct sv_inode_mem *i, u64 block)
{
	struct sv_key key = sv_key(i->attr.obj, SV_EXTENT, block & ~(u64)(SV_EXTENT_BLOCKS - 1));
	struct sv_chunk *c = sv_chunk_find(v, i->attr.obj, block / SV_EXTENT_BLOCKS);
	struct sv_extent_mem e;
	const u8 *val, *macs;
	struct run r;
	u32 size;
	int err;

	if (c && c->dirty >> block % SV_EXTENT_BLOCKS & 1)
		return 0; /* counted already */
	if (i->attr.reserved) {
		err = run_next(v, i->attr.obj, block, &r);
		if (err != -ENOENT && (err || r.first <= block))
			return err;
	}
	for (;; key.off = e.block + e.ptr.nblk) {
		err = sv_item_next(v, &key, block, &val, &size);
		if (err == -ENOENT)
			return -ENOSPC;
		if (!err)
			err = sv_extent_decode(v, &key, val, size, &e, &macs);
		if (err)
			return err;
		if (block < e.block + e.ptr.nblk) /* a snapshot would keep the old one */
			return e.ptr.birth > v->snap_newest ? 0 : -ENOSPC;
	}
}

int sv_begin_covered(struct secvol *v, u64 obj, u64 block, u64 blocks)
{
	struct sv_inode_mem *i;
	int err = sv_begin_write(v, blocks, 8, true);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	for (u64 k = 0; !err && k < blocks; k++)
		err = is_covered(v, i, block + k);
	if (err)
		sv_end(v);
	return err;
}

/* ---- the volume's number --------------------------------------------------------------------- */

int sv_promised_recount(struct secvol *v)
{
	struct sv_key key = sv_key(SECVOL_ROOT_OBJ, SV_INODE, 0);
	struct secvol_attr a;
	const u8 *val;
	u64 parent;
	u32 size;
	int err;

	v->promised = 0;
	while ((err = sv_tree_next(v, &v->fs, &key, &val, &size)) == 0) {
		if (key.type == SV_INODE) {
			err = sv_inode_decode(val, size, &a, &parent);
			if (err)
				return err;
			v->promised += a.reserved;
		}
		key = sv_key(key.obj + 1, SV_INODE, 0);
		sv_nodes_trim(v);
	}
	return err == -ENOENT ? 0 : err;
}
