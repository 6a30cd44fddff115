/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One B-tree node in memory, and its encoding. Items are sorted by key; values lie in a heap that
 * is compacted when it runs full. `used` is always the exact size of the encoding, so that what
 * node_fits() grants can be written. Allocates only in node_new() and node_reserve(): what changes
 * a tree reserves first and cannot fail afterwards.
 */
#pragma once

#include "lib/base/list.h"
#include "lib/secvol/secvol_format.h"

struct secvol_env;

struct sv_key {
	u64 obj;
	u64 off;
	u8 type;
};

static inline struct sv_key sv_key(u64 obj, u8 type, u64 off)
{
	return (struct sv_key){.obj = obj, .type = type, .off = off};
}

static inline int sv_key_cmp(const struct sv_key *a, const struct sv_key *b)
{
	if (a->obj != b->obj)
		return a->obj < b->obj ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->off != b->off)
		return a->off < b->off ? -1 : 1;
	return 0;
}

void sv_key_encode(const struct sv_key *k, u8 bytes[SV_KEY_SIZE]);
struct sv_key sv_key_decode(const u8 bytes[SV_KEY_SIZE]);

struct sv_item {
	struct sv_key key;
	u16 size;
	u32 pos; /* in the heap */
};

struct sv_node {
	struct sv_node *hash_next; /* the volume's node table */
	struct list_node lru;	   /* clean nodes only */
	u64 addr;     /* on the store, or a number of its own while dirty (SV_VIRTUAL) */
	u64 new_addr; /* during a commit: where it will be written; 0: not yet known */
	u64 new_copy; /* likewise its copy, where there are two */
	u32 mark;     /* sv_delta.mark when a change of the delta table lies here */
	u8 tree;
	u8 level;
	bool dirty;
	u32 n;
	u32 cap;       /* items */
	u32 used;      /* bytes of the encoding */
	u32 heap_used; /* including garbage */
	u32 heap_live;
	u32 heap_size;
	struct sv_item *items;
	u8 *heap;
};

struct sv_node *sv_node_new(const struct secvol_env *env, u8 tree, u8 level, u32 cap,
			    u32 heap_size);
void sv_node_free(const struct secvol_env *env, struct sv_node *n);
/* Room for `items` more items and a heap of at least `heap_size`. -ENOMEM changes nothing. */
int __must_check sv_node_reserve(const struct secvol_env *env, struct sv_node *n, u32 items,
				 u32 heap_size);
/* Gives back what a clean node does not need; false when there is nothing or no memory. */
bool sv_node_shrink(const struct secvol_env *env, struct sv_node *n);
size_t sv_node_memory(const struct sv_node *n);

/* First index whose key is >= key; *ret_equal tells. */
u32 sv_node_search(const struct sv_node *n, const struct sv_key *key, bool *ret_equal);

static inline u8 *sv_node_value(const struct sv_node *n, u32 i)
{
	return n->heap + n->items[i].pos;
}

/* Would the encoding with this item (in place of item i when `replace`) fit in `node_size`? */
bool sv_node_fits(const struct sv_node *n, u32 i, bool replace, const struct sv_key *key, u32 size,
		  u32 node_size);
/* The caller has reserved and checked that it fits. `scratch` holds heap_size bytes. */
void sv_node_insert(struct sv_node *n, u32 i, const struct sv_key *key, const void *value, u32 size,
		    u8 *scratch);
void sv_node_remove(struct sv_node *n, u32 i);
/* Gives item 0 a lower key. When the encoding outgrows the node by that, the caller splits it. */
void sv_node_lower(struct sv_node *n, const struct sv_key *key);
/* Moves the items from `at` on to the empty node `right`. */
void sv_node_split(struct sv_node *n, struct sv_node *right, u32 at);
/* The index at which a split leaves about the same number of bytes on both sides. */
u32 sv_node_middle(const struct sv_node *n);
/* Encoded size of n with all of right's items behind its own. */
u32 sv_node_joined_size(const struct sv_node *n, const struct sv_node *right);
void sv_node_join(struct sv_node *n, const struct sv_node *right, u8 *scratch);

/*
 * Writes all node_size bytes. `gen` is the birth that the pointer will carry. -EUCLEAN for a node
 * that sv_node_decode would refuse: what is too large or out of order must not reach the store.
 */
int __must_check sv_node_encode(const struct sv_node *n, u64 gen, u8 *to, u32 node_size);

/* What the parent knows about a node; lo and hi (exclusive) may be NULL. */
struct sv_node_expect {
	u8 tree;
	u8 level;
	u64 gen;
	const struct sv_key *lo;
	const struct sv_key *hi;
};

/* Checks every field: -EUCLEAN, -ENOMEM. The bytes are authentic and in trusted memory. */
int __must_check sv_node_decode(const struct secvol_env *env, const u8 *from, u32 node_size,
				const struct sv_node_expect *expect, struct sv_node **ret_node);
