// SPDX-License-Identifier: Apache-2.0
/*
 * mremap: shrinks, grows in place when the addresses behind are free, else moves by copying what is
 * present into a new mapping. Objects cannot move (object.c), text with stubs neither.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

static struct map_request like(const struct vma *v, u64 address, u64 size, u64 offset)
{
	return (struct map_request){
		.address = address,
		.size = size,
		.prot = v->prot,
		.flags = MAP_PRIVATE,
		.file = v->file,
		.object = v->object,
		.offset = offset,
		.may = v->may,
		.name = v->name,
	};
}

/* [end, new_end) becomes part of the mapping that ends at `end`. */
static int grow_in_place(struct mm *mm, struct vma *v, u64 end, u64 new_end)
{
	struct map_request r = like(v, end, new_end - end, v->offset + (end - v->start));
	long ret;

	if (v->end != end || v->patch)
		return -ENOMEM;
	r.flags |= MAP_FIXED_NOREPLACE;
	ret = mm_map_locked(mm, &r);
	return ret < 0 ? (int)ret : 0;
}

/* Copies the present pages of [from, from + size) to absent ones at `to`. */
static int copy_pages(u64 from, u64 to, u64 size, u32 prot)
{
	u64 at = from, end = from + size;

	while (at < end) {
		u8 present;
		u64 until = pages_run(at, end, PAGE_PRESENT, &present);
		int err = 0;

		/* What the program may not read the kernel could not either. */
		if (present && !pages_accessible(at, until - at, PAGE_READ))
			err = pages_protect(at, until, PAGE_READ);
		if (!err && present)
			err = pages_fill(to + (at - from), to + (until - from), (const void *)at,
					 prot, false);
		if (err)
			return err;
		at = until;
	}
	return 0;
}

static long move(struct mm *mm, u64 old, u64 old_size, u64 new_size, u64 fixed)
{
	struct vma *v = vma_find(mm, old);
	u64 keep = MIN(old_size, new_size);
	struct map_request r = like(v, fixed, new_size, v->offset + (old - v->start));
	bool lazy = v->lazy;
	long to;
	int err;

	if (v->kind == VMA_OBJECT || v->patch) {
		log_info("A mapping was not moved: shared memory and program text stay in place.");
		return -ENOMEM;
	}
	if (fixed)
		r.flags |= MAP_FIXED;
	r.absent = true;
	r.replaces = old_size;
	to = mm_map_locked(mm, &r);
	if (to < 0)
		return to;
	/* Placing it may have merged or cut mappings; the pages stay. */
	err = copy_pages(old, to, keep, r.prot);
	if (!err && !lazy && new_size > keep && new_size - keep <= COMMIT_AT_ONCE_MAX)
		err = pages_commit(to + keep, to + new_size, r.prot);
	if (!err)
		err = mm_unmap_locked(mm, old, old + old_size, false);
	if (err) {
		if (mm_unmap_locked(mm, to, to + new_size, false))
			log_warn("A mapping that could not be moved left a copy behind.");
		return err;
	}
	return to;
}

static struct vma *find_whole(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);

	return v && v->start <= start && v->end >= end ? v : NULL;
}

static long remap_locked(struct mm *mm, u64 old, u64 old_size, u64 new_size, u32 flags, u64 fixed)
{
	u64 old_end = old + old_size;
	struct vma *v = find_whole(mm, old, old_end);
	int err;

	if (!v)
		return -EFAULT;
	if (flags & MREMAP_FIXED) {
		if (fixed < old_end && old < fixed + new_size)
			return -EINVAL;
		/* First, because it releases the lock: nothing that move() finds may change. */
		err = mm_clear_objects(mm, fixed, fixed + new_size);
		if (err)
			return err;
		if (!find_whole(mm, old, old_end))
			return -EFAULT;
		return move(mm, old, old_size, new_size, fixed);
	}
	if (new_size < old_size) {
		err = mm_unmap_locked(mm, old + new_size, old_end, false);
		return err ? err : (long)old;
	}
	if (new_size == old_size)
		return (long)old;
	if (new_size <= zone_end() - old && !grow_in_place(mm, v, old_end, old + new_size))
		return (long)old;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	return move(mm, old, old_size, new_size, 0);
}

long mm_mremap(struct mm *mm, u64 old, u64 old_size, u64 new_size, u32 flags, u64 new_address)
{
	long ret;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED))
		return -EINVAL; /* MREMAP_DONTUNMAP too */
	if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (!IS_ALIGNED(old, PAGE_SIZE) || new_size == 0 || old_size == 0)
		return -EINVAL; /* old_size 0, another view of shared memory, has no other address */
	if (old_size > zone_end() || old > zone_end() - old_size)
		return -EFAULT;
	if (new_size > zone_end())
		return -ENOMEM;
	old_size = ALIGN_UP(old_size, PAGE_SIZE);
	new_size = ALIGN_UP(new_size, PAGE_SIZE);
	if ((flags & MREMAP_FIXED) &&
	    (!IS_ALIGNED(new_address, PAGE_SIZE) || new_address > zone_end() - new_size))
		return -EINVAL;
	mutex_lock(&mm->lock);
	ret = remap_locked(mm, old, old_size, new_size, flags, new_address);
	mm_unlock(mm);
	return ret;
}
