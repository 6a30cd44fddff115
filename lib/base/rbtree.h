/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive red-black tree. The caller walks down to find the place of a new node and links it;
 * the tree only balances. Locking is the caller's. Algorithm: Cormen et al., chapter 13.
 */
#pragma once

#include "lib/base/types.h"

struct rb_node {
	struct rb_node *parent;
	struct rb_node *left;
	struct rb_node *right;
	bool red;
};

struct rb_root {
	struct rb_node *node;
};

#define RB_ROOT_INIT                                                                               \
	{                                                                                          \
		NULL                                                                               \
	}

/* Links `node` at *link below `parent` (NULL for an empty tree) and rebalances. */
void rb_insert(struct rb_root *root, struct rb_node *parent, struct rb_node **link,
	       struct rb_node *node);
void rb_erase(struct rb_root *root, struct rb_node *node);

struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#define rb_entry(node, type, member) container_of(node, type, member)
#define rb_for_each(pos, root)	     for (pos = rb_first(root); pos; pos = rb_next(pos))
