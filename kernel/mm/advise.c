// SPDX-License-Identifier: Apache-2.0
/*
 * madvise, mincore and msync. Advice that promises an effect has it (DONTNEED zeroes, FREE
 * frees, POPULATE fills); pure hints are checked and accepted; what this kernel cannot do is
 * EINVAL, as from a Linux built without it.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "lib/base/string.h"

#define ZERO_IN_PLACE_MAX KIB(256) /* below this, zeroing is cheaper than asking the host */

static int zero_in_place(struct vma *v, u64 start, u64 end)
{
	u64 at = start;

	while (at < end) {
		u8 present;
		u64 until = pages_run(at, end, PAGE_PRESENT, &present);

		/* Not where an mprotect() was refused half-way. */
		if (present && !pages_accessible(at, until - at, PAGE_WRITE)) {
			int err = pages_protect(at, until, v->prot);

			if (err)
				return err;
		}
		if (present)
			memset((void *)at, 0, until - at);
		at = until;
	}
	return 0;
}

/* Private pages of [start, end) read as at first again. */
static int forget_pages(struct vma *v, u64 start, u64 end)
{
	if (v->kind == VMA_OBJECT)
		return 0; /* the object keeps them, as on Linux */
	if (v->kind == VMA_ANON && end - start < ZERO_IN_PLACE_MAX && (v->prot & PROT_WRITE))
		return zero_in_place(v, start, end);
	/* Text that jumps to stubs is not read anew: it would only trap. */
	if (v->patch)
		return 0;
	if (mm_has_relatives(v->mm)) {
		int err = family_preserve(v->mm, start, end);

		if (err)
			return err;
	}
	v->lazy = true;
	mm_changed(v->mm);
	return pages_drop(start, end);
}

static int advise_dontneed(struct mm *mm, u64 start, u64 end, u32 advice)
{
	int err = 0;

	mutex_lock(&mm->lock);
	for (struct vma *v = vma_find(mm, start); !err && v && v->start < end; v = vma_next(v)) {
		if (advice == MADV_FREE && v->kind != VMA_ANON)
			err = -EINVAL;
		else
			err = forget_pages(v, MAX(v->start, start), MIN(v->end, end));
	}
	mm_unlock(mm);
	return err;
}

static int advise_populate(struct mm *mm, u64 start, u64 end, u32 access)
{
	int err = mm_populate(mm, start, end, access);

	if (err == -EFAULT)
		return -ENOMEM;
	if (err == -EACCES)
		return -EINVAL;
	return err == -EIO ? -EFAULT : err;
}

int mm_madvise(struct mm *mm, u64 address, u64 size, u32 advice)
{
	u64 end = address + ALIGN_UP(size, PAGE_SIZE);
	bool covered;
	int err;

	if (!IS_ALIGNED(address, PAGE_SIZE) || end < address || (size && !(end - address)))
		return -EINVAL;
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTDUMP: /* nothing is ever dumped */
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE: break;
	default: return -EINVAL;
	}
	if (size == 0)
		return 0;
	if (advice == MADV_POPULATE_READ)
		return advise_populate(mm, address, end, PAGE_READ);
	if (advice == MADV_POPULATE_WRITE)
		return advise_populate(mm, address, end, PAGE_WRITE);
	mutex_lock(&mm->lock);
	covered = mm_is_covered(mm, address, end);
	mm_unlock(mm);
	/* As on Linux: what is mapped is done, holes are reported. */
	err = advice == MADV_DONTNEED || advice == MADV_FREE
		      ? advise_dontneed(mm, address, end, advice)
		      : 0;
	if (err)
		return err;
	return covered ? 0 : -ENOMEM;
}

int mm_mincore(struct mm *mm, u64 address, u64 size, u8 *vec)
{
	u64 end = address + ALIGN_UP(size, PAGE_SIZE);
	int err = 0;

	if (!IS_ALIGNED(address, PAGE_SIZE))
		return -EINVAL;
	if (end < address || end > zone_end())
		return -ENOMEM;
	mutex_lock(&mm->lock);
	if (size && !mm_is_covered(mm, address, end))
		err = -ENOMEM;
	for (u64 at = address; !err && at < end; at += PAGE_SIZE)
		*vec++ = pages_state(at) & PAGE_PRESENT ? 1 : 0;
	mm_unlock(mm);
	return err;
}

/* The next object mapped in [*at, end): counted, with its part; *at moves behind it. */
static struct mem_object *next_object(struct mm *mm, u64 *at, u64 end, u64 *offset, u64 *size)
{
	struct mem_object *o = NULL;
	struct vma *v;

	mutex_lock(&mm->lock);
	for (v = vma_find(mm, *at); v && v->start < end; v = vma_next(v)) {
		if (v->kind != VMA_OBJECT)
			continue;
		*at = MAX(*at, v->start);
		*offset = v->offset + (*at - v->start);
		*size = MIN(v->end, end) - *at;
		*at += *size;
		o = mem_object_get(v->object);
		break;
	}
	mm_unlock(mm);
	return o;
}

int mm_msync(struct mm *mm, u64 address, u64 size, u32 flags)
{
	u64 end = address + ALIGN_UP(size, PAGE_SIZE), at = address, offset, part;
	struct mem_object *o;
	bool covered;
	int ret = 0;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !IS_ALIGNED(address, PAGE_SIZE) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (end < address)
		return -ENOMEM;
	if (size == 0)
		return 0;
	mutex_lock(&mm->lock);
	covered = mm_is_covered(mm, address, end);
	mm_unlock(mm);
	/* Nothing writes changes back later by itself, so MS_ASYNC does it now as well. */
	while (at < end && (o = next_object(mm, &at, end, &offset, &part))) {
		int err = mem_object_sync(o, offset, part);

		ret = ret ? ret : err;
		mem_object_put(o);
	}
	if (ret)
		return ret;
	return covered ? 0 : -ENOMEM;
}
