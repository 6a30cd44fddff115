/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delta table, and the view of the file system tree through it: what lookups and changes of the
 * rest of the library see. The other trees have no delta.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define ENTRY_MAX   (sizeof(struct sv_delta_entry) + SV_DELTA_LEVELS * sizeof(void *))
#define USABLE	    (SV_DELTA_CHUNK - ENTRY_MAX - SV_ITEM_MAX - 64u) /* of a chunk, at worst */
#define SMALL_ENTRY (sizeof(struct sv_delta_entry) + 3 * sizeof(void *))

void sv_delta_init(struct sv_delta *d)
{
	memset(d, 0, sizeof(*d));
	d->random = 0x9e3779b9;
	d->mark = 1;
}

static void chunks_free(struct secvol *v, struct sv_delta_chunk *c)
{
	while (c) {
		struct sv_delta_chunk *next = c->next;

		sv_free(v, c, sizeof(*c));
		c = next;
	}
}

void sv_delta_free(struct secvol *v)
{
	chunks_free(v, v->delta.chunks);
	chunks_free(v, v->delta.spares);
	sv_delta_init(&v->delta);
}

void sv_delta_reset(struct secvol *v)
{
	struct sv_delta *d = &v->delta;
	struct sv_delta_chunk *keep = d->chunks;
	u32 mark = d->mark + 1;

	if (keep) {
		chunks_free(v, keep->next);
		keep->next = NULL;
		keep->used = 0;
	}
	chunks_free(v, d->spares);
	sv_delta_init(d);
	d->mark = mark ? mark : 1;
	d->spares = keep;
	d->spare_count = keep ? 1 : 0;
}

static void *arena_take(struct secvol *v, size_t size)
{
	struct sv_delta *d = &v->delta;
	struct sv_delta_chunk *c = d->chunks;
	void *p;

	size = ALIGN_UP(size, (size_t)16);
	if (!c || SV_DELTA_CHUNK - c->used < size) {
		c = d->spares;
		if (c) {
			d->spares = c->next;
			d->spare_count--;
		} else {
			c = sv_alloc(v, sizeof(*c));
			if (!c)
				return NULL;
		}
		c->used = 0;
		c->next = d->chunks;
		d->chunks = c;
		d->bytes += SV_DELTA_CHUNK;
	}
	p = c->bytes + c->used;
	c->used += (u32)size;
	return p;
}

int sv_delta_reserve(struct secvol *v, u32 puts, u32 deletes)
{
	struct sv_delta *d = &v->delta;
	size_t need = (size_t)puts * (ENTRY_MAX + SV_ITEM_MAX + 32) + deletes * SMALL_ENTRY * 2;
	u32 want = (u32)(need / USABLE) + 1;

	while (d->spare_count < want) {
		struct sv_delta_chunk *c = sv_alloc(v, sizeof(*c));

		if (!c)
			return -ENOMEM;
		c->next = d->spares;
		d->spares = c;
		d->spare_count++;
	}
	return 0;
}

static u8 draw_height(struct sv_delta *d)
{
	u8 height = 1;

	d->random = d->random * 1664525u + 1013904223u;
	for (u32 bits = d->random >> 4; height < SV_DELTA_LEVELS && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

/* The links that lead past key on each level; returns the first entry at or after it. */
static struct sv_delta_entry *find(struct sv_delta *d, const struct sv_key *key,
				   struct sv_delta_entry ***links)
{
	struct sv_delta_entry **at = d->head;
	u32 level = SV_DELTA_LEVELS;

	while (level--) {
		while (at[level] && sv_key_cmp(&at[level]->key, key) < 0)
			at = at[level]->next;
		if (links)
			links[level] = &at[level];
	}
	return at[0];
}

struct sv_delta_entry *sv_delta_find(struct sv_delta *d, const struct sv_key *key)
{
	return d->count ? find(d, key, NULL) : NULL;
}

static int set_value(struct secvol *v, struct sv_delta_entry *e, const void *val, u32 size)
{
	if (size > e->cap) {
		u32 cap = ALIGN_UP(size, 32u);
		u8 *room = arena_take(v, cap);

		if (!room)
			return -ENOMEM;
		e->val = room;
		e->cap = (u16)cap;
	}
	if (size)
		memmove(e->val, val, size);
	e->size = (u16)size;
	return 0;
}

/* Of its own; link_in() makes it one of the table's. */
static struct sv_delta_entry *entry_new(struct secvol *v, const struct sv_key *key)
{
	u8 height = draw_height(&v->delta);
	struct sv_delta_entry *e =
		arena_take(v, sizeof(*e) + height * sizeof(struct sv_delta_entry *));

	if (e)
		*e = (struct sv_delta_entry){.key = *key, .height = height};
	return e;
}

static void link_in(struct sv_delta *d, struct sv_delta_entry ***links, struct sv_delta_entry *e)
{
	for (u32 i = 0; i < e->height; i++) {
		e->next[i] = *links[i];
		*links[i] = e;
	}
	d->count++;
	d->payload += SV_KEY_SIZE + sizeof(struct sv_node_slot);
}

int sv_delta_put(struct secvol *v, const struct sv_key *key, const void *val, u32 size)
{
	struct sv_delta *d = &v->delta;
	struct sv_delta_entry **links[SV_DELTA_LEVELS];
	struct sv_delta_entry *e = find(d, key, links);
	bool is_new = !e || sv_key_cmp(&e->key, key) != 0;
	u32 before;
	int err;

	if (is_new)
		e = entry_new(v, key);
	if (!e)
		return -ENOMEM;
	before = e->size;
	err = set_value(v, e, val, val ? size : 0);
	if (err) /* a new one without its value would say that there is an empty item */
		return err;
	if (is_new)
		link_in(d, links, e);
	d->payload += (u64)e->size - before;
	e->deleted = !val;
	if (!e->unlogged) {
		e->unlogged = true;
		e->unlogged_next = NULL;
		if (d->unlogged_last)
			d->unlogged_last->unlogged_next = e;
		else
			d->unlogged_first = e;
		d->unlogged_last = e;
	}
	v->dirty = true;
	return 0;
}

struct sv_delta_entry *sv_delta_take_unlogged(struct secvol *v)
{
	struct sv_delta_entry *first = v->delta.unlogged_first;

	for (struct sv_delta_entry *e = first; e; e = e->unlogged_next)
		e->unlogged = false;
	v->delta.unlogged_first = v->delta.unlogged_last = NULL;
	return first;
}

/* ---- the tree as the rest of the library sees it --------------------------------------------- */

static bool through_delta(const struct secvol *v, const struct sv_tree *t)
{
	return t == &v->fs;
}

int sv_tree_lookup(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
		   const u8 **ret_val, u32 *ret_size)
{
	struct sv_delta_entry *e = through_delta(v, t) ? sv_delta_find(&v->delta, key) : NULL;

	if (!e || sv_key_cmp(&e->key, key) != 0)
		return sv_base_lookup(v, t, key, ret_val, ret_size);
	if (e->deleted)
		return -ENOENT;
	*ret_val = e->val;
	*ret_size = e->size;
	return 0;
}

static bool key_advance(struct sv_key *key)
{
	if (++key->off)
		return true;
	if (++key->type)
		return true;
	return ++key->obj != 0;
}

/* The tree's own next item; one behind `last` is none. */
static int base_next(struct secvol *v, struct sv_tree *t, struct sv_key *key,
		     const struct sv_key *last, const u8 **ret_val, u32 *ret_size)
{
	int err = sv_base_next(v, t, key, ret_val, ret_size);

	return !err && last && sv_key_cmp(key, last) > 0 ? -ENOENT : err;
}

/* Up to `last`, where it is given: what was deleted behind it, perhaps very much, is not passed. */
static int next_item(struct secvol *v, struct sv_tree *t, struct sv_key *key,
		     const struct sv_key *last, const u8 **ret_val, u32 *ret_size)
{
	struct sv_delta_entry *e = through_delta(v, t) ? sv_delta_find(&v->delta, key) : NULL;
	struct sv_key base = *key;
	int err = base_next(v, t, &base, last, ret_val, ret_size);

	while (e && !(last && sv_key_cmp(&e->key, last) > 0)) {
		int order = err == -ENOENT ? -1 : sv_key_cmp(&e->key, &base);

		if (err && err != -ENOENT)
			return err;
		if (order > 0)
			break;
		if (!e->deleted) {
			*key = e->key;
			*ret_val = e->val;
			*ret_size = e->size;
			return 0;
		}
		if (order == 0) { /* the tree's item is hidden */
			err = key_advance(&base) ? base_next(v, t, &base, last, ret_val, ret_size)
						 : -ENOENT;
		}
		e = e->next[0];
	}
	if (!err)
		*key = base;
	return err;
}

int sv_tree_next(struct secvol *v, struct sv_tree *t, struct sv_key *key, const u8 **ret_val,
		 u32 *ret_size)
{
	return next_item(v, t, key, NULL, ret_val, ret_size);
}

int sv_item_next(struct secvol *v, struct sv_key *key, u64 last, const u8 **ret_val, u32 *ret_size)
{
	struct sv_key end = sv_key(key->obj, key->type, last);

	return next_item(v, &v->fs, key, &end, ret_val, ret_size);
}

int sv_tree_prepare(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
		    const struct sv_key *hi, u32 inserts)
{
	int err;

	if (!through_delta(v, t))
		return sv_base_prepare(v, t, lo, hi, inserts);
	err = sv_delta_reserve(v, inserts, 3 * SV_EXTENT_BLOCKS);
	if (!err)
		err = sv_free_reserve(v, 2 * SV_EXTENT_BLOCKS);
	return err ? err : sv_base_load(v, t, lo, hi);
}

int sv_tree_put(struct secvol *v, struct sv_tree *t, const struct sv_key *key, const void *val,
		u32 size)
{
	int err;

	if (size > SV_ITEM_MAX)
		return -EINVAL;
	if (!through_delta(v, t))
		return sv_base_put(v, t, key, val, size);
	err = sv_base_load(v, t, key, key);
	return err ? err : sv_delta_put(v, key, val, size);
}

int sv_tree_delete(struct secvol *v, struct sv_tree *t, const struct sv_key *key)
{
	const u8 *val;
	u32 size;
	int err;

	if (!through_delta(v, t))
		return sv_base_delete(v, t, key);
	err = sv_tree_lookup(v, t, key, &val, &size);
	if (!err)
		err = sv_base_load(v, t, key, key);
	return err ? err : sv_delta_put(v, key, NULL, 0);
}

/* Nodes that a commit of everything may have to write: touched ones, and what they split into. */
u64 sv_nodes_due(const struct secvol *v)
{
	const struct sv_delta *d = &v->delta;

	return v->dirty_nodes + d->nodes + d->nodes / 2 + d->payload / (v->node_size / 2);
}
