/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File contents. Small writes gather in the page cache (page.c) so that blocks are allocated in
 * long runs and sealed in batches, and small sequential reads read ahead into it. Large aligned
 * reads and writes go past it, straight between the caller's memory and the sealed blocks.
 *
 * Bytes of the last block beyond the file's size are always zero, in pages and on the store.
 * Files of up to 2 KiB without blocks live in an INLINE item; block 0 is never in both.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define DIRECT_READ   4u /* blocks from which a read goes past the cache */
#define DIRECT_WRITE  16u
#define READ_AHEAD    32u    /* blocks, for small sequential reads */
#define WRITE_SLICE   MIB(1) /* the lock is given up in between */
#define COVERED_WRITE 65536u
#define S_IFMT_	      0170000u
#define S_IFREG_      0100000u
#define S_IFDIR_      0040000u

/* ---- to the store ---- */

static int drop_inline(struct secvol *v, struct sv_inode_mem *i)
{
	struct sv_key key = sv_key(i->attr.obj, SV_INLINE, 0);
	int err;

	if (!i->inlined)
		return 0;
	err = sv_tree_delete(v, &v->fs, &key);
	if (!err)
		i->inlined = false;
	return err;
}

static void queue_data(struct secvol *v, u64 addr, u32 count)
{
	struct sv_queue *q = &v->queue;

	struct bs_req *last = q->reqs ? &q->req[q->reqs - 1] : NULL;

	if (last && last->block + last->count == addr) {
		last->count += count;
		q->blocks += count;
		return;
	}
	q->req[q->reqs++] = (struct bs_req){
		.op = BS_WRITE, .block = addr, .count = count, .buf = q->io + q->blocks * SV_BLOCK};
	q->blocks += count;
}

/*
 * Seals and writes `count` blocks of one chunk from src pages, and refers to them. *ret_done: to
 * how many, which after an error may be some, as where free space is in pieces.
 */
static int write_run(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
		     const u8 *const *src, u32 *ret_done)
{
	*ret_done = 0;
	while (count) {
		struct sv_ptr ext = {.birth = v->gen + 1};
		bool queued;
		u8 *to;
		u32 n;
		int err = sv_extent_prepare(v, i, block);

		if (!err)
			err = sv_alloc_blocks(v, count, &ext.addr, &n);
		if (err)
			return err;
		ext.nblk = n;
		to = bs_map(v->bs, ext.addr, n, true);
		queued = !to && v->queue.filling;
		if (queued && v->queue.blocks + n > SV_IO_BLOCKS) {
			err = sv_queue_run(v);
			if (err)
				return sv_fail(v, err);
		}
		if (queued)
			to = v->queue.io + v->queue.blocks * SV_BLOCK;
		err = sv_seal_blocks(v, i->attr.obj, block, n, src, to ? to : v->io, &ext,
				     v->val[2]);
		if (err) {
			sv_alloc_undo(v, ext.addr, n);
			return err;
		}
		if (queued)
			queue_data(v, ext.addr, n);
		else if (!to)
			err = bs_write(v->bs, ext.addr, n, v->io);
		if (err == -ENOSPC) { /* the store's disk is full; nothing refers to the blocks */
			sv_alloc_undo(v, ext.addr, n);
			return err;
		}
		sv_unflushed_add(v, ext.addr, n);
		if (!err)
			err = sv_extent_replace(v, i, block, n, &ext, v->val[2]);
		if (!err && block == 0)
			err = drop_inline(v, i);
		if (err)
			return sv_fail(v, err);
		sv_session_live(v, ext.kid, n);
		*ret_done += n;
		block += n;
		src += n;
		count -= n;
	}
	return 0;
}

int sv_data_rewrite(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
		    const u8 *const *src)
{
	u32 done; /* what is written again is the same: a part does no harm */

	return write_run(v, i, block, count, src, &done);
}

static int write_inline(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c)
{
	struct sv_key key = sv_key(i->attr.obj, SV_INLINE, 0);
	int err;

	if (i->attr.size == 0) {
		err = drop_inline(v, i);
	} else {
		err = sv_tree_put(v, &v->fs, &key, c->page[0], (u32)i->attr.size);
		if (!err)
			i->inlined = true;
	}
	if (!err)
		sv_page_clean(v, i, c, 0);
	return err;
}

static int flush_chunk(struct secvol *v, struct sv_chunk *c)
{
	struct sv_inode_mem *i;
	int err = sv_inode_get(v, c->obj, &i);

	if (err)
		return err;
	if (c->index == 0 && c->dirty & 1 && i->attr.blocks == 0 && i->attr.size <= SV_INLINE_MAX)
		err = write_inline(v, i, c);
	for (u32 k = 0; !err && k < SV_EXTENT_BLOCKS;) {
		u32 n = 0, done; /* those of a part stay dirty with the others */

		while (k + n < SV_EXTENT_BLOCKS && c->dirty >> (k + n) & 1)
			n++;
		if (n == 0) {
			k++;
			continue;
		}
		err = write_run(v, i, c->index * SV_EXTENT_BLOCKS + k, n,
				(const u8 *const *)c->page + k, &done);
		c->stamp = v->queue.stamp;
		for (u32 e = k + n; !err && k < e; k++)
			sv_page_clean(v, i, c, k);
	}
	return err;
}

/* Until at most `keep` pages are dirty. */
static int flush_some(struct secvol *v, u32 keep)
{
	int err = 0;

	while (!err && v->dirty_pages > keep)
		err = flush_chunk(v,
				  list_first_entry(&v->chunk_dirty, struct sv_chunk, dirty_link));
	return err;
}

/*
 * The same with the writes gathered, so that blocks which became neighbours on the store go out
 * together. Nobody else may be using the queue: a commit that fills it sends it by itself.
 */
static int flush_gathered(struct secvol *v, u32 keep)
{
	struct sv_queue *q = &v->queue;
	int err, lost;

	if (q->in_flight || q->filling)
		return flush_some(v, keep);
	q->filling = true;
	err = flush_some(v, keep);
	q->filling = false;
	lost = sv_queue_run(v);
	if (lost) /* pages that are clean now refer to it */
		sv_fail(v, lost);
	return err ? err : lost;
}

int sv_data_flush(struct secvol *v)
{
	return flush_gathered(v, 0);
}

int sv_data_flush_obj(struct secvol *v, struct sv_inode_mem *i)
{
	struct list_node *at, *next;
	int err = 0;

	if (!i->dirty_pages)
		return 0;
	list_for_each_safe (at, next, &v->chunk_dirty) {
		struct sv_chunk *c = list_entry(at, struct sv_chunk, dirty_link);

		if (c->obj == i->attr.obj)
			err = flush_chunk(v, c);
		if (err)
			break;
	}
	return err;
}

int sv_data_cut(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to)
{
	bool more;

	return sv_data_cut_some(v, i, from, to, UINT64_MAX, &more);
}

int sv_data_cut_some(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to, u64 chunks,
		     bool *ret_more)
{
	struct sv_key key = sv_key(i->attr.obj, SV_EXTENT, from & ~(u64)(SV_EXTENT_BLOCKS - 1));
	const u8 *val;
	u32 size;
	int err;

	*ret_more = false;
	while ((err = sv_item_next(v, &key, to - 1, &val, &size)) == 0) {
		u64 chunk_end = (key.off | (SV_EXTENT_BLOCKS - 1)) + 1;
		u64 lo = MAX(chunk_end - SV_EXTENT_BLOCKS, from), hi = MIN(chunk_end, to);

		if (chunks-- == 0) {
			*ret_more = true;
			return 0;
		}
		if (lo < hi) {
			err = sv_extent_replace(v, i, lo, (u32)(hi - lo), NULL, NULL);
			if (err)
				return sv_fail(v, err);
		}
		key.off = chunk_end;
	}
	return err == -ENOENT ? 0 : err;
}

/* ---- pages ---- */

/* Reads blocks [block, block + count) of one chunk, none of them cached, into dst. */
static int fill(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count, u8 *const *dst)
{
	struct sv_key key = sv_key(i->attr.obj, SV_INLINE, 0);
	const u8 *val;
	u32 size;
	int err = sv_extent_read(v, i->attr.obj, block, count, dst);

	if (err || block || !i->inlined)
		return err;
	err = sv_tree_lookup(v, &v->fs, &key, &val, &size);
	if (err)
		return err == -ENOENT ? -EUCLEAN : err;
	if (size > SV_INLINE_MAX)
		return -EUCLEAN;
	memcpy(dst[0], val, size);
	return 0;
}

/* Brings up to `count` missing pages from `block` on into the cache; at least one. */
static int load_pages(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count)
{
	struct sv_chunk *c = sv_chunk_make(v, i->attr.obj, block / SV_EXTENT_BLOCKS);
	u32 k = block % SV_EXTENT_BLOCKS, n;
	u8 *pages[SV_EXTENT_BLOCKS];
	int err;

	if (!c)
		return -ENOMEM;
	for (n = 0; n < count && k + n < SV_EXTENT_BLOCKS && !c->page[k + n]; n++) {
		pages[n] = sv_alloc(v, SV_BLOCK);
		if (!pages[n])
			break;
	}
	err = n ? fill(v, i, block, n, pages) : -ENOMEM;
	for (u32 j = 0; j < n; j++) {
		if (err) {
			sv_free(v, pages[j], SV_BLOCK);
		} else {
			c->page[k + j] = pages[j];
			c->valid |= 1ull << (k + j);
			v->pages++;
		}
	}
	sv_chunk_free_if_empty(v, c);
	return err;
}

/* The page of a block for changing; `whole`: its old content does not matter. */
static int page_get(struct secvol *v, struct sv_inode_mem *i, u64 block, bool whole,
		    struct sv_chunk **ret_c)
{
	struct sv_chunk *c = sv_chunk_make(v, i->attr.obj, block / SV_EXTENT_BLOCKS);
	u32 k = block % SV_EXTENT_BLOCKS;
	int err;

	if (!c)
		return -ENOMEM;
	if (!c->page[k] && (whole || (block * SV_BLOCK >= i->attr.size && !i->inlined))) {
		u8 *page = sv_alloc(v, SV_BLOCK);

		if (!page) {
			sv_chunk_free_if_empty(v, c);
			return -ENOMEM;
		}
		if (!whole)
			memset(page, 0, SV_BLOCK);
		c->page[k] = page;
		c->valid |= 1ull << k;
		v->pages++;
	} else if (!c->page[k]) {
		err = load_pages(v, i, block, 1); /* frees an empty chunk on failure */
		if (err)
			return err;
	}
	*ret_c = c;
	return 0;
}

static int get_file(struct secvol *v, u64 obj, struct sv_inode_mem **ret_i)
{
	int err = sv_inode_get(v, obj, ret_i);

	if (err)
		return err;
	if (((*ret_i)->attr.mode & S_IFMT_) == S_IFDIR_)
		return -EISDIR;
	return ((*ret_i)->attr.mode & S_IFMT_) == S_IFREG_ ? 0 : -EINVAL;
}

/* Missing blocks from `block` on, within its chunk and at most `max`. */
static u32 missing_run(struct secvol *v, u64 obj, u64 block, u64 max)
{
	struct sv_chunk *c = sv_chunk_find(v, obj, block / SV_EXTENT_BLOCKS);
	u32 k = block % SV_EXTENT_BLOCKS, n = 0;

	while (n < max && k + n < SV_EXTENT_BLOCKS && !(c && c->page[k + n]))
		n++;
	return n;
}

/*
 * Whole blocks straight into the caller's memory, without the mutex while it lasts: what `i` points
 * to may be gone afterwards.
 */
static int read_direct(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
		       u8 *const *dst)
{
	struct sv_reader *r = block == 0 && i->inlined ? NULL : sv_reader_get(v);
	u64 obj = i->attr.obj;
	int err;

	if (!r)
		return fill(v, i, block, count, dst);
	err = sv_reader_plan(v, r, obj, block, count);
	if (!err) {
		sv_unlock(v);
		err = sv_reader_run(v, r, dst);
		sv_lock(v);
		if (err) /* perhaps the blocks have changed hands meanwhile */
			err = sv_extent_read(v, obj, block, count, dst);
	}
	sv_reader_put(v, r);
	return err;
}

/* One step of a read: returns the bytes done. */
static long read_some(struct secvol *v, struct sv_inode_mem *i, u64 off, u8 *buf, size_t size)
{
	u64 block = off / SV_BLOCK, end = (i->attr.size + SV_BLOCK - 1) / SV_BLOCK;
	u32 in = off % SV_BLOCK, n;
	struct sv_chunk *c;
	u8 *dst[SV_EXTENT_BLOCKS];
	u64 obj = i->attr.obj;
	int err;

	n = missing_run(v, obj, block, size / SV_BLOCK);
	if (in == 0 && n >= DIRECT_READ) {
		for (u32 k = 0; k < n; k++)
			dst[k] = buf + (size_t)k * SV_BLOCK;
		err = read_direct(v, i, block, n, dst);
		if (!err)
			return (long)n * SV_BLOCK;
		/* One block at a time, so that a damaged one does not take the others along. */
		err = get_file(v, obj, &i);
		if (err || off >= i->attr.size)
			return err;
		size = SV_BLOCK;
	}
	if (missing_run(v, i->attr.obj, block, 1)) {
		u64 want = (in + size + SV_BLOCK - 1) / SV_BLOCK;

		if (i->next_read == block)
			want = MAX(want, (u64)READ_AHEAD);
		err = load_pages(v, i, block,
				 (u32)MIN(want, MIN(end - block, (u64)SV_EXTENT_BLOCKS)));
		if (err && want > 1)
			err = load_pages(v, i, block, 1);
		if (err)
			return err;
	}
	c = sv_chunk_make(v, i->attr.obj, block / SV_EXTENT_BLOCKS);
	n = (u32)MIN(size, (size_t)(SV_BLOCK - in));
	memcpy(buf, c->page[block % SV_EXTENT_BLOCKS] + in, n);
	return n;
}

long secvol_read(struct secvol *v, u64 obj, u64 off, void *buf, size_t size)
{
	struct sv_inode_mem *i;
	size_t done = 0;
	long n;
	int err = sv_begin(v);

	if (err)
		return err;
	err = get_file(v, obj, &i);
	size = MIN(size, (size_t)INT32_MAX & ~4095ul);
	/* Each step may have given up the mutex: the object is looked up again. */
	while (!err && done < size && off + done < i->attr.size) {
		size_t left = (size_t)MIN((u64)(size - done), i->attr.size - off - done);

		n = read_some(v, i, off + done, (u8 *)buf + done, left);
		if (n < 0) {
			err = (int)n;
			break;
		}
		done += (size_t)n;
		sv_chunks_trim(v);
		err = get_file(v, obj, &i);
	}
	if (!err)
		i->next_read = (off + done + SV_BLOCK - 1) / SV_BLOCK;
	sv_end(v);
	return done || !err ? (long)done : err;
}

int secvol_read_pages(struct secvol *v, u64 obj, u64 block, u32 count, u8 *const *pages)
{
	struct sv_inode_mem *i;
	u32 done = 0;
	int err = sv_begin(v);

	if (err)
		return err;
	while (!err && done < count) {
		u64 at = block + done;
		u32 k = at % SV_EXTENT_BLOCKS, n;

		err = get_file(v, obj, &i); /* again, where the mutex was given up */
		if (err)
			break;
		n = missing_run(v, obj, at, count - done);
		if (n)
			err = read_direct(v, i, at, n, pages + done);
		else
			memcpy(pages[done], sv_chunk_find(v, obj, at / SV_EXTENT_BLOCKS)->page[k],
			       SV_BLOCK);
		done += n ? n : 1;
	}
	sv_end(v);
	return err;
}

/* One step of a write. *ret_done: the bytes that are in the file, after an error as well. */
static int write_some(struct secvol *v, struct sv_inode_mem *i, u64 off, const u8 *buf, size_t size,
		      size_t *ret_done)
{
	u64 block = off / SV_BLOCK;
	u32 in = off % SV_BLOCK, k = block % SV_EXTENT_BLOCKS;
	u32 n = (u32)MIN(size / SV_BLOCK, (size_t)(SV_EXTENT_BLOCKS - k));
	const u8 *src[SV_EXTENT_BLOCKS];
	struct sv_chunk *c;
	int err;

	*ret_done = 0;
	if (in == 0 && n >= DIRECT_WRITE) {
		u32 done;

		for (u32 j = 0; j < n; j++)
			src[j] = buf + (size_t)j * SV_BLOCK;
		err = write_run(v, i, block, n, src, &done);
		c = sv_chunk_find(v, i->attr.obj, block / SV_EXTENT_BLOCKS);
		if (c)
			sv_chunk_drop(v, i, c, block, block + done);
		*ret_done = (size_t)done * SV_BLOCK;
		return err;
	}
	n = (u32)MIN(size, (size_t)(SV_BLOCK - in));
	err = page_get(v, i, block, n == SV_BLOCK, &c);
	if (err)
		return err;
	memcpy(c->page[k] + in, buf, n);
	sv_page_dirty(v, i, c, k);
	*ret_done = n;
	return 0;
}

/* Part of a write, of at most WRITE_SLICE; *ret_done as above. Without an error it may be less. */
static int write_slice(struct secvol *v, u64 obj, u64 off, const u8 *buf, size_t size,
		       size_t *ret_done)
{
	u64 blocks = size / SV_BLOCK + 2;
	struct sv_inode_mem *i;
	size_t done = 0, n;
	int err = sv_begin_write(v, blocks, (u32)(blocks / SV_EXTENT_BLOCKS) + 4, false);

	*ret_done = 0;
	if (err == -ENOSPC) { /* little by little, where its space is its own */
		size = MIN(size, (size_t)COVERED_WRITE - off % SV_BLOCK);
		err = sv_begin_covered(v, obj, off / SV_BLOCK,
				       (off % SV_BLOCK + size + SV_BLOCK - 1) / SV_BLOCK);
	}
	if (err)
		return err;
	err = get_file(v, obj, &i);
	while (!err && done < size) {
		err = write_some(v, i, off + done, buf + done, size - done, &n);
		done += n;
		if (n)
			i->attr.size = MAX(i->attr.size, off + done);
		if (!err && v->dirty_pages > v->max_pages / 2)
			err = flush_gathered(v, v->max_pages / 4);
		sv_chunks_trim(v);
	}
	if (done)
		sv_inode_touch(v, i, true);
	sv_end(v);
	*ret_done = done;
	return err;
}

long secvol_write(struct secvol *v, u64 obj, u64 off, const void *buf, size_t size)
{
	size_t done = 0, n;
	int err = 0;

	size = MIN(size, (size_t)INT32_MAX & ~4095ul);
	if (off > INT64_MAX - size)
		return -EFBIG;
	while (!err && done < size) {
		u64 slice = MIN((u64)(size - done), WRITE_SLICE - (off + done) % WRITE_SLICE);

		err = write_slice(v, obj, off + done, (const u8 *)buf + done, slice, &n);
		done += n;
	}
	return done ? (long)done : err;
}

/* Zeroes [from, to) of one block, if there is anything but zeros. */
static int zero_part(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 from, u32 to)
{
	struct sv_chunk *c;
	u8 *page;
	int err;

	if (block * SV_BLOCK >= i->attr.size)
		return 0;
	err = page_get(v, i, block, false, &c);
	if (err)
		return err;
	page = c->page[block % SV_EXTENT_BLOCKS];
	if (!mem_is_zero(page + from, to - from)) {
		memset(page + from, 0, to - from);
		sv_page_dirty(v, i, c, block % SV_EXTENT_BLOCKS);
	}
	return 0;
}

int secvol_truncate(struct secvol *v, u64 obj, u64 size)
{
	u64 from = (size + SV_BLOCK - 1) / SV_BLOCK;
	struct sv_inode_mem *i;
	struct sv_chunk *c;
	int err;

	if (size > INT64_MAX)
		return -EFBIG;
	err = sv_begin_write(v, 1, 16, true);
	if (err)
		return err;
	err = get_file(v, obj, &i);
	if (!err && size < i->attr.size) {
		if (size % SV_BLOCK)
			err = zero_part(v, i, size / SV_BLOCK, size % SV_BLOCK, SV_BLOCK);
		if (!err && size == 0)
			err = drop_inline(v, i);
		if (!err && i->inlined && size < SV_INLINE_MAX) {
			/* The INLINE item must not be longer than the file: write it again. */
			err = page_get(v, i, 0, false, &c);
			if (!err)
				sv_page_dirty(v, i, c, 0);
		}
		if (!err) {
			sv_data_drop(v, i, from, UINT64_MAX);
			err = sv_data_cut(v, i, from, UINT64_MAX);
		}
	}
	if (!err && size <= i->attr.size)
		err = sv_reserved_clear(v, i, from, UINT64_MAX);
	if (!err) {
		i->attr.size = size;
		sv_inode_touch(v, i, true);
	}
	sv_end(v);
	return err;
}

int secvol_punch(struct secvol *v, u64 obj, u64 off, u64 len)
{
	struct sv_inode_mem *i;
	u64 end, from, to;
	int err = sv_begin_write(v, 2, 16, true);

	if (err)
		return err;
	err = get_file(v, obj, &i);
	if (!err && len <= INT64_MAX - off)
		err = sv_reserved_clear(v, i, (off + SV_BLOCK - 1) / SV_BLOCK,
					(off + len) / SV_BLOCK);
	if (err || off >= i->attr.size)
		goto out;
	end = len > i->attr.size - off ? i->attr.size : off + len;
	from = (off + SV_BLOCK - 1) / SV_BLOCK;
	/* The block that holds the end of the file goes with it. */
	to = end == i->attr.size ? (end + SV_BLOCK - 1) / SV_BLOCK : end / SV_BLOCK;
	if (from > to) { /* within one block */
		err = zero_part(v, i, off / SV_BLOCK, off % SV_BLOCK, end % SV_BLOCK);
	} else {
		if (off % SV_BLOCK)
			err = zero_part(v, i, off / SV_BLOCK, off % SV_BLOCK, SV_BLOCK);
		if (!err && end % SV_BLOCK && end < i->attr.size)
			err = zero_part(v, i, end / SV_BLOCK, 0, end % SV_BLOCK);
		if (!err && from == 0 && to > 0)
			err = drop_inline(v, i);
		if (!err && from < to) {
			sv_data_drop(v, i, from, to);
			err = sv_data_cut(v, i, from, to);
		}
	}
	if (!err)
		sv_inode_touch(v, i, true);
out:
	sv_end(v);
	return err;
}

int secvol_seek(struct secvol *v, u64 obj, u64 off, bool hole, u64 *ret_off)
{
	struct sv_extent_mem e;
	struct sv_inode_mem *i;
	u64 at = off;
	const u8 *val, *macs;
	u32 size;
	int err = v->rw && !v->failed ? sv_begin_write(v, 0, 8, true) : sv_begin(v);

	if (err)
		return err;
	err = get_file(v, obj, &i);
	if (!err && off >= i->attr.size)
		err = -ENXIO;
	if (!err)
		err = sv_data_flush_obj(v, i);
	if (!err && i->inlined && at < SV_BLOCK) {
		if (!hole)
			goto found;
		at = SV_BLOCK;
	}
	if (!err) {
		struct sv_key key =
			sv_key(obj, SV_EXTENT, at / SV_BLOCK & ~(u64)(SV_EXTENT_BLOCKS - 1));

		for (;; key.off = e.block + e.ptr.nblk) {
			err = sv_item_next(v, &key, UINT64_MAX, &val, &size);
			if (err == -ENOENT) {
				err = hole ? 0 : -ENXIO; /* a hole up to the end */
				break;
			}
			if (!err)
				err = sv_extent_decode(v, &key, val, size, &e, &macs);
			if (err)
				break;
			if ((e.block + e.ptr.nblk) * SV_BLOCK <= at)
				continue;
			if (!hole) {
				at = MAX(at, e.block * SV_BLOCK);
				break;
			}
			if (e.block * SV_BLOCK > at)
				break;
			at = (e.block + e.ptr.nblk) * SV_BLOCK;
		}
	}
found:
	if (!err)
		*ret_off = MIN(at, i->attr.size);
	if (!err && !hole && at >= i->attr.size)
		err = -ENXIO;
	sv_end(v);
	return err;
}
