/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How instances may watch each other. A wake-up goes from a file to all instances above it, along
 * every path, with spinlocks held; so the length of a path and the number of paths from one file
 * are bounded, by the numbers that Linux uses. The graph is searched with a mark on what was seen
 * in this search, so that a search visits each instance once.
 *
 *      file <- instance <- instance <- ... <- instance that nobody watches
 *              nest 0      nest 1             at most nest 4
 *
 * Everything here happens under the lock of all instances; nothing sleeps.
 */
#include "abi/errno.h"
#include "kernel/vfs/epoll_priv.h"

#define CHAIN_MAX 5 /* instances */

/* How many paths may end at each nest; those of one instance are as many as there are files. */
static const u32 paths_max[CHAIN_MAX] = {UINT32_MAX, 500, 100, 50, 10};

static u64 search; /* the current one */

static bool is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

/* The longest chain of instances that ends with `ep`, from above. */
static u32 depth_above(struct epoll *ep)
{
	const struct epoll_item *it;
	u32 most = 0;

	if (ep->seen == search)
		return ep->depth;
	list_for_each_entry (it, &ep->file->watchers, file_node)
		most = MAX(most, depth_above(it->ep));
	ep->seen = search;
	ep->depth = most + 1;
	return most + 1;
}

/* The longest chain that begins with `ep`, downwards; more than any when `top` is in it. */
static u32 depth_below(struct epoll *ep, const struct epoll *top)
{
	struct rb_node *at;
	u32 most = 0;

	if (ep == top)
		return CHAIN_MAX + 1;
	if (ep->seen == search)
		return ep->depth;
	rb_for_each (at, &ep->items) {
		const struct file *f = rb_entry(at, struct epoll_item, node)->file;

		if (is_epoll(f))
			most = MAX(most, depth_below(f->priv, top));
	}
	ep->seen = search;
	ep->depth = most + 1;
	return most + 1;
}

/* Counts the paths that begin at `f`, by the nest of their last instance; false: too many. */
static bool count_paths(const struct file *f, u32 nest, u32 counts[CHAIN_MAX])
{
	const struct epoll_item *it;

	list_for_each_entry (it, &f->watchers, file_node) {
		bool is_last = list_is_empty(&it->ep->file->watchers);

		if (is_last ? ++counts[nest] > paths_max[nest]
			    : nest + 1 == CHAIN_MAX || !count_paths(it->ep->file, nest + 1, counts))
			return false;
	}
	return true;
}

/* Have all files below `f`, or `f` itself, few enough paths? */
static bool paths_are_few(struct file *f)
{
	struct epoll *ep = f->priv;
	u32 counts[CHAIN_MAX] = {0};
	struct rb_node *at;

	if (!is_epoll(f)) {
		if (f->watch_seen == search)
			return true;
		f->watch_seen = search;
		return count_paths(f, 0, counts);
	}
	if (ep->seen == search)
		return true;
	ep->seen = search;
	rb_for_each (at, &ep->items) {
		if (!paths_are_few(rb_entry(at, struct epoll_item, node)->file))
			return false;
	}
	return true;
}

int epoll_check_loop(struct epoll *ep, const struct file *target)
{
	u32 above, below;

	if (!is_epoll(target))
		return 0;
	search++;
	above = depth_above(ep);
	search++;
	below = depth_below(target->priv, ep);
	return above + below > CHAIN_MAX ? -ELOOP : 0;
}

int epoll_check_paths(const struct epoll *ep, struct file *target)
{
	/* A single instance over a file: any number of these. */
	if (!is_epoll(target) && list_is_empty(&ep->file->watchers))
		return 0;
	search++;
	return paths_are_few(target) ? 0 : -EINVAL;
}
