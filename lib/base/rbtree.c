/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Red-black tree balancing. Invariants: the root is black, a red node has no red child, every
 * path from a node to its leaves crosses the same number of black nodes. NULL counts as black.
 */
#include "lib/base/rbtree.h"

static bool is_red(const struct rb_node *node)
{
	return node && node->red;
}

static void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old,
			  struct rb_node *new_node)
{
	if (!parent)
		root->node = new_node;
	else if (parent->left == old)
		parent->left = new_node;
	else
		parent->right = new_node;
	if (new_node)
		new_node->parent = parent;
}

static void rotate_left(struct rb_root *root, struct rb_node *x)
{
	struct rb_node *y = x->right;

	x->right = y->left;
	if (y->left)
		y->left->parent = x;
	replace_child(root, x->parent, x, y);
	y->left = x;
	x->parent = y;
}

static void rotate_right(struct rb_root *root, struct rb_node *x)
{
	struct rb_node *y = x->left;

	x->left = y->right;
	if (y->right)
		y->right->parent = x;
	replace_child(root, x->parent, x, y);
	y->right = x;
	x->parent = y;
}

void rb_insert(struct rb_root *root, struct rb_node *parent, struct rb_node **link,
	       struct rb_node *node)
{
	node->parent = parent;
	node->left = NULL;
	node->right = NULL;
	node->red = true;
	*link = node;

	while (is_red(node->parent)) {
		struct rb_node *p = node->parent;
		struct rb_node *g = p->parent;
		bool left = p == g->left;
		struct rb_node *uncle = left ? g->right : g->left;

		if (is_red(uncle)) {
			p->red = false;
			uncle->red = false;
			g->red = true;
			node = g;
			continue;
		}
		if (left && node == p->right) {
			rotate_left(root, p);
			p = node;
		} else if (!left && node == p->left) {
			rotate_right(root, p);
			p = node;
		}
		p->red = false;
		g->red = true;
		if (left)
			rotate_right(root, g);
		else
			rotate_left(root, g);
		break;
	}
	root->node->red = false;
}

/* `node` (possibly NULL) below `parent` lacks one black on its paths. */
static void fix_erase(struct rb_root *root, struct rb_node *node, struct rb_node *parent)
{
	while (node != root->node && !is_red(node)) {
		bool left = node == parent->left;
		struct rb_node *s = left ? parent->right : parent->left;

		if (is_red(s)) {
			s->red = false;
			parent->red = true;
			if (left)
				rotate_left(root, parent);
			else
				rotate_right(root, parent);
			s = left ? parent->right : parent->left;
		}
		if (!is_red(s->left) && !is_red(s->right)) {
			s->red = true;
			node = parent;
			parent = node->parent;
			continue;
		}
		if (left && !is_red(s->right)) {
			s->left->red = false;
			s->red = true;
			rotate_right(root, s);
			s = parent->right;
		} else if (!left && !is_red(s->left)) {
			s->right->red = false;
			s->red = true;
			rotate_left(root, s);
			s = parent->left;
		}
		s->red = parent->red;
		parent->red = false;
		if (left) {
			s->right->red = false;
			rotate_left(root, parent);
		} else {
			s->left->red = false;
			rotate_right(root, parent);
		}
		node = root->node;
	}
	if (node)
		node->red = false;
}

void rb_erase(struct rb_root *root, struct rb_node *node)
{
	struct rb_node *child, *parent;
	bool red;

	if (!node->left || !node->right) {
		child = node->left ? node->left : node->right;
		parent = node->parent;
		red = node->red;
		replace_child(root, parent, node, child);
	} else {
		struct rb_node *next = node->right;

		while (next->left)
			next = next->left;
		child = next->right;
		red = next->red;
		if (next->parent == node) {
			parent = next;
		} else {
			parent = next->parent;
			replace_child(root, parent, next, child);
			next->right = node->right;
			next->right->parent = next;
		}
		replace_child(root, node->parent, node, next);
		next->left = node->left;
		next->left->parent = next;
		next->red = node->red;
	}
	if (!red)
		fix_erase(root, child, parent);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->left)
		node = node->left;
	return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->right)
		node = node->right;
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	if (node->right) {
		node = node->right;
		while (node->left)
			node = node->left;
		return (struct rb_node *)node;
	}
	while (node->parent && node == node->parent->right)
		node = node->parent;
	return node->parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	if (node->left) {
		node = node->left;
		while (node->right)
			node = node->right;
		return (struct rb_node *)node;
	}
	while (node->parent && node == node->parent->left)
		node = node->parent;
	return node->parent;
}
