/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache of a volume: 4 KiB pages, grouped by chunks of 64 in a hash by object and index.
 * All chunks are in an LRU list; those with dirty pages are also in a list in the order in which
 * they became dirty. A chunk without pages does not exist.
 */
#include "lib/secvol/secvol_priv.h"

static u32 chunk_slot(u64 obj, u64 index)
{
	return (u32)((obj * 0x9e3779b97f4a7c15ull + index * 0xc2b2ae3d27d4eb4full) >> 54) %
	       SV_HASH_SIZE;
}

struct sv_chunk *sv_chunk_find(struct secvol *v, u64 obj, u64 index)
{
	struct sv_chunk *c = v->chunk_hash[chunk_slot(obj, index)];

	while (c && (c->obj != obj || c->index != index))
		c = c->hash_next;
	return c;
}

struct sv_chunk *sv_chunk_make(struct secvol *v, u64 obj, u64 index)
{
	struct sv_chunk *c = sv_chunk_find(v, obj, index);
	u32 slot = chunk_slot(obj, index);

	if (c) {
		list_del(&c->lru);
		list_add_tail(&v->chunk_lru, &c->lru);
		return c;
	}
	c = sv_zalloc(v, sizeof(*c));
	if (!c)
		return NULL;
	c->obj = obj;
	c->index = index;
	c->hash_next = v->chunk_hash[slot];
	v->chunk_hash[slot] = c;
	list_init(&c->lru);
	list_add_tail(&v->chunk_lru, &c->lru);
	list_init(&c->dirty_link);
	return c;
}

void sv_chunk_free_if_empty(struct secvol *v, struct sv_chunk *c)
{
	struct sv_chunk **at = &v->chunk_hash[chunk_slot(c->obj, c->index)];

	if (c->valid)
		return;
	while (*at != c)
		at = &(*at)->hash_next;
	*at = c->hash_next;
	list_del(&c->lru);
	list_del(&c->dirty_link);
	sv_free(v, c, sizeof(*c));
}

void sv_page_clean(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u32 k)
{
	if (!(c->dirty >> k & 1))
		return;
	c->dirty &= ~(1ull << k);
	v->dirty_pages--;
	i->dirty_pages--;
	if (!c->dirty)
		list_del(&c->dirty_link);
}

void sv_page_dirty(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u32 k)
{
	if (c->dirty >> k & 1)
		return;
	if (!c->dirty)
		list_add_tail(&v->chunk_dirty, &c->dirty_link);
	c->dirty |= 1ull << k;
	v->dirty_pages++;
	i->dirty_pages++;
	v->dirty = true;
}

/* The page must be clean. */
static void page_free(struct secvol *v, struct sv_chunk *c, u32 k)
{
	if (!c->page[k])
		return;
	sv_free(v, c->page[k], SV_BLOCK);
	c->page[k] = NULL;
	c->valid &= ~(1ull << k);
	v->pages--;
}

void sv_chunk_drop(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u64 from, u64 to)
{
	for (u32 k = 0; k < SV_EXTENT_BLOCKS; k++) {
		u64 block = c->index * SV_EXTENT_BLOCKS + k;

		if (block < from || block >= to || !c->page[k])
			continue;
		sv_page_clean(v, i, c, k);
		page_free(v, c, k);
	}
	sv_chunk_free_if_empty(v, c);
}

void sv_data_drop(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to)
{
	u64 last = i->attr.size / SV_BLOCK / SV_EXTENT_BLOCKS;
	u64 first = from / SV_EXTENT_BLOCKS;
	struct list_node *at, *next;

	last = MIN(last, (to - 1) / SV_EXTENT_BLOCKS);
	if (last < first + 64) {
		for (u64 index = first; index <= last; index++) {
			struct sv_chunk *c = sv_chunk_find(v, i->attr.obj, index);

			if (c)
				sv_chunk_drop(v, i, c, from, to);
		}
		return;
	}
	list_for_each_safe (at, next, &v->chunk_lru) {
		struct sv_chunk *c = list_entry(at, struct sv_chunk, lru);

		if (c->obj == i->attr.obj)
			sv_chunk_drop(v, i, c, from, to);
	}
}

void sv_chunks_trim(struct secvol *v)
{
	struct list_node *at, *next;

	if (v->pages <= v->max_pages)
		return;
	list_for_each_safe (at, next, &v->chunk_lru) {
		struct sv_chunk *c = list_entry(at, struct sv_chunk, lru);

		if (v->queue.in_flight && c->stamp == v->queue.stamp)
			continue; /* the store does not have them yet */
		for (u32 k = 0; k < SV_EXTENT_BLOCKS; k++) {
			if (!(c->dirty >> k & 1))
				page_free(v, c, k);
		}
		sv_chunk_free_if_empty(v, c);
		if (v->pages <= v->max_pages)
			return;
	}
}

void sv_chunks_free(struct secvol *v)
{
	while (!list_is_empty(&v->chunk_lru)) {
		struct sv_chunk *c = list_first_entry(&v->chunk_lru, struct sv_chunk, lru);

		for (u32 k = 0; k < SV_EXTENT_BLOCKS; k++)
			page_free(v, c, k);
		sv_chunk_free_if_empty(v, c);
	}
}
