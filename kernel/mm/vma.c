// SPDX-License-Identifier: Apache-2.0
/*
 * The mappings of one address space: a red-black tree by address, without overlap. Each mapping
 * holds one reservation of zone bookkeeping, so that giving up its addresses cannot fail.
 * Everything here runs under mm->lock.
 */
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file.h"

#include "abi/errno.h"

struct vma *vma_find(struct mm *mm, u64 address)
{
	struct rb_node *n = mm->vmas.node;
	struct vma *best = NULL;

	while (n) {
		struct vma *v = vma_of(n);

		if (v->end > address) {
			best = v;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct vma *vma_next(struct vma *v)
{
	return vma_of(rb_next(&v->node));
}

struct vma *vma_prev(struct vma *v)
{
	return vma_of(rb_prev(&v->node));
}

struct vma *vma_new(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = kmalloc(sizeof(*v));

	if (!v)
		return NULL;
	if (zone_reserve_node()) {
		kfree(v);
		return NULL;
	}
	*v = (struct vma){.start = start, .end = end, .mm = mm};
	list_init(&v->object_node);
	return v;
}

void mm_changed(struct mm *mm)
{
	__atomic_add_fetch(&mm->generation, 1, __ATOMIC_SEQ_CST);
}

void vma_insert(struct vma *v)
{
	struct mm *mm = v->mm;
	struct rb_node **link = &mm->vmas.node, *parent = NULL;

	while (*link) {
		struct vma *other = vma_of(*link);

		parent = *link;
		BUG_ON(v->start < other->end && other->start < v->end);
		link = v->start < other->start ? &parent->left : &parent->right;
	}
	rb_insert(&mm->vmas, parent, link, &v->node);
	mm->vma_count++;
	mm->mapped += vma_size(v);
	if (v->object)
		object_link(v);
	mm_changed(mm);
}

void vma_remove(struct vma *v)
{
	struct mm *mm = v->mm;

	rb_erase(&mm->vmas, &v->node);
	mm->vma_count--;
	mm->mapped -= vma_size(v);
	if (v->object)
		object_unlink(v);
	mm_changed(mm);
}

static void dispose(struct vma *v)
{
	if (v->file)
		file_put(v->file);
	if (v->object)
		mem_object_put(v->object);
	zone_unreserve_node();
	kfree(v);
}

void vma_free(struct vma *v)
{
	if (v->patch)
		text_patch_put(v->patch);
	/* Closing a file takes its locks, whose holders may wait for mm->lock to copy. */
	if (v->file)
		list_add_tail(&v->mm->dead_vmas, &v->object_node);
	else
		dispose(v);
}

void mm_unlock(struct mm *mm)
{
	struct list_node dead = LIST_INIT(dead);
	struct vma *v, *next;

	list_splice_tail(&dead, &mm->dead_vmas);
	mutex_unlock(&mm->lock);
	list_for_each_entry_safe (v, next, &dead, object_node)
		dispose(v);
}

int vma_split(struct vma *v, u64 at)
{
	struct vma *high;

	if (v->mm->vma_count >= MAPPINGS_MAX)
		return -ENOMEM;
	high = vma_new(v->mm, at, v->end);
	if (!high)
		return -ENOMEM;
	high->offset = v->offset + (at - v->start);
	high->prot = v->prot;
	high->may = v->may;
	high->kind = v->kind;
	high->name = v->name;
	high->lazy = v->lazy;
	high->extra_views = v->extra_views;
	high->kept = v->kept;
	if (v->file)
		high->file = file_get(v->file);
	if (v->object)
		high->object = mem_object_get(v->object);
	if (v->patch)
		high->patch = text_patch_get(v->patch);
	v->mm->mapped -= v->end - at;
	v->end = at;
	vma_insert(high);
	return 0;
}

int vma_split_at(struct mm *mm, u64 start, u64 end)
{
	u64 cuts[] = {start, end};

	for (int i = 0; i < 2; i++) {
		struct vma *v = vma_find(mm, cuts[i]);

		if (v && v->start < cuts[i]) {
			int err = vma_split(v, cuts[i]);

			if (err)
				return err;
		}
	}
	return 0;
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	return a && b && a->end == b->start && a->kind == b->kind && a->prot == b->prot &&
	       a->may == b->may && a->name == b->name && a->name != VMA_STUBS &&
	       a->file == b->file && a->object == b->object && a->patch == b->patch &&
	       a->kept == b->kept && a->extra_views == b->extra_views &&
	       (a->kind == VMA_ANON || a->offset + vma_size(a) == b->offset);
}

/* b's range becomes part of a. */
static void merge(struct vma *a, struct vma *b)
{
	u64 end = b->end;

	vma_remove(b);
	a->mm->mapped += end - a->end;
	a->end = end;
	a->lazy |= b->lazy;
	vma_free(b);
}

void vma_merge_around(struct vma *v)
{
	struct vma *prev = vma_prev(v), *next = vma_next(v);

	if (can_merge(v, next))
		merge(v, next);
	if (can_merge(prev, v))
		merge(prev, v);
}

bool mm_is_covered(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);

	while (v && v->start <= start) {
		if (v->end >= end)
			return true;
		start = v->end;
		v = vma_next(v);
	}
	return false;
}

bool mm_has_siblings(struct mm *mm)
{
	struct process *p;

	if (mm->is_loading)
		return false;
	if (__atomic_load_n(&mm->refs, __ATOMIC_RELAXED) > 1)
		return true;
	p = current_process();
	return !p || p->mm != mm || __atomic_load_n(&p->thread_count, __ATOMIC_RELAXED) > 1;
}
