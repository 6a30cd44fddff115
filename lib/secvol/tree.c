/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The B-trees: lookups, changes and the node cache.
 *
 * Copy on write happens in memory first: a node that is changed becomes dirty, with a virtual
 * address (bit 47 set) in its parent, and so do all nodes above it; the commit gives them real
 * addresses and writes them. All nodes in memory are in one hash by address. Clean ones are also
 * in an LRU list and are dropped from it at the end of a public operation, never within one; so a
 * node that "prepare" has loaded is still there when the change is made.
 *
 * Keys below an interior item are >= its key, except below item 0, where the bound is the parent's.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

/* No item encodes to less than this, so it bounds the items of a node. */
#define MIN_ITEM_BYTES 15u

static u32 hash_slot(u64 addr)
{
	return (u32)(addr * 0x9e3779b97f4a7c15ull >> 54) % SV_HASH_SIZE;
}

struct sv_node *sv_node_find(struct secvol *v, u64 addr)
{
	struct sv_node *n = v->node_hash[hash_slot(addr)];

	while (n && n->addr != addr)
		n = n->hash_next;
	return n;
}

static void hash_add(struct secvol *v, struct sv_node *n)
{
	u32 slot = hash_slot(n->addr);

	n->hash_next = v->node_hash[slot];
	v->node_hash[slot] = n;
}

static void hash_remove(struct secvol *v, struct sv_node *n)
{
	struct sv_node **at = &v->node_hash[hash_slot(n->addr)];

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
}

void sv_node_rekey(struct secvol *v, struct sv_node *n, u64 addr)
{
	hash_remove(v, n);
	n->addr = addr;
	hash_add(v, n);
}

/* Forgets a node that is in the table; what it occupied on the store is the caller's business. */
void sv_node_drop(struct secvol *v, struct sv_node *n)
{
	hash_remove(v, n);
	list_del(&n->lru);
	v->node_bytes -= sv_node_memory(n);
	if (n->dirty)
		v->dirty_nodes--;
	if (n->new_addr)
		sv_alloc_undo(v, n->new_addr, v->node_blocks);
	if (n->new_addr && n->new_copy)
		sv_alloc_undo(v, n->new_copy, v->node_blocks);
	if (n->new_addr)
		sv_session_live(v, v->kid, -(s64)sv_node_room(v));
	sv_node_free(&v->env, n);
}

void sv_nodes_trim(struct secvol *v)
{
	while (v->node_bytes > v->p.node_cache_bytes && !list_is_empty(&v->node_lru) &&
	       !v->failed) {
		struct sv_node *n = list_first_entry(&v->node_lru, struct sv_node, lru);
		size_t before = sv_node_memory(n);

		/* What was dirty has room for more; giving that back comes before forgetting. */
		if (!sv_node_shrink(&v->env, n)) {
			sv_node_drop(v, n);
			continue;
		}
		v->node_bytes -= before - sv_node_memory(n);
		list_del(&n->lru);
		list_add_tail(&v->node_lru, &n->lru);
	}
}

void sv_nodes_free(struct secvol *v)
{
	for (u32 i = 0; i < SV_HASH_SIZE; i++) {
		while (v->node_hash[i]) {
			struct sv_node *n = v->node_hash[i];

			v->node_hash[i] = n->hash_next;
			sv_node_free(&v->env, n);
		}
	}
	while (v->spare_count)
		sv_node_free(&v->env, v->spare[--v->spare_count]);
}

/* The node that lies at `at`, its bytes in v->io and opened in v->node_buf. */
static int node_fetch(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p, u64 at)
{
	struct sv_key owner = sv_key(t->id, 0, 0);
	int err = p->nblk == v->node_blocks ? bs_read(v->bs, at, p->nblk, v->io) : -EUCLEAN;

	if (err)
		return err;
	memcpy(v->node_buf, v->io, v->node_size);
	return sv_open_unit(v, SV_DOM_NODE, p->level, &owner, v->node_buf, v->node_size, p);
}

int sv_node_verify(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p, bool repair,
		   u32 *ret_bad)
{
	int first = node_fetch(v, t, p, p->addr), second;

	*ret_bad = 0;
	if (!p->copy)
		return first;
	second = node_fetch(v, t, p, p->copy);
	*ret_bad = (first != 0) + (second != 0);
	if (!first == !second)
		return first;
	if (!repair)
		return 0;
	/* The same bytes once more; what is read of the good one now, its reader checks again. */
	if (second)
		first = node_fetch(v, t, p, p->addr);
	else
		first = 0;
	return first ? first : bs_write(v->bs, second ? p->copy : p->addr, p->nblk, v->io);
}

static int node_load(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p,
		     const struct sv_key *lo, const struct sv_key *hi, struct sv_node **ret_node)
{
	struct sv_node_expect expect = {
		.tree = t->id, .level = p->level, .gen = p->birth, .lo = lo, .hi = hi};
	int err;

	if (p->nblk != v->node_blocks || p->type != t->id)
		return -EUCLEAN;
	err = node_fetch(v, t, p, p->addr);
	if (err && p->copy && node_fetch(v, t, p, p->copy) == 0)
		err = 0;
	if (!err)
		err = sv_node_decode(&v->env, v->node_buf, v->node_size, &expect, ret_node);
	if (err)
		return err;
	(*ret_node)->addr = p->addr;
	hash_add(v, *ret_node);
	list_add_tail(&v->node_lru, &(*ret_node)->lru);
	v->node_bytes += sv_node_memory(*ret_node);
	return 0;
}

/*
 * Is a node in memory what a pointer says? One address has one owner: a second pointer to it can
 * only be a forged structure.
 */
static bool node_belongs(const struct sv_node *n, const struct sv_tree *t, const struct sv_ptr *p,
			 const struct sv_key *lo, const struct sv_key *hi)
{
	return n->tree == t->id && n->level == p->level && n->n &&
	       !(lo && sv_key_cmp(&n->items[0].key, lo) < 0) &&
	       !(hi && sv_key_cmp(&n->items[n->n - 1].key, hi) >= 0);
}

int sv_child(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p, const struct sv_key *lo,
	     const struct sv_key *hi, struct sv_node **ret_node)
{
	struct sv_node *n = sv_node_find(v, p->addr);

	if (!n) {
		if (p->addr & SV_VIRTUAL)
			return -EUCLEAN;
		return node_load(v, t, p, lo, hi, ret_node);
	}
	if (!node_belongs(n, t, p, lo, hi))
		return -EUCLEAN;
	if (!n->dirty) {
		list_del(&n->lru);
		list_add_tail(&v->node_lru, &n->lru);
	}
	*ret_node = n;
	return 0;
}

/* Walks from the root to the leaf where `key` is or would be; idx of the leaf is its place. */
static int find_path(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
		     struct sv_path *path, bool *ret_equal)
{
	struct sv_ptr p = t->root;
	bool equal;
	int err;

	path->depth = 0;
	path->has_lo = path->has_hi = false;
	*ret_equal = false;
	if (!p.addr)
		return 0;
	for (;;) {
		struct sv_node *n;
		u32 i;

		err = sv_child(v, t, &p, path->has_lo ? &path->lo : NULL,
			       path->has_hi ? &path->hi : NULL, &n);
		if (err)
			return err;
		if (path->depth == SV_MAX_DEPTH)
			return -EUCLEAN;
		i = sv_node_search(n, key, &equal);
		path->node[path->depth] = n;
		if (n->level == 0) {
			path->idx[path->depth++] = i;
			*ret_equal = equal;
			return 0;
		}
		if (!equal && i > 0)
			i--;
		path->idx[path->depth++] = i;
		if (i > 0) {
			path->has_lo = true;
			path->lo = n->items[i].key;
		}
		if (i + 1 < n->n) {
			path->has_hi = true;
			path->hi = n->items[i + 1].key;
		}
		err = sv_ptr_decode(v, (const struct sv_bptr *)sv_node_value(n, i), &p);
		if (err)
			return err;
		if (p.level + 1 != n->level)
			return -EUCLEAN;
	}
}

int sv_base_lookup(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
		   const u8 **ret_val, u32 *ret_size)
{
	struct sv_path path;
	struct sv_node *leaf;
	bool equal;
	int err = find_path(v, t, key, &path, &equal);

	if (err)
		return err;
	if (!equal)
		return -ENOENT;
	leaf = path.node[path.depth - 1];
	*ret_val = sv_node_value(leaf, path.idx[path.depth - 1]);
	*ret_size = leaf->items[path.idx[path.depth - 1]].size;
	return 0;
}

int sv_base_next(struct secvol *v, struct sv_tree *t, struct sv_key *key, const u8 **ret_val,
		 u32 *ret_size)
{
	struct sv_path path;
	struct sv_node *leaf;
	bool equal;
	u32 i;

	for (;;) {
		int err = find_path(v, t, key, &path, &equal);

		if (err)
			return err;
		if (path.depth == 0)
			return -ENOENT;
		leaf = path.node[path.depth - 1];
		i = path.idx[path.depth - 1];
		if (i < leaf->n)
			break;
		if (!path.has_hi)
			return -ENOENT;
		*key = path.hi;
	}
	*key = leaf->items[i].key;
	*ret_val = sv_node_value(leaf, i);
	*ret_size = leaf->items[i].size;
	return 0;
}

static void set_child(struct secvol *v, struct sv_node *parent, u32 i, const struct sv_node *n)
{
	struct sv_ptr p = {
		.addr = n->addr, .nblk = v->node_blocks, .type = n->tree, .level = n->level};

	sv_ptr_encode(v, &p, (struct sv_bptr *)sv_node_value(parent, i));
}

static void set_root(struct secvol *v, struct sv_tree *t, const struct sv_node *n)
{
	memset(&t->root, 0, sizeof(t->root));
	t->root.addr = n->addr;
	t->root.nblk = v->node_blocks;
	t->root.type = n->tree;
	t->root.level = n->level;
}

/* Makes a clean node dirty; its parent (dirty already) or the root pointer follows. */
static int dirty_one(struct secvol *v, struct sv_tree *t, struct sv_node *n, struct sv_node *parent,
		     u32 idx)
{
	struct sv_ptr p = t->root;
	int err;

	if (n->dirty)
		return 0;
	/* Only the fs tree's blocks can go to a list; while one is stored it must not move. */
	err = t == &v->fs ? sv_free_reserve(v, 8) : sv_runs_reserve(v, &v->frees, 8);
	if (!err && parent)
		err = sv_ptr_decode(v, (const struct sv_bptr *)sv_node_value(parent, idx), &p);
	if (err)
		return err;
	/* Snapshots keep nodes of the fs tree alone. */
	sv_free_node(v, &p, t == &v->fs ? p.birth : UINT64_MAX);
	list_del(&n->lru);
	n->dirty = true;
	v->dirty_nodes++;
	v->dirty = true;
	sv_node_rekey(v, n, SV_VIRTUAL | ++v->next_virtual);
	if (parent)
		set_child(v, parent, idx, n);
	else
		set_root(v, t, n);
	return 0;
}

static int reserve(struct secvol *v, struct sv_node *n, u32 items)
{
	size_t before = sv_node_memory(n);
	int err = sv_node_reserve(&v->env, n, items, v->node_size);

	v->node_bytes += sv_node_memory(n) - before;
	return err;
}

static int dirty_path(struct secvol *v, struct sv_tree *t, struct sv_path *path, u32 inserts)
{
	for (u32 d = 0; d < path->depth; d++) {
		int err = reserve(v, path->node[d], inserts * 2 + 2);

		if (!err)
			err = dirty_one(v, t, path->node[d], d ? path->node[d - 1] : NULL,
					d ? path->idx[d - 1] : 0);
		if (err)
			return err;
	}
	return 0;
}

u32 sv_tree_height(struct secvol *v, const struct sv_tree *t)
{
	return t->root.addr ? t->root.level + 1u : 0;
}

static int spares_reserve(struct secvol *v, u32 count)
{
	if (count > ARRAY_SIZE(v->spare))
		return -EINVAL;
	while (v->spare_count < count) {
		struct sv_node *n =
			sv_node_new(&v->env, 0, 0, v->node_size / MIN_ITEM_BYTES + 1, v->node_size);

		if (!n)
			return -ENOMEM;
		v->spare[v->spare_count++] = n;
	}
	return 0;
}

static struct sv_node *spare_take(struct secvol *v, u8 tree, u8 level)
{
	struct sv_node *n = v->spare[--v->spare_count];

	n->tree = tree;
	n->level = level;
	n->dirty = true;
	n->addr = SV_VIRTUAL | ++v->next_virtual;
	hash_add(v, n);
	v->dirty_nodes++;
	v->node_bytes += sv_node_memory(n);
	v->dirty = true;
	return n;
}

int sv_base_prepare(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
		    const struct sv_key *hi, u32 inserts)
{
	struct sv_key key = *lo;
	struct sv_path path;
	bool equal;
	int err = spares_reserve(v, inserts * (sv_tree_height(v, t) + 2));

	if (!err)
		err = sv_runs_reserve(v, &v->frees, 2 * SV_EXTENT_BLOCKS);
	while (!err) {
		err = find_path(v, t, &key, &path, &equal);
		if (!err)
			err = dirty_path(v, t, &path, inserts);
		if (err || !path.has_hi || sv_key_cmp(&path.hi, hi) > 0)
			break;
		key = path.hi;
	}
	return err;
}

/* Brings the nodes of lo..hi into memory and marks them as what the next checkpoint will write. */
int sv_base_load(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
		 const struct sv_key *hi)
{
	struct sv_key key = *lo;
	struct sv_path path;
	bool equal;

	for (;;) {
		int err = find_path(v, t, &key, &path, &equal);

		if (err)
			return err;
		for (u32 d = 0; d < path.depth; d++) {
			if (path.node[d]->mark == v->delta.mark)
				continue;
			path.node[d]->mark = v->delta.mark;
			v->delta.nodes++;
		}
		if (!path.has_hi || sv_key_cmp(&path.hi, hi) > 0)
			return 0;
		key = path.hi;
	}
}

/* Inserts at path->idx[d] of path->node[d], splitting upwards as needed. Cannot fail. */
static void insert_at(struct secvol *v, struct sv_tree *t, struct sv_path *path, u32 d,
		      const struct sv_key *key, const void *val, u32 size)
{
	struct sv_node *n = path->node[d], *right, *root;
	u32 i = path->idx[d], mid;
	struct sv_bptr zero = {0};
	struct sv_key first;

	if (sv_node_fits(n, i, false, key, size, v->node_size)) {
		sv_node_insert(n, i, key, val, size, v->scratch);
		return;
	}
	right = spare_take(v, t->id, n->level);
	mid = i == n->n ? n->n : sv_node_middle(n); /* appending fills nodes to the brim */
	sv_node_split(n, right, mid);
	if (i < mid || (i == mid && right->n && sv_node_fits(n, i, false, key, size, v->node_size)))
		sv_node_insert(n, i, key, val, size, v->scratch);
	else
		sv_node_insert(right, i - mid, key, val, size, v->scratch);
	first = right->items[0].key;
	if (d == 0) {
		root = spare_take(v, t->id, n->level + 1);
		sv_node_insert(root, 0, &n->items[0].key, &zero, sizeof(zero), v->scratch);
		set_child(v, root, 0, n);
		sv_node_insert(root, 1, &first, &zero, sizeof(zero), v->scratch);
		set_child(v, root, 1, right);
		set_root(v, t, root);
		return;
	}
	/* Below item 0 there may be keys under its own; then `first` can be one of them. */
	if (path->idx[d - 1] == 0 && sv_key_cmp(&first, &path->node[d - 1]->items[0].key) <= 0)
		sv_node_lower(path->node[d - 1], &n->items[0].key);
	path->idx[d - 1]++;
	{
		struct sv_ptr p = {.addr = right->addr,
				   .nblk = v->node_blocks,
				   .type = t->id,
				   .level = right->level};
		struct sv_bptr child = {0};

		sv_ptr_encode(v, &p, &child);
		insert_at(v, t, path, d - 1, &first, &child, sizeof(child));
	}
}

int sv_base_put(struct secvol *v, struct sv_tree *t, const struct sv_key *key, const void *val,
		u32 size)
{
	struct sv_path path;
	struct sv_node *leaf;
	bool equal;
	u32 i;
	int err;

	if (size > SV_ITEM_MAX)
		return -EINVAL;
	err = sv_base_prepare(v, t, key, key, 1);
	if (!err)
		err = find_path(v, t, key, &path, &equal);
	if (err)
		return err;
	if (path.depth == 0) {
		leaf = spare_take(v, t->id, 0);
		sv_node_insert(leaf, 0, key, val, size, v->scratch);
		set_root(v, t, leaf);
		return 0;
	}
	leaf = path.node[path.depth - 1];
	i = path.idx[path.depth - 1];
	if (equal) {
		if (leaf->items[i].size == size) {
			if (size)
				memmove(sv_node_value(leaf, i), val, size);
			return 0;
		}
		sv_node_remove(leaf, i);
	}
	insert_at(v, t, &path, path.depth - 1, key, val, size);
	return 0;
}

/* Joins the right one of two neighbours below `parent` into the left one. Never mind if not. */
static void try_join(struct secvol *v, struct sv_tree *t, struct sv_node *parent, u32 left_idx)
{
	struct sv_key between = parent->items[left_idx + 1].key;
	struct sv_node *side[2];
	struct sv_ptr p;

	for (u32 k = 0; k < 2; k++) {
		if (sv_ptr_decode(v, (struct sv_bptr *)sv_node_value(parent, left_idx + k), &p))
			return;
		side[k] = sv_node_find(v, p.addr);
		if (!side[k]) /* not worth reading */
			return;
		if (!node_belongs(side[k], t, &p, k ? &between : NULL, k ? NULL : &between) ||
		    side[k]->level + 1 != parent->level)
			return;
	}
	if (sv_node_joined_size(side[0], side[1]) > v->node_size * 5 / 8 ||
	    reserve(v, side[0], side[1]->n) || dirty_one(v, t, side[0], parent, left_idx) ||
	    dirty_one(v, t, side[1], parent, left_idx + 1))
		return;
	/* Its first key may lie above keys below it; the parent's never does. */
	if (side[1]->level)
		sv_node_lower(side[1], &between);
	sv_node_join(side[0], side[1], v->scratch);
	sv_node_remove(parent, left_idx + 1);
	sv_node_drop(v, side[1]);
}

static void shrink_up(struct secvol *v, struct sv_tree *t, struct sv_path *path)
{
	for (u32 d = path->depth - 1;; d--) {
		struct sv_node *n = path->node[d], *parent = d ? path->node[d - 1] : NULL;
		u32 idx = d ? path->idx[d - 1] : 0;

		if (n->n == 0) {
			sv_node_drop(v, n);
			if (!parent) {
				memset(&t->root, 0, sizeof(t->root));
				return;
			}
			sv_node_remove(parent, idx);
		} else if (parent && n->used < v->node_size / 4) {
			if (idx + 1 < parent->n)
				try_join(v, t, parent, idx);
			else if (idx > 0)
				try_join(v, t, parent, idx - 1);
		}
		if (!parent)
			break;
	}
	/* A root with one child is no use. */
	for (;;) {
		struct sv_node *root = sv_node_find(v, t->root.addr);
		struct sv_ptr p;

		if (!root || root->level == 0 || root->n > 1 || !root->dirty ||
		    sv_ptr_decode(v, (struct sv_bptr *)sv_node_value(root, 0), &p))
			return;
		t->root = p;
		sv_node_drop(v, root);
	}
}

int sv_base_delete(struct secvol *v, struct sv_tree *t, const struct sv_key *key)
{
	struct sv_path path;
	bool equal;
	int err = find_path(v, t, key, &path, &equal);

	if (err)
		return err;
	if (!equal)
		return -ENOENT;
	err = dirty_path(v, t, &path, 0);
	if (err)
		return err;
	sv_node_remove(path.node[path.depth - 1], path.idx[path.depth - 1]);
	shrink_up(v, t, &path);
	return 0;
}

int sv_base_verify(struct secvol *v, struct sv_tree *t, struct sv_key *key,
		   struct sv_node **ret_leaf, struct secvol_scrub *s, bool *ret_more)
{
	struct sv_path path;
	bool equal, first = true;
	int err = find_path(v, t, key, &path, &equal), bad = 0;

	*ret_more = path.has_hi;
	if (path.has_hi)
		*key = path.hi;
	if (err)
		return err; /* behind a damaged node the walk goes on at the next key known */
	/* From the leaf up, as long as this is the first leaf below. */
	for (u32 d = path.depth; d-- > 0 && first; first = path.idx[d] == 0) {
		struct sv_ptr p = t->root;

		if (d)
			err = sv_ptr_decode(v,
					    (const struct sv_bptr *)sv_node_value(path.node[d - 1],
										  path.idx[d - 1]),
					    &p);
		if (!err && !(p.addr & SV_VIRTUAL)) {
			u32 broken;

			err = sv_node_verify(v, t, &p, v->rw && !v->failed, &broken);
			s->blocks += sv_node_room(v);
			s->repaired += !err && v->rw && !v->failed ? broken : 0;
		}
		bad = bad ? bad : err;
		if (d && path.idx[d - 1])
			break;
	}
	if (path.depth)
		*ret_leaf = path.node[path.depth - 1];
	return bad;
}

int sv_base_refresh(struct secvol *v, struct sv_tree *t, struct sv_key *key, u32 max)
{
	u32 before = v->dirty_nodes;
	struct sv_path path;
	bool equal;

	while (v->dirty_nodes - before < max) {
		struct sv_ptr p = t->root;
		bool is_old = false;
		int err = find_path(v, t, key, &path, &equal);

		for (u32 d = 0; !err && d < path.depth; d++) {
			if (d)
				err = sv_ptr_decode(v,
						    (const struct sv_bptr *)sv_node_value(
							    path.node[d - 1], path.idx[d - 1]),
						    &p);
			is_old |= !(p.addr & SV_VIRTUAL) && sv_is_old(v, p.kid);
		}
		if (!err && is_old)
			err = dirty_path(v, t, &path, 0);
		if (err)
			return err;
		if (!path.has_hi)
			return -ENOENT;
		*key = path.hi;
	}
	return 0;
}

/* Dirties every node: what is rewritten under a new session. */
static int dirty_below(struct secvol *v, struct sv_tree *t, struct sv_node *n)
{
	for (u32 i = 0; n->level && i < n->n; i++) {
		struct sv_node *child;
		struct sv_ptr p;
		int err = sv_ptr_decode(v, (struct sv_bptr *)sv_node_value(n, i), &p);

		if (!err && p.level + 1 != n->level)
			err = -EUCLEAN;
		if (!err)
			err = sv_child(v, t, &p, NULL, NULL, &child);
		if (!err)
			err = reserve(v, child, 2);
		if (!err)
			err = dirty_one(v, t, child, n, i);
		if (!err)
			err = dirty_below(v, t, child);
		if (err)
			return err;
	}
	return 0;
}

int sv_tree_dirty_all(struct secvol *v, struct sv_tree *t)
{
	struct sv_node *root;
	int err;

	if (!t->root.addr)
		return 0;
	err = sv_child(v, t, &t->root, NULL, NULL, &root);
	if (!err)
		err = reserve(v, root, 2);
	if (!err)
		err = dirty_one(v, t, root, NULL, 0);
	return err ? err : dirty_below(v, t, root);
}
