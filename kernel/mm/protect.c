// SPDX-License-Identifier: Apache-2.0
/*
 * mprotect: what a program asks reaches the page tables of the host, for pages that are there; the
 * others get it when they are filled. Memory that was PROT_NONE is committed here when it is small,
 * so that running out of memory is an error of the call and not a signal later.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"

#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC)

/* v is exactly what changes. */
static int protect_anon(struct vma *v, u32 prot)
{
	int err;

	if (v->prot != PROT_NONE || prot == PROT_NONE)
		return pages_protect(v->start, v->end, prot);
	if (vma_size(v) <= COMMIT_AT_ONCE_MAX) {
		err = pages_commit(v->start, v->end, prot);
		if (!err)
			v->lazy = false;
		return err;
	}
	/* From now on pages appear by touch. */
	return pages_protect(v->start, v->end, prot);
}

static int protect_vma(struct vma *v, u32 prot)
{
	u32 old = v->prot;
	int err = 0;

	if (old == prot)
		return 0;
	if ((prot & PROT_WRITE) && v->kind != VMA_OBJECT && mm_has_relatives(v->mm)) {
		err = family_preserve(v->mm, v->start, v->end);
		if (err)
			return err;
	}
	switch (v->kind) {
	case VMA_ANON: err = protect_anon(v, prot); break;
	case VMA_FILE: err = pages_protect(v->start, v->end, prot); break;
	default: break;
	}
	if (err) {
		v->lazy = true; /* some pages may be out of reach now: faults bring them back */
		v->kept = 0;
		mm_changed(v->mm);
		return err;
	}
	v->prot = prot;
	if (prot & PROT_WRITE)
		v->kept = 0;
	if (v->kind == VMA_OBJECT) {
		err = object_protect(v, v->start, v->end);
		if (err)
			v->prot = old;
	}
	mm_changed(v->mm);
	return err;
}

static void merge_range(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);

	while (v && v->start <= end) {
		u64 next = v->end;

		vma_merge_around(v);
		v = vma_find(mm, next);
	}
}

static int protect_locked(struct mm *mm, u64 start, u64 end, u32 prot)
{
	struct vma *v;
	int err;

	if (!mm_is_covered(mm, start, end))
		return -ENOMEM;
	for (v = vma_find(mm, start); v && v->start < end; v = vma_next(v))
		if (prot & ~v->may)
			return -EACCES;
	if ((prot & PROT_WRITE) && mm_exceeds_data_when_writable(mm, start, end))
		return -ENOMEM;
	err = vma_split_at(mm, start, end);
	for (v = vma_find(mm, start); !err && v && v->start < end; v = vma_next(v))
		err = protect_vma(v, prot);
	merge_range(mm, start, end);
	return err;
}

int mm_mprotect(struct mm *mm, u64 address, u64 size, u32 prot)
{
	u64 end;
	int err;

	if (!IS_ALIGNED(address, PAGE_SIZE))
		return -EINVAL;
	if (prot & ~(PROT_KNOWN | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (prot & PROT_GROWSUP)
		return -EINVAL;
	if (size == 0)
		return 0;
	if (size > zone_end() || address > zone_end() - size)
		return -ENOMEM;
	end = address + ALIGN_UP(size, PAGE_SIZE);
	mutex_lock(&mm->lock);
	if (prot & PROT_GROWSDOWN) {
		struct vma *v = vma_find(mm, address);

		/* Stacks are whole from the start here: their lowest page is the end of it. */
		if (!v || v->start > address || v->name != VMA_STACK) {
			mm_unlock(mm);
			return -EINVAL;
		}
		address = v->start;
	}
	err = protect_locked(mm, address, end, prot & PROT_KNOWN);
	mm_unlock(mm);
	return err;
}
