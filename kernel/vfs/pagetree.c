/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix tree of pages. Nodes are counted, so that a subtree without pages goes away at once and a
 * file full of holes costs nothing. Locking is the caller's.
 */
#include "kernel/vfs/pagetree.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"

#define FAN_LOG2   6
#define FAN	   (1u << FAN_LOG2)
#define HEIGHT_MAX 9

struct pagetree_node {
	u32 used;
	void *slots[FAN];
};

static u64 capacity(u32 height)
{
	return 1ull << (FAN_LOG2 * height);
}

static u32 slot_at(u64 index, u32 level)
{
	return (index >> (FAN_LOG2 * level)) & (FAN - 1);
}

void *pagetree_get(const struct pagetree *t, u64 index)
{
	void *at = t->root;

	if (!t->height || index >= capacity(t->height))
		return NULL;
	for (u32 level = t->height; level-- > 0 && at;)
		at = ((struct pagetree_node *)at)->slots[slot_at(index, level)];
	return at;
}

static int grow(struct pagetree *t, u64 index)
{
	while (!t->height || index >= capacity(t->height)) {
		struct pagetree_node *n = kzalloc(sizeof(*n));

		if (!n)
			return -ENOMEM;
		if (t->root) {
			n->slots[0] = t->root;
			n->used = 1;
		}
		t->root = n;
		t->height++;
	}
	return 0;
}

/* Frees the empty nodes on the way to `index`, bottom up. */
static void prune(struct pagetree *t, u64 index)
{
	struct pagetree_node *path[HEIGHT_MAX];
	struct pagetree_node *n = t->root;
	u32 level;

	for (level = t->height; level-- > 0 && n;) {
		path[level] = n;
		n = n->slots[slot_at(index, level)];
	}
	for (u32 l = level + 1; l < t->height; l++) {
		if (path[l]->used)
			return;
		kfree(path[l]);
		if (l + 1 == t->height) {
			t->root = NULL;
			t->height = 0;
			return;
		}
		path[l + 1]->slots[slot_at(index, l + 1)] = NULL;
		path[l + 1]->used--;
	}
}

int pagetree_set(struct pagetree *t, u64 index, void *value)
{
	struct pagetree_node *n;
	int err;

	if (!value) {
		pagetree_remove(t, index);
		return 0;
	}
	if (index >= PAGETREE_MAX_INDEX)
		return -EFBIG;
	err = grow(t, index);
	if (err)
		return err;
	n = t->root;
	for (u32 level = t->height - 1; level > 0; level--) {
		void **slot = &n->slots[slot_at(index, level)];

		if (!*slot) {
			*slot = kzalloc(sizeof(*n));
			if (!*slot) {
				prune(t, index);
				return -ENOMEM;
			}
			n->used++;
		}
		n = *slot;
	}
	if (!n->slots[slot_at(index, 0)])
		n->used++;
	n->slots[slot_at(index, 0)] = value;
	return 0;
}

void pagetree_remove(struct pagetree *t, u64 index)
{
	struct pagetree_node *n = t->root;

	if (!t->height || index >= capacity(t->height))
		return;
	for (u32 level = t->height - 1; level > 0 && n; level--)
		n = n->slots[slot_at(index, level)];
	if (!n || !n->slots[slot_at(index, 0)])
		return;
	n->slots[slot_at(index, 0)] = NULL;
	n->used--;
	prune(t, index);
}

void *pagetree_next(const struct pagetree *t, u64 *index)
{
	u64 at = *index;

	while (t->height && at < capacity(t->height)) {
		struct pagetree_node *n = t->root;
		u32 level = t->height - 1;

		for (;; level--) {
			void *child = n->slots[slot_at(at, level)];

			if (!child)
				break;
			if (!level) {
				*index = at;
				return child;
			}
			n = child;
		}
		at = (at | (capacity(level) - 1)) + 1; /* past this empty subtree */
	}
	return NULL;
}

void pagetree_free(struct pagetree *t)
{
	struct pagetree_node *stack[HEIGHT_MAX];
	u32 next[HEIGHT_MAX];
	u32 depth = 0;

	if (!t->root)
		return;
	stack[0] = t->root;
	next[0] = 0;
	for (;;) {
		bool is_leaf = depth + 1 == t->height;

		if (is_leaf || next[depth] == FAN) {
			kfree(stack[depth]);
			if (!depth)
				break;
			depth--;
			continue;
		}
		void *child = stack[depth]->slots[next[depth]++];

		if (child) {
			depth++;
			stack[depth] = child;
			next[depth] = 0;
		}
	}
	t->root = NULL;
	t->height = 0;
}
