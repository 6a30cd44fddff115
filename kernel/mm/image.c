// SPDX-License-Identifier: Apache-2.0
/*
 * Images: the pages of a member of a family that is not resident. An image is a tree of chunks with
 * an entry per page; an entry with a copy holds the page, one without says that what lies in place
 * is the same. Copies are pages of the user zone that nobody has mapped, in extents of 64, and are
 * charged like any others.
 *
 * All of it belongs to whoever is inside the resident with its mm->lock, or exchanges pages.
 */
#include "kernel/mm/family_priv.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "lib/base/string.h"

#define EXTENT_PAGES 64
#define EXTENT_SIZE  (EXTENT_PAGES * PAGE_SIZE)

/* Room for copies; a bit that is set is a free page. */
struct extent {
	struct list_node node;
	u64 base, free;
};

/* --- copies --- */

static struct extent *extent_new(struct family *f)
{
	struct extent *e = kmalloc(sizeof(*e));

	if (!e)
		return NULL;
	if (zone_reserve_node())
		goto free;
	e->base = zone_alloc(EXTENT_SIZE, PAGE_SIZE, ZONE_SMALL);
	if (!e->base)
		goto unreserve;
	if (pages_open(e->base, e->base + EXTENT_SIZE))
		goto release;
	e->free = UINT64_MAX;
	list_add_head(&f->extents, &e->node);
	return e;
release:
	zone_free(e->base, e->base + EXTENT_SIZE);
unreserve:
	zone_unreserve_node();
free:
	kfree(e);
	return NULL;
}

static void extent_free(struct extent *e)
{
	list_del(&e->node);
	pages_release(e->base, e->base + EXTENT_SIZE);
	zone_free(e->base, e->base + EXTENT_SIZE);
	zone_unreserve_node();
	kfree(e);
}

/* A page for a copy, or 0. Extents with room come first. */
static u64 copy_new(struct family *f)
{
	struct extent *e = NULL;
	u32 i;

	if (!list_is_empty(&f->extents))
		e = list_first_entry(&f->extents, struct extent, node);
	if (!e || !e->free)
		e = extent_new(f);
	if (!e)
		return 0;
	i = (u32)__builtin_ctzll(e->free);
	e->free &= ~(1ull << i);
	if (!e->free) {
		list_del(&e->node);
		list_add_tail(&f->extents, &e->node);
	}
	turn_count_held(1);
	return e->base + (u64)i * PAGE_SIZE;
}

void image_copy_free(struct family *f, u64 copy)
{
	struct extent *e;

	if (!copy)
		return;
	turn_count_held(-1);
	list_for_each_entry (e, &f->extents, node) {
		if (copy < e->base || copy >= e->base + EXTENT_SIZE)
			continue;
		e->free |= 1ull << ((copy - e->base) / PAGE_SIZE);
		if (e->free == UINT64_MAX) {
			extent_free(e);
		} else {
			list_del(&e->node);
			list_add_head(&f->extents, &e->node);
		}
		return;
	}
	BUG_ON(true);
}

/* --- images --- */

struct chunk *image_find(struct mm *mm, u64 at)
{
	u64 base = ALIGN_DOWN(at, CHUNK_SIZE);
	struct rb_node *n = mm->image.node;

	while (n) {
		struct chunk *c = chunk_of(n);

		if (c->base == base)
			return c;
		n = base < c->base ? n->left : n->right;
	}
	return NULL;
}

struct chunk *image_get(struct mm *mm, u64 at)
{
	u64 base = ALIGN_DOWN(at, CHUNK_SIZE);
	struct rb_node **link = &mm->image.node, *parent = NULL;
	struct chunk *c;

	while (*link) {
		c = chunk_of(*link);
		if (c->base == base)
			return c;
		parent = *link;
		link = base < c->base ? &parent->left : &parent->right;
	}
	c = kzalloc(sizeof(*c));
	if (!c)
		return NULL;
	c->base = base;
	rb_insert(&mm->image, parent, link, &c->node);
	return c;
}

void image_free(struct family *f, struct mm *mm)
{
	while (mm->image.node) {
		struct chunk *c = chunk_of(rb_first(&mm->image));

		for (u32 i = 0; i < CHUNK_PAGES; i++)
			image_copy_free(f, c->copy[i]);
		rb_erase(&mm->image, &c->node);
		kfree(c);
	}
}

/* --- one page --- */

/* Keeps what lies in place at `at` in a new copy; 0: no memory. */
u64 image_copy_page(struct family *f, u64 at)
{
	u64 copy = copy_new(f);
	u8 prot = pages_state(at) & PAGE_PROT;
	int err = 0;

	if (!copy)
		return 0;
	/* A page for itself costs the host, which has so many mappings and no more. */
	if (!(prot & PAGE_READ))
		err = pages_protect(at, at + PAGE_SIZE, PAGE_READ);
	if (!err)
		memcpy((void *)copy, (const void *)at, PAGE_SIZE);
	if (!err && !(prot & PAGE_READ))
		err = pages_protect(at, at + PAGE_SIZE, prot);
	if (!err)
		return copy;
	image_copy_free(f, copy);
	return 0;
}

struct chunk *image_in_place(struct mm *mm, u64 at)
{
	struct chunk *c = image_find(mm, at);

	return c && (c->state[chunk_index(at)] & PAGE_PRESENT) && !c->copy[chunk_index(at)] ? c
											    : NULL;
}
