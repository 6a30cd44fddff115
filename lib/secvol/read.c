/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading file blocks in two steps: a plan, made under the volume's mutex, says which runs of the
 * store hold the blocks and with which keys and tags they open; carrying it out touches nothing but
 * the reader's own buffers, so large reads do it without the mutex and several at a time.
 *
 * While that happens the blocks may be freed, and after later commits even be written again. Then
 * they no longer fit the tags of the plan: the read fails, and its caller repeats it under the
 * mutex. Wrong bytes are never returned.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define READERS_MAX 4u /* besides the one used under the mutex */
#define GAP_MAX	    8u /* blocks between two parts that cost less than another request */

struct sv_reader *sv_reader_new(struct secvol *v, bool shared)
{
	struct sv_reader *r = sv_zalloc(v, sizeof(*r));

	if (!r)
		return NULL;
	r->shared = shared;
	r->io = shared ? v->io : v->bs->ops->buf_alloc(v->bs, SV_IO_BLOCKS * SV_BLOCK);
	r->bounce = shared ? v->bounce : sv_alloc(v, SV_SEAL_BATCH * SV_BLOCK);
	if (!r->io || !r->bounce) {
		sv_reader_free(v, r);
		return NULL;
	}
	return r;
}

void sv_reader_free(struct secvol *v, struct sv_reader *r)
{
	if (!r->shared) {
		if (r->io)
			v->bs->ops->buf_free(v->bs, r->io, SV_IO_BLOCKS * SV_BLOCK);
		sv_free(v, r->bounce, SV_SEAL_BATCH * SV_BLOCK);
	}
	sv_free(v, r, sizeof(*r));
}

struct sv_reader *sv_reader_get(struct secvol *v)
{
	struct sv_reader *r = v->idle_readers;

	if (!v->lock)
		return NULL; /* one thread: nothing to be gained */
	if (r) {
		v->idle_readers = r->next;
		return r;
	}
	if (v->reader_count >= READERS_MAX)
		return NULL;
	r = sv_reader_new(v, false);
	if (r)
		v->reader_count++;
	return r;
}

void sv_reader_put(struct secvol *v, struct sv_reader *r)
{
	r->next = v->idle_readers;
	v->idle_readers = r;
}

static int add_part(struct secvol *v, struct sv_reader *r, const struct sv_extent_mem *e, u32 skip,
		    u32 n, const u8 *macs)
{
	u32 to = (u32)(e->block + skip - r->block), mac = sv_mac_size(v);
	struct sv_read_part *p = &r->part[r->parts++];
	int err = 0;

	p->to = to;
	p->count = n;
	p->ptr = e->ptr;
	p->ptr.addr += skip;
	p->ptr.ctr += skip;
	p->ctx = NULL;
	memcpy(r->macs + to * mac, macs + skip * mac, n * mac);
	if (sv_sealed(v))
		err = sv_session_ctx(v, p->ptr.kid, &p->ctx);
	p->from = bs_map(v->bs, p->ptr.addr, n, false);
	return err;
}

/* The parts that have to be fetched, in the order in which they lie on the store. */
static u32 sort_parts(struct sv_reader *r, u8 order[SV_EXTENT_BLOCKS], u32 *ret_blocks)
{
	u32 n = 0;

	*ret_blocks = 0;
	for (u32 i = 0; i < r->parts; i++) {
		u32 at = n;

		if (r->part[i].from)
			continue;
		for (; at && r->part[order[at - 1]].ptr.addr > r->part[i].ptr.addr; at--)
			order[at] = order[at - 1];
		order[at] = (u8)i;
		n++;
		*ret_blocks += r->part[i].count;
	}
	return n;
}

/*
 * One request for what lies together, however the file's blocks follow one another: what was
 * written in between lies together as well. Small gaps are read along where the buffer has room for
 * them.
 */
static void plan_requests(struct sv_reader *r, u32 gap_max)
{
	u8 order[SV_EXTENT_BLOCKS], *at = r->io;
	u32 blocks, n = sort_parts(r, order, &blocks), spare = SV_IO_BLOCKS - blocks;

	for (u32 i = 0; i < n; i++) {
		struct sv_read_part *p = &r->part[order[i]];
		struct bs_req *last = r->reqs ? &r->req[r->reqs - 1] : NULL;
		/* Beyond all bounds where extents overlap, as in a forged structure. */
		u64 gap = last ? p->ptr.addr - (last->block + last->count) : UINT64_MAX;

		if (gap <= MIN(gap_max, spare)) {
			spare -= (u32)gap;
			at += gap * SV_BLOCK;
			last->count += (u32)gap + p->count;
		} else {
			r->req[r->reqs++] = (struct bs_req){
				.op = BS_READ, .block = p->ptr.addr, .count = p->count, .buf = at};
		}
		p->from = at;
		at += p->count * SV_BLOCK;
	}
}

/* Where the blocks lie; parts that the store does not map have no place in memory yet. */
static int find_parts(struct secvol *v, struct sv_reader *r, u64 obj, u64 block, u32 count)
{
	struct sv_key key = sv_key(obj, SV_EXTENT, block & ~(u64)(SV_EXTENT_BLOCKS - 1));
	struct sv_extent_mem e;
	const u8 *val, *macs;
	u32 size;
	int err;

	r->obj = obj;
	r->block = block;
	r->count = count;
	r->parts = r->reqs = 0;
	for (;; key.off = e.block + e.ptr.nblk) {
		u64 from, to;

		err = sv_item_next(v, &key, block + count - 1, &val, &size);
		if (err)
			return err == -ENOENT ? 0 : err;
		err = sv_extent_decode(v, &key, val, size, &e, &macs);
		if (err)
			return err;
		from = MAX(e.block, block);
		to = MIN(e.block + e.ptr.nblk, block + count);
		if (from >= to)
			continue;
		/* Keys ascend, but extents that overlap would be a forged structure. */
		if (r->parts &&
		    from < block + r->part[r->parts - 1].to + r->part[r->parts - 1].count)
			return -EUCLEAN;
		err = add_part(v, r, &e, (u32)(from - e.block), (u32)(to - from), macs);
		if (err)
			return err;
	}
}

int sv_reader_plan(struct secvol *v, struct sv_reader *r, u64 obj, u64 block, u32 count)
{
	int err = find_parts(v, r, obj, block, count);

	if (!err) /* a block that cannot be read takes none along that is wanted by itself */
		plan_requests(r, r->shared ? 0 : GAP_MAX);
	return err;
}

int sv_reader_run(struct secvol *v, struct sv_reader *r, u8 *const *dst)
{
	u32 at = 0;
	int err = r->reqs ? bs_run(v->bs, r->req, r->reqs) : 0;

	for (u32 i = 0; !err && i < r->parts; i++) {
		struct sv_read_part *p = &r->part[i];

		for (; at < p->to; at++)
			memset(dst[at], 0, SV_BLOCK);
		err = sv_open_blocks(v, r->bounce, p->ctx, r->obj, r->block + p->to, p->count,
				     p->from, dst + p->to, &p->ptr,
				     r->macs + p->to * sv_mac_size(v));
		at = p->to + p->count;
	}
	for (; !err && at < r->count; at++)
		memset(dst[at], 0, SV_BLOCK);
	return err;
}

int sv_extent_open(struct secvol *v, u64 obj, const struct sv_extent_mem *e, const u8 *macs)
{
	const struct aes_gcm *ctx = NULL;
	u8 *dst[SV_EXTENT_BLOCKS], *page = sv_alloc(v, SV_BLOCK);
	int err = page ? 0 : -ENOMEM;

	for (u32 i = 0; i < SV_EXTENT_BLOCKS; i++)
		dst[i] = page;
	if (!err && sv_sealed(v))
		err = sv_session_ctx(v, e->ptr.kid, &ctx);
	if (!err)
		err = bs_read(v->bs, e->ptr.addr, e->ptr.nblk, v->io);
	if (!err)
		err = sv_open_blocks(v, v->bounce, ctx, obj, e->block, e->ptr.nblk, v->io, dst,
				     &e->ptr, macs);
	sv_free(v, page, SV_BLOCK);
	return err;
}

int sv_extent_read(struct secvol *v, u64 obj, u64 block, u32 count, u8 *const *dst)
{
	int err = sv_reader_plan(v, v->reader, obj, block, count);

	return err ? err : sv_reader_run(v, v->reader, dst);
}
