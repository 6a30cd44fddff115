// SPDX-License-Identifier: Apache-2.0
/*
 * The free ranges of the user zone: a treap ordered by address in which each node also knows the
 * longest range below it, so that the lowest fit is found in one descent. Priorities are random,
 * because programs choose the addresses. No two free ranges touch.
 *
 * A freed range may need a new node. Nodes come from a stock that is filled by
 * zone_reserve_node(), when failing is still possible: there are never more free ranges than
 * owned ranges plus one, so a node per owner suffices.
 *
 * Everything is guarded by one spinlock; recursion depth is that of the treap, about 2 log n.
 */
#include "kernel/mm/zone.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "kernel/sync/spinlock.h"

#define STOCK_SURPLUS_MAX 256 /* unreserved nodes that are kept for reuse */

struct extent {
	u64 start, end;
	u64 longest; /* of this subtree */
	struct extent *left, *right;
	u32 priority;
};

static struct {
	struct spinlock lock;
	struct extent *root;
	struct extent *stock;	/* linked by left */
	u64 stock_count, total; /* nodes in stock; in stock and tree */
	u64 reserved;
	u64 free_bytes;
	u64 random;
	u64 start, end, movable, small, large;
} zone;

static u32 next_priority(void)
{
	zone.random ^= zone.random << 13;
	zone.random ^= zone.random >> 7;
	zone.random ^= zone.random << 17;
	return (u32)(zone.random >> 16);
}

static struct extent *node_new(u64 start, u64 end)
{
	struct extent *e = zone.stock;

	BUG_ON(!e);
	zone.stock = e->left;
	zone.stock_count--;
	*e = (struct extent){.start = start, .end = end, .longest = end - start};
	e->priority = next_priority();
	return e;
}

static void node_free(struct extent *e)
{
	e->left = zone.stock;
	zone.stock = e;
	zone.stock_count++;
}

static void pull(struct extent *e)
{
	u64 longest = e->end - e->start;

	if (e->left)
		longest = MAX(longest, e->left->longest);
	if (e->right)
		longest = MAX(longest, e->right->longest);
	e->longest = longest;
}

static struct extent *join(struct extent *a, struct extent *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(a->right, b);
		pull(a);
		return a;
	}
	b->left = join(a, b->left);
	pull(b);
	return b;
}

/* Splits into those that start below `at` and the others. */
static void cut(struct extent *e, u64 at, struct extent **ret_low, struct extent **ret_high)
{
	if (!e) {
		*ret_low = NULL;
		*ret_high = NULL;
	} else if (e->start < at) {
		cut(e->right, at, &e->right, ret_high);
		pull(e);
		*ret_low = e;
	} else {
		cut(e->left, at, ret_low, &e->left);
		pull(e);
		*ret_high = e;
	}
}

static void insert(u64 start, u64 end)
{
	struct extent *low, *high;

	cut(zone.root, start, &low, &high);
	zone.root = join(join(low, node_new(start, end)), high);
}

/* Gives the node that starts at `key` new bounds (between its neighbours), or removes it. */
static void change(struct extent **link, u64 key, u64 start, u64 end)
{
	struct extent *e = *link;

	BUG_ON(!e);
	if (key < e->start) {
		change(&e->left, key, start, end);
	} else if (key > e->start) {
		change(&e->right, key, start, end);
	} else if (start == end) {
		*link = join(e->left, e->right);
		node_free(e);
		return;
	} else {
		e->start = start;
		e->end = end;
	}
	pull(e);
}

/* The free range that contains or, failing that, follows `address`. */
static struct extent *find(u64 address)
{
	struct extent *e = zone.root, *best = NULL;

	while (e) {
		if (e->end > address) {
			best = e;
			e = e->left;
		} else {
			e = e->right;
		}
	}
	return best;
}

static struct extent *find_ending_at(u64 address)
{
	struct extent *e = zone.root;

	while (e && e->end != address)
		e = e->end > address ? e->left : e->right;
	return e;
}

static u64 first_fit(const struct extent *e, u64 size, u64 align, u64 low, u64 high)
{
	u64 at;

	if (!e || e->longest < size)
		return 0;
	if (e->start > low) {
		at = first_fit(e->left, size, align, low, high);
		if (at)
			return at;
	}
	at = ALIGN_UP(MAX(e->start, low), align);
	if (at < e->end && e->end - at >= size)
		return at < high && high - at >= size ? at : 0;
	return e->start < high ? first_fit(e->right, size, align, low, high) : 0;
}

static bool take(u64 start, u64 end)
{
	struct extent *e = find(start);
	u64 old_start, old_end;

	if (!e || e->start > start || e->end < end)
		return false;
	old_start = e->start;
	old_end = e->end;
	if (start == old_start) {
		change(&zone.root, old_start, end, old_end);
	} else {
		change(&zone.root, old_start, old_start, start);
		if (end != old_end)
			insert(end, old_end);
	}
	zone.free_bytes -= end - start;
	return true;
}

static u64 random_offset(u64 span)
{
	u64 r = 0;

	/* Placement is no secret that anything rests on: without randomness it is merely fixed. */
	if (random_bytes(&r, sizeof(r)))
		r = 0;
	return span > PAGE_SIZE ? ALIGN_DOWN(r % span, PAGE_SIZE) : 0;
}

int zone_init(u64 start, u64 end, u64 movable)
{
	u64 room = end - movable;
	int err;

	if (random_bytes(&zone.random, sizeof(zone.random)))
		zone.random = 0;
	zone.random |= 1;
	spin_init(&zone.lock, LOCK_ZONE);
	zone.start = start;
	zone.end = end;
	zone.movable = movable;
	zone.small = movable + random_offset(MIN(room / 32, GIB(1)));
	zone.large = ALIGN_DOWN(movable + room / 4, PAGE_SIZE) + random_offset(room / 16);
	/* The kernel counts as one owner, for the node of the first free range. */
	err = zone_reserve_node();
	if (err)
		return err;
	spin_lock(&zone.lock);
	insert(start, end);
	zone.free_bytes = end - start;
	spin_unlock(&zone.lock);
	return 0;
}

void zone_fini(void)
{
	while (zone.root)
		change(&zone.root, zone.root->start, 0, 0);
	while (zone.stock) {
		struct extent *e = zone.stock;

		zone.stock = e->left;
		kfree(e);
	}
	zone.stock_count = 0;
	zone.total = 0;
	zone.reserved = 0;
	zone.free_bytes = 0;
}

u64 zone_start(void)
{
	return zone.start;
}

u64 zone_end(void)
{
	return zone.end;
}

u64 zone_movable(void)
{
	return zone.movable;
}

u64 zone_alloc_within(u64 size, u64 align, u64 low, u64 high)
{
	u64 at;

	spin_lock(&zone.lock);
	at = first_fit(zone.root, size, align, low, high);
	if (at)
		BUG_ON(!take(at, at + size));
	spin_unlock(&zone.lock);
	return at;
}

u64 zone_alloc(u64 size, u64 align, enum zone_part part)
{
	u64 at;

	if (part == ZONE_SMALL) {
		at = zone_alloc_within(size, align, zone.small, zone.large);
		if (at)
			return at;
	}
	at = zone_alloc_within(size, align, zone.large, zone.end);
	/* Full: what randomisation and the other part left over. */
	return at ? at : zone_alloc_within(size, align, zone.movable, zone.end);
}

bool zone_take(u64 start, u64 end)
{
	bool taken;

	spin_lock(&zone.lock);
	taken = take(start, end);
	spin_unlock(&zone.lock);
	return taken;
}

bool zone_is_free(u64 start, u64 end)
{
	struct extent *e;
	bool is_free;

	spin_lock(&zone.lock);
	e = find(start);
	is_free = e && e->start <= start && e->end >= end;
	spin_unlock(&zone.lock);
	return is_free;
}

void zone_free(u64 start, u64 end)
{
	struct extent *before, *after;
	u64 after_end;

	if (start == end)
		return;
	spin_lock(&zone.lock);
	before = find_ending_at(start);
	after = find(start);
	BUG_ON(start > end || start < zone.start || end > zone.end);
	BUG_ON(after && after->start < end);
	if (after && after->start != end)
		after = NULL;
	after_end = after ? after->end : end;
	if (before && after)
		change(&zone.root, end, 0, 0);
	if (before)
		change(&zone.root, before->start, before->start, after_end);
	else if (after)
		change(&zone.root, end, start, after_end);
	else
		insert(start, end);
	zone.free_bytes += end - start;
	spin_unlock(&zone.lock);
}

bool zone_next_free(u64 address, u64 *ret_start, u64 *ret_end)
{
	struct extent *e;

	spin_lock(&zone.lock);
	e = find(address);
	if (e) {
		*ret_start = e->start;
		*ret_end = e->end;
	}
	spin_unlock(&zone.lock);
	return e;
}

u64 zone_free_bytes(void)
{
	return __atomic_load_n(&zone.free_bytes, __ATOMIC_RELAXED);
}

/* With n owners there are at most n + 1 free ranges. */
int zone_reserve_node(void)
{
	struct extent *e;
	bool enough;

	spin_lock(&zone.lock);
	enough = zone.total >= zone.reserved + 2;
	if (enough)
		zone.reserved++;
	spin_unlock(&zone.lock);
	if (enough)
		return 0;
	e = kmalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	spin_lock(&zone.lock);
	node_free(e);
	zone.total++;
	zone.reserved++;
	spin_unlock(&zone.lock);
	return 0;
}

void zone_unreserve_node(void)
{
	struct extent *e = NULL;

	spin_lock(&zone.lock);
	BUG_ON(!zone.reserved);
	zone.reserved--;
	if (zone.stock && zone.total > zone.reserved + STOCK_SURPLUS_MAX) {
		e = zone.stock;
		zone.stock = e->left;
		zone.stock_count--;
		zone.total--;
	}
	spin_unlock(&zone.lock);
	kfree(e);
}
