// SPDX-License-Identifier: Apache-2.0
/*
 * fork: a child with its parent's mappings at the same addresses and copies of its pages as its
 * image. It joins the parent's family, which is made for it if need be (docs/fork.md).
 */
#include "kernel/mm/family_priv.h"

#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"

static int copy_mapping(struct mm *child, struct vma *v)
{
	struct vma *n = vma_new(child, v->start, v->end);

	if (!n)
		return -ENOMEM;
	n->offset = v->offset;
	n->prot = v->prot;
	n->may = v->may;
	n->kind = v->kind;
	n->name = v->name;
	n->lazy = v->lazy;
	n->extra_views = v->extra_views;
	if (v->file)
		n->file = file_get(v->file);
	if (v->object)
		n->object = mem_object_get(v->object);
	if (v->patch && text_patch_copy(child, v->patch, &n->patch)) {
		vma_free(n);
		return -ENOMEM;
	}
	vma_insert(n);
	return 0;
}

static int copy_mappings(struct mm *child, struct mm *mm)
{
	int err = 0;

	if (mm->brk_end) {
		err = zone_reserve_node();
		if (err)
			return err;
		child->brk_start = mm->brk_start;
		child->brk = mm->brk;
		child->brk_end = mm->brk_end;
	}
	child->limits = mm->limits;
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v && !err; v = vma_next(v))
		err = copy_mapping(child, v);
	return err;
}

/* The pages of v as they are now become those of the child: writable ones by copying. */
static int copy_pages(struct family *f, struct mm *child, struct vma *v)
{
	u64 at = v->start;

	while (at < v->end) {
		u8 present;
		u64 until = pages_run(at, v->end, PAGE_PRESENT, &present);

		for (; present && at < until; at += PAGE_SIZE) {
			struct chunk *c = image_get(child, at);
			u8 state = pages_state(at);

			if (!c)
				return -ENOMEM;
			if ((state & (PAGE_WRITE | PAGE_UNKNOWN)) || (v->prot & PROT_WRITE)) {
				c->copy[chunk_index(at)] = image_copy_page(f, at);
				if (!c->copy[chunk_index(at)])
					return -ENOMEM;
			}
			c->state[chunk_index(at)] = state;
		}
		at = until;
	}
	return 0;
}

static int join_family(struct mm *mm, struct mm *child)
{
	struct family *f = mm->family;

	int err;

	if (!f) {
		f = family_new();
		if (!f)
			return -ENOMEM;
		f->resident = mm;
		err = family_join(f, mm);
		BUG_ON(err);
		__atomic_store_n(&mm->family, f, __ATOMIC_SEQ_CST);
	}
	err = family_join(f, child);
	if (!err)
		child->family = family_get(f);
	return err;
}

static int fork_pages(struct mm *mm, struct mm *child)
{
	int err = 0;

	/* With siblings stopped nobody is in uaccess; later on the family waits instead. */
	mm_drain_limbo(mm);
	BUG_ON(!list_is_empty(&mm->limbo));
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v && !err; v = vma_next(v))
		if (vma_is_private(v))
			err = copy_pages(mm->family, child, v);
	return err;
}

int mm_fork(struct mm *mm, struct mm **ret)
{
	struct mm *child = mm_new();
	int err;

	if (!child)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	/* First what may have to wait for other locks; siblings that hold them still run. */
	err = join_family(mm, child);
	if (!err)
		err = copy_mappings(child, mm);
	if (!err) {
		turn_stop_siblings(mm);
		err = fork_pages(mm, child);
		turn_resume_siblings(mm);
	}
	mm_unlock(mm);
	if (err) {
		mm_retire_member(child);
		mm_put(child);
		return err;
	}
	turn_count_fork();
	*ret = child;
	return 0;
}
